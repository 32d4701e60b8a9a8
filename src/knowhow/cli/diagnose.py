"""The command that says why answers failed: diagnose."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_time
from knowhow.cli.evaluating import Html, Markdown, Workers
from knowhow.cli.output import clean, follow, note, print_table, size, styled, write, write_json
from knowhow.cli.spending import DryRun, MaxCost, Spending, Yes, agree
from knowhow.errors import UsageProblem

if TYPE_CHECKING:
    from knowhow.diagnose.report import Report
    from knowhow.diagnose.trying import Tried
    from knowhow.types import CaseDiagnosis, Diagnosis
    from knowhow.workspace import Workspace
    from knowhow.workspace.diagnosing import Failures

PROVIDER, BUDGET, PARTLY = 7, 6, 8
LISTED = 20
"""Cases that the terminal lists."""

Run = Annotated[str | None, typer.Argument(metavar="RUN", help="A run's id or its beginning; else the newest run.")]
SuiteFile = Annotated[
    str | None, typer.Option("--suite", metavar="FILE", help="The run's suite, where it is not found by its name.")
]
Stronger = Annotated[
    str | None, typer.Option("--stronger", metavar="MODEL", help="A stronger model, to see whether it would help.")
]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", min=0, help="Model calls at most; 0 = signals only.")]
Pool = Annotated[
    bool | None,
    typer.Option("--pool/--each", help="Judge cases together, 3 calls each, or one by one, 10. Else by number."),
]


Rows = Annotated[
    Path | None,
    typer.Option("--rows", metavar="FILE", help="Another system's answers instead of a run (docs/diagnose.md)."),
]
Traces = Annotated[bool, typer.Option("--traces", help="Answers people judged wrong, instead of a run.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="For --traces: asked since then, e.g. 7d.")]
RecipeName = Annotated[str | None, typer.Option("--recipe", metavar="NAME", help="For --rows: what replays.")]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="For --rows: what answers; without, signals only."),
]


TryFixes = Annotated[bool, typer.Option("--try", help="Then try the cheapest fixes on dev and prove the best on test.")]


def diagnose(
    run: Run = None,
    rows: Rows = None,
    traces: Traces = False,
    since: Since = None,
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="Tell the story of one example.")] = None,
    suite: SuiteFile = None,
    recipe: RecipeName = None,
    model: Model = None,
    stronger: Stronger = None,
    try_: TryFixes = False,
    max_calls: MaxCalls = None,
    pool: Pool = None,
    html: Html = None,
    markdown: Markdown = None,
    workers: Workers = 4,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Say why answers failed: knowledge or behaviour.

    Which of either, by experiment, and what mends it.

    Interrupted, it goes on where it stopped. Exit code 6: the money is spent; 7: the model cannot be used; 8: it failed
    half-way, and what was found until then is shown.

    \b
    Example: knowhow diagnose 3f2a --html diagnosis.html
    """
    from knowhow.workspace import Workspace

    if try_ and (rows is not None or traces or case is not None):
        raise UsageProblem("--try mends a run of a suite: name the run, and neither --rows, --traces nor --case")
    asked = Asked(case, max_calls, pool, workers, html, markdown, as_json)
    about = About(run, rows, traces, since, suite, recipe, model, stronger or "")
    with Workspace.open(workspace) as opened, _failures(about, opened, case) as (inner, failures):
        report = _diagnosed(asked, inner, failures, Spending(dry_run, yes, max_cost))
        if report is None:
            return
        _write_reports(asked, report)
        if not as_json and case is not None:
            _print_story(report, inner)
        elif not as_json:
            _print_report(report)
        tried = _tried(asked, inner, failures, report, Spending(dry_run, yes, max_cost)) if try_ else None
    if as_json:
        from knowhow.diagnose.report import diagnosis_json
        from knowhow.diagnose.trying import tried_json

        write_json(diagnosis_json(report) | ({"tried": tried_json(tried)} if tried else {}))
    _end(report.diagnosis)


