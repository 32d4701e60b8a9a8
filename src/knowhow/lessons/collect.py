"""Where lessons come from: files people have, a suite's train split, and what users said of stored answers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from knowhow.answer.asked import CONTEXT_URI
from knowhow.answer.decline import NOT_STATED
from knowhow.answer.feedback import Verdict
from knowhow.errors import NotFound, UsageProblem
from knowhow.evaluate.fit import right_answer
from knowhow.evaluate.said import unmarked
from knowhow.lessons.parse import FORMS, parse_line
from knowhow.suites import split_suite
from knowhow.types import (
    Example,
    Expect,
    Form,
    Json,
    Lesson,
    Lessons,
    Located,
    Mark,
    Message,
    Origin,
    Range,
    Recipe,
    Split,
    Suite,
    SuiteProblem,
)
from knowhow.types.plain import from_plain, to_plain

_SHOWN = 10
"""Problems of a file that an error names."""


def read_lessons(path: Path) -> Lessons:
    """The lessons of a file. Raises `UsageProblem` naming every wrong line (the first ten in full), `NotFound`."""
    found, problems = check_lessons(path)
    if problems:
        listed = "; ".join(str(problem) for problem in problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise UsageProblem(f"{path} has {count}: {listed}{more} (`knowhow lessons lint {path}` lists them all)")
    return found


def check_lessons(path: Path) -> tuple[Lessons, list[SuiteProblem]]:
    """The lessons of a JSONL or CSV file that are right, and every problem by line. Raises `NotFound`.

    JSONL is Knowhow's own (`write_lessons`) or any of OpenAI's chat and preference formats; CSV has the columns
    `text` and `label`, or `question` and `answer`.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}; lessons are JSONL or CSV, docs/lessons.md shows both")
    raw = path.read_bytes()
    lessons, problems = _csv(path, raw) if path.suffix.lower() == ".csv" else _jsonl(path, raw)
    if not lessons and not problems:
        problems.append(SuiteProblem(0, f"the file is empty; write one lesson a line as {FORMS}"))
    return Lessons(path.stem, tuple(lessons)), problems


def write_lessons(lessons: Lessons, path: Path) -> None:
    """Writes lessons with their provenance, contexts by id, as JSONL that `read_lessons` reads back equal."""
    lines = (json.dumps({"lesson": to_plain(one)}, ensure_ascii=False) for one in lessons.lessons)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _jsonl(path: Path, raw: bytes) -> tuple[list[Lesson], list[SuiteProblem]]:
    lessons: list[Lesson] = []
    problems: list[SuiteProblem] = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            body = json.loads(text) if text else None
        except UnicodeDecodeError as error:
            problems.append(SuiteProblem(number, f"is not UTF-8 (byte {error.start + 1}); save the file as UTF-8"))
            continue
        except (ValueError, RecursionError) as error:
            problems.append(SuiteProblem(number, f"is no JSON: {error}"))
            continue
        if not text:
            continue
        if isinstance(body, dict) and "lesson" in body:
            try:
                lessons.append(from_plain(Lesson, body["lesson"]))
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                problems.append(SuiteProblem(number, f"is no lesson as `knowhow lessons` writes it: {error}"))
            continue
        parsed = parse_line(body, f"{path.name}:{number}")
        lessons += parsed.lessons
        problems += [SuiteProblem(number, message) for message in parsed.problems]
    return lessons, problems


