"""Commands about the workspace itself: init, doctor, config, demo, version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import clean, note, styled, table, write, write_json

if TYPE_CHECKING:
    from knowhow.settings import Loaded


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the workspace shall be.")] = Path("."),
    as_json: options.AsJson = False,
) -> None:
    """Start a workspace.

    That is a folder with a knowhow.toml for settings and a .knowhow folder for the databases.

    \b
    Example: knowhow init support-desk
    """
    from knowhow.workspace import Workspace

    with Workspace.init(folder) as opened:
        home = opened.folder
    if as_json:
        write_json({"workspace": str(home)})
    else:
        write(f"workspace in {home}")
        note("next: knowhow ingest FOLDER, then knowhow ask QUESTION")


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what can be rebuilt.")] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Check installation and workspace.

    Each failure names the command that mends it.

    \b
    Example: knowhow doctor --repair
    """
    from knowhow.workspace import examine

    checks = examine(workspace, repair=repair)
    broken = [check for check in checks if not check.ok and not check.repaired]
    if as_json:
        keys = ("name", "ok", "detail", "repaired", "mend")
        write_json({"ok": not broken, "checks": [{key: getattr(check, key) for key in keys} for check in checks]})
    else:
        for check in checks:
            word, style = ("repaired", "yellow") if check.repaired else ("FAILED", "red")
            word, style = ("ok", "green") if check.ok else (word, style)
            write(f"{styled(word.ljust(8), style)} {check.name}: {clean(check.detail)}")
            if check.mend and not check.ok and not check.repaired:
                write(f"         mend it: {clean(check.mend)}")
    if broken:
        raise typer.Exit(3)


def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value comes from.")] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Show settings and recipes as they hold here.

    \b
    Example: knowhow config show --origin
    """
    from knowhow.settings import about
    from knowhow.workspace import config_json, load_settings

    _, loaded = load_settings(workspace)
    if as_json:
        write_json(config_json(loaded, origin))
        return
    meanings = about()
    rows = [(o.key, _plain(o.value), o.where, meanings[o.key]) for o in loaded.origins]
    if origin:
        table(("setting", "value", "from", "meaning"), rows)
    else:
        table(("setting", "value", "meaning"), [(key, value, meaning) for key, value, _, meaning in rows])
    write("")
    recipes = loaded.recipes.values()
    table(
        ("recipe", "model", "context", "k", "budget", "hash"),
        [(r.name, r.model, r.context, r.k, r.budget, r.hash) for r in recipes],
    )
    for model, values in _suited(loaded):
        note(f"for {model}, where a recipe does not say otherwise: {values}")


def _suited(loaded: Loaded) -> list[tuple[str, str]]:
    """Models with what suits them: the fields that no recipe chose."""
    found: dict[str, dict[str, object]] = {}
    for one in loaded.written.values():
        found.setdefault(one.recipe.model, {}).update(one.suited())
    return [(model, ", ".join(f"{k} = {v}" for k, v in values.items())) for model, values in found.items() if values]


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {item}" for key, item in value.items()) or "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def demo(
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Which model answers.")] = "local:starter",
) -> None:
    """Show the main job on a sample company.

    It ingests documents in eleven formats, asks three questions, edits a document, and asks again.

    \b
    Example: knowhow demo
    """
    from knowhow.cli.demo import run_demo

    run_demo(model)


def version(as_json: options.AsJson = False) -> None:
    """Print the version.

    \b
    Example: knowhow version --json
    """
    from importlib.metadata import version as installed

    if as_json:
        write_json({"version": installed("knowhow-ai")})
    else:
        write(installed("knowhow-ai"))
