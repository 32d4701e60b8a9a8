"""Spans: one a question with its retrieval and model call, under the client's own, and nothing of what was said."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from knowhow.server.state import Server
from knowhow.server.telemetry import Telemetry, provider_of
from server_world import ASKED, serving


def test_a_question_is_three_spans_without_a_word_of_it(tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with serving(tmp_path) as site:
        server: Server = site.app.state.server
        server.telemetry = Telemetry(provider)
        parent = f"00-{'a' * 32}-{'b' * 16}-01"
        reply = site.client.post("/api/ask", json={"question": ASKED}, headers={"traceparent": parent}).json()
        site.client.post("/api/ask/stream", json={"question": "Who is the mayor of Brightwater?"})
    retrieval, chat, whole, looked, declined = kept.get_finished_spans()
    assert [span.name for span in (retrieval, chat, whole)] == ["retrieval", "chat extractive", "invoke_workflow rag"]
    assert whole.context.trace_id == int("a" * 32, 16)
    assert whole.parent is not None
    assert whole.parent.span_id == int("b" * 16, 16)
    assert all(one.parent is not None and one.parent.span_id == whole.context.span_id for one in (retrieval, chat))
    attributes = dict(chat.attributes or {})
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.usage.input_tokens"] == reply["usage"]["prompt_tokens"]
    assert (whole.attributes or {})["knowhow.trace_id"] == reply["trace_id"]
    assert [span.name for span in (looked, declined)] == ["retrieval", "invoke_workflow rag"]
    assert (declined.attributes or {})["knowhow.outcome"] == "nothing-relevant"
    for span in kept.get_finished_spans():
        assert span.start_time is not None
        assert span.end_time is not None
        assert (whole.start_time or 0) <= span.start_time <= span.end_time or span in (looked, declined)
        assert not any(word in span.to_json() for word in ("laptop", "45 days", "returns.md", "Brightwater"))


@pytest.mark.parametrize(
    ("model", "provider"),
    [("openai:gpt-5", "openai"), ("http://user:pw@host:80/v1#m", "host"), ("local:starter", "knowhow")],
)
def test_a_provider_is_named_without_secrets(model: str, provider: str) -> None:
    assert provider_of(model) == provider
