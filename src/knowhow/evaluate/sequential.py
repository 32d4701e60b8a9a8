"""Looking at a comparison while it runs, and stopping early without being fooled more often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

_FLIPS = 9_999


@dataclass(frozen=True, slots=True)
class Look:
    """One look after `groups` groups: stop when |`total`| reaches `boundary` (None: nothing could yet).

    `total` is the sum of the groups' differences so far.
    """

    groups: int
    total: float
    boundary: float | None

    @property
    def stop(self) -> bool:
        """Whether the difference is shown already."""
        return self.boundary is not None and abs(self.total) >= self.boundary - 1e-9


def looks(sums: Sequence[float], at: Sequence[int], planned: int, *, alpha: float = 0.05, seed: int = 0) -> list[Look]:
    """The looks made so far, at `at` groups each (rising), of `planned` groups in all.

    `sums` holds each group's summed difference, in the order in which groups were asked; that order and the
    looks must not depend on outcomes. Over all looks together a difference that is not there is "shown" with
    probability at most `alpha`: the error is spent as 2 − 2Φ(z/√t) at the share t of groups (Lan & DeMets 1983,
    Biometrika 70(3):659-663, in O'Brien and Fleming's shape: hardly any early), and each boundary is taken from
    9,999 random sign flips of the same groups followed through the same looks, those that crossed before left out.
    The flips keep the magnitudes of the groups' sums, so this is exact for groups of any size and value.
    """
    random = np.random.default_rng(seed)
    totals = np.zeros(_FLIPS)
    crossed = np.zeros(_FLIPS, dtype=bool)
    found: list[Look] = []
    done = 0
    for groups in at:
        for value in sums[done:groups]:
            # one call a group, so that the flips of earlier groups are the same at every later look
            totals += value * (1.0 - 2.0 * random.integers(0, 2, size=_FLIPS, dtype=np.int8))
        done = groups
        boundary = _boundary(
            np.where(crossed, -1.0, np.abs(totals)), _spent(groups / planned, alpha), int(crossed.sum())
        )
        if boundary is not None:
            crossed |= np.abs(totals) >= boundary - 1e-9
        found.append(Look(groups, float(sum(sums[:groups])), boundary))
    return found


def _spent(share: float, alpha: float) -> float:
    """How much of the error may be used up to this share of the groups."""
    normal = NormalDist()
    return 2 - 2 * normal.cdf(normal.inv_cdf(1 - alpha / 2) / sqrt(min(share, 1.0)))


def _boundary(sizes: np.ndarray[tuple[int], np.dtype[np.float64]], spent: float, crossed: int) -> float | None:
    """The smallest value that no more flips reach than may; −1 marks flips that crossed before.

    The observed total counts as one flip of its own, which makes the error rate exact and not just close.
    """
    room = int(spent * (_FLIPS + 1)) - 1 - crossed
    if room < 0:
        return None
    ordered = np.sort(sizes)[::-1]
    above = ordered[ordered > ordered[room] + 1e-9]
    # a value nobody reached is a boundary too: the largest one is out of room, so something above it is needed
    return float(above[-1]) if len(above) else float(ordered[0]) + 1e-6
