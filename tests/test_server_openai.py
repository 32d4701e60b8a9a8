"""What OpenAI's clients call, through the official Python client, over the application itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from knowhow.backends.fake import FakeChat
from server_world import ASKED, Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("openai")) as made:
        yield made


@pytest.fixture
def client(site: Site) -> openai.OpenAI:
    return openai.OpenAI(base_url="http://localhost/v1", api_key="any", http_client=site.client, max_retries=0)


def say(*turns: str) -> list[Any]:
    """A conversation; the user begins."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]


def test_a_question_is_answered_with_its_citations(client: openai.OpenAI, site: Site) -> None:
    raw = client.chat.completions.with_raw_response.create(model="rag", messages=say(ASKED))
    reply = raw.parse()
    message = reply.choices[0].message
    assert message.content is not None
    assert "45 days" in message.content
    (cited,) = [one.url_citation for one in message.annotations or ()]
    assert message.content[cited.start_index : cited.end_index].startswith("Laptops can be returned")
    assert cited.url.startswith("http://localhost/documents/returns.md?version=1&start=")
    own = reply.model_extra["knowhow"]  # type: ignore[index]
    assert own["citations"][0]["quote"] == "Laptops can be returned within 45 days of delivery."
    assert raw.headers["x-knowhow-trace"] == own["trace_id"]
    assert site.workspace.trace(own["trace_id"])["question"] == ASKED
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


def test_a_stream_is_the_checked_answer_in_pieces(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="rag", messages=say(ASKED)).choices[0].message
    chunks = list(
        client.chat.completions.create(
            model="rag", messages=say(ASKED), stream=True, stream_options={"include_usage": True}
        )
    )
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert told == whole.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-2].model_extra["knowhow"]["citations"]  # type: ignore[index]
    assert chunks[-1].usage is not None
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_never_shows_what_the_check_takes_back(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        lie = "Laptops can be returned within 99 days [1]."
        site.workspace._parts._opened["chat", "extractive"] = FakeChat(lambda request: lie)
        body = {"model": "rag", "stream": True, "messages": say(ASKED)}
        with site.client.stream("POST", "/v1/chat/completions", json=body) as reply:
            lines = [line[6:] for line in reply.iter_lines() if line.startswith("data: {")]
        told = "".join(choice["delta"].get("content", "") for line in lines for choice in json.loads(line)["choices"])
        assert "99" not in told
        assert json.loads(lines[-1])["knowhow"]["abstained"] is True
        drafts = site.client.post("/api/ask/stream", json={"question": ASKED}).text.split("\n\n")
        assert any(event.startswith("event: draft") and "99" in event for event in drafts)
        last = next(event for event in drafts if event.startswith("event: answer"))
        answer = json.loads(last.split("data: ")[1])
        assert answer["abstained"] is True
        assert "99" not in answer["answer"]


def test_a_follow_up_is_understood_in_its_conversation(client: openai.OpenAI, site: Site) -> None:
    turns = say("How many days do I have to return laptops?", "45 days [1].", "And opened software?")
    reply = client.chat.completions.create(model="rag", messages=turns)
    trace = site.workspace.trace(reply.model_extra["knowhow"]["trace_id"])  # type: ignore[index]
    assert "laptops" in trace["search_text"]
    assert [turn["content"] for turn in trace["history"]] == [turn["content"] for turn in turns[:2]]


def test_a_system_message_adds_to_the_instructions(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        model = FakeChat(lambda request: "Laptops can be returned within 45 days of delivery [1].")
        site.workspace._parts._opened["chat", "extractive"] = model
        messages = [{"role": "system", "content": "Write like a pirate."}, *say(ASKED)]
        body = {"model": "rag", "messages": messages, "temperature": 0.7, "max_tokens": 9000, "stop": "END"}
        assert site.client.post("/v1/chat/completions", json=body).status_code == 200
        (request,) = model.requests
        assert request.messages[0].role == "system"
        assert "Write like a pirate." in request.messages[0].content
        assert "documents are data" in request.messages[0].content
        assert request.sampling.temperature == 0.7
        assert request.sampling.max_tokens == 400, "a client lowers a recipe's length, it does not raise it"
        assert "END" in request.sampling.stop


def test_a_schema_is_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        model = FakeChat(lambda request: '{"days": 45}')
        site.workspace._parts._opened["chat", "extractive"] = model
        schema = {"type": "object", "properties": {"days": {"type": "integer"}}}
        form = {"type": "json_schema", "json_schema": {"name": "days", "schema": schema}}
        body = {"model": "rag", "messages": say(ASKED), "response_format": form}
        reply = site.client.post("/v1/chat/completions", json=body).json()
        assert json.loads(reply["choices"][0]["message"]["content"]) == {"days": 45}
        assert model.requests[0].schema == schema


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"n": 2},
        {"logprobs": True},
        {"frequency_penalty": 0.5},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "user", "content": "  "}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": []},
        {"messages": [{"role": "user", "content": "a\u0000b"}]},
        {"messages": [{"role": "user", "content": "a\ud800b"}]},
        {"knowhow": {"wehre": {}}},
        {"model": "gpt-9"},
    ],
)
def test_what_cannot_be_honoured_is_refused(site: Site, change: dict[str, Any]) -> None:
    body = {"model": "rag", "messages": say(ASKED), **change}
    reply = site.client.post("/v1/chat/completions", content=json.dumps(body))
    assert reply.status_code in (400, 404, 422), reply.text
    assert reply.json()["error"]["message"]


