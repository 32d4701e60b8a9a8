"""Two recipes on the same examples: is the difference real, how large is it, and what could have been seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import NormalDist

import numpy as np

from knowhow.evaluate import singles
from knowhow.evaluate.clusters import Array, Clusters, cluster, normal_quantile, t_quantile
from knowhow.evaluate.stats import MIN_GROUPS

CHANGED = 8
"""Groups that must have changed for the bootstrap to be trusted; chosen in docs/results/statistics.md."""
POWER = 0.8
ONE_UP_ONE_DOWN = (1.0, -1.0)
"""Two groups more, one example better and one worse: it keeps the error above zero where few groups changed. For
pairs of single examples this is the adjusted Wald interval of Bonett & Price (2012), J. Educ. Behav. Stat. 37:479."""
_TAIL = 0.025
_FLIPS = 20_000
_ENUMERATED = 16
_WORK = 200_000_000


class Method(StrEnum):
    """How a p-value came about."""

    EXACT = "exact sign-flip by group"
    MCNEMAR = "exact McNemar"
    SAMPLED = "sign-flip by group, sampled"


@dataclass(frozen=True, slots=True)
class Difference:
    """mean(b) − mean(a) over `n` examples in `groups` groups, with its 95% interval and two-sided p-value.

    `low` and `high` are None below ten groups, and `reason` says so. `detectable` is the true difference that
    this many groups show 4 times in 5.
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    method: Method
    n: int
    groups: int
    detectable: float | None
    reason: str = ""


