"""Commands that measure: evaluate and compare."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_list
from knowhow.cli.output import clean, follow, note, print_table, size, styled, write, write_json
from knowhow.cli.spending import DryRun, MaxCost, Spending, Yes, agree
from knowhow.errors import UsageProblem
from knowhow.types import Check, Progress, Split

if TYPE_CHECKING:
    from knowhow.evaluate.gates import Gate
    from knowhow.workspace.evaluating import Compared, Evaluated, Evaluations, Plan

FAILED_NAMED = 5
GATE_FAILED, PARTLY = 5, 8

SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="A suite file or folder, or the name of one in suites/.")
]
Models = Annotated[str | None, typer.Option("--models", metavar="A,B", help="Cross the recipes with these models.")]
Draws = Annotated[int, typer.Option("--draws", min=1, max=100, help="Ask each example so often.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first examples.")]
SplitOption = Annotated[Split, typer.Option("--split", help="Which examples; those without a split are `test`.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Examples asked at once.")]
JudgeOption = Annotated[
    str | None, typer.Option("--judge", metavar="MODEL", help="A calibrated judge for references and rubrics.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write one self-contained page.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Also write Markdown.")]


def evaluate(
    suite: SuiteName,
    recipe: Annotated[str | None, typer.Option("--recipe", metavar="NAME", help="A recipe's name.")] = None,
    models: Models = None,
    draws: Draws = 1,
    split: SplitOption = Split.TEST,
    limit: Limit = None,
    gate: Annotated[
        list[str] | None, typer.Option("--gate", metavar="LEVEL", help='e.g. "content>=0.8" (repeatable).')
    ] = None,
    judge: JudgeOption = None,
    html: Html = None,
    markdown: Markdown = None,
    workers: Workers = 4,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask a suite's examples and say how good the answers are.

    Interrupted, it goes on where it stopped. Exit code 5: a gate failed; 8: some examples have no answer.

    \b
    Example: knowhow evaluate suites/returns.jsonl --recipe rag --gate "content>=0.8"
    """
    asked = Measuring(
        suite, models, draws, split, limit, workers, judge or "", max_cost, dry_run, yes, html, markdown, as_json
    )
    _evaluate(asked, recipe, gate or [], workspace)


