"""`knowhow bench planted`: how well failures are traced to their causes, measured on faults planted on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import follow, note, print_table, write, write_json
from knowhow.cli.spending import Yes
from knowhow.errors import BudgetExceeded, UsageProblem

if TYPE_CHECKING:
    from knowhow.types import Recipe
    from knowhow.workspace import Workspace
    from knowhow.workspace.planting import Growing, Proven

CALLS = 30
"""About how many generations a planted case takes, filter, learning and all ways of diagnosing together."""


def bench_planted(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE[:RECIPE]...", help="Suites, each with the recipe its examples should pass with."),
    ] = None,
    per_fault: Annotated[int, typer.Option("--per-fault", min=1, help="Cases of every fault to score, at most.")] = 20,
    to_learn: Annotated[
        int | None, typer.Option("--to-learn", min=1, help="Cases of every fault to learn from; default as many.")
    ] = None,
    hold_out: Annotated[
        str, typer.Option("--hold-out", metavar="FAULT", help="Score it, but learn nothing of it.")
    ] = "",
    weaker: Annotated[
        str, typer.Option("--weaker", metavar="MODEL", help="Planted instead of the recipe's model.")
    ] = "",
    stronger: Annotated[str, typer.Option("--stronger", metavar="MODEL", help="To try as an intervention.")] = "",
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of each move to learn from.")] = 1,
    moves: Annotated[
        int | None, typer.Option("--moves", min=1, help="Moves per case to learn from; default all.")
    ] = None,
    learn: Annotated[
        bool, typer.Option("--learn/--no-learn", help="Learn rates on the dev split and keep them.")
    ] = True,
    one_pass: Annotated[bool, typer.Option("--one-pass/--no-one-pass", help="Also measure every move once.")] = True,
    seed: Annotated[int, typer.Option("--seed", help="Draws examples, faults and distractors.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Cases, verdicts and reports go there.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", metavar="FILE", help="Score another diagnoser's JSONL on --cases.")
    ] = None,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE", help="Planted cases of an earlier run.")
    ] = None,
    yes: Yes = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure diagnosis on faults planted on purpose in examples that pass.

    Learns how the model responds on the dev split, scores on the test split, and keeps the rates for `diagnose`. With
    --verdicts and --cases it scores any other diagnoser: lines of {"id", "causes", "confidence", "calls"}.

    \b
    Example: knowhow bench planted facts.jsonl:rag records.jsonl:rag+schema --out proof
    """
    if verdicts is not None:
        _score_other(verdicts, cases, as_json)
        return
    if not suites:
        raise UsageProblem("name at least one suite, like facts.jsonl:rag")
    from knowhow.workspace import Workspace
    from knowhow.workspace.planting import Growing

    growing = Growing(per_fault, to_learn or per_fault, hold_out, draws, moves, weaker, stronger, seed, learn, one_pass)
    with Workspace.open(workspace) as opened:
        named = [_named(opened, one) for one in suites]
        _agree([recipe for _, recipe in named], growing, opened, yes=yes)
        proven = follow(opened.plantings.grow(opened.plantings.beds(named), growing))
    _show(proven, out, as_json=as_json)


def _named(opened: Workspace, text: str) -> tuple[str, Recipe]:
    suite, _, name = text.rpartition(":") if not Path(text).exists() else (text, "", "")
    return (suite or text), opened.recipe(name) if suite and name else opened.recipe(None)


def _agree(recipes: list[Recipe], growing: Growing, opened: Workspace, *, yes: bool) -> None:
    """Says how many calls it takes; refuses a model that may cost money without `--yes`."""
    from knowhow.diagnose.planted import FAULTS
    from knowhow.prices import price_of

    models = {recipes[0].model, growing.weaker, growing.stronger} - {""}
    planted = growing.per_fault + (growing.to_learn if growing.learn else 0)
    calls = round(CALLS * planted * len(FAULTS) * 1.25)
    note(f"at most about {calls:,} calls of {', '.join(sorted(models))}")
    prices = [price_of(model, opened.settings.prices) for model in models]
    if not yes and any(price is None or price.prompt + price.completion > 0 for price in prices):
        raise BudgetExceeded(f"{calls:,} calls may cost money; add --yes to make them, or lower --per-fault")


def _show(proven: Proven, out: Path | None, *, as_json: bool) -> None:
    from knowhow.diagnose import proof_report as report
    from knowhow.diagnose.score import said_json, truth_json
    from knowhow.suites.jsonl import write_lines
    from knowhow.workspace.planting import survival

    rows, proof = survival(proven.scored), proven.proof
    title = f"Diagnosis of planted faults, {proven.model}"
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_lines((truth_json(one) for one in proof.truth), out / "cases.jsonl")
        for name, said in proof.said.items():
            write_lines((said_json(one) for one in said), out / f"verdicts-{name.replace(' ', '-')}.jsonl")
        (out / "report.md").write_text(report.markdown(proof, rows, title), "utf-8")
        (out / "report.html").write_text(report.html(proof, rows, title), "utf-8")
        note(f"cases, verdicts and reports are in {out}")
    if as_json:
        write_json(report.proof_json(proof, rows))
        return
    main = next(one for one in proof.scores if one.name == report.MAIN)
    print_table(report.ways(proof.scores))
    if proof.on_ambiguous:
        write("\nwhere signals alone leave it open:")
        print_table(report.ways(proof.on_ambiguous))
    write("\nconfusions:")
    print_table(report.confusion(main))


def _score_other(verdicts: Path, cases: Path | None, as_json: bool) -> None:
    from knowhow.diagnose import proof_report as report
    from knowhow.diagnose.score import read_truth, read_verdicts, score

    if cases is None:
        raise UsageProblem("--verdicts needs --cases: the cases.jsonl that --out wrote")
    found = score(verdicts.stem, read_truth(cases), read_verdicts(verdicts))
    if as_json:
        write_json(report.score_json(found))
        return
    print_table(report.ways([found]))
    write("")
    print_table(report.confusion(found))