@dataclass(frozen=True, slots=True)
class Asked:
    """How it is to be diagnosed and told."""

    case: str | None
    max_calls: int | None
    pool: bool | None
    workers: int
    html: Path | None
    markdown: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class About:
    """Whose failures: a run's, another system's, or those of live use; and what they are experimented on with."""

    run: str | None
    rows: Path | None
    traces: bool
    since: str | None
    suite: str | None
    recipe: str | None
    model: str | None
    stronger: str

    def __post_init__(self) -> None:
        named = [self.run is not None, self.rows is not None, self.traces]
        if sum(named) > 1:
            raise UsageProblem("name one of them: a run, --rows FILE or --traces")
        if self.rows is None and (self.recipe or self.model):
            raise UsageProblem("--recipe and --model are for --rows; a run is experimented on with its own")
        if self.since is not None and not self.traces:
            raise UsageProblem("--since is for --traces")


def _diagnosed(asked: Asked, inner: Workspace, failures: Failures, spending: Spending) -> Report | None:
    """The report; None after a dry run or a no."""
    plan = failures.plan(max_calls=asked.max_calls, pool=asked.pool, workers=asked.workers)
    if failures.rows and not agree([inner.diagnosing.preview(failures, plan)], spending, asked.as_json):
        return None
    return follow(inner.diagnosing.diagnose(failures, plan, max_cost=spending.max_cost))


@contextmanager
def _failures(about: About, opened: Workspace, case: str | None) -> Generator[tuple[Workspace, Failures], None, None]:
    """The failures and the workspace in which they are experimented on."""
    from knowhow.workspace.attaching import attached, complained

    if about.rows is not None:
        with attached(opened, about.rows, recipe=about.recipe, model=about.model) as (inner, found):
            yield inner, found.only(case)
    elif about.traces:
        since = read_time(about.since, end_of_day=False) if about.since else None
        yield opened, complained(opened, since=since).only(case)
    else:
        run = about.run or _newest(opened)
        yield opened, opened.diagnosing.failures(run, suite=about.suite, stronger=about.stronger).only(case)


def _newest(opened: Workspace) -> str:
    runs = opened.evaluations.runs(limit=1)
    if not runs:
        raise UsageProblem("there is no run to diagnose; `knowhow evaluate SUITE` makes one")
    note(f"the newest run: {runs[0]['run_id']}, {runs[0]['recipe']} on {runs[0]['suite']}")
    return str(runs[0]["run_id"])


def _tried(asked: Asked, opened: Workspace, failures: Failures, report: Report, spending: Spending) -> Tried | None:
    """What came of trying the cheapest fixes; None after a no."""
    from knowhow.workspace.proposals import preview, to_try, try_fixes

    tries = to_try(failures, report)
    previews = (
        [replace(one, recipe=f"trying {one.recipe}") for one in preview(opened, failures, tries)] if tries else []
    )
    if not agree(previews, spending, asked.as_json):
        return None
    left = None if spending.max_cost is None else spending.max_cost - (report.diagnosis.cost_usd or 0.0)
    tried = follow(try_fixes(opened, failures, report, tries, workers=asked.workers, max_cost=left))
    if not asked.as_json:
        _print_tried(tried)
    return tried


def _print_tried(tried: Tried) -> None:
    from knowhow.evaluate.tables import against
    from knowhow.report import Table

    write(f"\n{styled('Tried', 'bold')}")
    if tried.baseline is not None:
        rows = [("as it is", f"{tried.baseline:.0%}"), *((name, f"{share:.0%}") for name, share in tried.candidates)]
        print_table(
            Table(("fix", "without a failed check, on dev"), rows, frozenset({"without a failed check, on dev"}))
        )
    if tried.pairs:
        write("")
        print_table(against(tried.pairs))
    write(clean(f"{tried.outcome.value}: {tried.reason}"))
    if tried.proposal:
        write(f"knowhow recipes adopt {tried.proposal}")


