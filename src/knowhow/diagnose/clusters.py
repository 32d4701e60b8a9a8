"""Failures that are alike in what interventions do not touch, and how much of each cluster a cause makes up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from knowhow.diagnose.posterior import LEAST
from knowhow.diagnose.signals import Signal
from knowhow.diagnose.solve import Opened
from knowhow.evaluate.stats import estimate
from knowhow.types import Cause, CauseShare, Check, Side

APART = 5
"""Cases of one document, or one kind of question, from which they are a cluster of their own."""
SHOWN = 0.005
"""Share below which a cause is not listed."""
_FAILED = {
    Check.CONTENT: "wrong content",
    Check.ABSTENTION: "wrong content",
    Check.CITATION: "wrong sources",
    Check.GROUNDED: "wrong sources",
    Check.FORMAT: "wrong format",
    Check.LABEL: "wrong label",
    Check.STYLE: "wrong style",
    Check.REASONING: "wrong decision",
}
_EVIDENCE = {
    "in-context": "evidence shown",
    "in-candidates": "evidence found but not shown",
    "in-index": "evidence not found",
    "in-source": "evidence not in the index",
    "absent": "evidence in no document",
    "hidden": "evidence closed to the asker",
    "unnamed": "evidence unknown",
}
_KINDS = (
    ("how much or how many", r"how (?:much|many|long|often|far|old|large|big|high)\b|what (?:percentage|share|number)"),
    ("when", r"when\b|(?:what|which|in what) (?:year|date|day|month|time)"),
    ("who", r"who(?:m|se)?\b"),
    ("where", r"where\b"),
    ("why or how", r"why\b|how\b"),
    ("yes or no", r"(?:is|are|was|were|do|does|did|can|could|may|must|should|will|has|have)\b"),
    ("what or which", r"what\b|which\b"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """The places of alike cases in the list they were grouped from."""

    name: str
    members: tuple[int, ...]


def grouped(cases: Sequence[Opened]) -> list[Group]:
    """Clusters by what failed and how far the evidence came, the largest first; one document or kind of question that
    makes up part of a cluster, but many of its cases, is set apart."""
    rough: dict[str, list[int]] = {}
    for i, one in enumerate(cases):
        rough.setdefault(_name(one), []).append(i)
    found = [part for name, members in rough.items() for part in _apart(Group(name, tuple(members)), cases)]
    return sorted(found, key=lambda group: (-len(group.members), group.name))


def _name(one: Opened) -> str:
    failed = set(one.case.failed)
    if failed & {Check.CONTENT, Check.ABSTENTION}:
        failed -= {Check.CITATION, Check.GROUNDED}  # what is wrong cannot be borne out either
    found = one.signals.findings
    what = " and ".join(dict.fromkeys(_FAILED[check] for check in Check if check in failed))
    if found[Signal.ABSTAINED] != "no":
        what = what.replace("wrong content", "declined" if found[Signal.ABSTAINED] == "wrongly" else "did not decline")
    parts = [what]
    expect = one.case.example.expect
    told = bool(expect.facts or expect.evidence or expect.fields or expect.reference)
    if told and found[Signal.ABSTAINED] != "not" and any(check.side is Side.KNOWLEDGE for check in failed):
        parts.append(_EVIDENCE[found[Signal.EVIDENCE]])
    if found[Signal.VERSIONS] != "one":
        parts.append("another version shown")
    return ", ".join(parts)


def _apart(group: Group, cases: Sequence[Opened]) -> list[Group]:
    features: tuple[Callable[[Opened], str], ...] = (_document, lambda one: kind(one.case.example.asked))
    for feature in features:
        values = [feature(cases[i]) for i in group.members]
        counts = Counter(values)
        many = [value for value, count in counts.items() if value and count >= APART]
        if not many or len(counts) == 1:
            continue
        parts = [
            Group(f"{group.name} ({value})", tuple(i for i, v in zip(group.members, values, strict=True) if v == value))
            for value in sorted(many)
        ]
        rest = tuple(i for i, value in zip(group.members, values, strict=True) if value not in many)
        return [*parts, Group(group.name, rest)] if rest else parts
    return [group]


def _document(one: Opened) -> str:
    sources = {piece.evidence.source for piece in one.case.found.pieces}
    return next(iter(sources)) if len(sources) == 1 else ""


def kind(question: str) -> str:
    """What kind of question it is, by its first words; empty for an input that asks nothing."""
    text = question.casefold()
    for name, pattern in _KINDS:
        if re.search(rf"(?:^|[,:.]\s+)(?:and |so |in |at |on |by |for |to )?(?:{pattern})", text):
            return name
    return ""


def shares(cases: Sequence[Opened]) -> tuple[CauseShare, ...]:
    """How many of the cases each cause is at work in, by the belief about each, with an interval by group.

    A case of which no set of causes is likelier than not counts as undetermined, whole.
    """
    weights = [marginals(one) for one in cases]
    groups = [one.case.example.group or one.case.example.id for one in cases]
    found = []
    for cause in dict.fromkeys(cause for weight in weights for cause in weight):
        of = estimate([weight.get(cause, 0.0) for weight in weights], groups)
        if of.mean is not None and of.mean >= SHOWN:
            found.append(CauseShare(cause, of.mean, of.low, of.high))
    return tuple(sorted(found, key=lambda one: (-one.share, one.cause.value)))


def marginals(one: Opened) -> Mapping[Cause, float]:
    """Cause → how likely it is at work in this case."""
    belief = one.belief
    if belief.best[1] < LEAST:
        return {Cause.UNDETERMINED: 1.0}
    found: dict[Cause, float] = {}
    for causes, weight in zip(belief.sets.sets, belief.weights.tolist(), strict=True):
        for cause in causes:
            found[cause] = found.get(cause, 0.0) + weight
    return found
