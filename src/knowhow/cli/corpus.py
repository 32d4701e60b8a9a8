"""Commands about what is known: ingest, documents, reindex."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_access, read_time, read_where
from knowhow.cli.output import clean, follow, note, size, styled, table, write, write_json, write_line

if TYPE_CHECKING:
    from knowhow.types import IngestReport

SHOWN_FAILURES = 20


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders or files.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help='Name of the source; its uris start with "NAME/".')
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Go on although more than half of the source is gone.")] = False,
    access: Annotated[
        str | None,
        typer.Option("--access", metavar="TAGS", help='Tags an asker must hold, all of them, e.g. "hr"; "" clears.'),
    ] = None,
    access_rules: Annotated[
        Path | None,
        typer.Option("--access-rules", metavar="FILE", help='Tags by path: TOML lines like "hr/**" = ["hr"].'),
    ] = None,
    as_documents: Annotated[
        bool, typer.Option("--as-documents", help='A JSONL file is one document a line: {"_id", "title", "text"}.')
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with every change until Ctrl-C; --json: an event a line.")
    ] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Make the workspace equal to folders or files.

    It adds, updates, moves and removes; a later run reads only what changed.
    Exit code 8: some files gave no text; the rest is done.

    \b
    Example: knowhow ingest handbook/ --as handbook
             knowhow ingest payroll/ --as payroll --access hr
             knowhow ingest handbook/ --as handbook --watch
    """
    from knowhow.cli.watching import follow_folders, refuse_files
    from knowhow.workspace import Workspace, ingest_json

    if watch:
        refuse_files(paths)
    with Workspace.open(workspace) as opened:
        steps = opened.ingest_stream(
            paths,
            name=name,
            yes=yes,
            access=read_access(access),
            access_rules=access_rules,
            as_documents=as_documents,
        )
        report = follow(steps)
        if as_json and watch:
            write_line({"event": "synced", **ingest_json(report)})
        elif as_json:
            write_json(ingest_json(report))
        else:
            _print_report(report, opened.tags())
        if watch:
            follow_folders(opened, paths, name, yes, as_json)
            return
    if report.failed:
        raise typer.Exit(8)


def _print_report(report: IngestReport, tags: frozenset[str]) -> None:
    counts = {
        "added": len(report.added),
        "updated": len(report.updated),
        "moved": len(report.moved),
        "removed": len(report.removed),
        "unchanged": report.unchanged,
        "failed": len(report.failed),
    }
    write(", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing to do")
    write(f"{size(report.passages, 'passage')} written, {report.embedded} embedded, {report.seconds:.1f} s")
    for failure in report.failed[:SHOWN_FAILURES]:
        reason = styled(failure.reason, "yellow")
        write(f"  {clean(failure.uri)}: {reason}: {clean(failure.detail)}")
    if len(report.failed) > SHOWN_FAILURES:
        write(f"  and {len(report.failed) - SHOWN_FAILURES} more: `knowhow documents` lists them")
    if tags:
        note(f"some documents are seen only with a tag: --access {','.join(sorted(tags))}")


def documents(
    context: typer.Context,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only this source.")] = None,
    where: options.Where = None,
    as_of: options.AsOf = None,
    removed: Annotated[bool, typer.Option("--removed", help="Also what is there no more.")] = False,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """List what is ingested and how it stands.

    \b
    Example: knowhow documents --where customer=acme
             knowhow documents log policies/returns.md
    """
    if context.invoked_subcommand:
        return
    from knowhow.workspace import Workspace, document_json

    with Workspace.open(workspace) as opened:
        found = opened.documents(
            source=source,
            where=read_where(where),
            access=read_access(access),
            as_of=read_time(as_of) if as_of else None,
            removed=removed,
        )
    if as_json:
        write_json([document_json(info) for info in found])
        return
    if not found:
        note("no documents; `knowhow ingest FOLDER` adds some")
        return
    rows = [
        (info.uri, info.version, info.passages, _state(info.state, info.reason), ",".join(sorted(info.access)))
        for info in found
    ]
    table(("uri", "version", "passages", "state", "access"), rows)


def _state(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else str(state)


def reindex(
    embedder: Annotated[
        str | None, typer.Option("--embedder", metavar="NAME", help="static, st:NAME_OR_PATH, openai:NAME or URL#NAME.")
    ] = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Split and embed everything again.

    It follows the settings as they are now; questions switch over when it is done.

    \b
    Example: knowhow reindex --embedder st:all-MiniLM-L6-v2
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace, flags={"embedder": embedder}) as opened:
        index = follow(opened.reindex_stream())
    if as_json:
        write_json({"index": index})
        return
    write(f"index {index} is active")
    if embedder:
        note(f'to keep it for later documents, set embedder = "{embedder}" in knowhow.toml')
