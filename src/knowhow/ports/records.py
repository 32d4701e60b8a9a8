"""The journal beside the corpus: JSON bodies by kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from knowhow.types import Json

if TYPE_CHECKING:
    from knowhow.ports import StoreCheck


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON body of a kind: a trace, a piece of feedback, a run, a run's row, a cached model call, a job."""

    kind: str
    id: str
    body: Json
    at: float = 0.0
    """UTC seconds; 0 = now."""
    parent: str = ""
    """What it belongs to: the run of a row, the trace of a feedback."""
    access: frozenset[str] = frozenset()
    """Tags a reader must hold, all of them (those of every document it quotes)."""
    uris: frozenset[str] = frozenset()
    """Documents it quotes, so that a purge finds it."""


class Records(Protocol):
    """The journal beside the corpus (its own file, so that traces never wait for an ingest). Thread-safe."""

    def put(self, records: Sequence[Record]) -> None:
        """Inserts or replaces, all in one transaction."""
        ...

    def get(self, kind: str, id: str, access: frozenset[str]) -> Record | None:
        """The record, or None if absent or hidden."""
        ...

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
        ...

    def erase(self, kind: str, ids: Sequence[str]) -> int:
        """Deletes and returns how many there were."""
        ...

    def purge(self, uri: str) -> int:
        """Deletes every record that quotes `uri`, and records whose parent was deleted."""
        ...

    def check(self, *, repair: bool = False) -> list[StoreCheck]:
        """Whether the file is whole; with `repair`, what can be mended is."""
        ...

    def wipe(self) -> None:
        """Rewrites the file so that nothing that was deleted is left in it. Raises `ConfigProblem`."""
        ...

    def backup(self, path: str) -> None:
        """A consistent copy of the file while others read and write."""
        ...

    def close(self) -> None: ...
