"""Rows and runs as JSON and as records, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from knowhow.ports import Record
from knowhow.types import (
    Check,
    Citation,
    Estimate,
    Json,
    Outcome,
    Place,
    Row,
    Run,
    Support,
    Usage,
    Verdict,
)

ROW = "row"
RUN = "run"


def row_record(row: Row, run: str, *, access: frozenset[str], uris: frozenset[str]) -> Record:
    """As the journal keeps it: under its run, readable only with the tags of every document it names."""
    return Record(ROW, f"{run}/{row.draw}/{row.id}", row_json(row), parent=run, access=access, uris=uris)


def row_json(row: Row) -> Json:
    """One row as `--json` prints it."""
    return {
        "id": row.id,
        "group": row.group,
        "draw": row.draw,
        "answer": row.answer,
        "abstained": row.abstained,
        "verdicts": {
            check.value: {
                "outcome": verdict.outcome.value,
                "reason": verdict.reason,
                "measures": dict(verdict.measures),
            }
            for check, verdict in row.verdicts.items()
        },
        "citations": [
            {**asdict(citation), "supported": citation.supported.value, "sentence": list(citation.sentence)}
            for citation in row.citations
        ],
        "usage": asdict(row.usage),
        "ms": {stage: round(ms, 2) for stage, ms in row.ms.items()},
        "trace_id": row.trace_id,
        "remembered": row.remembered,
        "failure": row.failure,
    }


def row_of(body: Mapping[str, Any]) -> Row:
    """The row that `row_json` wrote."""
    return Row(
        id=body["id"],
        group=body["group"],
        draw=body["draw"],
        answer=body["answer"],
        abstained=body["abstained"],
        verdicts={
            Check(name): Verdict(Outcome(found["outcome"]), found["reason"], found["measures"])
            for name, found in body["verdicts"].items()
        },
        citations=tuple(_citation(item) for item in body["citations"]),
        usage=Usage(**body["usage"]),
        ms=body["ms"],
        trace_id=body["trace_id"],
        remembered=body["remembered"],
        failure=body["failure"],
    )


def _citation(body: Mapping[str, Any]) -> Citation:
    place = Place(**{**body["place"], "heading": tuple(body["place"]["heading"])})
    start, end = body["sentence"]
    return Citation(**{**body, "place": place, "supported": Support(body["supported"]), "sentence": (start, end)})


def run_json(run: Run) -> Json:
    """A run as `evaluate --json` prints it, without its rows."""
    asked = max(run.timed, 1)
    return {
        "run_id": run.id,
        "recipe": run.recipe.name,
        "recipe_hash": run.recipe.hash,
        "model": run.recipe.model,
        "suite": run.suite,
        "suite_hash": run.suite_hash,
        "split": run.split.value if run.split else None,
        "draws": run.draws,
        "n": run.n,
        "failed": run.failed,
        "checks": {check.value: _estimate_json(found) for check, found in run.checks.items()},
        "every_draw": {check.value: _estimate_json(found) for check, found in run.every_draw.items()},
        "measures": {name: _estimate_json(found) for name, found in run.measures.items()},
        "latency_ms": {name: round(ms, 1) for name, ms in run.latency_ms.items()},
        "tokens": {"prompt": run.usage.prompt_tokens, "completion": run.usage.completion_tokens, "answers": run.timed},
        "cost_usd": run.usage.cost_usd,
        "cost_per_1000_usd": None if run.usage.cost_usd is None else 1000 * run.usage.cost_usd / asked,
        "started": run.started,
        "finished": run.finished,
        "code": run.code,
        "data_revision": run.data_revision,
        "machine": run.machine,
    }


def _estimate_json(found: Estimate) -> Json:
    return asdict(found)
