"""The best passages by keyword and by vector, with both scores exact for every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowhow.ports import Candidates, Floats, Ints
from knowhow.store import bm25
from knowhow.store.bits import Positions, Signs, distances, encode, estimate, nearest, turn
from knowhow.store.connection import Connection, Vectors
from knowhow.store.filters import Scope
from knowhow.store.vectors import cosine

RESCORED = 1000
"""Passages nearest by sign bits whose vectors are read for the exact cosine, at least; measured in docs/store.md."""
SHORTLISTED = 8
"""How many times as many are compared with the unrounded query before (docs/store.md)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for: term numbers (none = no keyword side), a vector or None, and how deep."""

    terms: Sequence[int]
    vector: Floats | None
    depth: int


def find(
    connection: Connection,
    scope: Scope,
    question: Question,
    signs: Signs,
    vectors: Vectors,
    weights: bm25.Weights,
) -> Candidates:
    """Union of the `depth` best passages of each side. Ties at the border go to the lower id."""
    keyword = bm25.score(connection, scope, question.terms, weights) if question.terms else None
    pool = best(keyword, scope.ids, question.depth) if keyword is not None else np.zeros(0, np.int64)
    vector = question.vector
    if vector is None or not np.any(vector):
        return Candidates(scope.ids[pool], _at(keyword, pool), np.zeros(len(pool), np.float32))
    near = _near(scope, turn(vector[None, :], signs)[0], max(RESCORED, question.depth))
    both = np.union1d(pool, near)
    cosine = cosines(connection, scope, both, vector, vectors)
    order = np.lexsort((scope.ids[both], -cosine))[: question.depth]
    chosen = np.union1d(np.searchsorted(both, pool), order)
    return Candidates(scope.ids[both[chosen]], _at(keyword, both[chosen]), cosine[chosen])


def best(scores: Floats, ids: Ints, count: int) -> Positions:
    """Positions of the `count` highest scores above 0; among equals the lower id."""
    sample = np.sort(scores[:: max(1, len(scores) // 4096)])
    border = sample[max(0, len(sample) - 1 - 3 * count * len(sample) // max(1, len(scores)))] if len(sample) else 0
    high = np.flatnonzero(scores >= max(border, np.nextafter(np.float32(0), np.float32(1))))
    if len(high) < count:
        high = np.flatnonzero(scores > 0)
    if len(high) <= count:
        return high
    values = scores[high]
    least = np.partition(values, -count)[-count]
    sure = high[values > least]
    tied = high[values == least]
    return np.sort(np.concatenate([sure, tied[np.argsort(ids[tied])[: count - len(sure)]]]))


def cosines(connection: Connection, scope: Scope, positions: Positions, vector: Floats, vectors: Vectors) -> Floats:
    """float32[n]: cosine between `vector` and the stored half-precision vector at each position."""
    ids = scope.ids[positions]
    found = np.zeros(len(ids), np.float32)
    stored = np.flatnonzero(ids > 0)
    if len(stored):
        found[stored] = vectors.cosines(connection, ids[stored], vector)
    if scope.added is not None:
        own = np.flatnonzero(ids < 0)
        found[own] = cosine(scope.added[-ids[own] - 1], vector)
    return found


def _near(scope: Scope, turned: Floats, count: int) -> Positions:
    """About `count` positions that the signs say are nearest: a distance to all, a better estimate for the best."""
    code = encode(turned[None, :])[0]
    codes = [part.codes for part in scope.parts]
    near = nearest(distances(code, codes, scope.allowed), SHORTLISTED * count)
    if len(near) <= count:
        return near
    starts = np.cumsum([0, *(part.shape[1] for part in codes)])
    cuts = np.searchsorted(near, starts)
    # `take`, because what indexing gives lies transposed, and five times as slow to count.
    chosen = [part.take(near[cuts[i] : cuts[i + 1]] - starts[i], axis=1) for i, part in enumerate(codes)]
    estimates = estimate(turned, np.hstack(chosen))
    return near[np.argpartition(estimates, len(near) - count)[-count:]]


def _at(scores: Floats | None, positions: Positions) -> Floats:
    return np.zeros(len(positions), np.float32) if scores is None else scores[positions]
