"""The past of a workspace: versions and what changed between them, who changed what, and erasing it for good."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from knowhow.answer import feedback, trace
from knowhow.answer.erase import erase_traces
from knowhow.errors import NotFound, UsageProblem
from knowhow.ports import Records, Store
from knowhow.types import EVERYTHING, Action, AuditEntry, Document, Ended, Erased, Filter, Json
from knowhow.workspace.backup import BackedUp, backup
from knowhow.workspace.shapes import timestamp

SECONDS_A_DAY = 86_400
_WHY = {Action.REMOVED: Ended.REMOVED, Action.FAILED: Ended.FAILED, Action.MOVED: Ended.MOVED}


@dataclass(frozen=True, slots=True)
class VersionLog:
    """One retained version of a document, and what came with it compared to the one before."""

    version: int
    uri: str
    title: str
    valid_from: float
    valid_to: float | None
    ended: Ended | None
    """None while it answers."""
    ended_by: str
    """The uri it moved to, or the reason of the failure."""
    content_hash: str
    characters: int
    passages: int
    lines_added: int
    lines_removed: int


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two versions, line by line."""

    uri: str
    before: int
    after: int
    lines_added: int
    lines_removed: int
    text: str
    """Unified diff; empty where the texts are equal."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge erased, or would erase."""

    uris: tuple[str, ...]
    versions: int
    passages: int
    records: int
    """Traces, feedback, rows, cached calls and lessons."""
    still_at: str
    """The file it came from, where that is still there and would be read again."""


class History:
    """The past of one workspace, as `Workspace.history`. What an asker may not see is not there.

    `access` are the tags of whoever names none.
    """

    def __init__(
        self, folder: Path, rows: Path, store: Store, records: Records, access: frozenset[str], retention_days: int
    ) -> None:
        self._folder = folder
        self._rows = rows
        self._store = store
        self._records = records
        self._access = access
        self._retention = retention_days

    def log(self, uri: str, *, access: frozenset[str] | None = None) -> list[VersionLog]:
        """Every retained version of `uri`, newest first. Raises `NotFound`."""
        filter = self._filter(access)
        infos = self._store.versions(uri, filter)
        if not infos:
            raise _unknown(uri)
        entries = list(self._store.audit(filter, uri=uri))
        found: list[VersionLog] = []
        text = ""
        for info in reversed(infos):
            document = self._document(uri, info.version, filter)
            added, removed = _counted(text, document.text)
            ended, by = _end(document, entries)
            found.append(
                VersionLog(
                    version=info.version,
                    uri=uri,
                    title=info.title,
                    valid_from=document.valid_from,
                    valid_to=document.valid_to,
                    ended=ended,
                    ended_by=by,
                    content_hash=document.content_hash,
                    characters=len(document.text),
                    passages=info.passages,
                    lines_added=added,
                    lines_removed=removed,
                )
            )
            text = document.text
        return found[::-1]

    def diff(
        self, uri: str, before: int | None = None, after: int | None = None, *, access: frozenset[str] | None = None
    ) -> Diff:
        """What changed from version `before` to `after`; by default the last two. Raises `NotFound`."""
        filter = self._filter(access)
        known = [info.version for info in self._store.versions(uri, filter)]
        if not known:
            raise _unknown(uri)
        after = known[0] if after is None else after
        before = next((number for number in known if number < after), None) if before is None else before
        if before is None:
            raise UsageProblem(f"{uri} has no version before {after} to compare it with; `knowhow documents log {uri}`")
        old, new = (self._document(uri, number, filter) for number in (before, after))
        names = [f"{uri} version {document.version}" for document in (old, new)]
        times = [timestamp(document.valid_from) for document in (old, new)]
        lines = difflib.unified_diff(
            old.text.splitlines(), new.text.splitlines(), names[0], names[1], times[0], times[1], lineterm=""
        )
        added, removed = _counted(old.text, new.text)
        return Diff(uri, before, after, added, removed, "\n".join(lines))

    def audit(
        self, *, since: float | None = None, uri: str | None = None, access: frozenset[str] | None = None
    ) -> list[AuditEntry]:
        """Every change of the corpus since then, oldest first."""
        return list(self._store.audit(self._filter(access), since=since, uri=uri))

    def prune(self, *, days: int | None = None, dry_run: bool = False) -> Erased:
        """Erases versions that ended more than `days` ago, by default the setting `retention_days`.

        Raises `UsageProblem` where both are 0: then every version is kept.
        """
        days = self._retention if days is None else days
        if not days:
            raise UsageProblem(
                "retention_days is 0: every version is kept; set it in knowhow.toml, or prune once with --days N"
            )
        return self._store.prune(time.time() - days * SECONDS_A_DAY, dry_run=dry_run)

    def purge(self, uri: str, *, dry_run: bool = False, access: frozenset[str] | None = None) -> Purged:
        """Erases a document under every name it had: versions, passages, vectors, and every record that quotes it.

        When it returns, nothing of it is left in either file; only the audit log names it. Safe to repeat after a
        failure. Raises `NotFound` for a document that is not there and never was.
        """
        seen = {info.uri for info in self._store.documents(self._filter(access), removed=True)}
        was_there = any(entry.action is Action.PURGED for entry in self._store.audit(self._filter(access), uri=uri))
        if uri not in seen and not was_there:
            raise _unknown(uri)
        would = self._store.purge(uri, dry_run=True)
        uris = tuple(sorted({uri, *would.uris}))
        if not seen.issuperset(would.uris):
            raise UsageProblem(f'{uri} was also known by names you may not see; nothing was erased: use --access "*"')
        still = self._still_at(uris)
        if dry_run:
            found = erase_traces(self._records, uris, dry_run=True)
            return Purged(uris, would.versions, would.passages, found, still)
        found = erase_traces(self._records, uris)
        erased = self._store.purge(uri)
        # What was asked meanwhile may have quoted it once more.
        found += erase_traces(self._records, uris)
        for rows in self._rows.glob("*.jsonl"):
            rows.unlink(missing_ok=True)  # answers may repeat the document; `runs export` writes the rest anew
        self._store.wipe()
        self._records.wipe()
        return Purged(uris, erased.versions, erased.passages, found, still)

    def backup(self, path: Path) -> BackedUp:
        """Writes both databases and the settings to a new folder, or to a zip file, while others read and write."""
        return backup(self._store, self._records, self._folder, path)

    def forget(self, days: int) -> None:
        """Erases traces older than `days`, with their feedback; 0 keeps all."""
        limit = time.time() - days * SECONDS_A_DAY
        for kind in (trace.KIND, feedback.KIND) if days else ():
            records = self._records.select(kind, frozenset({EVERYTHING}), oldest_first=True)
            if old := [record.id for record in takewhile(lambda record: record.at < limit, records)]:
                self._records.erase(kind, old)

    def _filter(self, access: frozenset[str] | None) -> Filter:
        return Filter(self._access if access is None else access)

    def _document(self, uri: str, version: int, filter: Filter) -> Document:
        document = self._store.document(uri, filter, version=version)
        if document is None:
            raise NotFound(f"no version {version} of {uri}; `knowhow documents log {uri}` lists those there are")
        return document

    def _still_at(self, uris: tuple[str, ...]) -> str:
        for source in self._store.sources():
            stamps = self._store.stamps(source.name)
            for stamp in (stamps[uri] for uri in uris if uri in stamps):
                path = Path(source.root) / stamp.path if source.kind == "folder" else Path(source.root or stamp.path)
                if path.exists():
                    return str(path)
        return ""


