"""What more examples would bring: a learning curve by a shifted power law, with a band that says how sure it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf, isinf, log

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import UsageProblem

Array = NDArray[np.float64]
LEAST_SIZES, LEAST_SEEDS = 4, 2
FARTHEST = 100
"""A forecast beyond so many times the largest size measured says only "more"."""
_SURE = 0.9
"""Share of belief from which "no number of examples" is said."""
_RATES = np.geomspace(0.1, 2.0, 30)
_RATE, _RATE_SPREAD = log(0.5), 0.6
"""Prior of the exponent: log-normal around 0.5, where measured curves of text classifiers and of fine-tuned models lie
(Rosenfeld et al. 2020, arXiv:1909.12673; Hoiem et al. 2021, arXiv:2010.11029)."""
_SHIFTS = 12
_FLOORS = 40
_QUIETEST = 0.004
"""Smallest noise of a score that is believed, whatever the repetitions say."""


@dataclass(frozen=True, slots=True)
class Point:
    """One training: `n` examples drawn with `seed` gave the error `error` (1 − score, or a loss; at least 0)."""

    n: int
    seed: int
    error: float


@dataclass(frozen=True, slots=True)
class Expected:
    """The error expected with `n` examples, and the range in which it lies with 95% belief."""

    n: int
    error: float
    low: float
    high: float


class Outlook(StrEnum):
    """Whether more examples reach a target."""

    REACHED = "reached"
    MORE = "more"
    NOT_BY_MORE = "not-by-more"
    """The curve levels off above it: something else has to change."""
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True, slots=True)
class Needed:
    """How many examples in all a target error needs: the middle, and the range with 80% belief (inf = never)."""

    outlook: Outlook
    target: float
    n: int | None
    low: float
    high: float
    reason: str


class Curve:
    """error(n) = a·(n + n0)^−b + c over measured points, as belief over a grid of (n0, b, c), `a` by least squares.

    `n0` lies between 0 and four times the smallest size, `c` between 0 and the error at the largest. The band
    holds what the points leave open and nothing else: it does not know of a change in the data.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        """Raises `UsageProblem` for fewer than four sizes or a size with fewer than two seeds."""
        by_size: dict[int, list[float]] = defaultdict(list)
        for point in points:
            by_size[point.n].append(point.error)
        if len(by_size) < LEAST_SIZES or min(len(errors) for errors in by_size.values()) < LEAST_SEEDS:
            raise UsageProblem(
                f"a learning curve needs at least {LEAST_SIZES} sizes with {LEAST_SEEDS} seeds each, not "
                f"{', '.join(f'{n} ({len(errors)})' for n, errors in sorted(by_size.items())) or 'nothing'}"
            )
        self.points = tuple(points)
        self.sizes = sorted(by_size)
        self._n = np.array([point.n for point in points], dtype=np.float64)
        self._errors = np.array([point.error for point in points])
        self._believe()

    def _believe(self) -> None:
        shifts = np.linspace(0.0, 4.0 * self.sizes[0], _SHIFTS)
        floors = np.linspace(0.0, float(self._errors[self._n == self.sizes[-1]].mean()), _FLOORS)
        n0, b, c = (axis.ravel() for axis in np.meshgrid(shifts, _RATES, floors, indexing="ij"))
        basis = (self._n[None, :] + n0[:, None]) ** -b[:, None]
        rest = self._errors[None, :] - c[:, None]
        a = np.maximum((basis * rest).sum(axis=1) / (basis**2).sum(axis=1), 0.0)
        misfit = ((rest - a[:, None] * basis) ** 2).sum(axis=1)
        prior = -((np.log(b) - _RATE) ** 2) / (2 * _RATE_SPREAD**2)
        # the noise is not known either: integrated out, misfit counts by its logarithm (Gelman et al., Bayesian Data
        # Analysis, 3rd ed., section 14.2)
        belief = -len(self._n) / 2 * np.log(misfit + len(self._n) * _QUIETEST**2) + prior
        weights = np.exp(belief - belief.max())
        self._a, self._b, self._c, self._n0 = a, b, c, n0
        self._weights = weights / weights.sum()

    def at(self, n: int) -> Expected:
        """The error expected with `n` examples."""
        errors = self._a * (n + self._n0) ** -self._b + self._c
        low, middle, high = _quantiles(errors, self._weights, (0.025, 0.5, 0.975))
        return Expected(n, middle, low, high)

    def needed(self, target: float) -> Needed:
        """How many examples bring the error down to `target`."""
        largest = self.sizes[-1]
        now = self.at(largest)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            gap = target - self._c
            wanted = np.where(gap > 0, (self._a / np.maximum(gap, 1e-12)) ** (1 / self._b) - self._n0, inf)
        wanted = np.where(wanted > FARTHEST * largest, inf, np.maximum(wanted, 0.0))
        low, middle, high = _quantiles(wanted, self._weights, (0.1, 0.5, 0.9))
        never = float(self._weights[np.isinf(wanted)].sum())
        if now.error <= target:
            return Needed(Outlook.REACHED, target, largest, low, high, f"{largest} examples reach it already")
        if never >= _SURE:
            best = float(_quantiles(self._c, self._weights, (0.5,))[0])
            reason = f"the curve levels off near {best:.3f}: more of the same examples will not reach {target:.3f}"
            return Needed(Outlook.NOT_BY_MORE, target, None, low, high, reason)
        if isinf(middle) or (isinf(high) and never > 1 - _SURE + 0.2):
            reason = f"these sizes leave open whether more examples reach {target:.3f}; measure a larger one"
            return Needed(Outlook.CANNOT_TELL, target, None, low, high, reason)
        most = "more than can be said" if isinf(high) else f"{_round(high)}"
        reason = f"about {_round(middle)} examples in all ({_round(low)} to {most}) reach {target:.3f}"
        return Needed(Outlook.MORE, target, _round(middle), low, high, reason)


def sizes_of(n: int) -> tuple[int, ...]:
    """The sizes at which a curve over `n` examples is measured: an eighth, a quarter, half, and all. Needs 32."""
    if n < 2 ** (LEAST_SIZES + 1):
        raise UsageProblem(f"{n} examples are too few for a learning curve; it needs {2 ** (LEAST_SIZES + 1)}")
    return tuple(n // 2**halving for halving in range(LEAST_SIZES - 1, -1, -1))


def _quantiles(values: Array, weights: Array, at: Sequence[float]) -> list[float]:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return [float(values[order][min(int(np.searchsorted(reached, q)), len(values) - 1)]) for q in at]


def _round(n: float) -> int:
    """Up to two digits, since no more are known."""
    whole = ceil(n)
    step = 10 ** max(len(str(whole)) - 2, 0)
    return int(ceil(whole / step) * step)
