"""The journal beside the corpus: traces, feedback, runs, rows, cached calls and jobs as JSON bodies by kind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

from knowhow.ports import Record, StoreCheck
from knowhow.store import files
from knowhow.store.check import examine_file
from knowhow.store.connection import Connection, Database, fetch, fetch_one
from knowhow.types import EVERYTHING

_PAGE = 500
"""Records read in one transaction while selecting, so that a slow reader never holds back the log."""

_FIELDS = "r.kind, r.name, r.body, r.at, r.parent, (select tags from tagset t where t.id = r.tagset) as tags, r.uris"
# The tag sets whose every tag the asker holds; what carries any other set is not even read.
_OPENED = (
    "r.tagset in (select t.id from tagset t where :all or not exists "
    "(select 1 from json_each(t.tags) demanded where cast(demanded.value as text) not in "
    "(select cast(value as text) from json_each(:held))))"
)


class SqlRecords:
    """`knowhow.ports.Records` in a database that speaks the store's SQL. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @property
    def database(self) -> Database:
        """Where they lie."""
        return self._db

    def put(self, records: Sequence[Record]) -> None:
        """Inserts or replaces, all in one transaction."""
        bodies = [json.dumps(record.body, ensure_ascii=True, separators=(",", ":")) for record in records]
        now = time.time()
        with self._db.writing() as connection:
            tagsets = {access: _tagset(connection, access) for access in {record.access for record in records}}
            for record, body in zip(records, bodies, strict=True):
                _insert(connection, record, body, record.at or now, tagsets[record.access])

    def get(self, kind: str, id: str, access: frozenset[str]) -> Record | None:
        """The record, or None if absent or hidden."""
        with self._db.reading() as connection:
            rows = fetch(
                connection,
                f"select {_FIELDS} from record r where r.kind = :kind and r.name = :name and {_OPENED}",
                {"kind": kind, "name": id, **_held(access)},
            )
        return _record(rows[0]) if rows else None

    def select(
        self,
        kind: str,
        access: frozenset[str],
        *,
        parent: str | None = None,
        since: float | None = None,
        before: tuple[float, str] | None = None,
        limit: int | None = None,
        oldest_first: bool = False,
    ) -> Iterator[Record]:
        """Records of a kind in time order; `before` is an (at, id) cursor of the page before."""
        compare, order = (">", "asc") if oldest_first else ("<", "desc")
        conditions = ["r.kind = :kind", _OPENED]
        if parent is not None:
            conditions.append("r.parent = :parent and r.parent <> ''" if parent else "r.parent = ''")
        if since is not None:
            conditions.append("r.at >= :since")
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            here = [*conditions, f"(r.at, r.name) {compare} (:at, :name)"] if before is not None else conditions
            values = {"kind": kind, "parent": parent, "since": since, "size": size, **_held(access)}
            values |= {"at": before[0], "name": before[1]} if before is not None else {}
            with self._db.reading() as connection:
                rows = fetch(
                    connection,
                    f"select {_FIELDS} from record r where {' and '.join(here)} "
                    f"order by r.at {order}, r.name {order} limit :size",
                    values,
                )
            yield from map(_record, rows)
            if len(rows) < size:
                return
            before = (rows[-1][3], rows[-1][1])
            left = None if left is None else left - len(rows)

    def erase(self, kind: str, ids: Sequence[str]) -> int:
        """Deletes and returns how many there were."""
        return self._delete(
            "select id from record where kind = ? and name in (select cast(value as text) from json_each(?))",
            (kind, json.dumps(list(ids))),
        )

    def purge(self, uri: str) -> int:
        """Deletes every record that quotes `uri`, and records whose parent was deleted."""
        return self._delete(
            "with recursive doomed(id) as (select record from mention where uri = ? union "
            "select child.id from doomed join record gone on gone.id = doomed.id "
            "join record child on child.parent = gone.name and child.parent <> '') select id from doomed",
            (uri,),
        )

    def wipe(self) -> None:
        """Rewrites the file so that nothing that was deleted is left in it. Raises `ConfigProblem`."""
        self._db.wipe()

    def check(self, *, repair: bool = False) -> list[StoreCheck]:
        """What is wrong with the file; with `repair`, what can be is mended."""
        return [examine_file(self._db, "journal", repair=repair)]

    def backup(self, path: str) -> None:
        """A consistent copy of the file while others read and write."""
        self._db.backup(path)

    def close(self) -> None:
        """Closes every connection; using the records afterwards is an error."""
        self._db.close()

    def _delete(self, chosen: str, values: tuple[object, ...]) -> int:
        """Deletes the rows whose ids `chosen` selects."""
        with self._db.writing() as connection:
            ids = json.dumps([key for (key,) in fetch(connection, chosen, values)])
            connection.execute("delete from mention where record in (select value from json_each(?))", (ids,))
            connection.execute("delete from record where id in (select value from json_each(?))", (ids,))
            return connection.changes()


class SqliteRecords(SqlRecords):
    """Records in one file. Safe beside other processes on the same machine."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Opens or creates the file. Raises `ConfigProblem` when it is damaged, newer, or not Knowhow's."""
        self._file = files.Database(path, files.STATE)
        super().__init__(self._file)

    def restore(self, path: str) -> None:
        """Makes the journal that of the copy at `path`, which is brought up to date."""
        SqliteRecords(path).close()
        self._file.replace(path)


def _insert(connection: Connection, record: Record, body: str, at: float, tagset: int) -> None:
    key = fetch_one(
        connection,
        "insert into record (kind, name, at, parent, tagset, uris, body) values (?,?,?,?,?,?,?) on conflict "
        "(kind, name) do update set at = excluded.at, parent = excluded.parent, tagset = excluded.tagset, "
        "uris = excluded.uris, body = excluded.body returning id",
        (record.kind, record.id, at, record.parent, tagset, json.dumps(sorted(record.uris)), body),
    )
    connection.execute("delete from mention where record = ?", (key,))
    if record.uris:
        connection.executemany("insert into mention values (?,?)", [(uri, key) for uri in record.uris])


def _tagset(connection: Connection, access: frozenset[str]) -> int:
    tags = json.dumps(sorted(access))
    connection.execute("insert into tagset (tags) values (?) on conflict do nothing", (tags,))
    return int(fetch_one(connection, "select id from tagset where tags = ?", (tags,)))


def _held(access: frozenset[str]) -> dict[str, object]:
    return {"all": EVERYTHING in access, "held": json.dumps(sorted(access))}


def _record(row: tuple[Any, ...]) -> Record:
    kind, name, body, at, parent, tags, uris = row
    return Record(
        kind=kind,
        id=name,
        body=json.loads(body),
        at=at,
        parent=parent,
        access=frozenset(json.loads(tags)),
        uris=frozenset(json.loads(uris)),
    )
