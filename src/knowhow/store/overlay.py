"""Documents that are not stored, scored beside those that are: trials, planted faults, staleness probes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from knowhow.ports import Floats, IndexedPassage, Overlay, Put
from knowhow.store.bits import Mask, Signs
from knowhow.store.filters import Scope, matches, opens
from knowhow.store.segments import Part, Run, loose_part, make_blocks
from knowhow.types import Document, Filter, Passage


@dataclass(frozen=True, slots=True)
class Added:
    """An overlay's documents made searchable: passage k of all of them in order has the id -(k + 1)."""

    overlay: Overlay
    part: Part | None
    vectors: Floats
    owners: tuple[Document, ...]
    """The document of each passage."""


def hidden(overlay: Overlay | None) -> frozenset[str]:
    """The stored uris that `overlay` hides: those masked, and those it brings another text for."""
    if overlay is None:
        return frozenset()
    return overlay.mask | {put.document.uri for put in overlay.add}


def make_added(overlay: Overlay, signs: Signs) -> Added:
    """Counts terms and encodes vectors of everything the overlay adds."""
    puts = [put for put in overlay.add if put.passages]
    owners = tuple(put.document for put in puts for _ in put.passages)
    if not owners:
        return Added(overlay, None, np.zeros((0, 0), np.float32), owners)
    half = np.stack([passage.vector for put in puts for passage in put.passages]).astype(np.float16)
    vectors = half.astype(np.float32)
    runs = []
    for put, first in _starts(puts):
        size = len(put.passages)
        for block in make_blocks(put.document.text, put.passages, vectors[first : first + size], signs):
            ids = -np.arange(first + 1, first + 1 + len(block.lengths), dtype=np.int64)
            first += len(block.lengths)
            runs.append(Run(ids, np.zeros(len(ids), np.int32), block.lengths, block.codes, block.postings))
    return Added(overlay, loose_part(runs), vectors, owners)


def extend(scope: Scope, added: Added, filter: Filter) -> Scope:
    """`scope` with the added passages, under the same filter; `as_of` does not concern them."""
    if added.part is None:
        return scope
    size, before = len(added.part.ids), len(scope.ids)
    visible = np.array([opens(filter.access, owner.access) for owner in added.owners], np.bool_)
    chosen = visible & [matches(filter.where, own.uri, own.source, own.metadata) for own in added.owners]
    counted = np.concatenate([_filled(scope.counted, before), visible])
    lengths = np.concatenate([scope.lengths, added.part.lengths])
    passages = int(np.count_nonzero(counted))
    total = scope.mean_length * scope.passages + float(added.part.lengths[visible].sum(dtype=np.float64))
    return replace(
        scope,
        parts=[*scope.parts, added.part],
        ids=np.concatenate([scope.ids, added.part.ids]),
        lengths=lengths,
        counted=counted,
        allowed=np.concatenate([_filled(scope.allowed, before), chosen]),
        passages=passages,
        mean_length=max(total / passages, 1e-9) if size and passages else 1.0,
        added=added.vectors,
    )


def resolve(overlay: Overlay, ids: set[int], filter: Filter) -> dict[int, Passage]:
    """The added passages with these negative ids that `filter` may see."""
    found: dict[int, Passage] = {}
    for put, first in _starts([put for put in overlay.add if put.passages]):
        own = put.document
        if not opens(filter.access, own.access) or not matches(filter.where, own.uri, own.source, own.metadata):
            continue
        for i, passage in enumerate(put.passages):
            key = -(first + i + 1)
            if key in ids:
                found[key] = _passage(key, own, passage)
    return found


def _starts(puts: list[Put]) -> Iterator[tuple[Put, int]]:
    first = 0
    for put in puts:
        yield put, first
        first += len(put.passages)


def _passage(key: int, own: Document, passage: IndexedPassage) -> Passage:
    return Passage(
        id=key,
        uri=own.uri,
        version=own.version,
        start=passage.start,
        end=passage.end,
        text=own.text[passage.start : passage.end],
        title=own.title,
        lead=passage.lead,
        place=own.place_at(passage.start),
        metadata=own.metadata,
        effective_at=own.effective_at,
        valid_from=own.valid_from,
    )


def _filled(mask: Mask | None, size: int) -> Mask:
    return np.ones(size, np.bool_) if mask is None else mask
