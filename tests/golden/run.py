"""Puts fixed questions to the sample company, without a language model, and keeps what must not change unnoticed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from knowhow.workspace import Workspace, answer_json, search_json

SAMPLE = Path(__file__).resolve().parents[2] / "src" / "knowhow" / "sample"
EXPECTED = Path(__file__).parent / "expected"
QUESTIONS = {
    "returns": "Within how many days can a customer return a refurbished laptop?",
    "superseded": "What is the restocking fee?",
    "deposit": "What is the deposit for a loan laptop?",
    "pdf": "How long does a swollen battery stay in sand box S2?",
    "handbook": "How many days of paid leave does everyone have?",
    "mail": "From when does the delivery time for laptop batteries rise?",
    "contract": "How much does the Council pay for each laptop?",
    "spreadsheet": "What does a phone screen repair cost?",
    "hidden": "What is the budget for the bonus?",
    "unknown": "What is the name of the mayor of Brightwater?",
}
UNSTEADY = ("ms", "trace_id", "seconds", "updated")
"""Keys that differ from run to run."""
DIGITS = 3
"""Scores are compared to so many digits: the last ones depend on the processor."""


def golden() -> dict[str, Any]:
    """file name → JSON: the documents, and for each question the hits and the extractive answer."""
    with tempfile.TemporaryDirectory() as scratch, Workspace.init(scratch) as workspace:
        workspace.ingest(SAMPLE / "company", access_rules=SAMPLE / "access.toml")
        recipe = workspace.recipe("rag", {"model": "extractive"})
        found: dict[str, Any] = {
            "documents": [
                [d.uri, d.title, d.passages, sorted(d.access)] for d in workspace.documents(access=frozenset("*"))
            ]
        }
        for name, question in QUESTIONS.items():
            hits = search_json(workspace.search(question, k=3))
            answer = answer_json(workspace.ask(question, recipe))
            found[name] = steady({"question": question, "search": hits, "ask": answer})
    return found


def steady(value: Any) -> Any:
    """`value` without what differs from run to run, numbers rounded."""
    if isinstance(value, dict):
        return {key: steady(item) for key, item in value.items() if key not in UNSTEADY}
    if isinstance(value, list):
        return [steady(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def text(value: Any) -> str:
    """As it is committed."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
