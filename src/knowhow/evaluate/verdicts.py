"""Short forms in which checks state a verdict."""

from __future__ import annotations

from collections.abc import Mapping

from knowhow.types import Outcome, Verdict


def passed(reason: str, measures: Mapping[str, float] | None = None) -> Verdict:
    return Verdict(Outcome.PASS, reason, measures or {})


def failed(reason: str, measures: Mapping[str, float] | None = None) -> Verdict:
    return Verdict(Outcome.FAIL, reason, measures or {})


def unmeasured(reason: str, measures: Mapping[str, float] | None = None) -> Verdict:
    return Verdict(Outcome.UNMEASURED, reason, measures or {})


def short(text: str) -> str:
    """`text`, cut to what fits into a reason."""
    return text if len(text) <= 60 else text[:59] + "…"
