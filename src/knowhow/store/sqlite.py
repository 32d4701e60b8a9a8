"""The embedded store: one SQLite file that holds the corpus."""

from __future__ import annotations

import time
from os import PathLike

from knowhow.store import audit
from knowhow.store.bm25 import Weights
from knowhow.store.connection import Connection, fetch_one
from knowhow.store.corpus import CorpusStore
from knowhow.store.files import CORPUS, Database
from knowhow.store.snapshot import ERA
from knowhow.store.vectors import VectorCache
from knowhow.types import Action, AuditEntry


class SqliteStore(CorpusStore):
    """`knowhow.ports.Store` in one file. Thread-safe, and safe beside other processes on the same machine.

    `weights` are BM25's. Opening creates the file or brings its format up to date; raises `ConfigProblem` for a
    file that is damaged, newer, or not Knowhow's.
    """

    def __init__(self, path: str | PathLike[str], weights: Weights = Weights()) -> None:  # noqa: B008
        self._file = Database(path, CORPUS)
        super().__init__(self._file, weights, VectorCache)

    def restore(self, path: str) -> None:
        """Makes the corpus that of the copy at `path`, which is used up; other processes see it at their next question.

        The copy is numbered into an era of its own, so that nothing anybody remembers is taken for its content.
        """
        with self._db.reading() as connection:
            generation, revision, clock = (_counter(connection, name) for name in ("generation", "revision", "clock"))
        copy = SqliteStore(path)
        with copy._db.writing() as connection:
            era = max(generation, _counter(connection, "generation")) // ERA + 1
            for name, value in (
                ("generation", era * ERA),
                ("revision", max(revision, _counter(connection, "revision")) + 1),
                ("clock", max(clock, _counter(connection, "clock"))),
            ):
                connection.execute("update counter set value = ? where name = ?", (value, name))
            audit.write(connection, [AuditEntry(time.time(), Action.RESTORED, "", 0, 0, "", self._by)], [0])
        copy.close()
        self._file.replace(path)


def _counter(connection: Connection, name: str) -> float:
    value: float = fetch_one(connection, "select value from counter where name = ?", (name,))
    return value
