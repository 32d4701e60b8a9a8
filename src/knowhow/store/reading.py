"""Documents, versions and passages as an asker may see them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from knowhow.ports import FileStamp, Source
from knowhow.store.bits import Mask
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.content import Slices, read_place, read_text, unpack_spans
from knowhow.store.filters import matches, opens
from knowhow.store.snapshot import Snapshot
from knowhow.types import Document, DocumentInfo, DocumentState, Filter, Passage

_LISTED = 500
"""Documents read in one transaction while listing."""

_INFO = (
    "i.uri, coalesce(v.title, ''), coalesce(v.number, 0), i.state, i.reason, i.detail, i.source, "
    "coalesce(v.media_type, ''), coalesce(c.passages, 0), t.tags, i.updated, coalesce(v.metadata, '{}'), "
    "v.effective_at, v.valid_from, v.source"
)
_ACTIVE_CUT = "left join cut c on c.body = v.body and c.idx = (select id from idx where active = 1)"


def page_of_documents(
    connection: Connection, filter: Filter, source: str | None, after: str, *, removed: bool = False
) -> tuple[list[DocumentInfo], str | None]:
    """(what may be seen of the next documents by uri, the uri to go on after or None at the end)."""
    place, bounds = _bounds(str(filter.where.get("uri", "")))
    if filter.as_of is None:
        sql = (
            f"select {_INFO}, v.id = i.open from item i join tagset t on t.id = i.tagset "
            f"left join version v on v.item = i.id and v.number = i.version {_ACTIVE_CUT} "
            f"where i.uri > ? and {place} and (? or i.state <> 'removed') and (? is null or i.source = ?) "
            "order by i.uri limit ?"
        )
        values: tuple[object, ...] = (after, *bounds, removed, source, source, _LISTED)
    else:
        sql = (
            f"select {_INFO}, 1 from item i join tagset t on t.id = i.tagset "
            f"join version v on v.item = i.id {_ACTIVE_CUT} "
            "where i.uri > ? and (? is null or v.source = ?) and v.valid_from <= ? "
            "and (v.valid_to is null or v.valid_to > ?) order by i.uri limit ?"
        )
        values = (after, source, source, filter.as_of, filter.as_of, _LISTED)
    rows = fetch(connection, sql, values)
    found = []
    for row in rows:
        info = _info(row, answers=bool(row[15]), past=filter.as_of is not None)
        if opens(filter.access, info.access) and matches(filter.where, info.uri, info.source, info.metadata):
            found.append(info)
    return found, rows[-1][0] if len(rows) == _LISTED else None


def _bounds(uri: str) -> tuple[str, tuple[str, ...]]:
    """A condition for the uri, or for everything below a uri that ends in "/", and its values."""
    if not uri:
        return "true", ()
    return ("i.uri >= ? and i.uri < ?", (uri, uri[:-1] + "0")) if uri.endswith("/") else ("i.uri = ?", (uri,))


def list_versions(connection: Connection, uri: str, filter: Filter) -> list[DocumentInfo]:
    """Every version of `uri` that `filter` may see, newest first."""
    rows = fetch(
        connection,
        f"select {_INFO}, v.id = i.open from item i join tagset t on t.id = i.tagset join version v on v.item = i.id "
        f"{_ACTIVE_CUT} where i.uri = ? and (? is null or v.valid_from <= ?) order by v.number desc",
        (uri, filter.as_of, filter.as_of),
    )
    found = []
    for i, row in enumerate(rows):
        info = _version_info(row, newest=i == 0 and filter.as_of is None)
        if opens(filter.access, info.access) and matches(filter.where, info.uri, info.source, info.metadata):
            found.append(info)
    return found


def read_document(connection: Connection, uri: str, filter: Filter, version: int | None) -> Document | None:
    """The version asked for with its text, or None."""
    rows = fetch(
        connection,
        "select v.body, v.title, v.media_type, v.source, v.metadata, t.tags, v.content_hash, v.effective_at, "
        "v.supersedes, v.number, v.valid_from, v.valid_to from item i join tagset t on t.id = i.tagset "
        "join version v on v.item = i.id where i.uri = :uri and case when :number is not null then v.number = :number "
        "when :at is not null then v.valid_from <= :at and (v.valid_to is null or v.valid_to > :at) "
        "else v.id = i.open end",
        {"uri": uri, "number": version, "at": filter.as_of},
    )
    if not rows:
        return None
    body, title, media, source, metadata, tags, hashed, effective, supersedes, number, opened, closed = rows[0]
    access, values = frozenset(json.loads(tags)), json.loads(metadata)
    if not opens(filter.access, access) or not matches(filter.where, uri, source, values):
        return None
    spans = fetch_one(connection, "select data from spans where body = ?", (body,))
    return Document(
        uri=uri,
        text=read_text(connection, body),
        title=title,
        media_type=media,
        source=source,
        spans=unpack_spans(spans),
        metadata=values,
        access=access,
        content_hash=hashed,
        effective_at=effective,
        supersedes=supersedes,
        version=number,
        valid_from=opened,
        valid_to=closed,
    )


def body_of(connection: Connection, uri: str, version: int) -> int:
    """The content of a version; 0 if there is none."""
    sql = "select v.body from item i join version v on v.item = i.id where i.uri = ? and v.number = ?"
    return fetch_one(connection, sql, (uri, version)) or 0


_PASSAGE = 'p.id, p.body, p.start, p."end", p.lead, p.place'
_VERSION = "i.uri, v.number, v.title, v.metadata, v.effective_at, v.valid_from"


def read_passages(
    connection: Connection, idx: int, ids: Sequence[int], snapshot: Snapshot, allowed: Mask
) -> dict[int, Passage]:
    """Those of `ids` whose body is `allowed` (indexed by body), as parts of the version current in `snapshot`."""
    found = fetch(
        connection,
        # The plus keeps the planner from walking through the whole index to look for a few of its passages.
        f"select {_PASSAGE} from passage p where +p.idx = ? and p.id in (select value from json_each(?))",
        (idx, json.dumps(list(ids))),
    )
    current = {row[0]: int(snapshot.versions[row[1]]) for row in found if row[1] < len(allowed) and allowed[row[1]]}
    versions = fetch(
        connection,
        f"select v.id, {_VERSION} from version v join item i on i.id = v.item "
        "where v.id in (select value from json_each(?))",
        (json.dumps(sorted(set(current.values()))),),
    )
    known = {key: version for key, *version in versions}
    slices = Slices(connection)
    return {row[0]: _passage(row, known[current[row[0]]], slices) for row in found if row[0] in current}


def read_passages_of(connection: Connection, idx: int, uri: str, version: int) -> list[Passage]:
    """Every passage of one version, in order of `start`."""
    rows = fetch(
        connection,
        f"select {_PASSAGE}, {_VERSION} from item i join version v on v.item = i.id "
        "join cut c on c.body = v.body and c.idx = ? join passage p on p.id >= c.first and p.id < c.first + c.passages "
        "where i.uri = ? and v.number = ? order by p.start, p.id",
        (idx, uri, version),
    )
    slices = Slices(connection)
    return [_passage(row[:6], row[6:], slices) for row in rows]


def read_sources(connection: Connection) -> list[Source]:
    """Every source, by name."""
    rows = fetch(connection, "select name, root, prefix, kind, access, rules from source order by name")
    return [
        Source(name, root, prefix, kind, frozenset(json.loads(access)), rules)
        for name, root, prefix, kind, access, rules in rows
    ]


def write_source(connection: Connection, source: Source) -> None:
    """Adds or replaces a source."""
    connection.execute("delete from source where name = ?", (source.name,))
    connection.execute(
        "insert into source (name, root, prefix, kind, access, rules) values (?,?,?,?,?,?)",
        (source.name, source.root, source.prefix, source.kind, json.dumps(sorted(source.access)), source.rules),
    )


def read_stamps(connection: Connection, source: str) -> dict[str, FileStamp]:
    """The stamps of what belongs to `source`, by uri."""
    rows = fetch(
        connection,
        "select s.uri, s.path, s.size, s.mtime_ns, s.content_hash from stamp s join item i on i.uri = s.uri "
        "where i.source = ?",
        (source,),
    )
    return {row[0]: FileStamp(*row) for row in rows}


def _info(row: tuple[Any, ...], *, answers: bool, past: bool) -> DocumentInfo:
    uri, title, number, state, reason, detail, source, media, passages, tags, updated, metadata, effective = row[:13]
    if past:
        state, reason, detail, updated, source = DocumentState.READY, "", "", row[13], row[14]
    return DocumentInfo(
        uri=uri,
        title=title,
        version=number,
        state=DocumentState(state),
        reason=reason,
        detail=detail,
        source=source,
        media_type=media,
        passages=passages if answers else 0,
        access=frozenset(json.loads(tags)),
        updated=updated,
        metadata=json.loads(metadata),
        effective_at=effective,
    )


def _version_info(row: tuple[Any, ...], *, newest: bool) -> DocumentInfo:
    """The current version is ready; the newest of those closed stands like its uri, older ones are superseded."""
    state, reason, detail = row[3:6]
    if row[15]:
        state, reason, detail = DocumentState.READY, "", ""
    elif not newest:
        state, reason, detail = DocumentState.REMOVED, "superseded", ""
    stands = (*row[:3], state, reason, detail, row[14], *row[7:10], row[13], *row[11:])
    return _info(stands, answers=True, past=False)


def _passage(row: Sequence[Any], version: Sequence[Any], slices: Slices) -> Passage:
    key, body, start, end, lead, place = row
    uri, number, title, metadata, effective, opened = version
    return Passage(
        id=key,
        uri=uri,
        version=number,
        start=start,
        end=end,
        text=slices.cut(body, start, end),
        title=title,
        lead=lead,
        place=read_place(place),
        metadata=json.loads(metadata),
        effective_at=effective,
        valid_from=opened,
    )
