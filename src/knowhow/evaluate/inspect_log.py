"""Runs in the log format of Inspect (inspect.aisi.org.uk), so that its viewer and its analyses can read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from knowhow.evaluate.fit import right_answer
from knowhow.types import Check, Example, Json, Outcome, Row

VERSION = 2
"""Version of Inspect's log format that is written."""
_LETTER = {Outcome.PASS: "C", Outcome.FAIL: "I"}


def inspect_log(run: Mapping[str, Any], rows: Sequence[Row], examples: Mapping[str, Example]) -> Json:
    """One eval log: `run` as `run_json` gives it, a sample for each row (draws are epochs), a scorer for each check.

    What is unmeasured has no score. Questions and targets are those of `examples`; an example that is gone leaves them
    empty.
    """
    model = str(run["model"])
    usage = _usage(rows)
    ids = list(dict.fromkeys(row.id for row in rows))
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": run["run_id"],
            "run_id": run["run_id"],
            "created": _time(run["started"]),
            "task": run["suite"],
            "task_id": run["run_id"],
            "task_version": 0,
            "task_attribs": {},
            "task_args": {"recipe": run["recipe"], "recipe_hash": run["recipe_hash"]},
            "dataset": {"name": run["suite"], "samples": len(ids), "sample_ids": ids, "shuffled": False},
            "model": model,
            "model_args": {},
            "config": {"epochs": run["draws"]},
            "packages": {"knowhow-ai": run["code"]},
            "metadata": {"suite_hash": run["suite_hash"], "data_revision": run["data_revision"]},
        },
        "plan": {"name": "plan", "steps": [{"solver": str(run["recipe"]), "params": {}}], "config": {}},
        "results": {
            "total_samples": len(rows),
            "completed_samples": sum(1 for row in rows if not row.failure),
            "scores": [_score(check, found) for check, found in run["checks"].items()],
        },
        "stats": {
            "started_at": _time(run["started"]),
            "completed_at": _time(run["finished"]),
            "model_usage": {model: usage},
        },
        "samples": [_sample(row, examples.get(row.id), model) for row in rows],
    }


def _score(check: str, found: Mapping[str, Any]) -> Json:
    metrics = {"accuracy": found["mean"], "low": found["low"], "high": found["high"]}
    return {
        "name": check,
        "scorer": check,
        "params": {},
        "metrics": {
            name: {"name": name, "value": value, "params": {}} for name, value in metrics.items() if value is not None
        },
    }


def _sample(row: Row, example: Example | None, model: str) -> Json:
    asked = example.asked if example else ""
    turn = {"role": "assistant", "content": row.answer, "source": "generate", "model": model}
    return {
        "id": row.id,
        "epoch": row.draw + 1,
        "input": asked,
        "target": right_answer(example.expect) if example else "",
        "messages": [{"role": "user", "content": asked}, turn],
        "output": {
            "model": model,
            "choices": [] if row.failure else [{"message": turn, "stop_reason": "stop"}],
            "completion": row.answer,
            "usage": _tokens(row.usage.prompt_tokens, row.usage.completion_tokens),
            "time": row.ms.get("total", 0.0) / 1000,
        },
        "scores": {check.value: found for check, found in _scores(row).items()},
        "metadata": {"group": row.group, "abstained": row.abstained, "trace_id": row.trace_id, "failure": row.failure},
        "store": {},
        "events": [],
        "model_usage": {model: _tokens(row.usage.prompt_tokens, row.usage.completion_tokens)},
        "attachments": {},
    }


def _scores(row: Row) -> dict[Check, Json]:
    return {
        check: {
            "value": _LETTER[verdict.outcome],
            "answer": row.answer,
            "explanation": verdict.reason,
            "metadata": dict(verdict.measures),
        }
        for check, verdict in row.verdicts.items()
        if verdict.outcome in _LETTER
    }


def _usage(rows: Sequence[Row]) -> Json:
    return _tokens(sum(row.usage.prompt_tokens for row in rows), sum(row.usage.completion_tokens for row in rows))


def _tokens(prompt: int, completion: int) -> Json:
    return {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
