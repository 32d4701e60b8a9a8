"""How `ingest --watch` shows what it follows: a line for each sync, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from knowhow.cli.output import clean, note, size, styled, write, write_line
from knowhow.errors import UsageProblem

if TYPE_CHECKING:
    from knowhow.ingest.watch import Event
    from knowhow.types import IngestReport
    from knowhow.workspace import Workspace

NAMED = 5
"""Documents named in one line."""


def refuse_files(paths: Sequence[Path]) -> None:
    """Raises `UsageProblem` for what cannot be followed."""
    for path in paths:
        if path.is_file():
            raise UsageProblem(f"{path} is a file, and --watch follows folders: name {path.absolute().parent}")


def follow_folders(workspace: Workspace, folders: Sequence[Path], name: str | None, yes: bool, as_json: bool) -> None:
    """Tells what changes in `folders` until the user ends it."""
    syncs = 0
    try:
        with closing(workspace.watch(folders, name=name, yes=yes)) as events:
            for event in events:
                syncs += _tell(event, as_json)
    except KeyboardInterrupt:
        note(f"stopped watching after {size(syncs, 'sync', 'syncs')}")


def _tell(event: Event, as_json: bool) -> int:
    """Shows one event; 1 for a sync."""
    from knowhow.ingest.watch import Refused, Watching
    from knowhow.workspace import ingest_json

    if isinstance(event, Watching):
        if as_json:
            write_line({"event": "watching", "folders": list(event.folders)})
        note(f"watching {clean(', '.join(event.folders))}; Ctrl-C ends it")
        return 0
    if isinstance(event, Refused):
        problem = event.problem
        if as_json:
            error = {"name": problem.name, "message": str(problem), "exit_code": problem.exit_code}
            write_line({"event": "refused", "error": error})
        note(f"{problem}; still watching", styled("refused: ", "yellow"))
        return 0
    if as_json:
        write_line({"event": "synced", **ingest_json(event.report)})
    else:
        write(f"{datetime.now(UTC):%H:%M:%S}Z {_brief(event.report)}")
    return 1


def _brief(report: IngestReport) -> str:
    """What changed, with the first names."""
    told = []
    named = {"added": report.added, "updated": report.updated, "removed": report.removed}
    named["moved"] = [f"{old} > {new}" for old, new in report.moved]
    named["failed"] = [f"{failure.uri} ({failure.reason})" for failure in report.failed]
    for word, uris in named.items():
        if uris:
            more = f" and {len(uris) - NAMED} more" if len(uris) > NAMED else ""
            told.append(f"{word} {clean(', '.join(uris[:NAMED]))}{more}")
    return "; ".join(told) or "tags changed"
