"""A mean with its 95% interval: by cluster bootstrap, or by a formula where that is the better one."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from knowhow.evaluate import singles
from knowhow.evaluate.clusters import NOISE, Clusters, cluster, t_quantile
from knowhow.types import Estimate

MIN_GROUPS = 10
"""With fewer groups no interval is given: too few to see how groups differ (bench/stats_simulation.py)."""
MIXED = 8
"""Groups that must hold a success, and that must hold a failure, for the bootstrap to be trusted; chosen in
docs/results/statistics.md."""
_TAIL = 0.025


def estimate(values: Sequence[float], groups: Sequence[str], *, unmeasured: int = 0, seed: int = 0) -> Estimate:
    """The mean of `values` (each 0..1) with its 95% interval; `groups` is parallel and names what clusters them.

    Examples that are each their own group, passed or failed: the mid-P interval. Else percentile-t cluster
    bootstrap, and Wilson's with the effective number of examples where almost all groups are alike.
    Nothing measured gives no mean, and fewer than ten groups no interval; `reason` then says so.
    """
    if not values:
        return Estimate(None, None, None, 0, 0, unmeasured, "nothing was measured")
    clusters = cluster(values, groups)
    mean, n, many = clusters.mean, clusters.n, clusters.groups
    if many < MIN_GROUPS:
        return Estimate(mean, None, None, n, many, unmeasured, f"{many} groups; an interval needs {MIN_GROUPS}")
    if n == many and set(values) <= {0.0, 1.0}:
        low, high = singles.rate(round(mean * n), n, _TAIL)
    elif _mixed(clusters):
        low, high = _percentile_t(clusters, seed)
    else:
        low, high = wilson(mean, _effective(clusters), t_quantile(1 - _TAIL, many - 1))
    return Estimate(mean, max(low, 0.0), min(high, 1.0), n, many, unmeasured)


def wilson(mean: float, n: float, z: float) -> tuple[float, float]:
    """The score interval of a proportion `mean` of `n` at the normal quantile `z`.

    Wilson (1927), J. Am. Stat. Assoc. 22(158):209-212.
    """
    centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def _mixed(clusters: Clusters) -> bool:
    """Whether groups differ, and enough of them hold a success and a failure, for resampling to show how they vary."""
    held = int(clusters.counts[clusters.sums > 0].sum())
    missed = int(clusters.counts[clusters.sums < clusters.sizes].sum())
    return min(held, missed) >= MIXED and clusters.error > 0


def _percentile_t(clusters: Clusters, seed: int) -> tuple[float, float]:
    """Bootstrap of (mean* − mean) / error* (Efron & Tibshirani, An Introduction to the Bootstrap, section 12.5)."""
    means, errors = clusters.resample(seed)
    sound = errors > NOISE
    low, high = np.quantile((means[sound] - clusters.mean) / errors[sound], [_TAIL, 1 - _TAIL])
    return clusters.mean - high * clusters.error, clusters.mean - low * clusters.error


def _effective(clusters: Clusters) -> float:
    """How many independent examples would be as telling: n over the design effect, at most n.

    Kish (1965), Survey Sampling; for intervals of proportions Korn & Graubard (1998), Survey
    Methodology 24(2):193-201. Where all values agree nothing shows the design effect, and each group counts once.
    """
    mean, error = clusters.mean, clusters.error
    if error == 0 or mean in (0.0, 1.0):
        return clusters.groups
    return min(max(mean * (1 - mean) / error**2, 1.0), clusters.n)
