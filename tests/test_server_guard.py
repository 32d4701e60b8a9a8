"""What every request passes: names, sites, sizes, times, ids, and errors as problems."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from fastapi import Request
from starlette.types import Message, Receive, Scope, Send

from knowhow.backends.fake import FakeChat
from knowhow.errors import ConfigProblem, ProviderKind, ProviderProblem
from knowhow.server.guard import Guard
from knowhow.server.keys import Keys
from knowhow.server.links import local_path
from knowhow.server.run import refuse_open
from knowhow.server.state import Meter, Options
from server_world import ASKED, Site, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, Options(max_body=200_000)) as made:
        yield made


def test_every_reply_carries_an_id_and_what_keeps_a_browser_safe(site: Site) -> None:
    for reply in (site.client.get("/health"), site.client.get("/nowhere"), site.client.post("/api/ask", json=1)):
        assert len(reply.headers["x-request-id"]) == 16
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
    assert site.client.get("/health", headers={"x-request-id": "trace-0123"}).headers["x-request-id"] == "trace-0123"
    assert site.client.get("/health", headers={"x-request-id": "a b\tc"}).headers["x-request-id"] != "a b\tc"


def test_errors_are_problems_with_the_names_of_the_command_line(site: Site) -> None:
    reply = site.client.get("/api/documents/none.md")
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    body = reply.json()
    assert (body["name"], body["type"], body["status"]) == ("not-found", "urn:knowhow:not-found", 404)
    assert body["request_id"] == reply.headers["x-request-id"]
    assert site.client.get("/nowhere").json()["name"] == "not-found"
    assert site.client.delete("/health").json()["name"] == "method-not-allowed"
    assert "error" not in body
    told = site.client.post(
        "/v1/chat/completions", json={"model": "nope", "messages": [{"role": "user", "content": "x"}]}
    )
    assert told.json()["error"]["code"] == "not-found"


def test_a_wrong_field_is_named_and_its_value_is_not_repeated(site: Site) -> None:
    reply = site.client.post("/api/ask", json={"question": {"secret": "hunter2"}, "typo": 1})
    assert reply.status_code == 422
    assert {"body.question", "body.typo"} <= {row["field"] for row in reply.json()["fields"]}
    assert "hunter2" not in reply.text


def test_another_name_for_this_machine_is_refused(site: Site) -> None:
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::"):
        reply = site.client.get("/api/me", headers={"host": host})
        assert (reply.status_code, reply.json()["name"]) == (421, "host-refused"), host
    for host in ("localhost:8642", "127.0.0.1", "[::1]:80", "LOCALHOST"):
        assert site.client.get("/api/me", headers={"host": host}).status_code == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost"},
    ],
)
def test_a_page_of_another_site_changes_nothing(site: Site, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/api/ask"), ("PUT", "/api/documents/x"), ("DELETE", "/api/documents/x")):
        reply = site.client.request(method, path, headers=headers)
        assert (reply.status_code, reply.json()["name"]) == (403, "cross-site")
    same = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert site.client.post("/api/search", json={"query": "laptop"}, headers=same).status_code == 200


def test_a_body_may_not_grow_without_end(site: Site) -> None:
    big = site.client.post("/api/search", content=b"x" * 200_001)
    assert (big.status_code, big.json()["name"]) == (413, "too-large")

    def endless() -> Iterator[bytes]:
        for _ in range(300):
            yield b" " * 1000

    streamed = site.client.post("/api/search", content=endless(), headers={"content-type": "application/json"})
    assert (streamed.status_code, streamed.json()["name"]) == (413, "too-large")


def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with serving(tmp_path, Options(seconds=0.2)) as site:
        site.workspace._parts._opened["chat", "extractive"] = FakeChat(lambda request: "never", latency_s=0.6)
        reply = site.client.post("/api/ask", json={"question": ASKED})
    assert (reply.status_code, reply.json()["name"]) == (504, "timed-out")


@pytest.mark.parametrize(
    ("kind", "status"),
    [(ProviderKind.CONTEXT_TOO_LONG, 400), (ProviderKind.RATE_LIMIT, 503), (ProviderKind.TIMEOUT, 504),
     (ProviderKind.UNREACHABLE, 502)],
)  # fmt: skip
def test_a_model_that_fails_is_told_apart(site: Site, kind: ProviderKind, status: int) -> None:
    site.workspace._parts._opened["chat", "extractive"] = FakeChat(
        ["x"], failures={1: ProviderProblem("it fails", kind)}
    )
    reply = site.client.post("/api/ask", json={"question": ASKED})
    assert (reply.status_code, reply.json()["name"], reply.json()["detail"]) == (status, "provider-problem", "it fails")


def test_what_was_not_meant_to_happen_tells_nothing_of_itself(site: Site) -> None:
    @site.app.get("/boom")
    def boom(request: Request) -> None:
        raise RuntimeError("the password is hunter2")

    reply = site.client.get("/boom")
    assert (reply.status_code, reply.json()["name"]) == (500, "unexpected")
    assert "hunter2" not in reply.text
    assert "x-request-id" in reply.headers
    assert "content-security-policy" in reply.headers


def test_the_log_holds_no_query_no_key_and_no_body(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "knowhow.server")
    header = site.key("ann")
    site.client.get("/api/documents?source=private", headers=header)
    site.client.post("/api/ask", json={"question": "is this secret?"}, headers=header)
    lines = [record.getMessage() for record in caplog.records if record.name == "knowhow.server"]
    assert len(lines) == 2
    assert all("key=ann" in line for line in lines)
    assert not any(word in line for line in lines for word in ("private", "secret", header["authorization"][10:]))


def test_an_open_address_needs_a_key_in_force(site: Site) -> None:
    keys = Keys(site.workspace.serving.records)
    refuse_open(keys, "127.0.0.1")
    with pytest.raises(ConfigProblem, match="knowhow keys add"):
        refuse_open(keys, "0.0.0.0")
    site.key("ann")
    refuse_open(keys, "0.0.0.0")
    keys.revoke("ann")
    with pytest.raises(ConfigProblem, match="no API key"):
        refuse_open(keys, "0.0.0.0")


def test_a_bucket_fills_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("knowhow.server.state.time.monotonic", lambda: now[0])
    meter = Meter()
    assert [meter.wait("a", 3) for _ in range(4)] == [0, 0, 0, pytest.approx(20)]
    assert meter.wait("b", 3) == 0
    now[0] = 19.9
    assert meter.wait("a", 3) > 0
    now[0] = 20.1
    assert meter.wait("a", 3) == 0
    assert meter.wait("a", 3) > 0


def test_nobody_is_led_to_another_site() -> None:
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "", "x", "/\nx"):
        assert local_path(target) == "/"
    assert local_path("/documents/a?x=1") == "/documents/a?x=1"


def test_a_stream_may_go_on_after_the_time_limit() -> None:
    told: list[Message] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, True, False):
            await anyio.sleep(0.05)
            await send({"type": "http.response.body", "body": b"x", "more_body": more})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "state": {}}
    anyio.run(Guard(slow, hosts=(), max_body=1, seconds=0.05), scope, receive, send)
    assert b"".join(message.get("body", b"") for message in told) == b"xxx"
