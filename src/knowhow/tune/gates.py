"""The gates before promotion: paired, on examples that no training saw, and inconclusive is a refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from knowhow.evaluate.clusters import cluster, normal_quantile
from knowhow.evaluate.paired import ONE_UP_ONE_DOWN, POWER, NotWorse, difference, interval, not_worse
from knowhow.evaluate.stats import MIN_GROUPS
from knowhow.tune.target import Scores, scored
from knowhow.types import GateOutcome, GateResult, Recipe, Row

MARGIN = 0.05
"""How much worse still counts as held."""
_TAIL = 0.05
"""One-sided error of every gate."""


def better(name: str, before: Scores, after: Scores, than: str) -> GateResult:
    """Whether `after` beats `before`: the one-sided 95% lower bound of the paired difference lies above 0."""
    a, b, groups = _paired(before, after)
    few = _too_few(name, groups)
    if few is not None:
        return few
    found = difference(a, b, groups)
    clusters = cluster([right - left for left, right in zip(a, b, strict=True)], groups)
    low, high = interval(clusters, _TAIL)
    told = f"{100 * found.difference:+.1f} points against {than} (at least {100 * low:+.1f}), n={found.n}"
    if low > 0:
        return GateResult(name, GateOutcome.PASS, told, found.difference, low, high, found.n)
    if found.difference <= 0:
        return GateResult(
            name, GateOutcome.FAIL, f"it does not beat {than}: {told}", found.difference, low, high, found.n
        )
    error = clusters.with_more(ONE_UP_ONE_DOWN).error
    factor = ((normal_quantile(1 - _TAIL) + normal_quantile(POWER)) * error / found.difference) ** 2
    needed = max(ceil(found.n * factor), found.n + 1)
    told += f"; about {needed} examples would show such a difference"
    return GateResult(name, GateOutcome.INCONCLUSIVE, told, found.difference, low, high, found.n, needed)


def held(name: str, before: Scores, after: Scores, *, margin: float = MARGIN) -> GateResult:
    """Whether `after` is less than `margin` worse than `before`, by the one-sided 95% bound."""
    a, b, groups = _paired(before, after)
    few = _too_few(name, groups)
    if few is not None:
        return few
    found = not_worse(a, b, groups, margin)
    outcome = {
        NotWorse.HELD: GateOutcome.PASS,
        NotWorse.WORSE: GateOutcome.FAIL,
    }.get(found.outcome, GateOutcome.INCONCLUSIVE)
    if outcome is GateOutcome.INCONCLUSIVE and found.difference <= -margin:
        outcome = GateOutcome.FAIL
    share = f"{100 * sum(a) / len(a):.0f}% before, {100 * sum(b) / len(b):.0f}% after"
    needed = found.needed or 0
    return GateResult(name, outcome, f"{share}; {found.reason}", found.difference, found.bound, None, len(a), needed)


def no_more(name: str, before: Scores, after: Scores, *, margin: float = MARGIN) -> GateResult:
    """Whether `after` does less than `margin` more of what it should not than `before`."""
    return held(name, _turned(before), _turned(after), margin=margin)


def endings(rows: Sequence[Row], recipe: Recipe) -> Scores:
    """1 for a reply that ended by itself, 0 for one that ran into the limit of tokens."""
    most = recipe.sampling.max_tokens
    return scored((row, None if row.failure else float(row.usage.completion_tokens < most)) for row in rows)


def by(rows: Sequence[Row], score: Callable[[Row], float | None]) -> Scores:
    """Scores of rows that have an answer; the model failing after training counts as 0."""
    return scored((row, 0.0 if row.failure else score(row)) for row in rows)


def _paired(before: Scores, after: Scores) -> tuple[list[float], list[float], list[str]]:
    """Scores of what was measured before; an answer that can no longer be measured counts as 0."""
    ids = list(before.by_id)
    return (
        [before.by_id[id] for id in ids],
        [after.by_id.get(id, 0.0) for id in ids],
        [before.groups[id] for id in ids],
    )


def _too_few(name: str, groups: Sequence[str]) -> GateResult | None:
    many = len(set(groups))
    if many >= MIN_GROUPS:
        return None
    reason = f"{many} groups of examples; a bound needs {MIN_GROUPS}"
    return GateResult(name, GateOutcome.INCONCLUSIVE, reason, n=len(groups), needed=MIN_GROUPS)


def _turned(scores: Scores) -> Scores:
    return Scores({id: 1.0 - score for id, score in scores.by_id.items()}, scores.groups)