def diff_json(diff: Diff) -> Json:
    """What `knowhow documents diff --json` prints."""
    return {
        "uri": diff.uri,
        "from": diff.before,
        "to": diff.after,
        "lines_added": diff.lines_added,
        "lines_removed": diff.lines_removed,
        "diff": diff.text,
    }


def version_json(row: VersionLog) -> Json:
    """One row of `knowhow documents log --json`."""
    return {
        "version": row.version,
        "title": row.title,
        "from": timestamp(row.valid_from),
        "to": None if row.valid_to is None else timestamp(row.valid_to),
        "ended": row.ended.value if row.ended else None,
        "ended_by": row.ended_by or None,
        "content_hash": row.content_hash,
        "characters": row.characters,
        "passages": row.passages,
        "lines_added": row.lines_added,
        "lines_removed": row.lines_removed,
    }


def audit_json(entry: AuditEntry) -> Json:
    """One row of `knowhow documents audit --json`."""
    return {
        "at": timestamp(entry.at),
        "action": entry.action.value,
        "uri": entry.uri,
        "from": entry.before or None,
        "to": entry.after or None,
        "source": entry.source,
        "by": entry.by,
        "other": entry.other or None,
        "detail": entry.detail or None,
    }


def purged_json(purged: Purged) -> Json:
    """What `knowhow documents purge --json` prints."""
    return {
        "uris": list(purged.uris),
        "versions": purged.versions,
        "passages": purged.passages,
        "records": purged.records,
        "still_at": purged.still_at or None,
    }


def _end(document: Document, entries: list[AuditEntry]) -> tuple[Ended | None, str]:
    """Why a version ended, and by what: what the audit log says of it, else that a newer one came."""
    if document.valid_to is None:
        return None, ""
    for entry in entries:
        if entry.before == document.version and entry.action in _WHY:
            return _WHY[entry.action], entry.other or entry.detail
    return Ended.REPLACED, ""


def _counted(before: str, after: str) -> tuple[int, int]:
    """Lines added and removed."""
    marks = [line[0] for line in _changed(before.splitlines(), after.splitlines())]
    return marks.count("+"), marks.count("-")


def _changed(before: list[str], after: list[str]) -> Iterator[str]:
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return (line for number, line in enumerate(lines) if number > 1 and line[0] in "+-")


def _unknown(uri: str) -> NotFound:
    return NotFound(f"no document {uri} that you may see; `knowhow documents` lists them, removed ones with --removed")
