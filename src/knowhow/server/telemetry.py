"""OpenTelemetry: one span a question with its retrieval and model call, by the conventions for generative AI.

No question, document or answer is ever part of a span: only names, counts and times, and the id of the trace that holds
the rest. Needs the extra `otel`. Names: github.com/open-telemetry/semantic-conventions-genai.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from knowhow.types import Answer, Recipe

Attribute = str | int | float | bool | Sequence[str]
HEADERS = ("traceparent", "tracestate")
_MS = 1_000_000
_BEFORE_MODEL = ("understand", "search", "pack")
"""Stages of an answer before the model is asked, in their order."""


class Telemetry:
    """Tells a tracer provider of every answer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("knowhow", version("knowhow-ai"))

    @classmethod
    def to_collector(cls) -> Telemetry:
        """Sends to the collector that the OTEL_EXPORTER_OTLP_… variables name, as the specification says."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider = TracerProvider(resource=Resource.create({"service.name": "knowhow"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def answered(self, answer: Answer, recipe: Recipe, started_ns: int, headers: Mapping[str, str]) -> None:
        """One question that began at `started_ns` (nanoseconds since 1970), under the span its client names."""
        parent = propagate.extract(dict(headers), context.Context())
        whole = self._tracer.start_span(
            f"invoke_workflow {recipe.name}",
            context=parent,
            kind=trace.SpanKind.INTERNAL,
            start_time=started_ns,
            attributes=_of_answer(answer, recipe),
        )
        inside = trace.set_span_in_context(whole, parent)
        ms = answer.ms
        begun = started_ns + int(ms.get("understand", 0.0) * _MS)
        self._child("retrieval", inside, begun, ms.get("search", 0.0), {"knowhow.shown": len(answer.shown)})
        if "model" in ms:
            begun = started_ns + int(sum(ms.get(stage, 0.0) for stage in _BEFORE_MODEL) * _MS)
            self._child(f"chat {answer.model}", inside, begun, ms["model"], _of_call(answer))
        whole.end(started_ns + int(ms.get("total", 0.0) * _MS))

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()

    def _child(self, name: str, inside: context.Context, begun: int, ms: float, more: Mapping[str, Attribute]) -> None:
        attributes = {"gen_ai.operation.name": name.split()[0], **more}
        kind = trace.SpanKind.CLIENT if name != "retrieval" else trace.SpanKind.INTERNAL
        span = self._tracer.start_span(name, context=inside, kind=kind, start_time=begun, attributes=attributes)
        span.end(begun + int(ms * _MS))


def _of_answer(answer: Answer, recipe: Recipe) -> dict[str, Attribute]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": recipe.name,
        "knowhow.recipe.hash": recipe.hash,
        "knowhow.trace_id": answer.trace_id,
        "knowhow.outcome": answer.reason.value if answer.reason else "answered",
        "knowhow.citations": len(answer.citations),
        "knowhow.unsupported": len(answer.unsupported),
    }


def _of_call(answer: Answer) -> dict[str, Attribute]:
    return {
        "gen_ai.provider.name": provider_of(answer.model),
        "gen_ai.request.model": answer.model,
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
        "gen_ai.response.finish_reasons": ("stop",),
    }


def provider_of(model: str) -> str:
    """openai, the host of a URL, or knowhow for what runs in this process."""
    if model.startswith(("http://", "https://")):
        return urlsplit(model).hostname or "http"
    return "openai" if model.startswith("openai:") else "knowhow"
