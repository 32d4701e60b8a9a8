"""What became of documents over time: changes of the corpus as the audit log keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What one change of the corpus did to one uri."""

    ADDED = "added"
    UPDATED = "updated"
    MOVED = "moved"
    """Its content goes on under another uri."""
    REMOVED = "removed"
    FAILED = "failed"
    RETAGGED = "retagged"
    PRUNED = "pruned"
    """A version that had ended was erased because it was kept long enough."""
    PURGED = "purged"
    """Every version was erased, here and in the journal."""
    RESTORED = "restored"
    """The whole corpus was replaced by a backup."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of one uri. Holds nothing of a document's content, and outlives it."""

    at: float
    action: Action
    uri: str
    before: int
    """The version that answered until then; 0 = none."""
    after: int
    """The version that answers since then; 0 = none."""
    source: str
    by: str
    """Who: user of the operating system, program and command."""
    other: str = ""
    """The other uri of a move."""
    detail: str = ""
    """The reason of a failure; old and new tags."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What a purge or a prune erased, or would erase."""

    uris: tuple[str, ...] = ()
    """Every name the content was known by."""
    versions: int = 0
    passages: int = 0


class Ended(StrEnum):
    """Why a version does not answer any more."""

    REPLACED = "replaced"
    REMOVED = "removed"
    FAILED = "failed"
    MOVED = "moved"
