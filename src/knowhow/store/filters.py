"""What an asker may see: access tags, metadata and time turned into masks over passages, before anything is scored."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from knowhow.ports import Floats, Ints
from knowhow.store.bits import Mask
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.postings import Lengths
from knowhow.store.segments import Part
from knowhow.store.snapshot import Snapshot
from knowhow.types import EVERYTHING, Filter, MetaValue

_SCOPES_KEPT = 16
_CONDITIONS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Scope:
    """The passages a question runs over, and what it may find among them.

    Arrays run over the passages of all `parts` in order. `counted` are those whose text the statistics are made of:
    what the asker's tags open, so that scores say nothing about documents hidden from the asker. `allowed` are those
    that may be returned; None stands for all.
    """

    parts: Sequence[Part]
    ids: Ints
    lengths: Lengths
    counted: Mask | None
    allowed: Mask | None
    passages: int
    """How many are counted."""
    mean_length: float
    bodies: Mask
    """Indexed by body: those whose passages are allowed."""
    added: Floats | None = None
    """float32[n, dims] vectors of the passages an overlay adds: ids -1, -2, …, -n."""


def opens(access: frozenset[str], tags: frozenset[str]) -> bool:
    """Whether an asker with `access` may see what carries `tags`."""
    return EVERYTHING in access or tags <= access


def as_text(value: MetaValue) -> str:
    """A metadata value as filters compare it: true and false as in JSON, the rest as Python prints it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches(where: Mapping[str, MetaValue], uri: str, source: str, metadata: Mapping[str, MetaValue]) -> bool:
    """Whether a document meets every condition."""
    for key, wanted in where.items():
        text = as_text(wanted)
        if key == "uri":
            if not (uri.startswith(text) if text.endswith("/") else uri == text):
                return False
        elif key == "source":
            if source != text:
                return False
        elif key not in metadata or as_text(metadata[key]) != text:
            return False
    return True


class Conditions:
    """Which versions meet a condition, remembered: versions are only ever added, so just the newer ones are read."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[int, Ints]] = OrderedDict()

    def versions(self, connection: Connection, key: str, value: str) -> Ints:
        """Row ids of the versions where `key` equals `value`, in no order."""
        with self.lock:
            last, known = self._known.pop((key, value), (0, np.zeros(0, np.int64)))
            newest = fetch_one(connection, "select coalesce(max(id), 0) from version")
            if newest > last:
                rows = _meeting(connection, key, value, last)
                known = np.concatenate([known, np.array([row for (row,) in rows], np.int64)])
            self._known[key, value] = (max(last, newest), known)
            if len(self._known) > _CONDITIONS_KEPT:
                self._known.popitem(last=False)
            return known


def _meeting(connection: Connection, key: str, value: str, after: int) -> list[tuple[int]]:
    if key == "uri":
        sql = "select v.id from item i join version v on v.item = i.id where v.id > ? and i.uri = ?"
        if value.endswith("/"):
            sql = "select v.id from item i join version v on v.item = i.id where v.id > ? and i.uri >= ? and i.uri < ?"
            return fetch(connection, sql, (after, value, value[:-1] + "0"))
    elif key == "source":
        sql = "select id from version where id > ? and source = ?"
    else:
        sql = "select version from attribute where version > ? and value = ? and key = ?"
        return fetch(connection, sql, (after, value, key))
    return fetch(connection, sql, (after, value))


def make_scope(
    connection: Connection, snapshot: Snapshot, filter: Filter, conditions: Conditions, hidden: frozenset[str]
) -> Scope:
    """The scope of `filter` in `snapshot`, without the documents whose uri is `hidden`."""
    opened = frozenset(key for key, tags in snapshot.tags.items() if opens(filter.access, tags))
    where = tuple(sorted((key, as_text(value)) for key, value in filter.where.items()))
    name = (opened, where, hidden)
    known = snapshot.scopes.get(name)
    if isinstance(known, Scope):
        return known
    visible = snapshot.versions > 0
    if len(opened) < len(snapshot.tags):
        may = np.zeros(max(snapshot.tags) + 1, np.bool_)
        may[list(opened)] = True
        visible &= may[snapshot.tagsets]
    if hidden:
        visible &= ~_with_versions(snapshot, _versions_of(connection, hidden))
    bodies = visible.copy()
    for key, value in where:
        bodies &= _with_versions(snapshot, conditions.versions(connection, key, value))
    scope = _scope(snapshot, visible, bodies)
    with conditions.lock:
        snapshot.scopes[name] = scope
        while len(snapshot.scopes) > _SCOPES_KEPT:
            snapshot.scopes.popitem(last=False)
    return scope


def _versions_of(connection: Connection, uris: frozenset[str]) -> Ints:
    rows = fetch(
        connection,
        "select v.id from item i join version v on v.item = i.id "
        "where i.uri in (select cast(value as text) from json_each(?))",
        (json.dumps(sorted(uris)),),
    )
    return np.array([row for (row,) in rows], np.int64)


def _with_versions(snapshot: Snapshot, found: Ints) -> Mask:
    """bool per body: its version is among `found`."""
    size = int(max(snapshot.versions.max(initial=0), found.max(initial=0))) + 1
    chosen = np.zeros(size, np.bool_)
    chosen[found] = True
    chosen[0] = False
    return chosen[snapshot.versions]


def _scope(snapshot: Snapshot, visible: Mask, bodies: Mask) -> Scope:
    counted, allowed, lengths = visible[snapshot.bodies], bodies[snapshot.bodies], snapshot.lengths
    passages = int(np.count_nonzero(counted))
    total = float(lengths[counted].sum(dtype=np.float64))
    return Scope(
        parts=snapshot.parts,
        ids=snapshot.ids,
        lengths=lengths,
        counted=None if passages == len(lengths) else counted,
        allowed=None if allowed.all() else allowed,
        passages=passages,
        mean_length=max(total / passages, 1e-9) if passages else 1.0,
        bodies=bodies,
    )
