"""Rows and runs as JSON and as records, and back."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, overload

from knowhow.errors import NotFound
from knowhow.ports import Record
from knowhow.types import (
    Check,
    Citation,
    Estimate,
    Json,
    Outcome,
    Row,
    Run,
    Usage,
    Verdict,
    flat,
)
from knowhow.types.plain import from_plain, to_plain

ROW = "row"
RUN = "run"


def row_record(row: Row, run: str, *, access: frozenset[str], uris: frozenset[str]) -> Record:
    """As the journal keeps it: under its run, readable only with the tags of every document it names."""
    return Record(ROW, row_key(run, row.draw, row.id), row_json(row), parent=run, access=access, uris=uris)


def row_key(run: str, draw: int, id: str) -> str:
    """The name of a row's record."""
    return f"{run}/{draw}/{id}"


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
        "citations": [to_plain(citation) for citation in row.citations],
        "usage": flat(row.usage),
        "ms": {stage: round(ms, 2) for stage, ms in row.ms.items()},
        "trace_id": row.trace_id,
        "remembered": row.remembered,
        "judge_usage": flat(row.judge_usage),
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
        citations=tuple(from_plain(Citation, item) for item in body["citations"]),
        usage=Usage(**body["usage"]),
        ms=body["ms"],
        trace_id=body["trace_id"],
        remembered=body["remembered"],
        failure=body["failure"],
        judge_usage=Usage(**body["judge_usage"]) if "judge_usage" in body else Usage(cost_usd=0.0),
    )


class RowsFile(Sequence[Row]):
    """The rows of a JSONL file, each read when it is looked at, so that a run of any size takes no memory.

    Raises `NotFound` where the file is gone, as after a purge.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("q")
        at = 0
        with self._opened() as file:
            for line in file:
                self._starts.append(at)
                at += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Row]:
        with self._opened() as file:
            for line in file:
                yield row_of(json.loads(line))

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        start = self._starts[at]
        with self._opened() as file:
            file.seek(start)
            return row_of(json.loads(file.readline()))

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise NotFound(f"the rows in {self._path} are gone ({error.strerror}); evaluate again") from None


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
        "remembered": run.remembered,
        "checks": {check.value: _estimate_json(found) for check, found in run.checks.items()},
        "every_draw": {check.value: _estimate_json(found) for check, found in run.every_draw.items()},
        "measures": {name: _estimate_json(found) for name, found in run.measures.items()},
        "latency_ms": {name: round(ms, 1) for name, ms in run.latency_ms.items()},
        "tokens": {"prompt": run.usage.prompt_tokens, "completion": run.usage.completion_tokens, "answers": run.timed},
        "cost_usd": run.usage.cost_usd,
        "paid_usd": run.paid_usd,
        "cost_per_1000_usd": None if run.usage.cost_usd is None else 1000 * run.usage.cost_usd / asked,
        "started": run.started,
        "finished": run.finished,
        "code": run.code,
        "data_revision": run.data_revision,
        "machine": run.machine,
    }


def _estimate_json(found: Estimate) -> Json:
    return flat(found)