def _csv(path: Path, raw: bytes) -> tuple[list[Lesson], list[SuiteProblem]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [SuiteProblem(0, f"is not UTF-8 (byte {error.start + 1}); save the file as UTF-8")]
    reader = csv.reader(io.StringIO(text))
    head = [cell.strip().lower() for cell in next(reader, [])]
    columns = next(((a, b) for a, b in (("text", "label"), ("question", "answer")) if {a, b} <= set(head)), None)
    if columns is None:
        named = ", ".join(head) or "nothing"
        return [], [SuiteProblem(1, f"needs the columns text and label, or question and answer; it has {named}")]
    at, to = head.index(columns[0]), head.index(columns[1])
    rows, problems = [], []
    line = reader.line_num + 1
    for row in reader:
        if row and (len(row) != len(head) or not row[at].strip() or not row[to].strip()):
            problems.append(
                SuiteProblem(line, f"has {len(row)} cells of {len(head)}, or an empty {' or '.join(columns)}")
            )
        elif row:
            rows.append((line, row[at], row[to]))
        line = reader.line_num + 1
    labels = tuple(sorted({target for *_, target in rows})) if columns[1] == "label" else ()
    return [_row(path, line, asked, target, labels) for line, asked, target in rows], problems


def _row(path: Path, line: int, asked: str, target: str, labels: tuple[str, ...]) -> Lesson:
    source = f"{path.name}:{line}"
    expect = Expect(label=target, labels=labels) if labels else Expect()
    return Lesson(source, asked, target, Origin.FILE, source, expect=expect, group=source)


# --- a suite ----------------------------------------------------------------------------------------------


def suite_lessons(suite: Suite, evidence: Mapping[str, Sequence[Located]], recipe: Recipe) -> Lessons:
    """The train split as lessons in the form that `recipe` asks for, evidence as context by id; the dev split too,
    to validate by while training.

    Drafts, and examples nobody said the right answer of, are left out and counted in the notes.
    """
    lessons, silent = [], 0
    for one in suite.examples:
        if one.split not in (Split.TRAIN, Split.DEV) or one.draft:
            continue
        target = right_answer(one.expect, as_json=recipe.form is Form.CONSTRAINED)
        if not target:
            silent += 1
            continue
        places = tuple(item.ranges[0] for item in evidence.get(one.id, ()) if item.ranges)
        lessons.append(
            Lesson(
                id=f"{suite.name}/{one.id}",
                question=one.asked,
                target=target,
                origin=Origin.SUITE,
                source=f"{suite.name}/{one.id}",
                history=tuple(turn for turn in one.messages[:-1] if turn.role != "system"),
                context=() if one.expect.abstain else places,
                attached=one.context,
                expect=one.expect,
                split=one.split,
                group=one.group,
                access=one.access,
                uris=frozenset(place.uri for place in places),
            )
        )
    notes = (f"{silent} examples of the train and dev splits say nothing about a right answer",) if silent else ()
    return Lessons(suite.name, tuple(lessons), notes)


# --- what users said --------------------------------------------------------------------------------------


def trace_lessons(traces: Iterable[Json], feedback: Mapping[str, Sequence[Json]]) -> Lessons:
    """Lessons from stored answers that somebody judged; the last word on an answer counts.

    A correction is a reply to give, with the answer it corrects as the worse one; a thumb up is the answer as it was,
    a thumb down a reply to avoid, "should have declined" a decline. What was shown is kept by id. An answer whose
    source was wrong teaches nothing about the reply and is left out.
    """
    lessons = []
    for trace in traces:
        said = feedback.get(trace["id"], ())
        lesson = _judged(trace, said[-1]) if said else None
        if lesson is not None:
            lessons.append(lesson)
    return Lessons("traces", tuple(lessons))


def _judged(trace: Json, word: Mapping[str, Any]) -> Lesson | None:
    verdict = Verdict(word["verdict"])
    answer = trace["answer"]
    if verdict is Verdict.WRONG_SOURCE:
        return None
    target, rejected, mark = answer, "", Mark.GOOD
    if verdict is Verdict.CORRECT:
        target, rejected = word["text"], unmarked(answer)
    elif verdict is Verdict.SHOULD_DECLINE:
        target, rejected = NOT_STATED, "" if trace["abstained"] else answer
    elif verdict is Verdict.DOWN:
        mark = Mark.BAD
    shown = [row for row in trace["shown"] if row["uri"] != CONTEXT_URI]
    return Lesson(
        id=f"trace/{trace['id']}",
        question=trace["question"],
        target=target,
        origin=Origin.CORRECTION if verdict in (Verdict.CORRECT, Verdict.SHOULD_DECLINE) else Origin.THUMB,
        source=f"trace {trace['id']}, {verdict.value}",
        history=tuple(Message(turn["role"], turn["content"]) for turn in trace["history"]),
        context=tuple(Range(row["uri"], row["version"], row["start"], row["end"]) for row in shown),
        attached=trace["context"],
        rejected=rejected if rejected.strip() != target.strip() else "",
        mark=mark,
        group=f"trace/{trace['id']}",
        access=frozenset(trace["filter"]["access"]),
        uris=frozenset(trace["uris"]),
    )


def joined(name: str, *parts: Lessons) -> Lessons:
    """Several sources as one, in their order. Raises `UsageProblem` where two lessons have one id."""
    lessons = [one for part in parts for one in part.lessons]
    seen: set[str] = set()
    for one in lessons:
        if one.id in seen:
            raise UsageProblem(f'two lessons have the id "{one.id}"; name each source once')
        seen.add(one.id)
    return Lessons(name, tuple(lessons), tuple(note for part in parts for note in part.notes))


# --- lessons without a suite ------------------------------------------------------------------------------

SHARES = {Split.TRAIN: 0.6, Split.DEV: 0.1, Split.TEST: 0.3}
"""How lessons are cut where no suite proves them."""


def held_out(lessons: Lessons) -> Suite:
    """Every lesson as an example, cut by group; those of the test split are kept from the training (`by_split`).

    What a lesson does not say about a right answer, its reply is the reference for.
    """
    examples = [
        Example(
            id=one.id,
            expect=one.expect if one.expect != Expect() else Expect(reference=one.target, abstain=False),
            messages=(*one.history, Message("user", one.question)) if one.history else (),
            question="" if one.history else one.question,
            context=one.attached,
            access=one.access,
            group=one.group or one.id,
        )
        for one in lessons.lessons
        if one.mark is Mark.GOOD
    ]
    return Suite(lessons.name, split_suite(examples, SHARES))


def by_split(lessons: Lessons, suite: Suite) -> Lessons:
    """The lessons in the splits that `suite` gave them, without those it keeps for the proof."""
    splits = {one.id: one.split or Split.TEST for one in suite.examples}
    placed = (replace(one, split=splits.get(one.id, Split.TRAIN)) for one in lessons.lessons)
    return replace(lessons, lessons=tuple(one for one in placed if one.split is not Split.TEST))
