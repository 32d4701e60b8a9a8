"""One commit to the corpus: what each change does to the rows of documents, versions, contents and passages."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from knowhow.errors import NotFound, UsageProblem
from knowhow.ports import Change, Fail, FileStamp, Floats, IndexedPassage, Put, Remove, SetAccess
from knowhow.store import audit
from knowhow.store.bits import Signs
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.content import content_digest, cut_digest, pack_spans, place_text, text_parts
from knowhow.store.filters import as_text
from knowhow.store.segments import Block, make_blocks, write_blocks
from knowhow.types import EVERYTHING, Action, AuditEntry, Document, DocumentState

_TICK = 1e-6
"""Seconds between two moments given out when the clock does not move."""


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index as writers need it: its row, its vectors' size and what turns them into sign bits."""

    idx: int
    name: str
    dims: int
    signs: Signs


class Prepared:
    """A document with its passages, made ready outside the transaction as far as it turns out to be needed."""

    def __init__(self, document: Document, passages: Sequence[IndexedPassage], index: OpenIndex) -> None:
        self.document = document
        self.passages = passages
        self._index = index
        _check_access(document.uri, document.access)
        for passage in passages:
            if passage.vector.shape != (index.dims,) or not np.isfinite(passage.vector).all():
                raise UsageProblem(
                    f"{document.uri}: a vector of shape {passage.vector.shape} with "
                    f"{np.count_nonzero(~np.isfinite(passage.vector))} values that are not finite cannot be stored "
                    f"in index {index.name} of {index.dims} dimensions: check the embedder"
                )
            if not 0 <= passage.start <= passage.end <= len(document.text):
                raise UsageProblem(
                    f"{document.uri}: passage {passage.start}:{passage.end} is outside its text of "
                    f"{len(document.text)} characters"
                )

    @cached_property
    def spans(self) -> bytes:
        return pack_spans(self.document.spans)

    @cached_property
    def digest(self) -> str:
        return content_digest(self.document.text, self.spans)

    @cached_property
    def cut(self) -> str:
        return cut_digest(self.passages)

    @cached_property
    def texts(self) -> list[bytes]:
        return text_parts(self.document.text)

    @cached_property
    def vectors(self) -> Floats:
        """float32[n, dims], rounded as they are stored, so that codes and scores come from the same numbers."""
        if not self.passages:
            return np.zeros((0, self._index.dims), np.float32)
        return np.stack([passage.vector for passage in self.passages]).astype(np.float16).astype(np.float32)

    def ready(self) -> None:
        """Does now all work that a new content will need."""
        _ = self.digest, self.cut, self.texts, self.blocks

    @cached_property
    def blocks(self) -> list[Block]:
        return make_blocks(self.document.text, self.passages, self.vectors, self._index.signs)


@dataclass(slots=True)
class _Item:
    key: int
    tagset: int
    version: int
    open: int


