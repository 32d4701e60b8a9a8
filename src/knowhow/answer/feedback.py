"""What a person says about an answer, kept with its trace so that it can become an example or a lesson."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from knowhow.errors import NotFound, UsageProblem
from knowhow.ports import Record, Records
from knowhow.types import Json

KIND = "feedback"


class Verdict(StrEnum):
    """What the person said."""

    UP = "up"
    DOWN = "down"
    CORRECT = "correct"
    """The answer was wrong; `text` is the right one."""
    SHOULD_DECLINE = "should-decline"
    WRONG_SOURCE = "wrong-source"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One person's word on one answer."""

    id: str
    trace_id: str
    verdict: Verdict
    text: str = ""
    """The right answer for `CORRECT`, else an optional remark."""
    by: str = ""
    at: float = 0.0

    def to_json(self) -> Json:
        """A JSON object with every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Feedback:
        """The feedback `to_json` gave."""
        return cls(**{**body, "verdict": Verdict(body["verdict"])})


def give(
    records: Records,
    trace_id: str,
    verdict: Verdict,
    access: frozenset[str],
    *,
    text: str = "",
    by: str = "",
    at: float = 0.0,
) -> Feedback:
    """Stores feedback with its trace; it can be read by whoever may read the trace.

    Raises `NotFound` where the trace does not exist or is hidden, `UsageProblem` for a correction without a text.
    """
    trace = records.get("trace", trace_id, access)
    if trace is None:
        raise NotFound(f"there is no trace {trace_id}; `knowhow traces list` shows those there are")
    if verdict is Verdict.CORRECT and not text.strip():
        raise UsageProblem("a correction needs the right answer as its text")
    feedback = Feedback(secrets.token_hex(8), trace_id, verdict, text.strip(), by, at)
    records.put(
        [Record(KIND, feedback.id, feedback.to_json(), at=at, parent=trace_id, access=trace.access, uris=trace.uris)]
    )
    return feedback
