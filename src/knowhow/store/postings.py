"""Which passages hold a term and how often: arrays sorted by term, and their layout in a blob."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from knowhow.ports import Ints
from knowhow.store.analyze import searchable, terms

PAGE_BYTES = 8000
"""A page of postings is closed when it reaches this; a term is never divided."""
MOST_FREQUENT = 255
LONGEST = 65535
"""Term frequencies and passage lengths above these count as these (a byte and two bytes each)."""

Lengths = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Postings:
    """Parallel arrays, one entry per distinct term of a passage; `term` ascending unless said otherwise."""

    term: Ints
    passage: NDArray[np.uint16]
    """Position of the passage in its block or segment."""
    frequency: NDArray[np.uint8]


class _Known(dict[str, int]):
    """Term → its 64-bit number, remembered."""

    def __missing__(self, term: str) -> int:
        if len(self) >= 400_000:
            self.clear()
        digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[term] = number = int.from_bytes(digest, "little", signed=True)
        return number


_known = _Known()


def term_numbers(words: Iterable[str]) -> list[int]:
    """Terms as the 64-bit numbers they are stored under (a million terms collide with probability 3e-8)."""
    return list(map(_known.__getitem__, words))


def count_terms(passages: Sequence[tuple[str, str]]) -> tuple[Postings, Lengths]:
    """Postings over (lead, text) of at most 65,536 passages, and the number of terms of each."""
    numbers: list[int] = []
    counts: list[int] = []
    sizes: list[int] = []
    lengths = np.zeros(len(passages), np.uint16)
    for i, (lead, text) in enumerate(passages):
        found = Counter(terms(searchable(lead, text)))
        lengths[i] = min(LONGEST, found.total())
        numbers += term_numbers(found)
        counts += found.values()
        sizes.append(len(found))
    term = np.array(numbers, np.int64)
    order = np.argsort(term, kind="stable")
    passage = np.repeat(np.arange(len(passages), dtype=np.uint16), sizes)
    frequency = np.minimum(np.array(counts, np.int64), MOST_FREQUENT).astype(np.uint8)
    return Postings(term[order], passage[order], frequency[order]), lengths


def pack(postings: Postings) -> bytes:
    """Layout: number of terms (8 bytes), terms (8 each), ends of their stretches (4), passages (2), frequencies (1)."""
    starts = _starts(postings.term)
    ends = np.append(starts[1:], len(postings.term)).astype(np.uint32)
    head = np.array([len(starts)], np.int64).tobytes()
    return b"".join(
        (
            head,
            postings.term[starts].tobytes(),
            ends.tobytes() if len(starts) else b"",
            postings.passage.tobytes(),
            postings.frequency.tobytes(),
        )
    )


def unpack(data: bytes) -> Postings:
    """The inverse of `pack`."""
    distinct, ends, passage, frequency = _views(data)
    return Postings(np.repeat(distinct, np.diff(ends, prepend=np.uint32(0))), passage, frequency)


def look_up(data: bytes, term: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]] | None:
    """Passages and frequencies of `term` in a packed blob; None when it does not occur."""
    distinct, ends, passage, frequency = _views(data)
    at = int(np.searchsorted(distinct, term))
    if at == len(distinct) or distinct[at] != term:
        return None
    stretch = slice(int(ends[at - 1]) if at else 0, int(ends[at]))
    return passage[stretch], frequency[stretch]


def pages(postings: Postings) -> Iterator[tuple[int, bytes]]:
    """`postings` cut between terms into packed pages, each with its first term."""
    starts = _starts(postings.term)
    ends = np.append(starts[1:], len(postings.term))
    sizes = np.cumsum(12 + 3 * (ends - starts))
    first = 0
    while first < len(starts):
        base = int(sizes[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(sizes, base + PAGE_BYTES)))
        cut = slice(int(starts[first]), int(ends[last - 1]))
        page = Postings(postings.term[cut], postings.passage[cut], postings.frequency[cut])
        yield int(postings.term[cut.start]), pack(page)
        first = last


def _starts(term: Ints) -> Ints:
    """Where each distinct term's stretch begins."""
    if not len(term):
        return np.zeros(0, np.int64)
    return np.append(0, np.flatnonzero(np.diff(term)) + 1)


def _views(data: bytes) -> tuple[Ints, NDArray[np.uint32], NDArray[np.uint16], NDArray[np.uint8]]:
    count = int(np.frombuffer(data, np.int64, 1)[0])
    ends = np.frombuffer(data, np.uint32, count, 8 + 8 * count)
    total = int(ends[-1]) if count else 0
    at = 8 + 12 * count
    return (
        np.frombuffer(data, np.int64, count, 8),
        ends,
        np.frombuffer(data, np.uint16, total, at),
        np.frombuffer(data, np.uint8, total, at + 2 * total),
    )
