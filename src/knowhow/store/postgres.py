"""The server store: the corpus and its records in PostgreSQL, vectors compared by pgvector, for several machines."""

from __future__ import annotations

import numpy as np

from knowhow.ports import Floats, Ints
from knowhow.store.bm25 import Weights
from knowhow.store.connection import Connection, fetch
from knowhow.store.corpus import CorpusStore
from knowhow.store.postgres_address import Address
from knowhow.store.postgres_database import PostgresDatabase
from knowhow.store.records import SqlRecords


class PostgresStore(CorpusStore):
    """`knowhow.ports.Store` in a schema of a PostgreSQL database. Thread-safe, and safe beside other machines.

    `weights` are BM25's. Opening makes the tables or brings them up to date; raises `ConfigProblem` for a server that
    cannot be used.
    """

    def __init__(self, address: Address, weights: Weights = Weights()) -> None:  # noqa: B008
        super().__init__(PostgresDatabase(address, "corpus"), weights, ServerVectors)


class PostgresRecords(SqlRecords):
    """`knowhow.ports.Records` in the schema beside the corpus. Thread-safe."""

    def __init__(self, address: Address) -> None:
        super().__init__(PostgresDatabase(address, "state"))


class ServerVectors:
    """Vectors that stay on the server, which compares them."""

    def __init__(self, dims: int) -> None:
        self._dims = dims

    def cosines(self, connection: Connection, ids: Ints, vector: Floats) -> Floats:
        """float32[n] for distinct ids, in single precision; 0 where a vector is 0, whose distance is not a number."""
        rows = fetch(
            connection,
            f"select p.id, p.vector::vector({self._dims}) <=> ?::vector from passage p "
            "where p.id in (select value from json_each(?)) order by p.id",
            (_literal(vector.tolist()), _literal(ids.tolist())),
        )
        found = np.zeros(len(ids), np.float32)
        if rows:
            found[np.argsort(ids)] = 1 - np.array([distance for _, distance in rows], np.float64)
        return np.nan_to_num(found, copy=False, nan=0.0)


def _literal(numbers: list[float]) -> str:
    return "[" + ",".join(map(repr, numbers)) + "]"
