"""Commands about recipes: adopt one that was proven."""

from __future__ import annotations

from typing import Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import clean, note, write, write_json


def recipes_adopt(
    proposal: Annotated[str, typer.Argument(metavar="ID", help="As `knowhow diagnose RUN --try` printed it.")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Name of the new recipe.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a recipe that was proven into knowhow.toml, and show what changed.

    \b
    Example: knowhow recipes adopt 3f2a91bc --as careful
    """
    from knowhow.workspace import Workspace
    from knowhow.workspace.proposals import adopt, propose

    with Workspace.open(workspace) as opened:
        found = propose(opened, proposal, name=name)
        if not dry_run:
            adopt(opened, found)
    if as_json:
        write_json({"recipe": found.name, "diff": found.diff, "written": not dry_run})
        return
    write(clean(found.diff))
    if dry_run:
        note("nothing was written")
    else:
        note(f'ask with it by --recipe {found.name}; to make it the default, set recipe = "{found.name}"')
