"""Compare: runs over the same examples, pair by pair and check by check, with what got fixed and what got broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from knowhow.errors import UsageProblem
from knowhow.evaluate.paired import difference, holm
from knowhow.types import Check, Outcome, Pair, Row


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
    pairs = []
    for check in Check:
        found = [pair(rows[baseline], rows[other], check, (baseline, other)) for other in others]
        measured = [one for one in found if one.p is not None]
        adjusted = iter(holm([one.p for one in measured if one.p is not None]))
        pairs += [replace(one, p_adjusted=next(adjusted)) for one in measured]
        if measured:
            pairs += [one for one in found if one.p is None]
    return pairs


def pair(a: Sequence[Row], b: Sequence[Row], check: Check, names: tuple[str, str]) -> Pair:
    """`b` against `a` on one check; with nothing that both have measured, every number is None."""
    scores_a, scores_b = scores(a, check), scores(b, check)
    groups = {row.id: row.group for row in a}
    ids = [id for id in scores_a if id in scores_b]
    if not ids:
        reason = f"no example has {check} measured in both"
        return Pair(*names, check, 0, 0, None, None, None, None, None, reason=reason)
    found = difference([scores_a[id] for id in ids], [scores_b[id] for id in ids], [groups[id] for id in ids])
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


def scores(rows: Sequence[Row], check: Check) -> dict[str, float]:
    """Example → share of its measured draws that pass, in the order of the rows."""
    outcomes: dict[str, list[float]] = {}
    for row in rows:
        outcome = row.verdicts[check].outcome
        if outcome is not Outcome.UNMEASURED:
            outcomes.setdefault(row.id, []).append(float(outcome is Outcome.PASS))
    return {id: sum(values) / len(values) for id, values in outcomes.items()}
