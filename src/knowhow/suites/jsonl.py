"""Knowhow's own suite format: one example a line, checked with line numbers, and written back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from knowhow.errors import NotFound, UsageProblem
from knowhow.suites.parse import parse_example
from knowhow.types import Condition, Example, Expect, Reasoning, Style, Suite, SuiteProblem

MIN_GROUPS = 10
"""Below this many groups an interval is not computed (see docs/statistics.md)."""
_SHOWN = 10


def read_suite(path: Path) -> Suite:
    """The suite in `path`. Raises `UsageProblem` naming every problem (the first ten in full), `NotFound`."""
    suite, problems = check_suite(path)
    if problems:
        listed = "; ".join(str(problem) for problem in problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise UsageProblem(f"{path} has {count}: {listed}{more} (`knowhow suite check {path}` lists them by line)")
    return suite


def check_suite(path: Path) -> tuple[Suite, list[SuiteProblem]]:
    """The examples of `path` that are right, and every problem of the file in order of lines.

    Raises `NotFound` where there is no such file.
    """
    if not path.is_file():
        raise NotFound(f"there is no suite {path}; `knowhow suite draft` proposes one from the ingested documents")
    examples: list[Example] = []
    problems: list[SuiteProblem] = []
    first_line: dict[str, int] = {}
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        body, message = _object(raw, first=number == 1)
        if message:
            problems.append(SuiteProblem(number, message))
        if body is None:
            continue
        example, messages = parse_example(body)
        problems += [SuiteProblem(number, message) for message in messages]
        if example is None:
            continue
        earlier = first_line.setdefault(example.id, number)
        if earlier != number:
            problems.append(SuiteProblem(number, f'id "{example.id}" is already used on line {earlier}'))
            continue
        examples.append(example)
    if not examples and not problems:
        problems.append(SuiteProblem(0, "the suite is empty; write one example a line (docs/suites.md shows one)"))
    return Suite(path.stem, tuple(examples), _notes(examples)), problems


def _object(raw: bytes, *, first: bool) -> tuple[Any, str]:
    """The JSON value of one line with no message, None for a blank line, or None with what is wrong."""
    try:
        line = raw.decode("utf-8-sig" if first else "utf-8").strip()
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
    if not line:
        return None, ""
    doubled: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return dict(pairs)

    try:
        value = json.loads(line, object_pairs_hook=unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return None, f"is no JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:
        return None, f"is no JSON: {error}"
    if doubled:
        return None, f"names `{doubled[0]}` twice in one object"
    if value is None:
        return None, "the line must be an object, not null"
    return value, ""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _notes(examples: list[Example]) -> tuple[str, ...]:
    """Remarks a person should read before trusting figures from this suite."""
    notes = []
    groups = Counter(example.group for example in examples)
    if examples and len(groups) < MIN_GROUPS:
        notes.append(
            f"{len(examples)} examples in {len(groups)} groups: intervals need {MIN_GROUPS} groups and stay unmeasured"
        )
    bare = sum(1 for example in examples if example.expect == Expect())
    if bare:
        notes.append(f"{bare} of {len(examples)} examples expect nothing, so nothing can be measured on them")
    drafts = sum(1 for example in examples if example.draft)
    if drafts:
        notes.append(f"{drafts} examples are drafts that no person has kept yet")
    return tuple(notes)


def write_suite(examples: Iterable[Example], path: Path) -> None:
    """Writes one example a line; reading the file back gives equal examples. Replaces `path` only when complete."""
    write_lines(map(example_json, examples), path)


def write_lines(bodies: Iterable[Any], path: Path) -> None:
    """Writes one JSON value a line, and replaces `path` only when all are written. Raises `UsageProblem`."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for body in bodies:
                file.write(json.dumps(body, ensure_ascii=False) + "\n")
        part.replace(path)
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror}") from None


def example_json(example: Example) -> dict[str, Any]:
    """The example as the format writes it, without what is default."""
    moment = None if example.as_of is None else datetime.fromtimestamp(example.as_of, UTC).isoformat()
    body: dict[str, Any] = {
        "id": example.id,
        "question": example.question,
        "input": example.input,
        "messages": [{"role": message.role, "content": message.content} for message in example.messages],
        "context": example.context,
        "access": sorted(example.access),
        "where": dict(example.where),
        "as_of": moment,
        "expect": _expect_json(example.expect),
        "group": example.group,
        "split": example.split.value if example.split else None,
        "tags": list(example.tags),
        "draft": example.draft or None,
    }
    return {key: value for key, value in body.items() if value not in (None, "", [], {})}


def _expect_json(expect: Expect) -> dict[str, Any]:
    evidence = [
        {"source": item.source}
        | ({"quote": item.quote} if item.quote else {})
        | ({"relevance": item.relevance} if item.relevance != 1 else {})
        for item in expect.evidence
    ]
    body = {
        "facts": [list(fact) for fact in expect.facts],
        "forbidden": list(expect.forbidden),
        "abstain": expect.abstain,
        "evidence": evidence,
        "evidence_needed": "any" if expect.evidence_needed == "any" else None,
        "label": expect.label,
        "labels": list(expect.labels),
        "fields": dict(expect.fields),
        "style": _style_json(expect.style) if expect.style else None,
        "reasoning": _reasoning_json(expect.reasoning) if expect.reasoning else None,
        "reference": expect.reference,
        "rubric": expect.rubric,
    }
    kept = {key: value for key, value in body.items() if value not in (None, "", [], {})}
    # `{}` and an empty style are promises too: any JSON, and no rule
    if expect.schema is not None:
        kept["schema"] = dict(expect.schema)
    if expect.style == Style():
        kept["style"] = {}
    return kept


def _style_json(style: Style) -> dict[str, Any]:
    body = {name: getattr(style, name) for name in Style.__slots__}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in body.items()
        if value not in (None, ())
    }


def _reasoning_json(reasoning: Reasoning) -> dict[str, Any]:
    rules = [{"name": rule.name, "when": _when_json(rule.when), "then": dict(rule.then)} for rule in reasoning.rules]
    return {"given": dict(reasoning.given), "rules": rules, "policy": reasoning.policy}


def _when_json(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    when: dict[str, Any] = {}
    for condition in conditions:
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        when.setdefault(condition.name, {})[condition.test] = value
    return when
