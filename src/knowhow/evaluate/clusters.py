"""Values summed by group, which is what every interval and test here resamples or flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 2000
"""Bootstrap resamples; the ends of a 95% interval then move by about 1/15 of its width between seeds."""
NOISE = 1e-8
"""Standard errors below this come from rounding, not from the data."""
_CELLS = 4_000_000
"""Numbers held at once while resampling, so that memory does not grow with the number of groups."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Groups with the sum of their values and their size; groups that are alike are pooled.

    Examples of one group are not independent of each other, so the group is the unit of everything random.
    The three arrays are parallel: float64[kinds] sums, float64[kinds] sizes, int64[kinds] how many groups are so.
    Sorted, so the order in which values came never changes a result.
    """

    sums: Array
    sizes: Array
    counts: NDArray[np.int64]

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.counts.sum())

    @property
    def n(self) -> int:
        """How many values there are."""
        return round(float(self.counts @ self.sizes))

    @property
    def mean(self) -> float:
        """The mean over values: Σ sums / Σ sizes. Undefined without values."""
        return float(self.counts @ self.sums) / float(self.counts @ self.sizes)

    @property
    def error(self) -> float:
        """Standard error of the mean as a ratio of group totals, linearised; 0 where all are alike. Needs two groups.

        √(G/(G−1) Σ(sum − mean·size)²) / Σ size (Cochran, Sampling Techniques, 3rd ed., chapter 6).
        """
        rest = self.sums - self.mean * self.sizes
        groups = self.groups
        error = sqrt(groups / (groups - 1) * float(self.counts @ rest**2)) / self.n
        return error if error > NOISE else 0.0

    def with_more(self, sums: Sequence[float]) -> Clusters:
        """With one more group of average size for each of `sums`: what a cautious reader allows for unseen."""
        size = self.n / self.groups
        return Clusters(
            np.append(self.sums, sums),
            np.append(self.sizes, [size] * len(sums)),
            np.append(self.counts, [1] * len(sums)),
        )

    def resample(self, seed: int, draws: int = DRAWS) -> tuple[Array, Array]:
        """Means and standard errors of `draws` samples of as many groups, drawn with replacement: float64[draws] each.

        Drawing how often each kind of group comes is the same as drawing groups, at the cost of the kinds.
        """
        random = np.random.default_rng(seed)
        groups = self.groups
        chunk = max(_CELLS // len(self.sums), 1)
        means, errors = [], []
        for begin in range(0, draws, chunk):
            many = min(chunk, draws - begin)
            weights = random.multinomial(groups, self.counts / groups, size=many).astype(np.float64)
            total = weights @ self.sizes
            mean = (weights @ self.sums) / total
            squares = (
                weights @ self.sums**2
                - 2 * mean * (weights @ (self.sums * self.sizes))
                + mean**2 * (weights @ self.sizes**2)
            )
            means.append(mean)
            errors.append(np.sqrt(np.maximum(squares, 0.0) * groups / (groups - 1)) / total)
        return np.concatenate(means), np.concatenate(errors)


def cluster(values: Sequence[float], groups: Sequence[str]) -> Clusters:
    """`values` summed by the parallel `groups`."""
    names = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    member = np.fromiter((names[name] for name in groups), dtype=np.int64, count=len(groups))
    sums = np.bincount(member, weights=np.asarray(values, dtype=np.float64), minlength=len(names))
    sizes = np.bincount(member, minlength=len(names)).astype(np.float64)
    # rounding pools sums that differ only by the order in which they were added
    kinds, counts = np.unique(np.stack([sums.round(9), sizes], axis=1), axis=0, return_counts=True)
    return Clusters(kinds[:, 0], kinds[:, 1], counts.astype(np.int64))


def normal_quantile(p: float) -> float:
    """Of the standard normal distribution."""
    return NormalDist().inv_cdf(p)


def t_quantile(p: float, freedom: int) -> float:
    """Of Student's t; within 0.001 for 0.9 ≤ p ≤ 0.99 from 9 degrees of freedom up.

    Expansion in 1/freedom of Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    x = normal_quantile(p)
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return sum((term / float(freedom) ** power for power, term in enumerate(terms)), 0.0)
