"""The command that trains: from lessons to a promoted adapter, or an honest refusal."""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import clean, note, print_table, styled, write, write_json
from knowhow.errors import BudgetExceeded, UsageProblem
from knowhow.types import Began, Method, Progress, Saved, Step, TrainPlan, TrainPrice, Validated

if TYPE_CHECKING:
    from knowhow.tune.report import TuneReport
    from knowhow.tune.tune import TuneEvent

REFUSED = 5
LONG_S = 60.0
"""A training longer than this is not begun unasked."""


SuiteOption = Annotated[str | None, typer.Option("--suite", metavar="SUITE", help="What is learnt from and proved on.")]
LessonFiles = Annotated[
    list[Path] | None, typer.Option("--lessons", metavar="FILE", help="Learn from this file instead (repeatable).")
]
Traces = Annotated[bool, typer.Option("--traces", help="Learn from corrections and thumbs on answers.")]
RecipeName = Annotated[str, typer.Option("--recipe", metavar="NAME", help="How it is asked.")]
TargetOption = Annotated[
    str, typer.Option("--target", metavar="CHECKS", help="What must get better: label, content.fields_f1, …")
]
Promote = Annotated[
    str, typer.Option("--promote", metavar="NAME", help="Let it answer under this name if every gate is passed.")
]
MethodOption = Annotated[Method, typer.Option("--method", help="Replies, pairs or marks to learn from.")]
Epochs = Annotated[float, typer.Option("--epochs", min=0.01, help="Times through the lessons.")]
Steps = Annotated[int, typer.Option("--steps", min=0, help="Stop after so many; 0 = no limit.")]
Rate = Annotated[float, typer.Option("--rate", min=1e-7, max=1.0, help="Learning rate.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Rows of one step.")]
Rank = Annotated[int, typer.Option("--rank", min=1, max=256, help="Rank of the adapter.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=16, help="Longest row; a longer one is left out.")]
Seed = Annotated[int, typer.Option("--seed", min=0)]
Probes = Annotated[int, typer.Option("--probes", min=10, help="General tasks of each kind that gates ask.")]
Margin = Annotated[float, typer.Option("--margin", min=0.001, max=1, help="How much worse is held.")]
Grounded = Annotated[
    bool, typer.Option("--grounded", help="Show evidence among other passages, and a fifth of the lessons none.")
]
Rehearse = Annotated[float, typer.Option("--rehearse", min=0, max=2, help="General tasks rehearsed for each lesson.")]
LeaveOut = Annotated[bool, typer.Option("--leave-out", help="Leave out lessons with errors.")]
Anyway = Annotated[bool, typer.Option("--anyway", help="Train and measure although a cheaper home does it.")]
Forecast = Annotated[
    float | None, typer.Option("--forecast", metavar="LOSS", help="First say how many lessons would reach it.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write one page.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Also write Markdown.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Stop before the training.")]
Yes = Annotated[bool, typer.Option("--yes", help="Train without asking.")]


def tune(
    suite: SuiteOption = None,
    lessons: LessonFiles = None,
    traces: Traces = False,
    recipe: RecipeName = "tuned",
    target: TargetOption = "",
    promote: Promote = "",
    method: MethodOption = Method.SFT,
    epochs: Epochs = 3.0,
    steps: Steps = 0,
    rate: Rate = 3e-4,
    batch: Batch = 8,
    rank: Rank = 16,
    max_tokens: MaxTokens = 1024,
    seed: Seed = 0,
    probes: Probes = 250,
    margin: Margin = 0.05,
    grounded: Grounded = False,
    rehearse: Rehearse = 0.25,
    leave_out: LeaveOut = False,
    anyway: Anyway = False,
    forecast: Forecast = None,
    html: Html = None,
    markdown: Markdown = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Train behaviour that nothing cheaper gives.

    What is trained is proved and promoted, or refused with the reason.

    Interrupted, it goes on where it stopped. Exit code 5: refused.

    \b
    Example: knowhow tune --suite suites/tickets.jsonl --promote tickets
    """
    train = TrainPlan("", method, rank, 2.0 * rank, epochs=epochs, max_steps=steps, batch=batch, learning_rate=rate,
                      max_tokens=max_tokens, seed=seed)  # fmt: skip
    asked = Asked(suite, tuple(lessons or ()), traces, recipe, target, promote, probes, margin, grounded, rehearse,
                  leave_out, anyway, forecast, dry_run)  # fmt: skip
    report = _tuned(asked, train, yes, workspace)
    _write_reports(report, html, markdown)
    if as_json:
        write_json(report.to_json())
    else:
        print_report(report)
    if report.refused:
        raise typer.Exit(REFUSED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say, apart from the training's own."""

    suite: str | None
    lessons: tuple[Path, ...]
    traces: bool
    recipe: str
    target: str
    promote: str
    probes: int
    margin: float
    grounded: bool
    rehearse: float
    leave_out: bool
    anyway: bool
    forecast: float | None
    dry_run: bool

    @property
    def name(self) -> str:
        """How the lessons are called."""
        return Path(self.suite).stem if self.suite else self.lessons[0].stem if self.lessons else "traces"


def _tuned(asked: Asked, train: TrainPlan, yes: bool, workspace: Path | None) -> TuneReport:
    from knowhow.workspace import Workspace
    from knowhow.workspace.tuning import TuneRequest

    if asked.suite is None and not asked.lessons and not asked.traces:
        raise UsageProblem("name what to learn from: --suite SUITE, --lessons FILE or --traces")
    with Workspace.open(workspace) as opened:
        recipe = replace(opened.recipe(asked.recipe), adapter="")
        request = TuneRequest(
            opened.evaluations.suite(asked.suite) if asked.suite else None,
            recipe,
            replace(train, base=recipe.model),
            name=asked.name,
            files=asked.lessons,
            traces=asked.traces,
            target=asked.target,
            promote=asked.promote,
            probes=asked.probes,
            margin=asked.margin,
            grounded=asked.grounded,
            rehearse=asked.rehearse,
            leave_out=asked.leave_out,
            anyway=asked.anyway,
            forecast=asked.forecast,
            dry_run=asked.dry_run,
        )
        return _followed(opened.tuning.tune(*opened.tuning.plan(request)), yes)


def _followed(events: Generator[TuneEvent, None, TuneReport], yes: bool) -> TuneReport:
    """Runs it to its end with a line for each event on stderr. Raises `BudgetExceeded` where a long training may not
    be begun unasked."""
    last = ""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            report: TuneReport = end.value
            return report
        if isinstance(event, TrainPrice) and not _agreed(event, yes):
            events.close()
            raise BudgetExceeded(f"the training takes {event.in_words}, and nobody is there to agree; add --yes")
        line = _line(event)
        if line and line != last:
            note(line)
            last = line


def _agreed(price: TrainPrice, yes: bool) -> bool:
    if yes or price.seconds < LONG_S:
        return True
    return sys.stdin.isatty() and typer.confirm(f"The training takes {price.in_words}. Go on?", err=True)


def _line(event: TuneEvent) -> str:
    """One event in words; empty for what needs no line."""
    from knowhow.tune.report import HomeScore
    from knowhow.types import GateResult

    if isinstance(event, Progress):
        done = event.done == event.total or event.done % max(event.total // 4, 1) == 0
        return f"{event.note}: {event.done} of {event.total}" if done and event.note else ""
    if isinstance(event, HomeScore):
        mean = "unmeasured" if event.score.mean is None else f"{100 * event.score.mean:.1f}%"
        return f"{event.name} on {event.split}: {mean}"
    if isinstance(event, TrainPrice):
        return f"training: {event.in_words}"
    if isinstance(event, Began):
        again = f", going on after step {event.resumed_from}" if event.resumed_from else ""
        return f"{event.counted.rows} rows, {event.counted.target_tokens} target tokens, {event.steps} steps{again}"
    if isinstance(event, Step):
        left = (
            f"{event.seconds_left / 60:.0f} min left" if event.seconds_left > 90 else f"{event.seconds_left:.0f} s left"
        )
        return f"step {event.step} of {event.steps}: loss {event.loss:.3f}, {event.tokens_per_s:.0f} tokens/s, {left}"
    if isinstance(event, Validated):
        return f"step {event.step}: validation loss {event.loss:.3f}{' (best)' if event.best else ''}"
    if isinstance(event, GateResult):
        return f"gate {event.name}: {event.outcome}: {event.reason}"
    return "" if not isinstance(event, Saved) else f"checkpoint at step {event.step}"


def print_report(report: TuneReport) -> None:
    """The report as a person reads it."""
    from knowhow.cli.lessons import print_lint
    from knowhow.tune.report import gates_table, homes_table

    if report.lint is not None and report.lint.findings:
        print_lint(report.lint)
        write("")
    if report.homes:
        print_table(homes_table(report))
        write("")
    if report.outlook:
        write(f"learning curve of {report.outlook.of}: {clean(report.outlook.needed.reason)}")
    if report.gates:
        print_table(gates_table(report))
        write("")
    for text in report.notes:
        note(text, styled("note: ", "yellow"))
    decided = styled(report.decision.value, "red" if report.refused else "green")
    why = f" ({report.refusal.value})" if report.refusal else ""
    write(f"{decided}{why}: {clean(report.reason)}")
    if report.adapter is not None:
        write(f"adapter {report.adapter.id}; `knowhow adapters show {report.adapter.id[:8]}` has all of it")


def _write_reports(report: TuneReport, html: Path | None, markdown: Path | None) -> None:
    from knowhow.tune.report import to_markdown, to_page

    for path, render in ((html, to_page), (markdown, to_markdown)):
        if path is not None:
            try:
                path.write_text(render(report), "utf-8")
            except OSError as error:
                raise UsageProblem(f"cannot write {path}: {error.strerror}; choose another file") from None
