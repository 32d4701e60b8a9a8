"""An answer as the JSON that other programs rely on."""

from __future__ import annotations

from typing import Any

from knowhow.answer.prompt import day
from knowhow.types import Answer, Citation, Json, Shown


def answer_json(answer: Answer) -> Json:
    """The object `knowhow ask --json` prints; keys are only ever added."""
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "reason": answer.reason.value if answer.reason else None,
        "explanation": answer.explanation,
        "citations": [citation_json(citation) for citation in answer.citations],
        "unsupported": [
            {"start": start, "end": end, "text": answer.text[start:end]} for start, end in answer.unsupported
        ],
        "shown": [_shown(passage) for passage in answer.shown],
        "model": answer.model,
        "recipe": answer.recipe,
        "usage": {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "cost_usd": answer.usage.cost_usd,
        },
        "ms": {stage: round(ms, 1) for stage, ms in answer.ms.items()},
        "trace_id": answer.trace_id,
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """One citation; `start` and `end` count characters of the document's text at `version`.

    Each of `boxes` is page, x0, y0, x1, y1 in points from the upper left corner of the page as it is shown.
    """
    return {
        "mark": citation.mark,
        "uri": citation.uri,
        "version": citation.version,
        "page": citation.place.page,
        "heading": list(citation.place.heading),
        "place": citation.place.label(),
        "boxes": [[box.page, box.x0, box.y0, box.x1, box.y1] for box in citation.boxes],
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "supported": citation.supported.value,
        "why": citation.reason,
        "by": citation.by,
        "sentence": list(citation.sentence),
    }


def _shown(passage: Shown) -> dict[str, Any]:
    hit = passage.hit
    return {
        "mark": passage.mark,
        "uri": hit.uri,
        "version": hit.version,
        "title": hit.title,
        "page": hit.place.page,
        "heading": list(hit.place.heading),
        "start": hit.start,
        "end": hit.start + len(passage.text),
        "date": day(hit.effective_at) if hit.effective_at is not None else None,
        "score": hit.score,
    }
