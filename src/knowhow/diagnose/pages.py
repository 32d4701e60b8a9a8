"""A diagnosis as Markdown and as one self-contained page: causes as bars, clusters, every case with its answers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from knowhow.diagnose.report import Report, by_move, named
from knowhow.diagnose.tables import (
    CAUSES,
    about,
    cases,
    clusters,
    gain,
    interventions,
    mending,
    overview,
    signals,
    summary,
    told,
    worked,
)
from knowhow.diagnose.words import MOVES
from knowhow.report import Bar, Section, Side, bars, page, side_by_side
from knowhow.report import to_html as table_html
from knowhow.report import to_markdown as table_markdown
from knowhow.types import CaseDiagnosis, CauseShare, Cluster, Move

SHOWN = 200
"""Cases that a page tells in full."""


def to_markdown(report: Report) -> str:
    """Clusters first, then the cases, for a pull request or a wiki."""
    found = report.diagnosis
    parts = [f"# Diagnosis: {about(found)}\n", f"{summary(found)}\n"]
    if found.stopped:
        parts.append(f"**Not finished**: {found.stopped}\n")
    if found.failed:
        parts += ["## Causes\n", table_markdown(overview(found)), "## Clusters\n", table_markdown(clusters(found))]
        parts += [f"- **{_plain(one.name)}**: {mending(one)}" for one in found.clusters]
        parts += ["\n## Cases\n", table_markdown(cases(report))]
    parts += [f"> {note}\n" for note in found.notes]
    return "\n".join(parts) + "\n"


def to_page(report: Report) -> str:
    """The page: shares as bars with intervals, a section a cluster, and under each its cases to open."""
    found = report.diagnosis
    sections = []
    if found.failed:
        note = "Share of the failures in which a cause is at work, with its 95% interval; two at once count in both."
        sections.append(Section("Causes", _bars("Causes", found.causes), note))
        sections.append(Section("Clusters", table_html(clusters(found))))
    by_id = {one.id: one for one in found.cases}
    left = SHOWN
    for cluster in found.clusters:
        shown = [by_id[id] for id in cluster.cases[:left]]
        sections.append(_cluster(cluster, shown, report))
        left -= len(shown)
    notes = "".join(f"<p>{escape(note)}</p>" for note in (found.stopped, *found.notes) if note)
    sections.append(Section("Remarks", f'{notes}<p class="soft">Diagnosis {escape(found.id)}.</p>'))
    return page(f"Diagnosis: {about(found)}", sections, summary=summary(found))


def _bars(title: str, causes: Sequence[CauseShare]) -> str:
    rows = [Bar(CAUSES[one.cause], one.share, one.low, one.high, f"{one.share:.0%}") for one in causes]
    return bars(title, rows, high=1.0)


def _cluster(cluster: Cluster, shown: Sequence[CaseDiagnosis], report: Report) -> Section:
    fix = ""
    if cluster.fix is not None:
        fix = (
            f"<p><b>Fix in {escape(cluster.fix.home.value)}:</b> {escape(cluster.fix.action)}, "
            f"expected gain {escape(gain(cluster.fix))}.</p>"
        )
        fix += f"<pre>{escape(cluster.fix.command)}</pre>" if cluster.fix.command else ""
    drawn = _bars(cluster.name, cluster.causes) if len(cluster.causes) > 1 else ""
    told_of = "".join(_case(one, report) for one in shown)
    more = cluster.n - len(shown)
    rest = f'<p class="soft">{more} more are in the JSON.</p>' if more else ""
    example = f"<p>{escape(worked(cluster, report.diagnosis).why)}</p>"
    what = ", ".join(CAUSES[one.cause] for one in cluster.causes[:1])
    return Section(f"{cluster.name} ({cluster.n})", drawn + example + fix + told_of + rest, what)


def _case(one: CaseDiagnosis, report: Report) -> str:
    """What was asked and found, the failed answer beside the answer to every intervention, and the signals."""
    sides = [Side("as it failed", report.answers.get(one.id, ""), "; ".join(one.signals.details["failed"].values()))]
    for name, trials in by_move(one.trials).items():
        for trial in trials:
            sides.append(Side(MOVES[Move(name)], trial.answer, f"{told(trial)}; {trial.reason}"))
    head = f"{one.id}: {named(one.causes)}, {report.questions.get(one.id, '')}"[:200]
    facts = f"<p>{escape(one.why)}</p><p><b>Fix:</b> {escape(mending(one))}</p>"
    held = f"<details><summary>signals</summary>{table_html(signals(one))}</details>"
    made = table_html(interventions(one)) if one.trials else ""
    answers = side_by_side("answers side by side", sides)
    body = facts + made + answers + held
    return f"<details><summary>{escape(head)}</summary>{body}</details>"


def _plain(text: str) -> str:
    return text.replace("*", "").replace("<", "&lt;")
