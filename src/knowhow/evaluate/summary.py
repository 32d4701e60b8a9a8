"""What rows come to: shares with intervals, latency, tokens and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from knowhow.evaluate.stats import estimate
from knowhow.types import Check, Estimate, Outcome, Row, Usage


def shares(rows: Sequence[Row]) -> dict[Check, Estimate]:
    """Check → share of measured rows that pass, for checks that are measured on any row."""
    found = {}
    for check in Check:
        measured = [row for row in rows if row.verdicts[check].outcome is not Outcome.UNMEASURED]
        if measured:
            values = [float(row.verdicts[check].outcome is Outcome.PASS) for row in measured]
            groups = [row.group for row in measured]
            found[check] = estimate(values, groups, unmeasured=len(rows) - len(measured))
    return found


def every_draw(rows: Sequence[Row]) -> dict[Check, Estimate]:
    """Check → share of examples that pass in all their draws; an example with an unmeasured draw is unmeasured."""
    examples: dict[str, list[Row]] = {}
    for row in rows:
        examples.setdefault(row.id, []).append(row)
    found = {}
    for check in Check:
        outcomes = {id: [row.verdicts[check].outcome for row in draws] for id, draws in examples.items()}
        measured = {id: seen for id, seen in outcomes.items() if Outcome.UNMEASURED not in seen}
        if measured:
            values = [float(set(seen) == {Outcome.PASS}) for seen in measured.values()]
            groups = [examples[id][0].group for id in measured]
            found[check] = estimate(values, groups, unmeasured=len(examples) - len(measured))
    return found


def measures(rows: Sequence[Row]) -> dict[str, Estimate]:
    """`check.measure` → mean of a graded number over the rows that have it. Counts of style are no such numbers.

    `abstention.precision` is the share of declines that were right, `abstention.recall` the share of what should
    be declined that was.
    """
    values = _declines(rows)
    for row in rows:
        for check, verdict in row.verdicts.items():
            if check is Check.STYLE:
                continue
            for name, value in verdict.measures.items():
                values.setdefault(f"{check.value}.{name}", []).append((value, row.group))
    return {
        name: estimate([value for value, _ in seen], [group for _, group in seen], unmeasured=len(rows) - len(seen))
        for name, seen in sorted(values.items())
    }


def _declines(rows: Sequence[Row]) -> dict[str, list[tuple[float, str]]]:
    values: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        outcome = row.verdicts[Check.ABSTENTION].outcome
        if outcome is Outcome.UNMEASURED:
            continue
        right = outcome is Outcome.PASS
        if row.abstained:
            values.setdefault("abstention.precision", []).append((float(right), row.group))
        if row.abstained is right:  # it should have declined
            values.setdefault("abstention.recall", []).append((float(right), row.group))
    return values


def spent(rows: Sequence[Row]) -> Usage:
    """Tokens and money over rows; the cost is None as soon as one price is unknown."""
    costs = [row.usage.cost_usd for row in rows]
    known = [cost for cost in costs if cost is not None]
    return Usage(
        sum(row.usage.prompt_tokens for row in rows),
        sum(row.usage.completion_tokens for row in rows),
        sum(known) if len(known) == len(costs) else None,
    )


def latency(rows: Sequence[Row]) -> Mapping[str, float]:
    """Milliseconds: `p50` and `p95` of the whole answer, `first_p50` to the first token where that is known."""
    totals = [row.ms["total"] for row in rows if "total" in row.ms]
    first = [row.ms["first_token"] for row in rows if "first_token" in row.ms]
    found = {}
    if totals:
        found = {"p50": float(np.quantile(totals, 0.5)), "p95": float(np.quantile(totals, 0.95))}
    return found | ({"first_p50": float(np.quantile(first, 0.5))} if first else {})


def timed(rows: Sequence[Row]) -> list[Row]:
    """Rows whose time and tokens count: answered, and by a model that was really asked."""
    return [row for row in rows if not row.failure and not row.remembered]
