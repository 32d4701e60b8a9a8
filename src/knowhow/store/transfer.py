"""Moving everything from one store to another, row by row, and proof that both then hold and answer the same."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from knowhow.errors import ConfigProblem
from knowhow.ports import Candidates
from knowhow.store.connection import Connection, Database, fetch, fetch_one
from knowhow.store.corpus import CorpusStore
from knowhow.store.records import SqlRecords
from knowhow.types import EVERYTHING, Filter, Progress

# Each table with the columns its rows are read in the order of, and how many at a time. A copy is a copy of rows
# because both stores have the same tables.
_CORPUS = {
    "counter": ("name", 100),
    "source": ("name", 1000),
    "tagset": ("id", 1000),
    "item": ("id", 5000),
    "version": ("id", 5000),
    "attribute": ("version, key", 100_000),
    "body": ("id", 5000),
    "spans": ("body", 500),
    "text": ("body, part", 500),
    "idx": ("id", 100),
    "cut": ("idx, body", 5000),
    "passage": ("id", 5000),
    "block": ("id", 50),
    "segment": ("id", 2),
    "page": ("id", 1000),
    "stamp": ("uri", 5000),
    "audit": ("id", 5000),
}
_RECORDS = {"tagset": ("id", 1000), "record": ("id", 1000), "mention": ("record, uri", 20_000)}
_NUMBERED = ("tagset", "item", "version", "body", "idx", "passage", "block", "segment", "page", "audit", "record")
_NUL = "\N{SYMBOL FOR NULL}"
DEPTH = 20
"""Candidates of each side that are compared for a question."""
_CLOSE = 1e-4
"""Scores this close are equal: one database adds in another order."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What was copied and found equal: rows per table, and questions that were answered alike."""

    corpus: dict[str, int]
    records: dict[str, int]
    questions: int


@dataclass(slots=True)
class _Digest:
    """Rows counted and hashed, in any order."""

    rows: int = 0
    sum: int = 0

    def add(self, row: Sequence[Any]) -> None:
        self.rows += 1
        plain = repr([_plain(value) for value in row]).encode("utf-8", "surrogatepass")
        self.sum = (self.sum + int.from_bytes(blake2b(plain, digest_size=16).digest())) % (1 << 128)


def transfer(
    source: tuple[CorpusStore, SqlRecords], target: tuple[CorpusStore, SqlRecords], questions: int
) -> Generator[Progress, None, Transferred]:
    """Copies corpus and records into an empty target, each in one transaction, and compares what is there then.

    Compared are a hash of every row of every table and the answers to `questions` taken from passages. Raises
    `ConfigProblem` where the target holds anything already, or anything differs.
    """
    corpus = yield from _copy(source[0].database, target[0].database, _CORPUS)
    records = yield from _copy(source[1].database, target[1].database, _RECORDS)
    asked = 0
    for text, vector, index in _questions(source[0], questions):
        here, there = (store.candidates(index, text, vector, DEPTH, _ALL) for store in (source[0], target[0]))
        if not _alike(here, there):
            raise ConfigProblem(f"{target[0].database.path} answers {text!r} otherwise: run `knowhow doctor` on both")
        asked += 1
    return Transferred(corpus, records, asked)


_ALL = Filter(frozenset({EVERYTHING}))


def _copy(
    source: Database, target: Database, tables: dict[str, tuple[str, int]]
) -> Generator[Progress, None, dict[str, int]]:
    """Rows per table, all of them found equal when they were read back."""
    digests: dict[str, _Digest] = {}
    with source.reading() as there, target.writing() as here:
        main = "item" if "item" in tables else "record"
        if fetch_one(here, f"select count(*) from {main}"):
            raise ConfigProblem(
                f"{target.path} holds something already: name an empty place, nothing exists to copy over"
            )
        for done, table in enumerate(tables):
            yield Progress(done, len(tables), "tables", table)
            digests[table] = digest = _Digest()
            here.execute(f"delete from {table}")
            for rows in _pages(there, table, *tables[table]):
                for row in rows:
                    digest.add(row)
                here.executemany(f"insert into {table} values ({','.join('?' * len(rows[0]))})", rows)
            if table in _NUMBERED:
                here.set_last_id(table, there.last_id(table))
    yield Progress(len(tables), len(tables), "tables", "comparing")
    with target.reading() as here:
        for table, wanted in digests.items():
            found = _Digest()
            for rows in _pages(here, table, *tables[table]):
                for row in rows:
                    found.add(row)
            if found != wanted:
                raise ConfigProblem(f"{target.path}: table {table} differs from {source.path}: copy again, elsewhere")
    return {table: digest.rows for table, digest in digests.items()}


def _pages(connection: Connection, table: str, order: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a table, `size` at a time."""
    keys = order.split(", ")
    after: tuple[Any, ...] = ()
    while True:
        holders = ",".join("?" * len(keys))
        where = f"where ({order}) > ({holders})" if after else ""
        rows = fetch(connection, f"select {order}, t.* from {table} t {where} order by {order} limit ?", (*after, size))
        if not rows:
            return
        after = tuple(rows[-1][: len(keys)])
        yield [tuple(row[len(keys) :]) for row in rows]


def _plain(value: Any) -> Any:
    """One form for what the databases give back differently: whole numbers, and the character 0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.replace("\0", _NUL) if isinstance(value, str) else value


def _questions(store: CorpusStore, many: int) -> Iterator[tuple[str, Any, str]]:
    """The middle words of passages that answer, with the passage's vector, spread over the active index."""
    index = next((spec for spec, active in store.indexes() if active), None)
    if index is None or not many:
        return
    with store.database.reading() as connection:
        rows = fetch(
            connection,
            "select p.id, p.vector from passage p join body b on b.id = p.body join idx x on x.id = p.idx "
            "where b.version > 0 and x.name = ? order by random() limit ?",
            (index.id, many),
        )
    for key, vector in rows:
        text = store.passages(index.id, [key], _ALL)[0].text
        words = text.split()
        middle = max(0, len(words) // 2 - 5)
        yield " ".join(words[middle : middle + 10]), np.frombuffer(vector, np.float16).astype(np.float32), index.id


def _alike(here: Candidates, there: Candidates) -> bool:
    """The same passages with the same scores; at the border of a pool equal scores may stand for each other."""
    found, other = (
        {key: pair for key, *pair in zip(c.ids.tolist(), c.keyword.tolist(), c.vector.tolist(), strict=True)}
        for c in (here, there)
    )
    for key in found.keys() & other.keys():
        if any(abs(a - b) > _CLOSE * max(1, abs(a)) for a, b in zip(found[key], other[key], strict=True)):
            return False
    borders = [_borders(found), _borders(other)]
    return len(found) == len(other) and all(
        any(abs(score - border) <= _CLOSE * max(1, abs(border)) for score, border in zip(pair, both, strict=True))
        for mine, both in ((found, borders[0]), (other, borders[1]))
        for key, pair in mine.items()
        if key not in (found.keys() & other.keys())
    )


def _borders(found: dict[int, list[float]]) -> list[float]:
    """The lowest score of each side that was good enough for its pool."""
    sides = np.array(list(found.values())) if found else np.zeros((0, 2))
    return [float(np.sort(side)[::-1][:DEPTH][-1]) if len(side) else 0.0 for side in sides.T]
