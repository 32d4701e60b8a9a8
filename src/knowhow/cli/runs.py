"""Commands about what was evaluated before: runs list, show, export."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_access
from knowhow.cli.output import clean, note, table, write, write_json, write_line
from knowhow.errors import NotFound, UsageProblem

if TYPE_CHECKING:
    from knowhow.types import Example, Row
    from knowhow.workspace.evaluating import Evaluations

RunId = Annotated[str, typer.Argument(metavar="ID", help="Run id, or its first characters.")]


class Format(StrEnum):
    """What `runs export` writes."""

    JSONL = "jsonl"
    INSPECT = "inspect"


def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """What was evaluated before; alone, lists it.

    \b
    Example: knowhow runs
    """
    if context.invoked_subcommand is None:
        runs_list(limit, workspace, as_json)


def runs_list(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """List finished runs, newest first.

    \b
    Example: knowhow runs list --limit 5
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        found = opened.evaluations.runs(limit=limit)
    if as_json:
        write_json(found)
    elif not found:
        note("no runs yet; `knowhow evaluate SUITE` makes one")
    else:
        head = ("run", "finished", "recipe", "model", "suite", "examples", "failed", "content", "label")
        table(head, [_brief(body) for body in found])


def _brief(body: dict[str, Any]) -> tuple[object, ...]:
    at = datetime.fromtimestamp(body["finished"], UTC).strftime("%Y-%m-%d %H:%M")
    shares = [_percent(body["checks"].get(check)) for check in ("content", "label")]
    keys = ("recipe", "model", "suite")
    return (body["run_id"], at, *(body[key] for key in keys), body["n"] // body["draws"], body["failed"], *shares)


def _percent(found: dict[str, Any] | None) -> str:
    return "-" if found is None or found["mean"] is None else f"{100 * found['mean']:.0f}%"


def runs_show(
    run: RunId,
    failed: Annotated[bool, typer.Option("--failed", help="Only rows where a check failed or no answer came.")] = False,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a run row by row, with the reason of every failure.

    \b
    Example: knowhow runs show 3f2a --failed
    """
    from knowhow.evaluate.rows import row_json
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        body = opened.evaluations.run(run)
        rows = opened.evaluations.rows(body["run_id"], access=read_access(access))
    hidden = body["n"] - len(rows)
    if failed:
        rows = [row for row in rows if row.failure or _wrong(row)]
    if as_json:
        write_json({**body, "rows": [row_json(row) for row in rows], "hidden": hidden})
    else:
        write(f"{body['run_id']}: {body['recipe']} with {body['model']} on {body['suite']}, {body['n']} rows")
        for row in rows:
            _print_row(row)
    if hidden > 0:
        note(f"{hidden} rows rest on documents you may not see, or were purged; --access names the tags you hold")


def _wrong(row: Row) -> list[str]:
    return [f"{check}: {one.reason}" for check, one in row.verdicts.items() if one.outcome == "fail"]


def _print_row(row: Row) -> None:
    wrong = [row.failure] if row.failure else _wrong(row)
    answer = " ".join(clean(row.answer).split())
    write(
        f"{clean(row.id)}{f' (draw {row.draw + 1})' if row.draw else ''}: {'FAILED' if wrong else 'ok'}  {answer[:160]}"
    )
    for text in wrong:
        write(f"    {' '.join(clean(text).split())}")


def runs_export(
    run: RunId,
    format: Annotated[
        Format, typer.Option("--format", help="Rows as JSONL, or a log that Inspect reads.")
    ] = Format.JSONL,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; else stdout.")] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="SUITE", help="Where questions and targets come from.")
    ] = None,
    access: options.Access = None,
    workspace: options.In = None,
) -> None:
    """Write a run for other programs.

    \b
    Example: knowhow runs export 3f2a --format inspect --out run.json
    """
    from knowhow.evaluate.inspect_log import inspect_log
    from knowhow.evaluate.rows import row_json
    from knowhow.suites.jsonl import write_lines
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        body = opened.evaluations.run(run)
        rows = opened.evaluations.rows(body["run_id"], access=read_access(access))
        examples = _examples(opened.evaluations, suite or body["suite"], named=suite is not None)
    if format is Format.INSPECT:
        log = inspect_log(body, rows, examples)
        if out is None:
            write_json(log)
        else:
            write_lines([log], out)
    elif out is None:
        for row in rows:
            write_line(row_json(row))
    else:
        write_lines(map(row_json, rows), out)
    if out is not None:
        note(f"{len(rows)} rows in {out}")


def _examples(evaluations: Evaluations, suite: str, *, named: bool) -> dict[str, Example]:
    """The suite's examples by id; none where the suite is no longer where it was."""
    try:
        return {example.id: example for example in evaluations.suite(suite).examples}
    except (NotFound, UsageProblem):
        if named:
            raise
        note(f"the suite {suite} is not in suites/, so questions are left out; name it with --suite FILE")
        return {}
