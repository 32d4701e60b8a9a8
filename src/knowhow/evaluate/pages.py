"""Evaluations and comparisons as Markdown and as one self-contained page with plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from knowhow.evaluate.gates import Gate
from knowhow.evaluate.tables import against, changed, detail, graded, overview, per_thousand, verdict
from knowhow.report import Bar, Point, Section, Side, Table, bars, page, scatter, side_by_side
from knowhow.report import to_html as table_html
from knowhow.report import to_markdown as table_markdown
from knowhow.types import Check, Outcome, Pair, Row, Run

SHOWN = 50
"""Answers shown side by side for one pair, or failures of one run."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured: runs with their rows by recipe, the comparison if there is one, remarks and gates."""

    runs: tuple[Run, ...]
    rows: Mapping[str, Sequence[Row]]
    baseline: str = ""
    pairs: Sequence[Pair] = ()
    notes: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    questions: Mapping[str, str] = field(default_factory=dict)


def to_markdown(report: Report) -> str:
    """Tables only, for a pull request or a wiki."""
    first = report.runs[0]
    parts = [f"# {_title(report)}\n", f"{_asked(first)}\n", table_markdown(overview([*report.runs]))]
    for run in report.runs if len(report.runs) == 1 else ():
        parts += ["## Checks\n", table_markdown(detail(run))]
        parts += [table_markdown(graded(run))] if graded(run).rows else []
    if report.pairs:
        measured = [pair for pair in report.pairs if pair.n]
        parts += [f"## Against {report.baseline}\n", table_markdown(against(measured))]
        parts += [f"- {pair.b}, {pair.check}: {changed(pair)}" for pair in measured if changed(pair)]
        parts.append("")
    if report.gates:
        parts += ["## Gates\n", table_markdown(_gates(report.gates))]
    parts += [f"> {note}\n" for note in report.notes]
    return "\n".join(parts) + "\n" + _made(first)


def to_page(report: Report) -> str:
    """The page: figures first, then plots, what changed with both answers, and the failures with their reasons."""
    first = report.runs[0]
    sections = [
        Section("Recipes", table_html(overview([*report.runs])), "Share that passes, 95% interval in brackets.")
    ]
    if report.gates:
        sections.append(Section("Gates", table_html(_gates(report.gates))))
    if report.pairs:
        measured = [pair for pair in report.pairs if pair.n]
        sections.append(Section(f"Against {report.baseline}", table_html(against(measured))))
    sections += [_against_cost(report.runs), *_check_plots(report.runs)]
    for pair in report.pairs:
        if pair.fixed or pair.broken:
            sections.append(_changed(report, pair))
    if len(report.runs) == 1:
        sections.append(Section("Checks", table_html(detail(first)) + table_html(graded(first))))
        sections += _failures(report, first)
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    sections.append(Section("Remarks", f'{notes}<p class="soft">{escape(_made(first))}</p>'))
    return page(_title(report), sections, summary=_asked(first))


def _title(report: Report) -> str:
    names = ", ".join(run.recipe.name for run in report.runs)
    return f"{report.runs[0].suite}: {names}"


def _asked(run: Run) -> str:
    draws = f", each {run.draws} times" if run.draws > 1 else ""
    return f"{run.n // run.draws} examples of the split {run.split or 'all'}{draws}."


def _made(run: Run) -> str:
    return (
        f"Knowhow {run.code}, suite {run.suite_hash}, data revision {run.data_revision}, {run.machine}, run {run.id}."
    )


def _gates(gates: Sequence[Gate]) -> Table:
    rows = [(one.gate, one.recipe, one.outcome.value, one.reason) for one in gates]
    return Table(("gate", "recipe", "outcome", "reason"), rows)


def _main(runs: Sequence[Run]) -> Check | None:
    """The check that stands for quality in one plot: content, else the first that every run has measured."""
    shared = [check for check in Check if all(check in run.checks for run in runs)]
    return (
        Check.CONTENT if Check.CONTENT in shared else Check.LABEL if Check.LABEL in shared else next(iter(shared), None)
    )


def _against_cost(runs: Sequence[Run]) -> Section:
    """Quality against dollars, or against latency where everything is free or has no price."""
    check = _main(runs)
    costs = {run.recipe.name: per_thousand(run) for run in runs}
    priced = all(cost is not None for cost in costs.values()) and any(costs.values())
    points = []
    for run in runs:
        found = run.checks.get(check) if check else None
        x = costs[run.recipe.name] if priced else run.latency_ms.get("p50")
        if found and found.mean is not None and x is not None:
            points.append(Point(run.recipe.name, x, found.mean, found.low, found.high))
    title = "Quality against cost" if priced else "Quality against latency"
    if not points or check is None:
        return Section(title, "<p>No recipe has an answer whose quality and cost are measured.</p>")
    label = "US dollars for 1,000 answers" if priced else "milliseconds for an answer (median)"
    return Section(title, scatter(title, points, x_label=label, y_label=check.value))


def _check_plots(runs: Sequence[Run]) -> list[Section]:
    plots = []
    for check in Check:
        if any(check in run.checks for run in runs):
            rows = [_bar(run, check) for run in runs]
            plots.append(f"<h3>{check.value}</h3>" + bars(check.value, rows, high=1.0))
    return [Section("Checks with their intervals", "".join(plots))] if plots else []


def _bar(run: Run, check: Check) -> Bar:
    found = run.checks.get(check)
    if found is None or found.mean is None:
        return Bar(run.recipe.name, None, note="not measured")
    return Bar(run.recipe.name, found.mean, found.low, found.high)


def _changed(report: Report, pair: Pair) -> Section:
    """Both answers to every example that got fixed or broken."""
    blocks = []
    chosen = (("fixed", pair.fixed[:SHOWN]), ("broken", pair.broken[:SHOWN]))
    wanted = {id for _, ids in chosen for id in ids}
    left, right = ({row.id: row for row in report.rows[name] if row.id in wanted} for name in (pair.a, pair.b))
    for word, ids in chosen:
        for id in ids:
            summary = f"{word}: {id} {report.questions.get(id, '')}"[:200]
            blocks.append(
                side_by_side(summary, [_side(pair.a, left[id], pair.check), _side(pair.b, right[id], pair.check)])
            )
    more = max(len(pair.fixed) - SHOWN, 0) + max(len(pair.broken) - SHOWN, 0)
    note = f"{verdict(pair)}; {len(pair.fixed)} fixed, {len(pair.broken)} broken" + (
        f"; {more} more are in the rows" if more else ""
    )
    return Section(f"{pair.b} against {pair.a}: {pair.check}", "".join(blocks), note)


def _side(name: str, row: Row, check: Check) -> Side:
    return Side(name, row.answer or row.failure, row.verdicts[check].reason)


def _failures(report: Report, run: Run) -> list[Section]:
    blocks: list[str] = []
    more = 0
    for row in report.rows[run.recipe.name]:
        wrong = [f"{check}: {found.reason}" for check, found in row.verdicts.items() if found.outcome is Outcome.FAIL]
        if (wrong or row.failure) and len(blocks) == SHOWN:
            more += 1
        elif wrong or row.failure:
            summary = f"{row.id} {report.questions.get(row.id, '')}"[:200]
            blocks.append(side_by_side(summary, [Side("answer", row.answer or row.failure, "; ".join(wrong))]))
    if not blocks:
        return []
    return [Section("What failed, and why", "".join(blocks), f"{more} more are in the rows" if more else "")]