class Commit:
    """The changes of one transaction. `generation` and `now` are this commit's own."""

    def __init__(self, connection: Connection, index: OpenIndex, by: str = "") -> None:
        self._connection = connection
        self._index = index
        self._by = by
        self._touched: set[str] = set()
        self.generation = next_generation(connection)
        self.now = max(time.time(), _counter(connection, "clock") + _TICK)

    def prepare(self, changes: Sequence[Change], prepared: Sequence[Prepared | None]) -> None:
        """Does the work of those puts that will need it as things stand, so that the transaction itself is short."""
        for change, ready in zip(changes, prepared, strict=True):
            if isinstance(change, Put) and ready is not None:
                item = self._item(change.moved_from or change.document.uri)
                if item is None or not self._same_content(item, ready):
                    ready.ready()

    def make(self, change: Change, prepared: Prepared | None) -> None:
        """Applies one change; `prepared` belongs to a `Put`."""
        if isinstance(change, SetAccess):
            self._set_access(change)
            return
        uri = change.document.uri if isinstance(change, Put) else change.uri
        if uri in self._touched:
            self.now += _TICK
        self._touched.add(uri)
        if isinstance(change, Put):
            assert prepared is not None
            self._put(change, prepared)
        elif isinstance(change, Fail):
            self._fail(change)
        else:
            self._remove(change)

    def stamp(self, stamps: Sequence[FileStamp]) -> None:
        """Remembers what the files looked like."""
        rows = {stamp.uri: (stamp.uri, stamp.path, stamp.size, stamp.mtime_ns, stamp.content_hash) for stamp in stamps}
        keys = json.dumps(list(rows))
        self._connection.execute(
            "delete from stamp where uri in (select cast(value as text) from json_each(?))", (keys,)
        )
        self._connection.executemany("insert into stamp values (?,?,?,?,?)", rows.values())

    def finish(self) -> None:
        """Counts the commit, so that readers follow."""
        count(self._connection, self.generation, content=True)
        self._connection.execute("update counter set value = ? where name = 'clock'", (self.now,))

    def cut(self, prepared: Prepared, body: int) -> None:
        """Adds the passages of `body` to the index."""
        first = self._connection.reserve("passage", len(prepared.passages))
        document = prepared.document
        half = prepared.vectors.astype(np.float16)
        rows = [
            (
                *(first + i, self._index.idx, body, passage.start, passage.end, passage.lead),
                *(place_text(document.place_at(passage.start)), passage.embed_hash, half[i].tobytes()),
            )
            for i, passage in enumerate(prepared.passages)
        ]
        self._connection.executemany("insert into passage values (?,?,?,?,?,?,?,?,?)", rows)
        self._connection.execute(
            "insert into cut values (?,?,?,?,?)",
            (self._index.idx, body, first, len(prepared.passages), prepared.cut),
        )
        write_blocks(self._connection, self._index.idx, body, first, prepared.blocks)

    def cut_digest(self, body: int) -> str:
        """Digest of the passages of `body` in this index; empty when there are none."""
        sql = "select digest from cut where idx = ? and body = ?"
        return fetch_one(self._connection, sql, (self._index.idx, body)) or ""

    def _put(self, change: Put, prepared: Prepared) -> None:
        document = change.document
        # A uri that this commit already wrote holds other content by now: it is not what was moved.
        moved = self._item(change.moved_from) if change.moved_from not in ("", *self._touched) else None
        item = self._item(document.uri) or self._add_item(document.uri, document.source, document.access)
        body = self._same_content(moved or item, prepared)
        if moved is not None:
            self._log(Action.MOVED, change.moved_from, moved, other=document.uri)
            self._close(moved)
            self._settle(moved, DocumentState.REMOVED, "moved", document.uri, moved_to=item.key)
            self._connection.execute("delete from stamp where uri = ?", (change.moved_from,))
        before = item.version if item.open else 0
        self._close(item)
        if not body:
            body = self._add_body(prepared)
        if not self.cut_digest(body):
            self.cut(prepared, body)
        item.version += 1
        item.open = self._add_version(item, document, body)
        self._settle(item, DocumentState.READY, "", "", content_hash=document.content_hash, source=document.source)
        self._demand(item.key, document.access)
        action = Action.UPDATED if before else Action.ADDED
        self._log(action, document.uri, item, before, item.version, other=change.moved_from if moved else "")
        self._connection.execute(
            "update body set version = ?, tagset = (select tagset from item where id = ?), changed = ? where id = ?",
            (item.open, item.key, self.generation, body),
        )

    def _fail(self, change: Fail) -> None:
        _check_access(change.uri, change.access)
        item = self._item(change.uri) or self._add_item(change.uri, change.source, change.access)
        self._log(Action.FAILED, change.uri, item, detail=change.reason)
        self._close(item)
        self._settle(
            *(item, DocumentState.FAILED, change.reason, change.detail),
            content_hash=change.content_hash,
            source=change.source,
        )
        # The tags may themselves stand in what could not be read: keep the old ones as well.
        self._demand(item.key, change.access | self._tags(item.key))

    def _remove(self, change: Remove) -> None:
        item = self._item(change.uri)
        if item is not None:
            self._log(Action.REMOVED, change.uri, item)
            self._close(item)
            self._settle(item, DocumentState.REMOVED, "", "")
        self._connection.execute("delete from stamp where uri = ?", (change.uri,))

    def _set_access(self, change: SetAccess) -> None:
        _check_access(change.uri, change.access)
        item = self._item(change.uri)
        if item is None:
            raise NotFound(f"no document {change.uri}: its access tags cannot be set")
        before = self._tags(item.key)
        self._demand(item.key, change.access)
        if change.access != before:
            detail = f"{', '.join(sorted(before)) or 'everyone'} → {', '.join(sorted(change.access)) or 'everyone'}"
            self._log(Action.RETAGGED, change.uri, item, after=item.version if item.open else 0, detail=detail)

    def _item(self, uri: str) -> _Item | None:
        row = fetch(self._connection, "select id, tagset, version, open from item where uri = ?", (uri,))
        return _Item(*row[0]) if row else None

    def _add_item(self, uri: str, source: str, access: frozenset[str]) -> _Item:
        tagset = self._tagset(access)
        key = fetch_one(
            self._connection,
            "insert into item (uri, source, state, tagset, updated) values (?,?,?,?,?) returning id",
            (uri, source, DocumentState.REMOVED, tagset, self.now),
        )
        return _Item(key, tagset, audit.last_version(self._connection, uri), 0)

    def _log(
        self,
        action: Action,
        uri: str,
        item: _Item,
        before: int | None = None,
        after: int = 0,
        *,
        other: str = "",
        detail: str = "",
    ) -> None:
        """One entry of the audit log; `before` is by default the version that answers now."""
        if before is None:
            before = item.version if item.open else 0
        row = fetch_one(self._connection, "select source, tagset from item where id = ?", (item.key,))
        entry = AuditEntry(self.now, action, uri, before, after, row[0], self._by, other, detail)
        audit.write(self._connection, [entry], [row[1]])

    def _close(self, item: _Item) -> None:
        """The current version answers no more from now on."""
        if not item.open:
            return
        self._connection.execute("update version set valid_to = ? where id = ?", (self.now, item.open))
        self._connection.execute(
            "update body set version = 0, changed = ? where id = (select body from version where id = ?)",
            (self.generation, item.open),
        )
        item.open = 0

    def _settle(
        self,
        item: _Item,
        state: DocumentState,
        reason: str,
        detail: str,
        *,
        content_hash: str = "",
        source: str = "",
        moved_to: int = 0,
    ) -> None:
        self._connection.execute(
            "update item set state = ?, reason = ?, detail = ?, content_hash = ?, version = ?, open = ?, updated = ?, "
            "moved_to = ?, source = case when ? <> '' then ? else source end where id = ?",
            (
                *(state, reason, detail, content_hash, item.version, item.open, self.now),
                *(moved_to, source, source, item.key),
            ),
        )

    def _demand(self, item: int, access: frozenset[str]) -> None:
        """Sets the tags of an item. Those whose content moved into it are tightened too: it is the same text."""
        self._retag(item, access)
        earlier = fetch(
            self._connection,
            # "> 0" is what tells that the index on moves holds them all.
            "with recursive before(id) as (select id from item where moved_to = ? and moved_to > 0 union "
            "select item.id from item join before on item.moved_to = before.id and moved_to > 0) select id from before",
            (item,),
        )
        for (key,) in earlier:
            self._retag(key, access | self._tags(key))

    def _retag(self, item: int, access: frozenset[str]) -> None:
        tagset = self._tagset(access)
        self._connection.execute("update item set tagset = ? where id = ?", (tagset, item))
        self._connection.execute(
            "update body set tagset = ?, changed = ? where id = (select v.body from item i join version v "
            "on v.id = i.open where i.id = ?) and tagset <> ?",
            (tagset, self.generation, item, tagset),
        )

    def _tags(self, item: int) -> frozenset[str]:
        text = fetch_one(
            self._connection, "select tags from tagset where id = (select tagset from item where id = ?)", (item,)
        )
        return frozenset(json.loads(text))

    def _tagset(self, access: frozenset[str]) -> int:
        tags = json.dumps(sorted(access))
        self._connection.execute("insert into tagset (tags) values (?) on conflict do nothing", (tags,))
        return int(fetch_one(self._connection, "select id from tagset where tags = ?", (tags,)))

    def _same_content(self, item: _Item, prepared: Prepared) -> int:
        """The current body of `item` if the document is the same text cut the same way, else 0."""
        row = fetch(
            self._connection,
            "select b.id, b.digest from version v join body b on b.id = v.body where v.id = ?",
            (item.open,),
        )
        if not row or row[0][1] != prepared.digest:
            return 0
        body = int(row[0][0])
        return body if self.cut_digest(body) in ("", prepared.cut) else 0

    def _add_body(self, prepared: Prepared) -> int:
        body: int = fetch_one(
            self._connection,
            "insert into body (version, tagset, changed, digest, chars) values (0, 0, ?, ?, ?) returning id",
            (self.generation, prepared.digest, len(prepared.document.text)),
        )
        self._connection.execute("insert into spans values (?,?)", (body, prepared.spans))
        rows = [(body, part, data) for part, data in enumerate(prepared.texts)]
        self._connection.executemany("insert into text values (?,?,?)", rows)
        return body

    def _add_version(self, item: _Item, document: Document, body: int) -> int:
        version: int = fetch_one(
            self._connection,
            "insert into version (item, number, body, title, media_type, source, metadata, content_hash, effective_at, "
            "supersedes, valid_from) values (?,?,?,?,?,?,?,?,?,?,?) returning id",
            (
                *(item.key, item.version, body, document.title, document.media_type, document.source),
                *(json.dumps(dict(document.metadata)), document.content_hash, document.effective_at),
                *(document.supersedes, self.now),
            ),
        )
        pairs = [(key, as_text(value), version) for key, value in document.metadata.items()]
        self._connection.executemany("insert into attribute values (?,?,?)", pairs)
        return version


def count(connection: Connection, generation: int, *, content: bool) -> None:
    """Announces a commit to readers; `content` counts it as a change of the corpus too."""
    connection.execute("update counter set value = ? where name = 'generation'", (generation,))
    if content:
        connection.execute("update counter set value = value + 1 where name = 'revision'")


def next_generation(connection: Connection) -> int:
    """The number of the commit that the open transaction will make."""
    return int(_counter(connection, "generation")) + 1


def _counter(connection: Connection, name: str) -> float:
    value: float = fetch_one(connection, "select value from counter where name = ?", (name,))
    return value


def _check_access(uri: str, access: frozenset[str]) -> None:
    if EVERYTHING in access:
        raise UsageProblem(f"{uri}: the tag {EVERYTHING!r} opens every document and cannot be put on one")
