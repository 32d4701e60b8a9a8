"""Compare: runs over the same examples, pair by pair and check by check, with what got fixed and what got broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from knowhow.errors import UsageProblem
from knowhow.evaluate.paired import difference, holm
from knowhow.types import Check, Outcome, Pair, Row


@dataclass(frozen=True, slots=True)
class Marks:
    """What a comparison needs of a run's rows: each example's group and, by check, its share of passing draws."""

    groups: Mapping[str, str]
    shares: Mapping[Check, Mapping[str, float]]


def marks(rows: Iterable[Row]) -> Marks:
    """Reads the rows once, in their order, and keeps none of them."""
    groups: dict[str, str] = {}
    counts: dict[Check, dict[str, list[int]]] = {check: {} for check in Check}
    for row in rows:
        groups[row.id] = row.group
        for check, verdict in row.verdicts.items():
            if verdict.outcome is not Outcome.UNMEASURED:
                count = counts[check].setdefault(row.id, [0, 0])
                count[0] += verdict.outcome is Outcome.PASS
                count[1] += 1
    shares = {check: {id: passed / many for id, (passed, many) in found.items()} for check, found in counts.items()}
    return Marks(groups, shares)


def compare(rows: Mapping[str, Sequence[Row]], baseline: str) -> list[Pair]:
    """Every other recipe against `baseline` on every check that both have measured on the same example.

    `rows` maps a recipe's name to its rows. An example counts with its share of passing draws. p-values are
    Holm-adjusted over the recipes within a check. Raises `UsageProblem` for an unknown baseline or nothing to compare.
    """
    if baseline not in rows:
        raise UsageProblem(f"{baseline} is not among the compared recipes ({', '.join(rows)})")
    others = [name for name in rows if name != baseline]
    if not others:
        raise UsageProblem(f"there is nothing to compare {baseline} with; name a second recipe")
    read = {name: marks(found) for name, found in rows.items()}
    pairs = []
    for check in Check:
        found = [_pair(read[baseline], read[other], check, (baseline, other)) for other in others]
        measured = [one for one in found if one.p is not None]
        adjusted = iter(holm([one.p for one in measured if one.p is not None]))
        pairs += [replace(one, p_adjusted=next(adjusted)) for one in measured]
        if measured:
            pairs += [one for one in found if one.p is None]
    return pairs


def pair(a: Sequence[Row], b: Sequence[Row], check: Check, names: tuple[str, str]) -> Pair:
    """`b` against `a` on one check; with nothing that both have measured, every number is None."""
    return _pair(marks(a), marks(b), check, names)


def _pair(a: Marks, b: Marks, check: Check, names: tuple[str, str]) -> Pair:
    scores_a, scores_b = a.shares[check], b.shares[check]
    ids = [id for id in scores_a if id in scores_b]
    if not ids:
        reason = f"no example has {check} measured in both"
        return Pair(*names, check, 0, 0, None, None, None, None, None, reason=reason)
    found = difference([scores_a[id] for id in ids], [scores_b[id] for id in ids], [a.groups[id] for id in ids])
    return Pair(
        a=names[0],
        b=names[1],
        check=check,
        n=found.n,
        groups=found.groups,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=found.p,
        p_adjusted=None,
        fixed=tuple(id for id in ids if scores_b[id] > scores_a[id]),
        broken=tuple(id for id in ids if scores_b[id] < scores_a[id]),
        reason=found.reason,
        detectable=found.detectable,
    )
