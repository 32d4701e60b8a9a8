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
Signs = NDArray[np.int8]

FEWEST_BITS = 512
"""Two bits for each of 256 dimensions find what one bit finds with three times as many vectors read (docs/store.md)."""
FAR = np.uint16(65535)
"""The distance of what may not be found."""
_PLANES = 6


def make_signs(dims: int, seed: int = 0) -> Signs:
    """int8[blocks, 2, padded] of random +1 and -1: what makes the rotations of `encode` random.

    `padded` is `dims` up to the next power of two; there are as many blocks as give at least 512 bits.
    """
    padded = 1 << max(6, (dims - 1).bit_length())
    random = np.random.default_rng(seed)
    chosen = random.integers(0, 2, (-(-_bits(dims) // padded), 2, padded))
    return (2 * chosen - 1).astype(np.int8)


def read_signs(data: bytes, dims: int) -> Signs:
    """The inverse of `make_signs(dims).tobytes()`."""
    padded = 1 << max(6, (dims - 1).bit_length())
    return np.frombuffer(data, np.int8).reshape(-1, 2, padded)


def turn(vectors: Floats, signs: Signs) -> Floats:
    """float32[n, bits] for float32[n, dims]: coordinates after random rotations, not scaled.

    A rotation is two rounds of random signs and a Hadamard transform (Ailon and Chazelle 2009, "The fast
    Johnson-Lindenstrauss transform"): only additions, so codes are the same on every machine and no matrix library's
    threads are waited for.
    """
    count, dims = vectors.shape
    wide = np.zeros((count, signs.shape[2]), np.float32)
    wide[:, :dims] = vectors
    turned = [_hadamard(_hadamard(wide * first) * second) for first, second in signs]
    return np.hstack(turned)[:, : _bits(dims)]


def encode(turned: Floats) -> Codes:
    """uint64[n, bits / 64]: the signs of float32[n, bits] turned vectors.

    The angle between two vectors is in expectation pi times the share of signs that differ (Charikar 2002,
    "Similarity estimation techniques from rounding algorithms").
    """
    return np.ascontiguousarray(np.packbits(turned > 0, axis=1)).view(np.uint64)


def estimate(turned: Floats, codes: Codes) -> Floats:
    """float32[n], growing with the cosine: products of one turned query (float32[bits]) with signs (uint64[words, n]).

    The query is rounded to 6 bits, so that a product is seven popcounts (Gao and Long 2024, "RaBitQ: quantizing
    high-dimensional vectors with a theoretical error bound", 3.3).
    """
    low = float(turned.min())
    step = max((float(turned.max()) - low) / (2**_PLANES - 1), 1e-30)
    rounded = np.rint((turned - low) / step).astype(np.uint8)
    total = low * _ones(codes, None)
    for plane in range(_PLANES):
        bits = np.packbits(rounded >> plane & 1).view(np.uint64)
        total += step * 2**plane * _ones(codes, bits)
    return total


def _ones(codes: Codes, kept: Codes | None) -> Floats:
    """How many bits of each code are set, among those of `kept`."""
    masked = codes if kept is None else codes & kept[:, None]
    ones: Distances = np.bitwise_count(masked).sum(axis=0, dtype=np.uint16)
    return ones.astype(np.float32)


def _bits(dims: int) -> int:
    return max(FEWEST_BITS, -(-dims // 64) * 64)


def _hadamard(rows: Floats) -> Floats:
    """Walsh-Hadamard transform of each row (a power of two long), not scaled."""
    count, width = rows.shape
    step = 1
    while step < width:
        pairs = rows.reshape(count, width // (2 * step), 2, step)
        rows = np.concatenate([pairs[:, :, :1] + pairs[:, :, 1:], pairs[:, :, :1] - pairs[:, :, 1:]], axis=2)
        step *= 2
    return rows.reshape(count, width)


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
                out[chosen] = _hamming(query, part.take(chosen, axis=1))
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
    """Positions, ascending, of at least the `count` smallest distances below `FAR`, ties at the border included.

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
    return kept if len(kept) <= 2 * count else np.sort(kept[np.argsort(found[kept], kind="stable")[: 2 * count]])
