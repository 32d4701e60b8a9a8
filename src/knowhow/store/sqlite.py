"""The embedded store: one SQLite file that holds the corpus."""

from __future__ import annotations

from os import PathLike

from knowhow.store.bm25 import Weights
from knowhow.store.corpus import CorpusStore
from knowhow.store.files import CORPUS, Database
from knowhow.store.vectors import VectorCache


class SqliteStore(CorpusStore):
    """`knowhow.ports.Store` in one file. Thread-safe, and safe beside other processes on the same machine.

    `weights` are BM25's. Opening creates the file or brings its format up to date; raises `ConfigProblem` for a
    file that is damaged, newer, or not Knowhow's.
    """

    def __init__(self, path: str | PathLike[str], weights: Weights = Weights()) -> None:  # noqa: B008
        super().__init__(Database(path, CORPUS), weights, VectorCache)