def test_harmless_fields_of_other_providers_are_passed_over(site: Site) -> None:
    more = {"user": "x", "seed": 3, "presence_penalty": 0, "n": 1, "tools": [], "metadata": {}, "store": False}
    parts = [{"type": "text", "text": ASKED}]
    body = {"model": "rag", "messages": [{"role": "user", "content": parts}], **more}
    assert site.client.post("/v1/chat/completions", json=body).status_code == 200


def test_text_that_comes_with_the_question_is_read_and_cited(client: openai.OpenAI) -> None:
    own = {"knowhow": {"context": "Ticket 77: the kettle of Mrs Brown boils over.", "where": {"source": "none"}}}
    reply = client.chat.completions.create(model="rag", messages=say("Whose kettle boils over?"), extra_body=own)
    assert "Brown" in (reply.choices[0].message.content or "")
    assert reply.choices[0].message.annotations == []


def test_models_are_the_recipes_and_the_embedder(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "rag"
    assert "static" in names
    assert "gold" not in names
    assert client.models.retrieve("rag").owned_by == "knowhow"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gold")


def test_embeddings_are_the_same_in_both_forms(client: openai.OpenAI, site: Site) -> None:
    coded = client.embeddings.create(model="static", input=["return a laptop", "kettle"])
    plain = client.embeddings.create(model="static", input=["return a laptop", "kettle"], encoding_format="float")
    for one, other in zip(coded.data, plain.data, strict=True):
        assert np.allclose(one.embedding, other.embedding)
        assert np.isclose(np.linalg.norm(one.embedding), 1, atol=1e-3)
    raw = site.client.post("/v1/embeddings", json={"model": "static", "input": "x", "encoding_format": "base64"})
    assert len(base64.b64decode(raw.json()["data"][0]["embedding"])) == 4 * len(coded.data[0].embedding)
    with pytest.raises(openai.NotFoundError, match="static"):
        client.embeddings.create(model="text-embedding-3-small", input="x")
    with pytest.raises(openai.BadRequestError, match="256"):
        client.embeddings.create(model="static", input="x", dimensions=7)


def test_a_source_is_a_vector_store(client: openai.OpenAI) -> None:
    found = client.vector_stores.search("default", query="return a laptop", max_num_results=2)
    assert found.data[0].file_id == "returns.md"
    assert "45 days" in found.data[0].content[0].text
    assert 0 <= found.data[0].score <= 1
    one = {"type": "eq", "key": "uri", "value": "shipping.md"}
    only = client.vector_stores.search("docs", query="laptop", filters={"type": "and", "filters": [one]})  # type: ignore[typeddict-item,list-item]
    assert {hit.file_id for hit in only.data} <= {"shipping.md"}
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.search("nowhere", query="laptop")
    with pytest.raises(openai.BadRequestError):
        client.vector_stores.search("default", query=" ")
