"""Sign bits of randomly projected vectors: a first pass over all of them that costs a bit per dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from knowhow.ports import Floats

Codes = NDArray[np.uint64]
Distances = NDArray[np.uint16]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

FEWEST_BITS = 256
FAR = np.uint16(65535)
"""The distance of what may not be found."""


def make_rotation(dims: int, seed: int = 0) -> Floats:
    """float32[dims, bits]: random orthogonal directions, `bits` a multiple of 64 and at least 256.

    The angle between two vectors is in expectation pi times the share of directions on which their signs differ
    (Charikar 2002, "Similarity estimation techniques from rounding algorithms"). Where there are more bits than
    dimensions, independent rotations are put side by side.
    """
    bits = max(FEWEST_BITS, -(-dims // 64) * 64)
    random = np.random.default_rng(seed)
    turns = [np.linalg.qr(random.standard_normal((dims, dims)))[0] for _ in range(-(-bits // dims))]
    return np.ascontiguousarray(np.hstack(turns)[:, :bits], dtype=np.float32)


def encode(vectors: Floats, rotation: Floats) -> Codes:
    """uint64[n, bits / 64] for float32[n, dims]."""
    signs = np.packbits((vectors @ rotation) > 0, axis=1)
    return np.ascontiguousarray(signs).view(np.uint64)


def distances(query: Codes, parts: Sequence[Codes], allowed: Mask | None) -> Distances:
    """Hamming distance of `query` (uint64[words]) to every code of `parts` (uint64[words, n] each), in order.

    What `allowed` rules out is `FAR`; where that is most of it, only the rest is computed.
    """
    total = sum(part.shape[1] for part in parts)
    found = np.full(total, FAR, np.uint16)
    at = 0
    for part in parts:
        size = part.shape[1]
        out = found[at : at + size]
        may = None if allowed is None else allowed[at : at + size]
        chosen = np.flatnonzero(may) if may is not None else None
        if chosen is not None and len(chosen) * 8 < size:
            if len(chosen):
                out[chosen] = _hamming(query, part[:, chosen])
        else:
            out[:] = _hamming(query, part)
            if may is not None:
                out[~may] = FAR
        at += size
    return found


def _hamming(query: Codes, part: Codes) -> Distances:
    total: Distances = np.bitwise_count(part[0] ^ query[0]).astype(np.uint16)
    for word in range(1, len(query)):
        total += np.bitwise_count(part[word] ^ query[word])
    return total


def nearest(found: Distances, count: int) -> Positions:
    """Positions of at least the `count` smallest distances below `FAR`, every tie at the border included.

    Where a tie is so wide that it would more than double the answer, its first positions are taken.
    """
    sample = found[:: max(1, len(found) // 4096)]
    share = min(1.0, 3 * count / max(1, len(found)))
    border = np.sort(sample)[min(len(sample) - 1, int(share * len(sample)))] if len(sample) else FAR
    close = np.flatnonzero(found <= min(border, FAR - 1))
    if len(close) < count:
        close = np.flatnonzero(found < FAR)
    if len(close) <= count:
        return close
    values = found[close]
    kept: Positions = close[values <= np.partition(values, count - 1)[count - 1]]
    return kept if len(kept) <= 2 * count else kept[np.argsort(found[kept], kind="stable")[: 2 * count]]
