"""Stored vectors by passage, those lately used kept in memory: a row costs three microseconds to read."""

from __future__ import annotations

import json
import threading

import numpy as np

from knowhow.ports import Floats, Ints
from knowhow.store.connection import Connection, fetch

MEMORY = 128 << 20
"""Bytes of vectors kept per index; when they are used up, the memory starts anew with what is needed next."""


class VectorCache:
    """Vectors of one index. Thread-safe; never out of date, because the vector of a passage id never changes."""

    def __init__(self, dims: int, memory: int = MEMORY) -> None:
        self._most = memory // (2 * dims)
        self._lock = threading.Lock()
        self._places: dict[int, int] = {}
        self._kept = np.zeros((0, dims), np.float16)

    def cosines(self, connection: Connection, ids: Ints, vector: Floats) -> Floats:
        """float32[n] for distinct ids of passages that `connection` sees; see `knowhow.store.connection.Vectors`."""
        return cosine(self.read(connection, ids), vector)

    def read(self, connection: Connection, ids: Ints) -> Floats:
        """float32[n, dims] for distinct ids of passages that `connection` sees."""
        keys: list[int] = ids.tolist()
        with self._lock:
            missing = [key for key in keys if key not in self._places]
            if len(self._places) + len(missing) > self._most:
                self._places.clear()
                missing = keys
            if missing:
                self._add(connection, missing)
            places = np.fromiter(map(self._places.__getitem__, keys), np.int64, len(keys))
            found: Floats = self._kept[places].astype(np.float32)
        return found

    def _add(self, connection: Connection, missing: list[int]) -> None:
        rows = fetch(
            connection,
            "select id, vector from passage where id in (select value from json_each(?))",
            (json.dumps(missing),),
        )
        used = len(self._places)
        if used + len(rows) > len(self._kept):
            size = max(used + len(rows), min(self._most, 2 * len(self._kept)))
            grown = np.zeros((size, self._kept.shape[1]), np.float16)
            grown[:used] = self._kept[:used]
            self._kept = grown
        data = np.frombuffer(b"".join([vector for _, vector in rows]), np.float16)
        self._kept[used : used + len(rows)] = data.reshape(len(rows), -1)
        self._places.update((key, used + i) for i, (key, _) in enumerate(rows))


def cosine(vectors: Floats, vector: Floats) -> Floats:
    """float32[n] for float32[n, dims]; 0 where a vector is 0."""
    sizes = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * np.linalg.norm(vector)
    found: Floats = np.zeros(len(vectors), np.float32)
    # einsum, not @: waiting for a matrix library's threads on a busy machine costs more than the product.
    np.divide(np.einsum("ij,j->i", vectors, vector), sizes, out=found, where=sizes > 0)
    return found
