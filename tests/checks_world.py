"""Short ways to put one answer to one check."""

from __future__ import annotations

from typing import Any

from knowhow.evaluate.checks import check
from knowhow.suites.parse import parse_example
from knowhow.types import Answer, Check, Citation, Decline, Example, Outcome, Recipe, Usage, Verdict

PASS, FAIL, UNMEASURED = Outcome.PASS, Outcome.FAIL, Outcome.UNMEASURED


def said(text: str, *, abstained: bool = False, citations: tuple[Citation, ...] = ()) -> Answer:
    reason = Decline.NOT_STATED if abstained else None
    return Answer(text, abstained, reason, "", citations, (), (), "m", "r", Usage(), {})


def example(**expect: Any) -> Example:
    made, problems = parse_example({"id": "x", "question": "q", "expect": expect})
    assert made is not None, problems
    return made


def verdict(which: Check, text: str | Answer, expect: dict[str, Any], **given: Any) -> Verdict:
    answer = said(text) if isinstance(text, str) else text
    return check(example(**expect), Recipe(), answer, **given)[which]
