"""Records written in few transactions while rows come fast: a commit waits for the disk, an instant model does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from knowhow.answer.call import KIND as CALL
from knowhow.ports import Record, Records, StoreCheck
from knowhow.types import EVERYTHING

WAIT_S = 0.2
"""How long after a transaction the next record is written at once."""
DEAR_MS = 50.0
"""A model call that took longer is written at once: it must never be made again."""
MOST = 400
"""Records in one transaction."""


class Journal:
    """`Records` that keeps what was put for a moment and reads it back from there; `flush` before it is left."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], Record] = {}
        self._flushed = time.monotonic()

    def put(self, records: Sequence[Record]) -> None:
        with self._lock:
            self._waiting |= {(record.kind, record.id): record for record in records}
            late = time.monotonic() - self._flushed >= WAIT_S
            dear = any(record.kind == CALL and record.body["ms"] >= DEAR_MS for record in records)
            if late or dear or len(self._waiting) >= MOST:
                self._write()

    def flush(self) -> None:
        """Writes what waits."""
        with self._lock:
            self._write()

    def get(self, kind: str, id: str, access: frozenset[str]) -> Record | None:
        with self._lock:
            record = self._waiting.get((kind, id))
        if record is None:
            return self._records.get(kind, id, access)
        return record if EVERYTHING in access or record.access <= access else None

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
        self.flush()
        return self._records.select(
            kind, access, parent=parent, since=since, before=before, limit=limit, oldest_first=oldest_first
        )

    def erase(self, kind: str, ids: Sequence[str]) -> int:
        self.flush()
        return self._records.erase(kind, ids)

    def purge(self, uri: str) -> int:
        self.flush()
        return self._records.purge(uri)

    def check(self, *, repair: bool = False) -> list[StoreCheck]:
        self.flush()
        return self._records.check(repair=repair)

    def wipe(self) -> None:
        self.flush()
        self._records.wipe()

    def backup(self, path: str) -> None:
        self.flush()
        self._records.backup(path)

    def close(self) -> None:
        """Writes what waits; the records behind it stay open."""
        self.flush()

    def _write(self) -> None:
        if self._waiting:
            self._records.put(list(self._waiting.values()))
            self._waiting = {}
        self._flushed = time.monotonic()
