"""Rows of vectors scaled to length 1."""

from __future__ import annotations

import numpy as np

from knowhow.ports import Floats


def unit(rows: Floats) -> Floats:
    """float32[n, dims] with every row scaled in place to length 1; rows of zeros stay so."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.divide(rows, lengths, out=rows, where=lengths > 0)
    return rows
