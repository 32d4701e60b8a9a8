"""Commands about where documents are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import clean, follow, note, size, write, write_json

Place = "URL|DIR"


def store_copy(
    to: Annotated[str, typer.Option("--to", metavar=Place, help="An empty database, or a folder for databases.")],
    source: Annotated[
        str, typer.Option("--from", metavar=Place, help="What to copy; else what this workspace uses.")
    ] = "",
    questions: Annotated[int, typer.Option("--questions", min=0, metavar="N", help="Questions to compare.")] = 100,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Copy everything to a server or back, and prove it equal.

    Documents with every version, passages, vectors, traces and the audit log. Write to neither side meanwhile; what
    is written to the old one later is not copied.

    \b
    Example: knowhow store copy --to 'postgresql://knowhow:${DB_PASSWORD}@db.example.org/knowhow'
    """
    from knowhow.workspace import copied_json, copy_stores, load_settings

    folder, loaded = load_settings(workspace)
    copied = follow(copy_stores(folder, loaded, source, to, questions))
    if as_json:
        write_json(copied_json(copied))
        return
    rows = copied.corpus
    write(
        f"{clean(copied.target)} equals {clean(copied.source)}: {size(rows['item'], 'document')} with "
        f"{size(rows['version'], 'version')}, {size(rows['passage'], 'passage')}, "
        f"{size(copied.records['record'], 'record')}; {size(copied.questions, 'question')} answered alike"
    )
    if to.startswith("postgres"):
        note(f"to use it, put this into knowhow.toml: store = {to!r}")
