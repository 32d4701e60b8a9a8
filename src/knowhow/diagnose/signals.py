"""What is known of a failed case without asking any model."""

from __future__ import annotations

from enum import StrEnum

from knowhow.diagnose.case import Case, Lab
from knowhow.types import Signals


class Signal(StrEnum):
    """The names of the findings; each says which values it takes."""

    FAILED = "failed"
    """The checks that failed, joined with "+", e.g. "content+format"."""
    EVIDENCE = "evidence"
    """How far the evidence came: a value of `Reached`."""
    CUT_BY = "cut-by"
    """What kept evidence that was found from being shown: a value of `Fate`; "none" where it was shown or not found."""
    GOLD = "gold"
    """Whether the evidence states the facts expected: "stated", "not-stated", or "unknown" without facts or text."""
    VERSIONS = "versions"
    """Of what was shown or found: "one", "several" (superseded documents), "conflicting" (they disagree)."""
    SAID = "said"
    """"superseded" where the answer says what only a superseded version says, else "no"."""
    FORBIDDEN = "forbidden"
    """"said" where a forbidden statement is in the answer, else "no"."""
    ABSTAINED = "abstained"
    """"wrongly" (declined), "not" (answered what it should have declined), "no"."""
    DECLINE = "decline"
    """Why it declined: a value of `Decline`, else "none"."""
    TRUNCATED = "truncated"
    """"reply" (ended by its length), "evidence" (a passage with evidence was cut by the budget), else "no"."""
    FORM = "form"
    """What the recipe does about the form expected: "none" expected, "untold", "told", "enforced"."""
    SCHEMA = "schema"
    """"valid", "invalid", or "none" where no schema is expected."""
    LABEL = "label"
    """"known" (one of the labels), "unknown", or "none" where no label is expected."""
    DRAWS = "draws"
    """Of the logged draws: "one", "all-fail", "mixed"."""


def signals(case: Case, lab: Lab) -> Signals:
    """Every finding that costs no model call; all names of `Signal` are always there."""
    raise NotImplementedError