# --- what a person reads ----------------------------------------------------------------------------------


def _print_report(report: Report) -> None:
    from knowhow.diagnose.tables import clusters, mending, overview, summary, worked

    found = report.diagnosis
    write(clean(summary(found)))
    if not found.failed:
        return
    write("")
    print_table(overview(found))
    write("")
    print_table(clusters(found))
    write("")
    for cluster in found.clusters:
        write(f"{styled(clean(cluster.name), 'bold')} ({size(cluster.n, 'case')})")
        example = worked(cluster, found)
        write(clean(f"  e.g. {example.id}: {example.why}"))
        write(clean(f"  fix in {mending(cluster)}" if cluster.fix else f"  {mending(cluster)}"))
    _print_cases(found)
    _print_notes(found)


def _print_cases(found: Diagnosis) -> None:
    from knowhow.diagnose.report import named

    write("")
    for one in found.cases[:LISTED]:
        sure = max(one.posterior.values(), default=0.0)
        write(clean(f"{one.id}  {named(one.causes)}  {sure:.0%}  {size(one.calls, 'call')}"))
    if len(found.cases) > LISTED:
        note(f"and {len(found.cases) - LISTED} more; --json or --html lists them all")
    note(f"`knowhow diagnose {found.run} --case {found.cases[0].id}` tells one story in full")


def _print_notes(found: Diagnosis) -> None:
    for text in found.notes:
        note(text, styled("note: ", "yellow"))


def _print_story(report: Report, opened: Workspace) -> None:
    """One case in full: what was asked and said, what is known, every experiment with its prompt and answer."""
    from knowhow.diagnose.tables import interventions, mending, signals

    one = report.diagnosis.cases[0]
    write(f"{styled(clean(one.id), 'bold')}  {clean(report.questions[one.id])}")
    write(clean(f"answered: {report.answers[one.id]}"))
    for check, reason in one.signals.details["failed"].items():
        write(clean(f"{check} failed: {reason}"))
    write(f"\n{styled('Known without a call', 'bold')}")
    print_table(signals(one))
    if one.trials:
        write(f"\n{styled('Experiments', 'bold')}")
        print_table(interventions(one))
        _print_trials(one, opened)
    write(f"\n{styled('Finding', 'bold')}")
    write(clean(one.why))
    for name, chance in [*one.posterior.items()][:3]:
        write(f"  {chance:4.0%}  {name}")
    write(clean(f"{mending(one)}"))
    note(f"stopped: {one.stopped}")
    _print_notes(report.diagnosis)


def _print_trials(one: CaseDiagnosis, opened: Workspace) -> None:
    from knowhow.diagnose.words import MOVES
    from knowhow.errors import NotFound

    for trial in one.trials:
        write(f"\n{styled(MOVES[trial.move], 'bold')} (draw {trial.draw})")
        try:
            trace = opened.trace(trial.trace_id) if trial.trace_id else None
        except NotFound:
            trace = None
            note("its prompt rests on documents you may not see")
        for turn in trace["prompt"] if trace else ():
            write(styled(f"  {turn['role']}:", "dim"))
            write(clean("\n".join(f"    {line}" for line in turn["content"].splitlines())))
        write(clean(f"  answer: {trial.answer}"))
        write(clean(f"  {trial.reason}"))


def _write_reports(asked: Asked, report: Report) -> None:
    from knowhow.diagnose.pages import to_markdown, to_page

    for path, render in ((asked.html, to_page), (asked.markdown, to_markdown)):
        if path is not None:
            try:
                path.write_text(render(report), "utf-8")
            except OSError as error:
                raise UsageProblem(f"cannot write {path}: {error.strerror}") from None


def _end(found: Diagnosis) -> None:
    if not found.stopped:
        return
    note(f"not finished: {found.stopped}; the same command goes on from here")
    if "--max-cost" in found.stopped:
        raise typer.Exit(BUDGET)
    raise typer.Exit(PARTLY if found.calls else PROVIDER)
