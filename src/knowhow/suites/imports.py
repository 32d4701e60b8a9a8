"""Suites in other people's formats: SQuAD JSON, BEIR folders, CSV with labels, OpenAI chat JSONL."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowhow.errors import NotFound, UsageProblem
from knowhow.suites.jsonl import read_suite
from knowhow.suites.parse import parse_example
from knowhow.types import Evidence, Example, Expect, Split, Suite

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“'(])")


@dataclass(frozen=True, slots=True)
class Imported:
    """A suite and the documents its evidence names, where the format carries them.

    `documents` are `{"_id", "title", "text"}` objects as `ingest FILE.jsonl --as-documents` reads them.
    """

    suite: Suite
    documents: tuple[dict[str, str], ...] = ()


def import_suite(path: Path) -> Imported:
    """Reads `path` in the format it turns out to be in; Knowhow's own JSONL too.

    Raises `NotFound` and, for a file that is none of the formats or holds problems, `UsageProblem`.
    """
    if path.is_dir():
        return Imported(_beir(path))
    if not path.is_file():
        raise NotFound(f"there is no suite {path}")
    if path.suffix == ".csv":
        return Imported(_labels(path))
    if path.suffix == ".json":
        return _squad(path)
    if _is_chat(path):
        return Imported(_chat(path))
    return Imported(read_suite(path))


# --- SQuAD 1.1 and 2.0 ------------------------------------------------------------------------------------


def _squad(path: Path) -> Imported:
    """Each paragraph is a document `TITLE/NUMBER`; questions cluster by article."""
    data = _json(path, _text(path), 0)
    articles = data.get("data") if isinstance(data, dict) else None
    if not isinstance(articles, list):
        raise UsageProblem(f'{path} is not SQuAD JSON: it has no list under "data" (docs/suites.md lists the formats)')
    examples: list[Example] = []
    documents = []
    try:
        for number, article in enumerate(articles):
            title = str(article.get("title") or f"article-{number + 1}")
            for position, paragraph in enumerate(article["paragraphs"]):
                uri, text = f"{title}/{position}", paragraph["context"]
                documents.append({"_id": uri, "title": title.replace("_", " "), "text": text})
                examples += [_squad_example(qa, title, uri, text) for qa in paragraph["qas"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageProblem(f"{path} is not SQuAD JSON: article {number + 1} has no {error}") from error
    return Imported(_suite(path, examples), tuple(documents))


def _squad_example(qa: dict[str, Any], title: str, uri: str, text: str) -> Example:
    answers = [(answer["text"], answer.get("answer_start", -1)) for answer in qa.get("answers") or []]
    quotes = list(dict.fromkeys(_sentence(text, answer, start) for answer, start in answers))
    impossible = bool(qa.get("is_impossible"))
    expect = Expect(
        facts=() if impossible or not answers else (tuple(dict.fromkeys(answer for answer, _ in answers)),),
        abstain=impossible if impossible or answers else None,
        evidence=() if impossible else tuple(Evidence(uri, quote) for quote in quotes),
        evidence_needed="any" if len(quotes) > 1 else "all",
    )
    return Example(id=str(qa["id"]), question=qa["question"], expect=expect, group=title)


def _sentence(text: str, answer: str, start: int) -> str:
    """The sentence of `text` that holds the answer at `start`; nothing where the answer is not in the text."""
    if text[start : start + len(answer)] != answer or start < 0:
        start = text.find(answer)
    if start < 0:
        return ""
    edges = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    first = max(edge for edge in edges if edge <= start)
    last = min(edge for edge in edges if edge >= start + len(answer))
    return text[first:last].strip()


# --- BEIR -------------------------------------------------------------------------------------------------


def _beir(folder: Path) -> Suite:
    """`queries.jsonl` with `qrels/*.tsv`; any one relevant document will do, and each query is its own group."""
    queries, qrels = folder / "queries.jsonl", sorted((folder / "qrels").glob("*.tsv"))
    if not queries.is_file() or not qrels:
        raise UsageProblem(f"{folder} is no BEIR folder: it needs queries.jsonl and qrels/*.tsv")
    texts = {str(body["_id"]): str(body["text"]) for body in _lines(queries, ("_id", "text"))}
    named = [path for path in qrels if path.stem in set(Split)]
    examples: dict[str, Example] = {}
    unknown = 0
    for path in named or qrels:
        split = Split(path.stem) if path in named else Split.TEST
        for query, relevant in _qrels(path).items():
            if query not in texts:
                unknown += 1
            elif query not in examples:
                expect = Expect(evidence=tuple(relevant), evidence_needed="any")
                examples[query] = Example(id=query, question=texts[query], expect=expect, group=query, split=split)
    notes = [f"ingest {folder / 'corpus.jsonl'} --as-documents, so that the evidence is found"]
    if len(texts) > len(examples):
        notes.append(f"{len(texts) - len(examples)} queries have no relevant document and are left out")
    if unknown:
        notes.append(f"{unknown} judged queries are not in queries.jsonl and are left out")
    return _suite(folder, list(examples.values()), tuple(notes))


def _qrels(path: Path) -> dict[str, list[Evidence]]:
    """query → its documents of positive relevance, from `query-id corpus-id score`."""
    found: dict[str, list[Evidence]] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        cells = line.split("\t")
        if not line.strip() or (number == 1 and not cells[-1].strip().lstrip("-").isdigit()):
            continue
        if len(cells) != 3 or not cells[2].strip().lstrip("-").isdigit():
            raise UsageProblem(f"{path} line {number}: must be query-id, corpus-id and a whole score, tab-separated")
        if int(cells[2]) > 0:
            found.setdefault(cells[0], []).append(Evidence(cells[1], relevance=int(cells[2])))
    return found


# --- CSV with labels --------------------------------------------------------------------------------------


def _labels(path: Path) -> Suite:
    """Columns `text` and `label` (or `text` and one other); every label of the file is a choice."""
    rows = list(csv.reader(io.StringIO(_text(path))))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    others = [name for name in head if name != "text"]
    label = "label" if "label" in head else others[0] if len(others) == 1 else ""
    if "text" not in head or not label:
        raise UsageProblem(f"{path} needs the columns text and label; its header is {', '.join(head) or 'empty'}")
    at_text, at_label = head.index("text"), head.index(label)
    bad = [n for n, row in enumerate(rows[1:], 2) if row and (len(row) != len(head) or not row[at_text].strip())]
    if bad:
        raise UsageProblem(f"{path} line {bad[0]}: has no text or not {len(head)} cells ({len(bad)} such lines)")
    filled = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
    labels = tuple(sorted({row[at_label] for _, row in filled}))
    examples = [
        Example(
            id=f"line-{number}",
            input=row[at_text],
            expect=Expect(label=row[at_label], labels=labels),
            group=f"line-{number}",
        )
        for number, row in filled
    ]
    return _suite(path, examples)


# --- OpenAI chat JSONL ------------------------------------------------------------------------------------


def _is_chat(path: Path) -> bool:
    """Whether the first filled line is `{"messages": […]}` without an `id` or `expect` of our own."""
    first = next((line for line in _text(path).splitlines() if line.strip()), "")
    try:
        body = json.loads(first)
    except ValueError:
        return False
    return isinstance(body, dict) and "messages" in body and not {"id", "expect"} & body.keys()


def _chat(path: Path) -> Suite:
    """The last assistant turn is the reference for the conversation before it."""
    examples = []
    for number, body in enumerate(_lines(path, ("messages",)), 1):
        turns = body["messages"]
        if not isinstance(turns, list) or not turns or not isinstance(turns[-1], dict):
            raise UsageProblem(f"{path} example {number}: `messages` must be a list of turns")
        answered = turns[-1].get("role") == "assistant"
        reference = turns[-1].get("content") or "" if answered else ""
        ours = {
            "id": f"line-{number}",
            "messages": turns[:-1] if answered else turns,
            "expect": {"reference": reference},
        }
        example, problems = parse_example(ours)
        if example is None:
            raise UsageProblem(f"{path} example {number}: {'; '.join(problems)}")
        examples.append(example)
    return _suite(path, examples)


# --- shared -----------------------------------------------------------------------------------------------


def _suite(path: Path, examples: list[Example], notes: tuple[str, ...] = ()) -> Suite:
    if not examples:
        raise UsageProblem(f"{path} holds no examples")
    ids: set[str] = set()
    for example in examples:
        if example.id in ids:
            raise UsageProblem(f'{path} has two examples with the id "{example.id}"')
        ids.add(example.id)
    return Suite(path.stem, tuple(examples), notes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from error


def _json(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" line {line}" if line else ""
        raise UsageProblem(f"{path}{where}: is no JSON: {error}") from error


def _lines(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, each holding `keys`."""
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        body = _json(path, line, number)
        missing = [key for key in keys if not isinstance(body, dict) or key not in body]
        if missing:
            raise UsageProblem(f"{path} line {number}: has no `{missing[0]}`")
        yield body