def difference(a: Sequence[float], b: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Difference:
    """`b` against `a`: parallel scores of the same examples (each 0..1), clustered by the parallel `groups`.

    Needs at least one example.
    """
    clusters = cluster([right - left for left, right in zip(a, b, strict=True)], groups)
    p, method = sign_flip(clusters, seed=seed)
    few = clusters.groups < MIN_GROUPS
    low, high = (None, None) if few else interval(clusters, _TAIL, seed=seed)
    return Difference(
        clusters.mean,
        low,
        high,
        p,
        method,
        clusters.n,
        clusters.groups,
        None if few else detectable(clusters),
        f"{clusters.groups} groups; an interval needs {MIN_GROUPS}" if few else "",
    )


def sign_flip(clusters: Clusters, *, seed: int = 0) -> tuple[float, Method]:
    """Two-sided p-value of no difference: each group's sum is as likely to point either way.

    Fisher's randomisation test with the group as unit (Good, Permutation, Parametric and Bootstrap Tests of
    Hypotheses, 3rd ed.). Exact where sums are whole multiples of something, as they are for passes
    and failures, or where few groups changed; else 20,000 flips, the observed one counted too.
    With one example a group this is the exact McNemar test.
    """
    changed = clusters.sums != 0
    sums, counts = clusters.sums[changed], clusters.counts[changed]
    observed = abs(float(counts @ sums))
    whole = _whole(sums, counts)
    if whole is not None:
        single = clusters.n == clusters.groups and bool(np.all(np.abs(sums) == 1))
        return _exact(whole, counts), Method.MCNEMAR if single else Method.EXACT
    each = np.repeat(sums, counts)
    if len(each) <= _ENUMERATED:
        signs = 1.0 - 2.0 * ((np.arange(2 ** len(each))[:, None] >> np.arange(len(each))) & 1)
        return float(np.mean(np.abs(signs @ each) >= observed - 1e-9)), Method.EXACT
    random = np.random.default_rng(seed)
    totals = np.zeros(_FLIPS)
    for value, count in zip(sums, counts, strict=True):
        totals += value * (2.0 * random.binomial(count, 0.5, size=_FLIPS) - count)
    return (1 + int(np.sum(np.abs(totals) >= observed - 1e-9))) / (1 + _FLIPS), Method.SAMPLED


def _whole(sums: Array, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int] | None:
    """The sums as whole numbers in their common unit (1, 1/2, … 1/12); None where there is none or it is too much."""
    for parts in range(1, 13):
        scaled = sums * parts
        if np.allclose(scaled, scaled.round(), atol=1e-6):
            whole = [round(float(value)) for value in scaled]
            span = sum(abs(value) * int(count) for value, count in zip(whole, counts, strict=True))
            return whole if span * int(counts.sum()) <= _WORK else None
    return None


def _exact(whole: list[int], counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    """P(|Σ ± value| ≥ |Σ value|) under fair signs, from the whole distribution of the sum."""
    reach = sum(abs(value) * int(count) for value, count in zip(whole, counts, strict=True))
    observed = abs(sum(value * int(count) for value, count in zip(whole, counts, strict=True)))
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1.0
    for value, count in zip(whole, counts, strict=True):
        step = abs(value)
        for _ in range(int(count)):
            chance = 0.5 * (np.roll(chance, step) + np.roll(chance, -step))  # never wraps: reach bounds the sum
    far = chance[: reach - observed + 1].sum() + chance[reach + observed :].sum() if observed else 1.0
    return min(float(far), 1.0)


def interval(clusters: Clusters, tail: float, *, seed: int = 0) -> tuple[float, float]:
    """Both ends of the difference's interval, each missed with probability `tail`.

    Where every group is one example that passed or failed, Tango's score interval. Else cluster bootstrap percentiles,
    widened for the number of groups as Hesterberg (2015), The American
    Statistician 69(4):371-386 does; where fewer than eight groups changed, Student's t around the
    difference with one group up and one group down added, which errs on the wide side.
    """
    if clusters.n == clusters.groups and set(clusters.sums.tolist()) <= {-1.0, 0.0, 1.0}:
        up, down = (int(clusters.counts[clusters.sums == way].sum()) for way in (1.0, -1.0))
        return singles.difference(up, down, clusters.n, tail)
    if int(clusters.counts[clusters.sums != 0].sum()) < CHANGED:
        wider = clusters.with_more(ONE_UP_ONE_DOWN)
        half = t_quantile(1 - tail, clusters.groups - 1) * wider.error
        return max(wider.mean - half, -1.0), min(wider.mean + half, 1.0)
    groups = clusters.groups
    wide = NormalDist().cdf(-sqrt(groups / (groups - 1)) * t_quantile(1 - tail, groups - 1))
    means, _ = clusters.resample(seed)
    low, high = np.quantile(means, [wide, 1 - wide])
    return float(low), float(high)


def detectable(clusters: Clusters) -> float:
    """The smallest true difference that a two-sided 5% test on such groups finds with probability 0.8.

    (z₀.₉₇₅ + z₀.₈) · standard error, the error as if one group more went up and one down.
    """
    return (normal_quantile(1 - _TAIL) + normal_quantile(POWER)) * clusters.with_more(ONE_UP_ONE_DOWN).error


def detectable_in_words(result: Difference) -> str:
    """What a comparison that found nothing could have found, e.g. "n=80 can show ≥ 9 points"."""
    if result.detectable is None:
        return f"{result.groups} groups are too few to say what could have been seen; {MIN_GROUPS} are needed"
    return f"n={result.n} in {result.groups} groups can show ≥ {np.ceil(100 * result.detectable):.0f} points"


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: Holm (1979), Scandinavian Journal of Statistics 6(2):65-70."""
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min((len(p) - rank) * p[place], 1.0))
        adjusted[place] = largest
    return adjusted


class NotWorse(StrEnum):
    """Whether `b` may take the place of `a` as far as one check goes."""

    HELD = "held"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The outcome for a margin, with the one-sided 95% bound that decides it.

    `needed` examples would settle it 4 times in 5 if there is no true difference; None where it is settled.
    """

    outcome: NotWorse
    reason: str
    difference: float
    bound: float | None
    needed: int | None = None


def not_worse(
    a: Sequence[float], b: Sequence[float], groups: Sequence[str], margin: float, *, seed: int = 0
) -> NonInferiority:
    """Whether `b` is less than `margin` worse than `a`: its one-sided 95% lower bound lies above −margin.

    `worse` when the upper bound lies below −margin; in between nothing is settled and `needed` says what would.
    Groups of several examples hide that a few of them may break as a whole, so the lower bound is taken as if one
    group more held a broken example (chosen in docs/results/statistics.md).
    Piaggio et al. (2012), JAMA 308(24):2594-2604.
    """
    clusters = cluster([right - left for left, right in zip(a, b, strict=True)], groups)
    if clusters.groups < MIN_GROUPS:
        reason = f"{clusters.groups} groups; a bound needs {MIN_GROUPS}"
        return NonInferiority(NotWorse.UNMEASURED, reason, clusters.mean, None)
    _, high = interval(clusters, 2 * _TAIL, seed=seed)
    careful = clusters.with_more([-1.0]) if clusters.n > clusters.groups else clusters
    low, _ = interval(careful, 2 * _TAIL, seed=seed)
    at_worst = f"at worst {-100 * low:.1f} points lower" if low < 0 else f"at least {100 * low:.1f} points higher"
    limit = f"the margin is {100 * margin:g} points"
    if low > -margin:
        return NonInferiority(NotWorse.HELD, f"{at_worst}; {limit}", clusters.mean, low)
    if high < -margin:
        reason = f"at least {-100 * high:.1f} points lower; {limit}"
        return NonInferiority(NotWorse.WORSE, reason, clusters.mean, low)
    error = clusters.with_more(ONE_UP_ONE_DOWN).error
    factor = ((normal_quantile(1 - 2 * _TAIL) + normal_quantile(POWER)) * error / margin) ** 2
    needed = max(int(np.ceil(clusters.n * factor)), clusters.n + 1)
    reason = f"{at_worst}; {limit}; about {needed} examples would settle it"
    return NonInferiority(NotWorse.INCONCLUSIVE, reason, clusters.mean, low, needed)
