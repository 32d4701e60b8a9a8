"""Commands about the past: versions of documents, who changed what, erasing for good, replaying an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_access, read_time
from knowhow.cli.output import clean, note, size, styled, table, write, write_json

if TYPE_CHECKING:
    from knowhow.answer.replay import Replay

Uri = Annotated[str, typer.Argument(metavar="URI", help="The document, as `knowhow documents` names it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be erased; erase nothing.")]
QUOTE = 240


def documents_log(
    uri: Uri,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """List a document's versions, newest first.

    Each with when it answered, why it ended, and what it changed.

    \b
    Example: knowhow documents log policies/returns.md
    """
    from knowhow.workspace import Workspace, version_json

    with Workspace.open(workspace) as opened:
        found = opened.history.log(uri, access=read_access(access))
    if as_json:
        write_json([version_json(row) for row in found])
        return
    rows = []
    for row in map(version_json, found):
        ended = " ".join(filter(None, [row["ended"] or "answers now", row["ended_by"]]))
        lines = f"+{row['lines_added']} -{row['lines_removed']}"
        rows.append((row["version"], row["from"], row["to"] or "-", ended, lines, row["passages"], row["content_hash"]))
    table(("version", "from", "to", "ended", "lines", "passages", "hash"), rows)


def documents_diff(
    uri: Uri,
    before: Annotated[int | None, typer.Argument(metavar="[A]", help="Version; else the one before B.")] = None,
    after: Annotated[int | None, typer.Argument(metavar="[B]", help="Version; else the newest.")] = None,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what changed between two versions.

    The texts are compared as they were read, not the files.

    \b
    Example: knowhow documents diff policies/returns.md
             knowhow documents diff policies/returns.md 1 3
    """
    from knowhow.workspace import Workspace, diff_json

    with Workspace.open(workspace) as opened:
        found = opened.history.diff(uri, before, after, access=read_access(access))
    if as_json:
        write_json(diff_json(found))
        return
    styles = {"+": "green", "-": "red", "@": "dim"}
    for line in found.text.splitlines():
        write(styled(clean(line), styles[line[0]]) if line[:1] in styles else clean(line))
    if not found.text:
        note(f"versions {found.before} and {found.after} have the same text")


def documents_audit(
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only changes since then, e.g. 2026-03-01 or 7d.")
    ] = None,
    uri: Annotated[str | None, typer.Option("--uri", metavar="URI", help="Only this document.")] = None,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """List every change of the corpus, oldest first.

    Who did it, when, and from which version to which.

    \b
    Example: knowhow documents audit --since 7d --access "*"
    """
    from knowhow.workspace import Workspace, audit_json

    with Workspace.open(workspace) as opened:
        start = read_time(since, end_of_day=False) if since else None
        found = opened.history.audit(since=start, uri=uri, access=read_access(access))
    if as_json:
        write_json([audit_json(entry) for entry in found])
        return
    rows = []
    for row in map(audit_json, found):
        versions = f"{row['from'] or '-'} > {row['to'] or '-'}"
        told = " ".join(filter(None, [row["other"], row["detail"]]))
        rows.append((row["at"], row["action"], row["uri"], versions, row["source"], row["by"], told))
    table(("at", "action", "uri", "version", "source", "by", "detail"), rows)


