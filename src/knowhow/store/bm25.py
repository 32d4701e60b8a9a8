"""BM25, exact over the passages in scope."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowhow.ports import Floats
from knowhow.store.connection import Connection, fetch
from knowhow.store.filters import Scope
from knowhow.store.postings import look_up
from knowhow.store.segments import Loose, Part

_Entries = tuple[int, NDArray[np.intp], NDArray[np.uint8]]
"""Where the part starts, positions within the part, frequencies."""


@dataclass(frozen=True, slots=True)
class Weights:
    """`k1`: how fast repetition stops to count. `b`: how much long passages are held back, 0..1.

    Defaults as in Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", 3.2.
    """

    k1: float = 1.2
    b: float = 0.75


def score(connection: Connection, scope: Scope, terms: Sequence[int], weights: Weights) -> Floats:
    """float32[n], the sum over the distinct `terms` of

        ln(1 + (N - df + 0.5) / (df + 0.5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length))

    with N, df and the mean length over what is counted; 0 for what is not allowed.
    """
    found = np.zeros(len(scope.ids), np.float32)
    longest = int(scope.lengths.max(initial=0))
    shape = 1 - weights.b + weights.b * np.arange(longest + 1) / scope.mean_length
    damping = (weights.k1 * shape).astype(np.float32)[scope.lengths]
    few = scope.allowed is not None and np.count_nonzero(scope.allowed) * 8 < len(found)
    for entries in _entries(connection, scope, list(dict.fromkeys(terms))):
        frequency = sum(_counted(scope, at, passage) for at, passage, _ in entries)
        idf = np.log(1 + (scope.passages - frequency + 0.5) / (frequency + 0.5))
        factor = np.float32(idf * (weights.k1 + 1))
        for at, passage, times in entries:
            if few and scope.allowed is not None:
                kept = scope.allowed[at:].take(passage)
                passage, times = passage[kept], times[kept]
            # In place, and numpy's `add.at` on machine integers: a third of the time of the plain expression.
            tf = times.astype(np.float32)
            weight = damping[at:].take(passage)
            weight += tf
            np.divide(tf, weight, out=weight)
            weight *= factor
            np.add.at(found[at:], passage, weight)
    if scope.allowed is not None:
        found *= scope.allowed
    return found


def _counted(scope: Scope, at: int, passage: NDArray[np.intp]) -> int:
    return len(passage) if scope.counted is None else int(np.count_nonzero(scope.counted[at:].take(passage)))


def _entries(connection: Connection, scope: Scope, terms: Sequence[int]) -> Iterator[list[_Entries]]:
    """For each term its entries in every part."""
    pages = [_pages_of(part, terms) for part in scope.parts]
    wanted = sorted({page for row in pages for page in row if page})
    rows = fetch(
        connection, "select id, data from page where id in (select value from json_each(?))", (json.dumps(wanted),)
    )
    data: dict[int, bytes] = dict(rows) if wanted else {}
    for i, term in enumerate(terms):
        entries: list[_Entries] = []
        at = 0
        for part, row in zip(scope.parts, pages, strict=True):
            if isinstance(part.postings, Loose):
                here = np.flatnonzero(part.postings.term == term)
                entries.append((at, part.postings.passage[here].astype(np.intp), part.postings.frequency[here]))
            elif row[i]:
                held = look_up(data[row[i]], term)
                if held is not None:
                    entries.append((at, held[0].astype(np.intp), held[1]))
            at += len(part.ids)
        yield entries


def _pages_of(part: Part, terms: Sequence[int]) -> list[int]:
    """Per term the row of `page` where it would be; 0 = it is nowhere."""
    if isinstance(part.postings, Loose) or not len(part.postings.terms):
        return [0] * len(terms)
    places = np.searchsorted(part.postings.terms, np.array(terms, np.int64), side="right") - 1
    return [part.postings.first + int(place) if place >= 0 else 0 for place in places]
