"""A diagnosis with what a reader wants to see beside it, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from knowhow.diagnose.fixes import passed
from knowhow.types import CaseDiagnosis, Cause, CauseShare, Cluster, Diagnosis, Fix, Json, Trial

KIND = "diagnosis"
LISTED = 0.001
"""Posterior below which a set of causes is left out of the JSON."""


@dataclass(frozen=True, slots=True)
class Report:
    """A diagnosis with the question and the failed answer of each of its cases, by id."""

    diagnosis: Diagnosis
    questions: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


def diagnosis_json(report: Report) -> Json:
    """As `diagnose --json` prints it and the journal keeps it."""
    found = report.diagnosis
    return {
        "run_id": found.run,
        "diagnosis_id": found.id,
        "n": found.n,
        "n_failed": found.failed,
        "calls": found.calls,
        "cost_usd": found.cost_usd,
        "causes": [_share(one) for one in found.causes],
        "clusters": [_cluster(one) for one in found.clusters],
        "cases": [_case(one, report) for one in found.cases],
        "stopped": found.stopped,
        "notes": list(found.notes),
    }


def named(causes: Sequence[Cause]) -> str:
    """One cause or a compound as one name."""
    return " + ".join(cause.value for cause in causes)


def by_move(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """The trials under the name of their move, in the order they were first made."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.move.value, []).append(trial)
    return found


def _share(one: CauseShare) -> Json:
    return {"cause": one.cause.value, "share": one.share, "low": one.low, "high": one.high}


def _cluster(one: Cluster) -> Json:
    return {
        "name": one.name,
        "n": one.n,
        "causes": [_share(share) for share in one.causes],
        "fix": _fix(one.fix),
        "cases": list(one.cases),
    }


def _case(one: CaseDiagnosis, report: Report) -> Json:
    return {
        "id": one.id,
        "group": one.group,
        "question": report.questions.get(one.id, ""),
        "answer": report.answers.get(one.id, ""),
        "failed": list(one.failed),
        "cause": named(one.causes),
        "why": one.why,
        "posterior": {name: round(p, 6) for name, p in one.posterior.items() if p >= LISTED},
        "signals": {**one.signals.findings, "details": one.signals.details},
        "interventions": [_intervention(name, trials) for name, trials in by_move(one.trials).items()],
        "mended_by": [move.value for move in one.mended_by],
        "fix": _fix(one.fix),
        "calls": one.calls,
        "stopped": one.stopped,
    }


def _intervention(name: str, trials: Sequence[Trial]) -> Json:
    return {
        "name": name,
        "draws": len(trials),
        "passed": sum(passed(trial.responses.values()) for trial in trials),
        "responses": [{side.value: found.value for side, found in trial.responses.items()} for trial in trials],
        "answers": [trial.answer for trial in trials],
        "reasons": [trial.reason for trial in trials],
        "trace_ids": [trial.trace_id for trial in trials],
    }


def _fix(fix: Fix | None) -> Json | None:
    return None if fix is None else {**asdict(fix), "home": fix.home.value}