def compare(
    suite: SuiteName,
    recipes: Annotated[str, typer.Option("--recipes", metavar="A,B,C", help="Recipes to set side by side.")] = "",
    models: Models = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="What the others are held against; else the first.")
    ] = None,
    positions: Annotated[
        bool, typer.Option("--positions", help="Also put the evidence at start, middle and end of a long context.")
    ] = False,
    stop_early: Annotated[
        Check | None, typer.Option("--stop-early", metavar="CHECK", help="Stop once a difference in it is shown.")
    ] = None,
    draws: Draws = 1,
    split: SplitOption = Split.TEST,
    limit: Limit = None,
    gate: Annotated[
        list[str] | None, typer.Option("--gate", metavar="GATE", help="no-worse:RECIPE[:CHECK] (repeatable).")
    ] = None,
    margin: Annotated[float, typer.Option("--margin", min=0, max=1, help="How much worse is not worse.")] = 0.05,
    judge: JudgeOption = None,
    html: Html = None,
    markdown: Markdown = None,
    workers: Workers = 4,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Say which recipe is better, and how sure that is.

    Exit code 5: a gate failed; 8: some examples have no answer.

    \b
    Example: knowhow compare suites/returns.jsonl --recipes closed-book,rag,gold --baseline rag
    """
    asked = Measuring(
        suite, models, draws, split, limit, workers, judge or "", max_cost, dry_run, yes, html, markdown, as_json
    )
    _compare(asked, read_list(recipes), baseline, gate or [], margin, positions, stop_early, workspace)


# --- the two flows ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measuring:
    """The options that both commands share."""

    suite: str
    models: str | None
    draws: int
    split: Split
    limit: int | None
    workers: int
    judge: str
    max_cost: float | None
    dry_run: bool
    yes: bool
    html: Path | None
    markdown: Path | None
    as_json: bool

    def plan(self, evaluations: Evaluations, recipes: list[str]) -> Plan:
        """The suite with the recipes, crossed with the models."""
        models = read_list(self.models)
        return evaluations.plan(
            self.suite, recipes, models=models, split=self.split, draws=self.draws, limit=self.limit
        )

    def agreed(self, evaluations: Evaluations, plan: Plan) -> bool:
        """Whether to go on once calls, tokens and price are known. Raises `ConfigProblem` for a judge that may not."""
        if self.judge:
            evaluations.check_judge(self.judge)
        spending = Spending(self.dry_run, self.yes, self.max_cost)
        return agree(evaluations.preview(plan, self.judge), spending, self.as_json)

    def comparison(
        self, evaluations: Evaluations, plan: Plan, baseline: str | None, stop_early: Check | None
    ) -> Generator[Progress, None, Compared]:
        """The comparison, in stages where it may stop early."""
        if stop_early is None:
            return evaluations.compare(plan, baseline, max_cost=self.max_cost, workers=self.workers, judge=self.judge)
        return evaluations.compare_early(
            plan, stop_early, baseline, max_cost=self.max_cost, workers=self.workers, judge=self.judge
        )


def _evaluate(asked: Measuring, recipe: str | None, gate: list[str], workspace: Path | None) -> None:
    from knowhow.evaluate.gates import level, read_level
    from knowhow.workspace import Workspace

    for one in gate:
        read_level(one)
    done: list[Evaluated] = []
    with Workspace.open(workspace) as opened:
        evaluations = opened.evaluations
        plan = asked.plan(evaluations, [recipe] if recipe else [])
        if not asked.agreed(evaluations, plan):
            return
        left = asked.max_cost
        for each in plan.recipes:
            found = follow(evaluations.evaluate(plan, each, max_cost=left, workers=asked.workers, judge=asked.judge))
            left = None if left is None else left - found.paid_usd
            done.append(found)
    gates = [level(one, found.run) for found in done for one in gate]
    _write_reports(asked, plan, done, None, gates)
    if asked.as_json:
        bodies = [_run_json(found, gates) for found in done]
        write_json(bodies[0] if len(bodies) == 1 else {"recipes": bodies})
    else:
        _print_runs(done)
        _print_gates(gates)
    _end(done, gates)


def _compare(
    asked: Measuring,
    recipes: list[str],
    baseline: str | None,
    gate: list[str],
    margin: float,
    positions: bool,
    stop_early: Check | None,
    workspace: Path | None,
) -> None:
    from knowhow.evaluate.gates import no_worse, read_no_worse
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        evaluations = opened.evaluations
        plan = asked.plan(evaluations, recipes)
        if positions:
            plan = evaluations.with_positions(plan)
        if len(plan.recipes) < 2:
            raise UsageProblem("there is nothing to compare; name --recipes A,B, or --models A,B to cross one with")
        for one in gate:
            read_no_worse(one, [each.name for each in plan.recipes])
        if not asked.agreed(evaluations, plan):
            return
        found = follow(asked.comparison(evaluations, plan, baseline, stop_early))
    rows = {one.run.recipe.name: one.rows for one in found.runs}
    gates = [held for one in gate for held in no_worse(one, rows, margin)]
    _write_reports(asked, plan, found.runs, found, gates)
    if asked.as_json:
        write_json(_compared_json(found, gates))
    else:
        _print_runs(found.runs)
        _print_pairs(found)
        _print_gates(gates)
    _end(found.runs, gates)


# --- JSON -------------------------------------------------------------------------------------------------


def _run_json(found: Evaluated, gates: Sequence[Gate] = ()) -> dict[str, Any]:
    from knowhow.evaluate.rows import run_json

    held = [_gate_json(one) for one in gates if one.recipe == found.run.recipe.name]
    return {**run_json(found.run), "rows_file": str(found.rows_file), "notes": list(found.notes), "gates": held}


def _compared_json(found: Compared, gates: list[Gate]) -> dict[str, Any]:
    return {
        "baseline": found.baseline,
        "recipes": [_run_json(one) for one in found.runs],
        "pairs": [{**asdict(pair), "check": pair.check.value} for pair in found.pairs],
        "gates": [_gate_json(one) for one in gates],
    }


def _gate_json(gate: Gate) -> dict[str, Any]:
    return {"gate": gate.gate, "recipe": gate.recipe, "outcome": gate.outcome.value, "reason": gate.reason}


# --- what a person reads ----------------------------------------------------------------------------------


def _print_runs(done: Sequence[Evaluated]) -> None:
    from knowhow.evaluate.tables import detail, graded, overview

    first = done[0].run
    draws = f", {first.draws} draws each" if first.draws > 1 else ""
    write(f"{clean(first.suite)}: {size(first.n // first.draws, 'example')}{draws}")
    write("")
    print_table(overview([one.run for one in done]))
    if len(done) == 1:
        write("")
        print_table(detail(first))
        if graded(first).rows:
            write("")
            print_table(graded(first))
    for one in done:
        seconds = sum(row.ms.get("model", 0.0) for row in one.rows if not row.remembered) / 1000
        told = f"{one.run.recipe.name}: run {one.run.id}, {seconds:.0f} s of the model"
        remembered = one.run.remembered
        note(told + (f", {remembered} replies remembered from earlier runs" if remembered else ""))
    for text in dict.fromkeys(text for one in done for text in one.notes):
        note(text, styled("note: ", "yellow"))


def _print_pairs(found: Compared) -> None:
    from knowhow.evaluate.tables import against, changed

    write("")
    write(styled(f"against {clean(found.baseline)}", "bold"))
    pairs = [pair for pair in found.pairs if pair.n]
    print_table(against(pairs))
    told = [(pair, changed(pair)) for pair in pairs if changed(pair)]
    if told:
        write("")
    for pair, ids in told:
        write(clean(f"{pair.b}, {pair.check}: {ids}"))


def _print_gates(gates: list[Gate]) -> None:
    for gate in gates:
        style = "green" if gate.outcome == "held" else "red"
        outcome = styled(gate.outcome.value, style)
        write(f"gate {clean(gate.gate)} {outcome} for {clean(gate.recipe)}: {clean(gate.reason)}")


def _write_reports(
    asked: Measuring, plan: Plan, done: Sequence[Evaluated], compared: Compared | None, gates: list[Gate]
) -> None:
    from knowhow.evaluate.pages import Report, to_markdown, to_page

    if asked.html is None and asked.markdown is None:
        return
    report = Report(
        tuple(one.run for one in done),
        {one.run.recipe.name: one.rows for one in done},
        compared.baseline if compared else "",
        compared.pairs if compared else (),
        tuple(dict.fromkeys(text for one in done for text in one.notes)),
        tuple(gates),
        {example.id: example.asked for example in plan.suite.examples},
    )
    for path, render in ((asked.html, to_page), (asked.markdown, to_markdown)):
        if path is not None:
            try:
                path.write_text(render(report), "utf-8")
            except OSError as error:
                raise UsageProblem(f"cannot write {path}: {error.strerror}") from None


def _end(done: Sequence[Evaluated], gates: list[Gate]) -> None:
    """Names the rows without an answer and ends with the exit code of what went wrong; a failed gate goes first."""
    failed = [(one.run.recipe.name, row) for one in done for row in one.rows if row.failure]
    if failed:
        named = "; ".join(f"{row.id} ({name}: {row.failure})" for name, row in failed[:FAILED_NAMED])
        more = f"; and {len(failed) - FAILED_NAMED} more" if len(failed) > FAILED_NAMED else ""
        note(f"{size(len(failed), 'row')} without an answer: {named}{more}; the same command asks only these again")
    if any(gate.outcome != "held" for gate in gates):
        note("a gate failed")
        raise typer.Exit(GATE_FAILED)
    if failed:
        raise typer.Exit(PARTLY)
