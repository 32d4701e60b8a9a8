"""The part of an index kept in memory, and how it follows every process's commits by their difference."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from knowhow.ports import Ints
from knowhow.store.bits import Mask
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.postings import Lengths
from knowhow.store.segments import Numbers, Part, Run, loose_part, read_block, read_part

ERA = 1 << 32
"""Generations between two restores of a backup: across them, equal row ids may stand for different content."""
_TIMES_KEPT = 2
"""Snapshots of the past kept in memory, each as large as the part of history it needs."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One index at one generation, or at an earlier time. Never changed once it is shared.

    `ids`, `bodies`, `lengths` and `alive` run over the passages of all `parts` in order; `versions` and `tagsets`
    are indexed by body: the version row that is current (0 = none) and the tags it demands.
    """

    generation: int
    segments: Mapping[int, Part]
    blocks: Mapping[int, Run]
    loose: Part | None
    ids: Ints
    bodies: Numbers
    lengths: Lengths
    versions: Numbers
    tagsets: Numbers
    tags: Mapping[int, frozenset[str]]
    alive: Mask
    scopes: OrderedDict[object, object] = field(default_factory=OrderedDict)
    """What filters were worked out to mean here, latest last (see `filters.make_scope`)."""

    @property
    def era(self) -> int:
        """Counts restores; what is remembered by row ids holds within one era only."""
        return self.generation // ERA

    @property
    def parts(self) -> list[Part]:
        """Segments, then blocks."""
        return [*self.segments.values(), *([self.loose] if self.loose else [])]


class Follower:
    """Holds the newest snapshot of each index. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held: dict[int, Snapshot] = {}
        self._past: OrderedDict[tuple[int, float], Snapshot] = OrderedDict()

    def current(self, connection: Connection, idx: int) -> Snapshot | None:
        """The snapshot of what the open transaction sees; None when it is already older than what is held."""
        generation = int(fetch_one(connection, "select value from counter where name = 'generation'"))
        held = self._held.get(idx)
        if held is None or held.generation < generation:
            with self.lock:
                held = self._held.get(idx)
                if held is None or held.generation < generation:
                    known = held if held is not None and held.era == generation // ERA else None
                    held = self._held[idx] = _follow(connection, idx, known, generation)
        return held if held.generation == generation else None

    def past(self, connection: Connection, idx: int, now: Snapshot, as_of: float) -> Snapshot:
        """`now` as it was at `as_of`, with today's tags."""
        with self.lock:
            found = self._past.get((idx, as_of))
            if found is None or found.generation != now.generation:
                found = self._past[idx, as_of] = _rewind(connection, idx, now, as_of)
            self._past.move_to_end((idx, as_of))
            while len(self._past) > _TIMES_KEPT:
                self._past.popitem(last=False)
            return found

    def forget(self, idx: int) -> None:
        """Frees what is held of an index that was dropped."""
        with self.lock:
            self._held.pop(idx, None)
            for key in [key for key in self._past if key[0] == idx]:
                del self._past[key]


def _follow(connection: Connection, idx: int, held: Snapshot | None, generation: int) -> Snapshot:
    segment_keys = _keys(connection, "select id from segment where idx = ? and history = 0 order by id", idx)
    block_keys = _keys(connection, "select id from block where idx = ? order by id", idx)
    old_segments: Mapping[int, Part] = held.segments if held else {}
    old_blocks: Mapping[int, Run] = held.blocks if held else {}
    segments = {key: old_segments.get(key) or read_part(connection, key) for key in segment_keys}
    blocks = {key: old_blocks.get(key) or read_block(connection, key) for key in block_keys}
    versions, tagsets = _bodies(connection, held)
    tags = dict(held.tags) if held else {}
    for key, text in fetch(connection, "select id, tags from tagset where id > ?", (max(tags, default=-1),)):
        tags[key] = frozenset(json.loads(text))
    same = held is not None and blocks.keys() == held.blocks.keys()
    loose = held.loose if held is not None and same else loose_part(list(blocks.values()))
    if held is not None and same and segments.keys() == held.segments.keys():
        ids, bodies, lengths = held.ids, held.bodies, held.lengths
    else:
        ids, bodies, lengths = _arrays([*segments.values(), *([loose] if loose else [])])
    alive = versions[bodies] > 0
    return Snapshot(generation, segments, blocks, loose, ids, bodies, lengths, versions, tagsets, tags, alive)


def _bodies(connection: Connection, held: Snapshot | None) -> tuple[Numbers, Numbers]:
    """`versions` and `tagsets` with what changed since `held`."""
    last = fetch_one(connection, "select coalesce(max(id), 0) from body")
    if held is None:
        rows = fetch(connection, "select id, version, tagset from body where version > 0")
        versions, tagsets = np.zeros(last + 1, np.int32), np.zeros(last + 1, np.int32)
    else:
        rows = fetch(connection, "select id, version, tagset from body where changed > ?", (held.generation,))
        if not rows:
            return held.versions, held.tagsets
        versions, tagsets = _grown(held.versions, last + 1), _grown(held.tagsets, last + 1)
    if rows:
        changed = np.array(rows, np.int64)
        versions[changed[:, 0]] = changed[:, 1]
        tagsets[changed[:, 0]] = changed[:, 2]
    return versions, tagsets


def _rewind(connection: Connection, idx: int, now: Snapshot, as_of: float) -> Snapshot:
    """`now` with every version opened since `as_of` taken away and every one closed since then put back."""
    versions, tagsets = now.versions.copy(), now.tagsets.copy()
    opened = fetch(connection, "select body from version where valid_from > ?", (as_of,))
    versions[np.array([body for (body,) in opened], np.int64)] = 0
    closed = fetch(
        connection,
        "select v.body, v.id, i.tagset from version v join item i on i.id = v.item "
        "where v.valid_to > ? and v.valid_from <= ?",
        (as_of, as_of),
    )
    if closed:
        back = np.array(closed, np.int64)
        versions[back[:, 0]] = back[:, 1]
        tagsets[back[:, 0]] = back[:, 2]
    keys = _keys(connection, "select id from segment where idx = ? order by id", idx)
    segments = {key: now.segments.get(key) or read_part(connection, key) for key in keys}
    ids, bodies, lengths = _arrays([*segments.values(), *([now.loose] if now.loose else [])])
    return Snapshot(
        *(now.generation, segments, now.blocks, now.loose, ids, bodies, lengths, versions, tagsets, now.tags),
        alive=versions[bodies] > 0,
    )


def _keys(connection: Connection, sql: str, idx: int) -> list[int]:
    return [key for (key,) in fetch(connection, sql, (idx,))]


def _grown(array: Numbers, size: int) -> Numbers:
    grown = np.zeros(size, np.int32)
    grown[: len(array)] = array
    return grown


def _arrays(parts: Sequence[Part]) -> tuple[Ints, Numbers, Lengths]:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint16)
    return (
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.bodies for part in parts]),
        np.concatenate([part.lengths for part in parts]),
    )
