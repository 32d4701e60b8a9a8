"""Answers that another system gave, or that people complained about, made into rows whose failures can be diagnosed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from knowhow.answer.decline import declines
from knowhow.errors import NotFound, UsageProblem
from knowhow.evaluate.checks import check
from knowhow.suites.parse import parse_example
from knowhow.types import Answer, Decline, Example, Located, Recipe, Row, Usage, fingerprint

_SHORT = 8
"""Words of an expected answer that is short enough to be looked for word by word, as a fact."""
_TEXTS = ("retrieved", "contexts")
_RIGHT = ("expected", "ground_truth")
_OWN = ("id", "question", "answer", "group", *_TEXTS, *_RIGHT, "expect")


@dataclass(frozen=True, slots=True)
class Text:
    """One retrieved text under the uri it is known by."""

    uri: str
    text: str


@dataclass(frozen=True, slots=True)
class Attached:
    """One answer of another system: what was asked, said and expected, and the texts it was given, best first."""

    example: Example
    answer: str
    texts: tuple[Text, ...]


def read_attached(path: Path) -> list[Attached]:
    """The rows of a JSONL file: `question`, `answer`, `retrieved` (texts, or objects with `source` and `text`) and
    `expected` (a text) or `expect` (as in a suite), with an `id` if there is one.

    `contexts` and `ground_truth` are understood as well. Raises `NotFound`, and `UsageProblem` naming lines.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    rows: list[Attached] = []
    problems: list[str] = []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is not UTF-8 text (byte {error.start}); convert it") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            row, wrong = _row(line, number)
            problems += [f"line {number} {one}" for one in wrong]
            rows += [row] if row else []
    seen: set[str] = set()
    for row in rows:
        if row.example.id in seen:
            problems.append(f'the id "{row.example.id}" is used twice')
        seen.add(row.example.id)
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UsageProblem(f"{path}: {'; '.join(problems[:5])}{more} (docs/diagnose.md shows a row)")
    if not rows:
        raise UsageProblem(f"{path} is empty; write one answer a line (docs/diagnose.md shows one)")
    return rows


def documents(rows: Sequence[Attached]) -> list[Mapping[str, str]]:
    """Every text once, as `ingest FILE.jsonl --as-documents` reads documents."""
    texts = {text.uri: text.text for row in rows for text in row.texts}
    return [{"_id": uri, "title": "", "text": text} for uri, text in texts.items()]


def checked(example: Example, answer: str, recipe: Recipe, evidence: Sequence[Located], *, trace_id: str = "") -> Row:
    """The row an evaluation would have made of this answer; what it cites and rests on is not looked at."""
    declined = declines(answer)
    reason = Decline.NOT_STATED if declined else None
    said = Answer(answer, declined, reason, "", (), (), (), recipe.model, recipe.name, Usage(), {}, trace_id)
    verdicts = check(example, replace(recipe, cite=False), said, evidence=evidence)
    return Row(example.id, example.group, 0, answer, declined, verdicts, trace_id=trace_id)


# --- one line ---------------------------------------------------------------------------------------------


def _row(line: str, number: int) -> tuple[Attached | None, list[str]]:
    try:
        body = json.loads(line)
    except ValueError as error:
        return None, [f"is not JSON: {error}"]
    if not isinstance(body, dict):
        return None, ["is not a JSON object"]
    problems = [
        f'has no "{key}"' for key in ("question", "answer") if not isinstance(body.get(key), str) or not body[key]
    ]
    unknown = [key for key in body if key not in _OWN]
    problems += [f'has "{key}", which is not understood' for key in unknown]
    texts = list(_texts(body, problems))
    if problems:
        return None, problems
    expect = body.get("expect") if isinstance(body.get("expect"), dict) else _expect(body)
    example = {"id": str(body.get("id", number)), "question": body["question"], "expect": expect}
    made, wrong = parse_example(example | ({"group": body["group"]} if body.get("group") else {}))
    if made is None:
        return None, wrong
    return Attached(made, body["answer"], tuple(texts)), []


def _texts(body: Mapping[str, Any], problems: list[str]) -> Iterator[Text]:
    given: Any = next((body[key] for key in _TEXTS if key in body), [])
    if not isinstance(given, list):
        problems.append('has "retrieved" that is no list of texts')
        return
    for item in given:
        text = item.get("text") if isinstance(item, dict) else item
        source = str(item.get("source") or "") if isinstance(item, dict) else ""
        if not isinstance(text, str):
            problems.append('has a retrieved text that is neither a text nor {"source", "text"}')
            return
        if text.strip():
            yield Text(f"{source or 'text'}#{fingerprint(text, 8)}", text)


def _expect(body: Mapping[str, Any]) -> dict[str, Any]:
    right = next((str(body[key]) for key in _RIGHT if body.get(key)), "")
    if not right:
        return {}
    return {"facts": [right]} if len(right.split()) <= _SHORT else {"reference": right}
