"""A diagnosis as tables and lines that a person reads; the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence

from knowhow.diagnose.fixes import passed
from knowhow.diagnose.report import Report, by_move, named
from knowhow.diagnose.words import MOVES
from knowhow.evaluate.tables import money
from knowhow.report import Table
from knowhow.types import CaseDiagnosis, Cause, CauseShare, Cluster, Diagnosis, Fix, Move, Response, Trial

CAUSES = {
    Cause.LOST: "lost on the way into the index",
    Cause.MISSING: "in no document",
    Cause.UNFOUND: "indexed, but not found",
    Cause.OUTRANKED: "found, but cut from the context",
    Cause.STALE: "an old version was followed",
    Cause.UNUSED: "shown, but not used",
    Cause.FORMAT: "wrong format",
    Cause.STYLE: "wrong style",
    Cause.LABEL: "wrong label",
    Cause.REASONING: "wrong decision from given rules",
    Cause.UNSTABLE: "changes from draw to draw",
    Cause.REFUSAL: "declined, or answered, wrongly",
    Cause.MEASUREMENT: "example wrong, or nothing helps",
    Cause.UNDETERMINED: "cannot be told",
}
_RESPONSES = {
    Response.PASS: "passes",
    Response.FAIL: "fails",
    Response.FOLLOWED: "follows the swap",
    Response.REMEMBERED: "says the original",
    Response.UNMEASURED: "unmeasured",
}


def summary(found: Diagnosis) -> str:
    """What was diagnosed, and what that took, in a sentence."""
    if not found.failed:
        return f"{about(found)}: none of {found.n} examples failed, so there is nothing to diagnose."
    cost = "price unknown" if found.cost_usd is None else "no cost" if not found.cost_usd else f"${found.cost_usd:.4f}"
    return f"{about(found)}: {found.failed} of {found.n} examples failed; {found.calls} calls, {cost}."


def about(found: Diagnosis) -> str:
    """Whose failures they are: a run's by its id, else the file or the traces they are from."""
    named = {"--traces": "Answers people judged"}.get(found.run, found.run.removeprefix("--rows "))
    return named if found.run.startswith("--") else f"Run {found.run}"


def overview(found: Diagnosis) -> Table:
    """One row a cause over all failures."""
    rows = [(one.cause.value, CAUSES[one.cause], share(one)) for one in found.causes]
    return Table(("cause", "which means", "share of failures"), rows, frozenset({"share of failures"}))


def clusters(found: Diagnosis) -> Table:
    """One row a cluster: how many, its main causes, where the fix belongs and what it gains."""
    rows = [
        (
            one.name,
            str(one.n),
            ", ".join(f"{each.cause.value} {share(each)}" for each in one.causes[:3]),
            one.fix.home.value if one.fix else "-",
            gain(one.fix),
        )
        for one in found.clusters
    ]
    return Table(("cluster", "cases", "causes", "fix in", "expected gain"), rows, frozenset({"cases"}))


def cases(report: Report) -> Table:
    """One row a case."""
    found = report.diagnosis
    rows = [
        (one.id, named(one.causes), f"{max(one.posterior.values(), default=0.0):.0%}", str(one.calls), one.why)
        for one in found.cases
    ]
    return Table(("case", "cause", "sure", "calls", "finding"), rows, frozenset({"sure", "calls"}))


def interventions(one: CaseDiagnosis) -> Table:
    """One row an intervention: how often it mended the case."""
    rows = [
        (name, MOVES[Move(name)], f"{_good(trials)} of {len(trials)}", told(trials[-1]), trials[-1].reason)
        for name, trials in by_move(one.trials).items()
    ]
    return Table(("intervention", "asked", "mended", "last draw", "because"), rows, frozenset({"mended"}))


def signals(one: CaseDiagnosis) -> Table:
    """What was known without a call."""
    return Table(("signal", "finding"), [*one.signals.findings.items()])


def told(trial: Trial) -> str:
    """How each failed side responded, e.g. "knowledge passes, behaviour fails"."""
    return ", ".join(f"{side.value} {_RESPONSES[found]}" for side, found in trial.responses.items())


def share(one: CauseShare) -> str:
    """ "62% (48-75)", without the bracket where there is no interval."""
    if one.low is None or one.high is None:
        return f"{one.share:.0%}"
    return f"{one.share:.0%} ({100 * one.low:.0f}-{100 * one.high:.0f})"


def gain(fix: Fix | None) -> str:
    """ "+8 points (3-12)"; what was not measured says so."""
    if fix is None:
        return "-"
    if fix.expected_gain is None:
        return "not measured"
    points = f"{100 * fix.expected_gain:+.0f} points"
    return points if fix.low is None or fix.high is None else f"{points} ({100 * fix.low:.0f}-{100 * fix.high:.0f})"


def worked(cluster: Cluster, found: Diagnosis) -> CaseDiagnosis:
    """The case that shows the cluster's main cause most surely."""
    main = cluster.causes[0].cause if cluster.causes else Cause.UNDETERMINED
    members = [one for one in found.cases if one.id in cluster.cases]
    return max(members, key=lambda one: (main in one.causes, max(one.posterior.values(), default=0.0)))


def mending(one: Cluster | CaseDiagnosis) -> str:
    """What to do, in one line."""
    return (
        f"{one.fix.home.value}: {one.fix.action}. {one.fix.command}".rstrip()
        if one.fix
        else "nothing was determined to mend"
    )


def spent(found: Diagnosis) -> str:
    """US dollars as reports write them."""
    return money(found.cost_usd)


def _good(trials: Sequence[Trial]) -> int:
    return sum(passed(trial.responses.values()) for trial in trials)
