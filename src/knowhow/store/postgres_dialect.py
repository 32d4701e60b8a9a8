"""The store's statements in PostgreSQL's spelling, and one transaction that runs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from knowhow.store.connection import Values

if TYPE_CHECKING:
    import psycopg

_HOLDER = re.compile(r"\?(\d*)|(?<![:\w]):(\w+)")
_LIST = re.compile(r"json_each\(([^()]*)\)")
_PLAIN_INSERT = re.compile(r"\s*insert into (\w+)\s*(\([^)]*\))?\s*values\s*\([?,\s]+\)\s*")
_NUL = "\N{SYMBOL FOR NULL}"
"""Stands for the character 0 in titles and the like, which PostgreSQL's text cannot hold."""


@lru_cache(maxsize=1024)
def translate(sql: str) -> str:
    """`sql` with psycopg's placeholders: `?` as %s, `?1` as %(1)s, `:name` as %(name)s; and with PostgreSQL's lists.

    A list of numbers is written `select value from json_each(…)`, one of texts `select cast(value as text) from …`.
    """
    sql = sql.replace("%", "%%").replace("select value from json_each", "select value::bigint from json_each")
    sql = _LIST.sub(r"jsonb_array_elements_text((\1)::jsonb)", sql)
    return _HOLDER.sub(lambda m: f"%({m[1] or m[2]})s" if m[1] or m[2] else "%s", sql)


class Result:
    """The rows of a statement; see `knowhow.store.connection.Rows`."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    def fetchall(self) -> list[Any]:
        """Every row as a tuple."""
        return self._cursor.fetchall() if self._cursor.description else []

    @property
    def get(self) -> Any:
        """The value of one column of one row, or the row where it has several columns; None without a row."""
        row = self._cursor.fetchone() if self._cursor.description else None
        return row[0] if row is not None and len(row) == 1 else row


class Transaction:
    """An open transaction; see `knowhow.store.connection.Connection`.

    Values are put into the statement by the client, as literals: their types then follow from where they stand, as
    in SQLite, and what comes back can still be binary. `columns` are the types of each table's columns, by name.
    """

    def __init__(self, connection: psycopg.Connection[Any], columns: Mapping[str, Mapping[str, int]]) -> None:
        import psycopg

        self._connection = connection
        self._literals = psycopg.ClientCursor(connection)
        self._columns = columns
        self._changed = 0

    def execute(self, sql: str, values: Values | None = None, /) -> Result:
        """Runs one statement."""
        query = sql if values is None else self._literals.mogrify(translate(sql), _bound(sql, values))
        cursor = self._connection.cursor(binary=True)
        cursor.execute(query.encode())
        self._changed = cursor.rowcount
        return Result(cursor)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        """Runs a statement for every row; a plain insert as one binary copy."""
        insert = _PLAIN_INSERT.fullmatch(sql)
        if insert is None:
            for row in rows:
                self.execute(sql, row)
            return None
        table, listed = insert[1], insert[2] or ""
        types = self._columns[table]
        names = [name.strip(' "') for name in listed.strip("()").split(",")] if listed else list(types)
        with self._connection.cursor().copy(f"copy {table} {listed} from stdin (format binary)".encode()) as copy:
            copy.set_types([types[name] for name in names])
            for row in rows:
                copy.write_row([_clean(value) for value in row])
        return None

    def changes(self) -> int:
        """Rows that the last statement changed."""
        return self._changed

    def last_id(self, table: str) -> int:
        """The last number the table's sequence gave out."""
        return int(self.execute(f"select case when is_called then last_value else 0 end from {table}_id_seq").get)

    def set_last_id(self, table: str, last: int) -> None:
        """Lets the table's sequence go on after `last`."""
        self.execute(f"select setval('{table}_id_seq', ?, ?)", (max(1, last), last > 0))

    def reserve(self, table: str, many: int) -> int:
        """Takes `many` numbers from the table's sequence and returns the first."""
        taken = max(1, many)
        last = self.execute(f"select setval('{table}_id_seq', nextval('{table}_id_seq') + ?)", (taken - 1,)).get
        return int(last) - taken + 1


def register(connection: psycopg.Connection[Any], halfvec: int) -> None:
    """Lets vectors go out and come in as SQLite stores them: little-endian half-precision numbers."""
    from psycopg.adapt import Buffer, Dumper, Loader
    from psycopg.pq import Format

    class Stored(bytes):
        """What a column of type halfvec takes."""

    class ToServer(Dumper):
        format = Format.BINARY
        oid = halfvec

        def dump(self, obj: bytes) -> bytes:
            values = np.frombuffer(obj, "<f2")
            return len(values).to_bytes(2, "big") + b"\0\0" + values.astype(">f2").tobytes()

    class FromServer(Loader):
        format = Format.BINARY

        def load(self, data: Buffer) -> bytes:
            return np.frombuffer(data, ">f2", offset=4).astype("<f2").tobytes()

    connection.adapters.register_dumper(Stored, ToServer)
    connection.adapters.register_loader(halfvec, FromServer)


def _bound(sql: str, values: Values) -> Sequence[Any] | dict[str, Any]:
    """Values by name where the statement names or numbers them."""
    if isinstance(values, Mapping):
        return {name: _clean(value) for name, value in values.items()}
    clean = [_clean(value) for value in values]
    return {str(i): value for i, value in enumerate(clean, 1)} if "?1" in sql else clean


def _clean(value: Any) -> Any:
    return value.replace("\0", _NUL) if isinstance(value, str) and "\0" in value else value
