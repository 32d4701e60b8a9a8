"""Events that long verbs yield, and the reports they end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long verb is. `unit` names what is counted; `note` is the item at hand."""

    done: int
    total: int
    unit: str
    note: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that failed, with its named reason; the run goes on."""

    uri: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a sync did. Lists hold uris; `moved` holds (old, new)."""

    added: Sequence[str] = ()
    updated: Sequence[str] = ()
    moved: Sequence[tuple[str, str]] = ()
    removed: Sequence[str] = ()
    unchanged: int = 0
    failed: Sequence[Failure] = ()
    warnings: Sequence[tuple[str, str]] = ()
    """(uri or pattern, what was left out or repaired) of what was read in this sync."""
    passages: int = 0
    embedded: int = 0
    seconds: float = 0.0