def documents_prune(
    days: Annotated[
        int | None, typer.Option("--days", min=1, metavar="N", help="Instead of the setting retention_days.")
    ] = None,
    dry_run: DryRun = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Erase versions that ended longer ago than retention_days.

    What answers now stays; questions as of an earlier time will not find the erased ones.

    \b
    Example: knowhow documents prune --days 365 --dry-run
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        erased = opened.history.prune(days=days, dry_run=dry_run)
    if as_json:
        write_json({"uris": list(erased.uris), "versions": erased.versions, "passages": erased.passages})
        return
    verb = "would be erased" if dry_run else "erased"
    documents = size(len(erased.uris), "document")
    write(f"{size(erased.versions, 'version')} of {documents} {verb}, {size(erased.passages, 'passage')}")


def documents_purge(
    uri: Uri,
    dry_run: DryRun = False,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Erase a document for good, under every name it had.

    Versions, passages, vectors, and all traces, feedback and cached replies that quote it. No byte of it is left in
    the databases; only the audit log names it. Backups are not touched.

    \b
    Example: knowhow documents purge hr/complaint-2026.md
    """
    from knowhow.workspace import Workspace, purged_json

    with Workspace.open(workspace) as opened:
        purged = opened.history.purge(uri, dry_run=dry_run, access=read_access(access))
    if as_json:
        write_json(purged_json(purged))
    else:
        verb = "would be erased" if dry_run else "erased"
        told = [size(purged.versions, "version"), size(purged.passages, "passage"), size(purged.records, "record")]
        write(f"{verb}: {', '.join(told)} of {clean(', '.join(purged.uris))}")
    if purged.still_at:
        note(f"{purged.still_at} is still there: remove it, or the next ingest reads it again")


def traces_replay(
    trace: Annotated[str, typer.Argument(metavar="ID", help="Trace id, or its first characters.")],
    now: Annotated[bool, typer.Option("--now", help="Ask the corpus as it is now.")] = False,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask a trace's question again and say what differs.

    Of the corpus as it was then, with the same recipe and the access tags of today; nothing of it is kept.

    \b
    Example: knowhow traces replay 3f2a
             knowhow traces replay 3f2a --now
    """
    from knowhow.workspace import Workspace, replay_json

    with Workspace.open(workspace) as opened:
        done = opened.replay(trace, now=now, access=read_access(access))
    if as_json:
        write_json(replay_json(done))
    else:
        _print_replay(done)


def backup(
    path: Annotated[Path, typer.Argument(metavar="DIR|FILE.zip", help="A new folder, or one file.")],
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Copy the workspace while others read and write it.

    \b
    Example: knowhow backup backups/2026-03-01.zip
    """
    from knowhow.workspace import Workspace, backed_up_json

    with Workspace.open(workspace) as opened:
        made = opened.history.backup(path)
    if as_json:
        write_json(backed_up_json(made))
    else:
        write(f"{clean(made.path)}: {sum(made.files.values()) / 1e6:.1f} MB in {size(len(made.files), 'file')}")


def restore(
    path: Annotated[Path, typer.Argument(metavar="DIR|FILE.zip", help="What `knowhow backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace what the workspace holds.")] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a workspace what it was at a backup.

    The backup is proved whole before anything is changed; whoever asks meanwhile gets the old state or the new one.

    \b
    Example: knowhow restore backups/2026-03-01.zip -w desk --yes
    """
    from knowhow.workspace import restore as put_back
    from knowhow.workspace import restored_json

    done = put_back(path, workspace, yes=yes)
    if as_json:
        write_json(restored_json(done))
    else:
        write(f"{clean(done.workspace)} is as of {_time(done.at)}: {size(done.documents, 'document')}")
    for name in done.damaged:
        note(f"what could not be opened is kept as {name}")


def _print_replay(done: Replay) -> None:
    as_of = f"as of {_time(done.as_of)}" if done.as_of is not None else "as it is now"
    write(f'Asked {_time(done.at)}: "{clean(done.question)}"')
    write(f"Again, of the corpus {as_of}: " + (f"{', '.join(done.differs)} differ" if done.differs else "all the same"))
    for text in done.notes:
        note(text)
    if any(passage.then != passage.now for passage in done.passages):
        write("")
        rows = [
            (p.then or "-", p.now or "-", f"{p.uri} version {p.version}, {p.start}-{p.end}", p.why)
            for p in done.passages
        ]
        table(("then", "now", "passage", "why"), rows)
    if (done.outcome_then, done.answer_then) != (done.outcome_now, done.answer_now):
        write(f"\n{styled('Then', 'bold')} ({done.outcome_then}): {clean(done.answer_then)}")
        write(f"{styled('Now', 'bold')} ({done.outcome_now}): {clean(done.answer_now)}")
    for word, rows_ in (("no longer cited", done.citations_gone), ("newly cited", done.citations_new)):
        for row in rows_:
            quote = " ".join(clean(row["quote"]).split())[:QUOTE]
            write(f'{word}: {clean(row["uri"])} version {row["version"]}: "{quote}"')


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
