"""What the store's SQL runs on: a connection and a database, the same for every database that speaks it.

Statements keep to what SQLite and PostgreSQL both understand; the few spellings that differ are translated in
`postgres_dialect.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from knowhow.ports import Floats, Ints

Values = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """What a statement returned."""

    def fetchall(self) -> list[Any]:
        """Every row as a tuple."""
        ...

    @property
    def get(self) -> Any:
        """The value of one column of one row, or the row where it has several columns; None without a row."""
        ...


class Connection(Protocol):
    """An open transaction."""

    def execute(self, sql: str, values: Values | None = None, /) -> Rows: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...

    def changes(self) -> int:
        """Rows that the last statement changed."""
        ...

    def last_id(self, table: str) -> int:
        """The highest row id that was ever given out."""
        ...

    def set_last_id(self, table: str, last: int) -> None:
        """Gives out only ids above `last` from now on."""
        ...

    def reserve(self, table: str, many: int) -> int:
        """The first of `many` row ids in a row that were never given out before; they must be used now."""
        ...


class Database(Protocol):
    """Where transactions begin. Thread-safe."""

    path: str
    """Names it in messages."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state throughout."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is on the disk when the block ends, or undone when it raises; one at a time."""
        ...

    def damage(self) -> tuple[list[str], str]:
        """(what the database itself finds wrong, what to say when that is nothing)."""
        ...

    def mend(self) -> str:
        """Repairs the damage as far as nothing is lost by it, and says how; "" where it cannot."""
        ...

    def tidy(self) -> None:
        """Cheap upkeep after merging."""
        ...

    def wipe(self) -> None:
        """Rewrites what is stored so that nothing that was deleted is left in it. Raises `ConfigProblem`."""
        ...

    def backup(self, path: str) -> None:
        """A consistent copy while others read and write."""
        ...

    def close(self) -> None: ...


class Vectors(Protocol):
    """The stored vectors of one index. Thread-safe."""

    def cosines(self, connection: Connection, ids: Ints, vector: Floats) -> Floats:
        """float32[n]: cosine between `vector` and the stored one of each passage; 0 where one of them is 0."""
        ...


def fetch(connection: Connection, sql: str, values: Values | None = None) -> list[Any]:
    """Every row as a tuple. Their types are the schema's, which no checker knows."""
    return connection.execute(sql, values).fetchall()


def fetch_one(connection: Connection, sql: str, values: Values | None = None) -> Any:
    """The value of a query for one column of one row, or the row where it has several columns; None without a row."""
    return connection.execute(sql, values).get
