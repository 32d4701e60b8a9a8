"""One score from two: BM25 and cosine of the same candidates brought to one scale."""

from __future__ import annotations

import numpy as np

from knowhow.ports import Floats


def fuse(keyword: Floats, vector: Floats, weight: float) -> Floats:
    """float32[n]: min-max convex fusion, `weight` on the vector side."""
    return ((1.0 - weight) * _scaled(keyword) + weight * _scaled(vector)).astype(np.float32)


def _scaled(scores: Floats) -> Floats:
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
