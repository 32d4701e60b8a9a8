"""How answers fare in use: traces and feedback in pages, and declines, doubts, thumbs and latency day by day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from knowhow.answer.feedback import KIND as FEEDBACK
from knowhow.answer.trace import KIND as TRACE
from knowhow.ports import Record
from knowhow.types import Json
from knowhow.workspace.parts import Parts
from knowhow.workspace.readable import readable
from knowhow.workspace.shapes import timestamp

DAY = 86_400.0


@dataclass(slots=True)
class Day:
    """One UTC day of questions that people asked."""

    day: str
    asked: int = 0
    declined: dict[str, int] = field(default_factory=dict)
    """How many by reason."""
    unsupported: int = 0
    """Answers with a sentence that nothing bears out."""
    feedback: dict[str, int] = field(default_factory=dict)
    """How many by verdict, on the day it was given."""
    ms: list[float] = field(default_factory=list)

    def to_json(self) -> Json:
        """A JSON object; latencies are milliseconds, None where nothing was asked."""
        times = sorted(self.ms)
        return {
            "day": self.day,
            "asked": self.asked,
            "declined": self.declined,
            "unsupported": self.unsupported,
            "feedback": self.feedback,
            "p50_ms": _at(times, 0.5),
            "p95_ms": _at(times, 0.95),
        }


class Live:
    """The use of one workspace, as `Workspace.serving.live`. What an asker may not see is not there."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def traces(
        self, access: frozenset[str], *, before: tuple[float, str] | None = None, limit: int, outcome: str = ""
    ) -> list[Json]:
        """Traces in short, newest first, behind `before`; `outcome` is answered, unsupported, or a decline's reason.

        Questions that an evaluation asked are left out.
        """
        found = (body for record in self._select(TRACE, access, before=before) if (body := trace_row(record)))
        return list(islice((row for row in found if outcome in ("", *row["outcomes"])), limit))

    def feedback(self, access: frozenset[str], *, before: tuple[float, str] | None = None, limit: int) -> list[Json]:
        """What people said of answers, newest first."""
        return [record.body for record in islice(self._select(FEEDBACK, access, before=before), limit)]

    def days(self, access: frozenset[str], since: float) -> list[Json]:
        """Every UTC day since then on which something was asked or judged, oldest first."""
        days: dict[str, Day] = {}

        def of(at: float) -> Day:
            name = datetime.fromtimestamp(at, UTC).date().isoformat()
            return days.setdefault(name, Day(name))

        for record in self._select(TRACE, access, since=since):
            row = trace_row(record)
            if row is None:
                continue
            day = of(record.at)
            day.asked += 1
            day.unsupported += "unsupported" in row["outcomes"]
            if row["outcome"] != "answered":
                day.declined[row["outcome"]] = day.declined.get(row["outcome"], 0) + 1
            day.ms.append(row["ms"])
        for record in self._select(FEEDBACK, access, since=since):
            counts, verdict = of(record.at).feedback, record.body["verdict"]
            counts[verdict] = counts.get(verdict, 0) + 1
        return [days[name].to_json() for name in sorted(days)]

    def _select(
        self,
        kind: str,
        access: frozenset[str],
        *,
        before: tuple[float, str] | None = None,
        since: float | None = None,
    ) -> Iterator[Record]:
        records = self._parts.records.select(kind, access, before=before, since=since)
        return readable(records, self._parts.store, access)


def trace_row(record: Record) -> Json | None:
    """A trace in short; None for a question of an evaluation. `at_s` and `trace_id` make the next page's cursor."""
    body = record.body
    if body.get("draw") is not None:
        return None
    outcome = body["reason"] if body["abstained"] else "answered"
    doubtful = any(check.get("support") == "no" or not check.get("ranges") for check in body["checks"])
    return {
        "trace_id": record.id,
        "at": timestamp(record.at),
        "at_s": record.at,
        "question": body["question"],
        "answer": body["answer"],
        "outcome": outcome,
        "outcomes": [outcome, *(["unsupported"] if doubtful and not body["abstained"] else [])],
        "model": body["model"],
        "recipe": body["recipe"]["name"],
        "ms": body["ms"].get("total", 0.0),
    }


def _at(times: list[float], share: float) -> float | None:
    return round(times[min(len(times) - 1, int(len(times) * share))], 1) if times else None
