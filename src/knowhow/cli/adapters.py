"""Commands about adapters: list them, show one, promote, roll back, export, remove."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import clean, note, size, table, write, write_json

if TYPE_CHECKING:
    from knowhow.types import Slot

AdapterId = Annotated[str, typer.Argument(metavar="ID", help="Adapter id, or its first characters.")]


class Format(StrEnum):
    """What `adapters export` writes."""

    GGUF = "gguf"
    PEFT = "peft"


Model = Annotated[
    str, typer.Option("--model", metavar="NAME", help="The model that serves it; else the one it was trained on.")
]


def adapters(
    context: typer.Context,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Trained behaviour; alone, lists it.

    \b
    Example: knowhow adapters
    """
    if context.invoked_subcommand is None:
        adapters_list(workspace, as_json)


def adapters_list(workspace: options.In = None, as_json: options.AsJson = False) -> None:
    """List adapters, newest first.

    \b
    Example: knowhow adapters list
    """
    from knowhow.workspace import Workspace
    from knowhow.workspace.adapting import placed_json

    with Workspace.open(workspace) as opened:
        rows = [placed_json(one) for one in opened.adapters.all()]
    if as_json:
        write_json(rows)
    elif not rows:
        note("no adapters yet; `knowhow tune` trains one")
    else:
        head = ("adapter", "made", "base", "recipe", "lessons", "rows", "gates", "answers as")
        keys = ("id", "made", "base", "recipe", "lessons", "rows", "gates")
        table(head, [(*(row[key] for key in keys), _standings(row["slots"])) for row in rows])


def _standings(slots: list[dict[str, str]]) -> str:
    return ", ".join(f"{slot['name']} ({slot['standing']})" for slot in slots) or "-"


def adapters_show(adapter: AdapterId, workspace: options.In = None, as_json: options.AsJson = False) -> None:
    """Show what an adapter was trained on, what its gates said, and where it answers.

    \b
    Example: knowhow adapters show 3f2a
    """
    from knowhow.workspace import Workspace
    from knowhow.workspace.adapting import adapter_json

    with Workspace.open(workspace) as opened:
        placed = opened.adapters.get(adapter)
    if as_json:
        write_json(adapter_json(placed))
        return
    one, trained = placed.adapter, placed.adapter.trained
    write(f"{one.id}: {one.base} taught {clean(one.lessons)} as {clean(one.recipe.name)}")
    write(
        f"  trained  {size(trained.counted.rows, 'row')}, {trained.trained_tokens:,} target tokens, step "
        f"{trained.step} of {trained.steps} ({trained.stopped}), {trained.seconds / 60:.1f} min on "
        f"{trained.device}, {trained.precision}"
    )
    before = "" if trained.validation_loss is None else f", {trained.validation_loss:.3f} on validation rows"
    write(f"  loss     {trained.loss:.3f}{before}")
    for out in trained.counted.left_out:
        write(f"  left out {clean(out.id)}: {clean(out.reason)}")
    if one.parity is not None:
        word = "passed" if one.parity.passed else "FAILED"
        told = f"same next token at {100 * one.parity.agreement:.1f}% of {one.parity.positions}"
        write(f"  parity   {word}: {told}, KL {one.parity.kl:.5f} ({one.parity.precision})")
    for gate in one.report.gates:
        write(f"  gate     {gate.outcome}: {clean(gate.name)}, {clean(gate.reason)}")
    for slot, standing in placed.standing:
        write(f"  answers  as {slot.name} with {slot.model} ({standing})")


def adapters_promote(
    adapter: AdapterId,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="The name recipes know it by; else its recipe's.")
    ] = "",
    model: Model = "",
    without_gates: Annotated[
        bool, typer.Option("--without-gates", help="Although a gate was not passed or not measured.")
    ] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Let an adapter answer from the next question on, in every process.

    Exit code 5: a gate was not passed.

    \b
    Example: knowhow adapters promote 3f2a --as tuned
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        slot = opened.adapters.promote(adapter, name, model=model, without_gates=without_gates)
    _print_slot(slot, as_json)


def adapters_rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name recipes know it by.")],
    model: Model = "",
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Let the adapter before answer again; where there was none, the bare model.

    \b
    Example: knowhow adapters rollback tuned
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        slot = opened.adapters.rollback(name, model)
    _print_slot(slot, as_json)


def _print_slot(slot: Slot, as_json: bool) -> None:
    from knowhow.workspace.adapting import slot_json

    if as_json:
        write_json(slot_json(slot))
    else:
        before = f"; before: {slot.previous or 'the bare model'}"
        write(f"{slot.name} with {slot.model} answers as {slot.current or 'the bare model'} now{before}")


def adapters_export(
    adapter: AdapterId,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write to.")],
    format: Annotated[
        Format, typer.Option("--format", help="A file for llama.cpp and Ollama, or a folder for vLLM.")
    ] = Format.GGUF,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Write an adapter's weights for another server.

    \b
    Example: knowhow adapters export 3f2a --to serving --format peft
    """
    from knowhow.workspace import Workspace
    from knowhow.workspace.adapting import ExportFormat

    with Workspace.open(workspace) as opened:
        files = opened.adapters.export(adapter, to, ExportFormat(format))
    if as_json:
        write_json({"files": [str(path) for path in files]})
    else:
        for path in files:
            write(str(path))


def adapters_remove(adapter: AdapterId, workspace: options.In = None, as_json: options.AsJson = False) -> None:
    """Delete an adapter that answers nowhere.

    \b
    Example: knowhow adapters remove 3f2a
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        gone = opened.adapters.remove(adapter)
    if as_json:
        write_json({"removed": gone.id})
    else:
        write(f"{gone.id} is gone")
