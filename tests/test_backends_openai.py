"""Talking to an OpenAI-style server: what is sent, what is retried, what failures are called, and who may be asked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from contract.chat_contract import streamed
from knowhow.backends import chat_openai, endpoint
from knowhow.backends.endpoint import is_loopback, parse_name
from knowhow.backends.open import open_chat, open_embedder, open_reranker
from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem, KnowhowError, ProviderKind, ProviderProblem
from knowhow.types import ChatRequest, Message, Sampling
from openai_server import KEY, REPLY, Fault, Server, chunk, serving

REQUEST = ChatRequest((Message("user", "How long is the return window?"),))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def options(server: Server, **changes: Any) -> ConnectOptions:
    fixed: dict[str, Any] = {"keys": {server.host: "SHOP_KEY"}, "variables": {"SHOP_KEY": KEY}, "retries": 0}
    return ConnectOptions(**(fixed | changes))


def problem_of(server: Server, **changes: Any) -> ProviderProblem:
    with pytest.raises(ProviderProblem) as caught:
        open_chat(f"{server.url}#fake", options(server, **changes)).chat(REQUEST)
    assert "\n" not in str(caught.value)
    assert KEY not in repr(caught.value) + str(caught.value)
    return caught.value


def error(message: str, **more: str) -> str:
    return json.dumps({"error": {"message": message} | more})


# --- what is sent ---


def test_everything_in_the_request_reaches_the_server(server: Server) -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}}
    sampling = Sampling(temperature=0.3, top_p=0.9, max_tokens=3, seed=7, stop=("\n",))
    model = open_chat(f"{server.url}#fake", options(server))
    reply = model.chat(ChatRequest(REQUEST.messages, sampling, schema=schema, adapter="house-style", logprobs=2))
    _, body, headers = server.requests[-1]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["model"] == "house-style"
    assert body["messages"] == [{"role": "user", "content": "How long is the return window?"}]
    assert {key: body[key] for key in ("temperature", "top_p", "max_tokens", "seed", "stop")} == {
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 3,
        "seed": 7,
        "stop": ["\n"],
    }
    assert body["response_format"]["json_schema"] == {"name": "reply", "schema": schema, "strict": False}
    assert (reply.text, reply.finish, reply.cached_tokens) == ("The return window ", "length", 2)
    assert reply.logprobs[0].top == (("The ", -0.5), ("?", -1.0))


def test_a_closed_schema_is_enforced_strictly(server: Server) -> None:
    closed = {
        "type": "object",
        "properties": {"days": {"type": "array", "items": {"type": "integer"}}},
        "required": ["days"],
        "additionalProperties": False,
    }
    nested = closed | {"properties": {"days": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    model = open_chat(f"{server.url}#fake", options(server))
    strict = []
    for schema in (closed, nested):
        model.chat(ChatRequest(REQUEST.messages, schema=schema))
        strict.append(server.requests[-1][1]["response_format"]["json_schema"]["strict"])
    assert strict == [True, False]


def test_openai_itself_is_asked_with_its_newer_name_for_the_limit(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "OPENAI_URL", server.url)
    monkeypatch.setattr(chat_openai, "OPENAI_URL", server.url)
    model = open_chat("openai:gpt-5", options(server))
    model.chat(REQUEST)
    assert model.name == "openai:gpt-5"
    assert server.requests[-1][1]["max_completion_tokens"] == 400
    assert "max_tokens" not in server.requests[-1][1]


def test_only_the_host_a_key_belongs_to_sees_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "sk-secret-of-another-host")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-secret-of-another-host")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    open_chat(f"{server.url}#fake", ConnectOptions()).chat(REQUEST)
    assert "sk-secret" not in str(server.requests)


def test_options_do_not_show_keys(server: Server) -> None:
    model = open_chat(f"{server.url}#fake", options(server))
    assert KEY not in repr(options(server)) + repr(vars(model))


# --- which model ---


def test_a_server_with_one_model_needs_no_name(server: Server) -> None:
    assert open_chat(server.url, options(server)).name == f"{server.url}#fake"
    assert server.requests[-1][2]["authorization"] == f"Bearer {KEY}"


def test_a_server_with_several_models_lists_them(server: Server) -> None:
    server.models = ["small", "large"]
    with pytest.raises(ProviderProblem, match=f"{server.url}#small, {server.url}#large") as caught:
        open_chat(server.url, options(server))
    assert caught.value.kind is ProviderKind.UNKNOWN_MODEL


# --- what is retried ---


def test_a_rate_limit_is_waited_out_as_the_server_says(server: Server) -> None:
    server.faults = [Fault(429, error("slow down"), {"retry-after": "0.3"})]
    began = time.monotonic()
    assert open_chat(f"{server.url}#fake", options(server, retries=1)).chat(REQUEST).text == REPLY
    assert time.monotonic() - began >= 0.3
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "fault", [Fault(503, "busy", {"retry-after-ms": "5"}), Fault(drop=True), Fault(500, "", {"retry-after-ms": "5"})]
)
def test_what_passes_by_itself_is_tried_again(server: Server, fault: Fault) -> None:
    server.faults = [fault]
    assert open_chat(f"{server.url}#fake", options(server, retries=1)).chat(REQUEST).text == REPLY


def test_a_long_wait_is_told_instead_of_waited_out(server: Server) -> None:
    server.faults = [Fault(429, error("daily limit reached"), {"retry-after": "86400"})]
    problem = problem_of(server, retries=3)
    assert problem.kind is ProviderKind.RATE_LIMIT
    assert "86400" in str(problem)
    assert len(server.requests) == 1


def test_a_slow_reply_is_not_asked_for_twice(server: Server) -> None:
    server.faults = [Fault(wait_s=0.6)]
    assert problem_of(server, retries=2, timeout_s=0.2).kind is ProviderKind.TIMEOUT
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_fails_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        began = time.monotonic()
        with pytest.raises(ProviderProblem, match="check that the server runs") as caught:
            open_chat(f"{url}#fake", ConnectOptions(retries=8)).chat(REQUEST)
    assert caught.value.kind is ProviderKind.UNREACHABLE
    assert time.monotonic() - began < 5


# --- what failures are called ---

LONG = [
    (400, error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")),
    (400, error("request (9000 tokens) exceeds the available context size", type="exceed_context_size_error")),
    (400, error("Input is too long for requested model.")),
    (413, "Payload Too Large"),
]
UNKNOWN = [
    (404, error("The model `fake` does not exist or you do not have access to it.", code="model_not_found")),
    (404, error('model "fake" not found, try pulling it first')),
    (400, error("Invalid model name passed in model=fake")),
]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        *((status, body, ProviderKind.CONTEXT_TOO_LONG) for status, body in LONG),
        *((status, body, ProviderKind.UNKNOWN_MODEL) for status, body in UNKNOWN),
        (401, error(f"Incorrect API key provided: {KEY}."), ProviderKind.AUTH),
        (403, f"<html>{KEY}</html>", ProviderKind.AUTH),
        (404, "<html>Not\n\nFound</html>", ProviderKind.UNREACHABLE),
        (405, "", ProviderKind.UNREACHABLE),
        (429, error("You exceeded your quota", code="insufficient_quota"), ProviderKind.RATE_LIMIT),
        (500, error(f"boom with {KEY}"), ProviderKind.UNREACHABLE),
        (400, error("Unsupported value: 'temperature' does not support 0.0"), ProviderKind.BAD_REPLY),
        (418, "[1, 2]", ProviderKind.BAD_REPLY),
    ],
)
def test_every_refusal_has_its_kind_and_one_line(server: Server, status: int, body: str, kind: ProviderKind) -> None:
    server.faults = [Fault(status, body)]
    assert problem_of(server).kind is kind


def test_a_wrong_key_is_told_by_the_name_of_its_variable(server: Server) -> None:
    server.faults = [Fault(401, error("no"))] * 2
    assert "check the key in SHOP_KEY" in str(problem_of(server))
    assert "keys.'127.0.0.1'" in str(problem_of(server, keys={}))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("<html>hello</html>", {"content-type": "text/html"}),
        ("{not json", {}),
        ("", {}),
        ("[]", {}),
        ("null", {}),
        ('{"choices": []}', {}),
        ('{"choices": null}', {}),
        ('{"choices": [{"message": {"content": "cut"}}]}', {}),
        ('{"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}', {}),
        ('{"hello": "world"}', {}),
        ('{"choices": "text"}', {}),
        ('{"choices": [{"message": {"content": {"a": 1}}, "finish_reason": "stop"}]}', {}),
    ],
)
def test_what_is_no_reply_is_called_so(server: Server, body: str, headers: dict[str, str]) -> None:
    server.faults = [Fault(200, body, headers)]
    assert problem_of(server).kind is ProviderKind.BAD_REPLY


# --- streams ---


def test_a_stream_without_usage_is_counted(server: Server) -> None:
    server.chunks = [chunk({"content": "45"}), chunk({"content": " days"}, "stop"), "data: [DONE]\n\n"]
    pieces, reply = streamed(open_chat(f"{server.url}#fake", options(server)), REQUEST)
    assert (pieces, reply.completion_tokens) == (["45", " days"], 2)
    assert reply.prompt_tokens >= 7


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk({"content": "45"})],
        [],
        [chunk({"content": "45"}), "data: {broken\n\n"],
        [chunk({"content": "45"}), {"error": {"message": "out of memory", "code": "500"}}],
        [chunk({"content": "45"}, "content_filter")],
        ["data: 5\n\n"],
    ],
)
def test_a_stream_that_breaks_off_is_not_a_reply(server: Server, chunks: list[Any]) -> None:
    server.chunks = chunks
    with pytest.raises(ProviderProblem) as caught:
        streamed(open_chat(f"{server.url}#fake", options(server)), REQUEST)
    assert caught.value.kind is ProviderKind.BAD_REPLY


def test_a_refused_stream_fails_like_a_refused_call(server: Server) -> None:
    server.faults = [Fault(*LONG[0])]
    with pytest.raises(ProviderProblem) as caught:
        next(open_chat(f"{server.url}#fake", options(server)).stream(REQUEST))
    assert caught.value.kind is ProviderKind.CONTEXT_TOO_LONG


# --- who may be asked ---


def test_offline_asks_this_machine_and_nobody_else(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_chat(f"{server.url}#fake", options(server, offline=True)).chat(REQUEST).text == REPLY

    def connect(*_: object) -> None:
        raise AssertionError("connected while offline")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    for name in ("http://192.0.2.1/v1#m", "https://llm.example.com/v1", "http://localhost.example.com/v1#m"):
        with pytest.raises(ProviderProblem) as caught:
            open_chat(name, ConnectOptions(offline=True)).chat(REQUEST)
        assert caught.value.kind is ProviderKind.REFUSED_OFFLINE


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_and_not_followed(server: Server, status: int) -> None:
    server.faults = [Fault(status, "", {"location": "http://192.0.2.1/v1/chat/completions"})]
    problem = problem_of(server, offline=True)
    assert problem.kind is ProviderKind.UNREACHABLE
    assert "192.0.2.1" in str(problem)
    assert len(server.requests) == 1


def test_a_proxy_of_the_environment_never_sees_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    assert open_chat(f"{server.url}#fake", options(server)).chat(REQUEST).text == REPLY


def test_a_proxy_of_the_environment_is_used_for_other_hosts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "")
    server.answers["http://llm.example.com/v1/models"] = lambda body: {"data": [{"id": "far"}]}
    assert open_chat("http://llm.example.com/v1", ConnectOptions(retries=0)).name == "http://llm.example.com/v1#far"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "localhost.example.com", "10.0.0.1", "0.0.0.0", "1270.0.0.1", "::2", "example.com"]
)
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)


# --- names and keys ---


def test_names_are_taken_apart() -> None:
    assert parse_name("openai:gpt-5") == ("https://api.openai.com/v1", "gpt-5")
    assert parse_name("http://h:8080/v1/#org/model:7b") == ("http://h:8080/v1", "org/model:7b")
    assert parse_name("https://h/v1") == ("https://h/v1", "")


@pytest.mark.parametrize(
    ("name", "variables", "said"),
    [
        ("http://user:hunter2@h/v1#m", {}, "environment"),
        ("http:///v1#m", {}, "names no host"),
        ("http://h:99999/v1#m", {}, "not a URL"),
        ("openai:gpt-5", {}, "export OPENAI_API_KEY="),
        ("openai:gpt-5", {"OPENAI_API_KEY": "  "}, "export OPENAI_API_KEY="),
        ("openai:gpt-5", {"OPENAI_API_KEY": "sk-…"}, "characters no key has"),
    ],
)
def test_bad_names_and_missing_keys_are_configuration_problems(name: str, variables: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigProblem, match=said) as caught:
        open_chat(name, ConnectOptions(variables=variables))
    assert "hunter2" not in str(caught.value)


# --- embeddings and reranking ---


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": [0.5] * 3}],
        [{"index": 0, "embedding": [float("nan")] * 64}],
        [{"index": 0, "embedding": "!!"}],
        None,
    ],
)
def test_embeddings_of_another_shape_are_refused(server: Server, data: Any) -> None:
    embedder = open_embedder(f"{server.url}#fake", options(server))
    server.answers["/v1/embeddings"] = lambda body: {"data": data}
    with pytest.raises(ProviderProblem) as caught:
        embedder.documents(["a laptop"])
    assert caught.value.kind is ProviderKind.BAD_REPLY


def test_servers_that_send_floats_are_understood(server: Server) -> None:
    server.answers["/v1/embeddings"] = lambda body: {
        "data": [{"index": i, "embedding": [3.0, 4.0]} for i in range(len(body["input"]))]
    }
    embedder = open_embedder(f"{server.url}#fake", options(server))
    np.testing.assert_allclose(embedder.documents(["a", "", "b"]), [[0.6, 0.8], [0, 0], [0.6, 0.8]], atol=1e-6)


@pytest.mark.parametrize(
    "answer",
    [{}, {"results": [{"index": 0, "relevance_score": 0.5}]}, {"results": [{"index": 7, "relevance_score": 1}]}],
)
def test_a_reranker_that_forgets_texts_is_refused(server: Server, answer: Any) -> None:
    reranker = open_reranker(f"{server.url}#fake", options(server))
    server.answers["/v1/rerank"] = lambda body: answer
    with pytest.raises(ProviderProblem) as caught:
        reranker.scores("laptop", ["a", "b"])
    assert caught.value.kind is ProviderKind.BAD_REPLY


def test_a_reranker_fails_like_a_chat_model(server: Server) -> None:
    server.faults = [Fault(401, error("no"))]
    with pytest.raises(KnowhowError, match="SHOP_KEY"):
        open_reranker(f"{server.url}#fake", options(server)).scores("laptop", ["a"])
