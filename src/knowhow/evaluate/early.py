"""Comparing two recipes with planned looks on the way, so that a clear difference need not be paid for to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from knowhow.evaluate.compare import marks
from knowhow.evaluate.sequential import Look, looks
from knowhow.types import Check, Example, Row, Split, Suite, fingerprint

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Where the looks are, as shares of the groups."""


def order(suite: Suite, split: Split) -> list[str]:
    """The groups of the split in an order that no outcome can influence: by a hash of suite and group."""
    groups = {one.group for one in suite.examples if _asked(one, split)}
    return sorted(groups, key=lambda group: fingerprint([suite.hash, group]))


def stages(groups: Sequence[str]) -> list[int]:
    """How many groups are asked at each look."""
    return sorted({max(1, round(share * len(groups))) for share in SHARES})


def part(suite: Suite, split: Split, groups: Sequence[str]) -> Suite:
    """The suite with these groups only; what is not of the split stays, for worked examples."""
    kept = set(groups)
    return replace(suite, examples=tuple(o for o in suite.examples if not _asked(o, split) or o.group in kept))


def look(a: Sequence[Row], b: Sequence[Row], check: Check, groups: Sequence[str], at: Sequence[int]) -> Look:
    """The latest of the looks `at` (groups each) over all planned `groups`; groups without a measured pair count 0."""
    sums = _sums(a, b, check)
    return looks([sums.get(group, 0.0) for group in groups[: at[-1]]], at, len(groups))[-1]


def in_words(found: Look, check: Check, planned: int) -> str:
    """What the looks came to, for a reader of the comparison."""
    if found.stop:
        return (
            f"stopped after {found.groups} of {planned} groups: a difference in {check} is shown, with at most 5% "
            f"false alarms over all planned looks; the p-values below do not know of the looks"
        )
    return f"asked to the end: no look showed a difference in {check} over {planned} groups"


def _sums(a: Sequence[Row], b: Sequence[Row], check: Check) -> Mapping[str, float]:
    one, other = marks(a), marks(b)
    left, right, groups = one.shares[check], other.shares[check], one.groups
    sums: dict[str, float] = {}
    for id in left.keys() & right.keys():
        sums[groups[id]] = sums.get(groups[id], 0.0) + right[id] - left[id]
    return sums


def _asked(example: Example, split: Split) -> bool:
    return (example.split or Split.TEST) is split and not example.draft
