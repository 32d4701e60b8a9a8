"""Intervals where every example is a group of its own: of a rate, and of the difference between two recipes."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from knowhow.evaluate.clusters import normal_quantile

_HALVINGS = 50
"""Steps of a bisection; the ends are then known to 1e-15."""


def rate(passed: int, n: int, tail: float) -> tuple[float, float]:
    """The mid-P interval of `passed` out of `n`, each end missed with a probability of about `tail`.

    The ends are the rates at which seeing as many or more (fewer), the seen number counted half, has probability
    `tail`: Lancaster (1961), J. Am. Stat. Assoc. 56(294):223-234. Chosen over Wilson's in docs/results/statistics.md.
    """
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    k = np.arange(n + 1)
    ways = logs[n] - logs - logs[::-1]

    def more(chance: float) -> float:
        weights = np.exp(ways + k * np.log(chance) + (n - k) * np.log1p(-chance))
        return float(weights[passed + 1 :].sum() + weights[passed] / 2)

    seen = passed / n
    low = _last(lambda chance: more(chance) <= tail, 0.0, seen) if passed else 0.0
    high = 1.0 - _last(lambda rest: 1.0 - more(1.0 - rest) <= tail, 0.0, 1.0 - seen) if passed < n else 1.0
    return low, high


def difference(up: int, down: int, n: int, tail: float) -> tuple[float, float]:
    """The score interval of (up − down) / n where `up` of `n` examples got better and `down` worse.

    Tango (1998), Statistics in Medicine 17(8):891-908: all differences that a score test with this `tail` does not
    reject, the share of worse ones being what is likeliest under each.
    """
    limit = normal_quantile(1 - tail)

    def score(true: float) -> float:
        half = (2 * n - up + down) * true - up - down
        worse = (sqrt(max(half * half + 8 * n * down * true * (1 - true), 0.0)) - half) / (4 * n)
        spread = n * (2 * worse + true * (1 - true))
        off = up - down - n * true
        return off / sqrt(spread) if spread > 1e-12 else 0.0 if abs(off) < 1e-9 else np.sign(off) * np.inf

    seen = (up - down) / n
    low = _last(lambda true: score(true) >= limit, -1.0, seen)
    high = -_last(lambda true: score(-true) <= -limit, -1.0, -seen)
    return low, high


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where `holds`, true from `low` on, stops being true before `high`."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
