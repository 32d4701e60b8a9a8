"""Suites that a small model passes often enough to plant faults in: `python bench/planted_suites.py WORK`, then the
`knowhow bench planted` command that it prints. Questions of two of the larger data sets beside the repository over one
corpus of both, as short answers and as JSON; messages of twelve intents; questions that no document answers.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowhow.suites.jsonl import write_lines
from knowhow.types import fingerprint
from knowhow.workspace import Workspace

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
RECIPES = """
[recipes.facts]
extends = "rag"
model = "local:starter"
k = 2
budget = 330
cite = false
relevance = 0.0
form = "told"
instructions = "Answer the question in a few words copied from the documents."
sampling = { max_tokens = 64 }

[recipes.records]
extends = "facts"
form = "constrained"

[recipes.careful]
extends = "rag"
model = "local:starter"
k = 2
budget = 330
sampling = { max_tokens = 48 }

[recipes.intents]
extends = "few-shot"
model = "local:starter"
form = "constrained"
shots = 5
sampling = { max_tokens = 24 }
"""
INTENTS = (
    "activate_my_card", "age_limit", "atm_support", "cancel_transfer", "card_arrival", "change_pin",
    "compromised_card", "country_support", "edit_personal_details", "exchange_rate", "lost_or_stolen_phone",
    "top_up_limits",
)  # fmt: skip
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
_STYLE = {"max_words": 36}
_LONGEST = 620
"""Characters of a passage that is asked about: a small model on two cores reads 150 tokens a second."""
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?](?!\s|$)[^.!?]*)*[.!?]?")
Row = tuple[str, str, str, tuple[str, ...]]
"""Question, uri, sentence that answers it, answers."""


def nq(data: Path) -> tuple[list[dict[str, str]], list[Row]]:
    """Passages and questions of nq_open_oracle whose passage is short and says the answer."""
    documents, rows = [], []
    lines = (data / "nq_open_oracle" / "nq-open-oracle.jsonl").read_text("utf-8").splitlines()
    for i, line in enumerate(lines):
        body = json.loads(line)
        text, title = body["ctxs"][0]["text"], body["ctxs"][0]["title"]
        if len(text) > _LONGEST:
            continue
        documents.append({"_id": f"nq-{i}", "title": title, "text": text})
        rows += _row(body["question"] + "?", f"nq-{i}", text, body["answers"])
    return documents, rows


def xquad(data: Path) -> tuple[list[dict[str, str]], list[Row]]:
    """Paragraphs and questions of xquad in English, likewise."""
    documents, rows = [], []
    file = next((data / "xquad").rglob("*en.json"))
    for a, article in enumerate(json.loads(file.read_text("utf-8"))["data"]):
        for p, paragraph in enumerate(article["paragraphs"]):
            uri, text = f"xquad-{a}-{p}", paragraph["context"]
            title = article.get("title", "").replace("_", " ") or f"Article {a}"
            documents.append({"_id": uri, "title": title, "text": text})
            if len(text) <= _LONGEST:
                for qa in paragraph["qas"]:
                    rows += _row(qa["question"], uri, text, [one["text"] for one in qa["answers"]])
    return documents, rows


def _row(question: str, uri: str, text: str, answers: list[str]) -> Iterator[Row]:
    """The row, where one sentence says a short answer once."""
    said = [m.group().strip() for m in _SENTENCE.finditer(text) if any(one in m.group() for one in answers)]
    if len(said) == 1 and 20 < len(said[0]) < 300 and len(answers[0].split()) <= 5:
        yield question, uri, said[0], tuple(dict.fromkeys(answers))


def _split(number: int) -> str:
    return "train" if number < 8 else "dev" if number % 5 < 2 else "test"


def _asked(name: str, number: int, row: Row, expect: dict[str, Any]) -> dict[str, Any]:
    question, uri, sentence, answers = row
    told = {"facts": [list(answers)], "evidence": [{"source": uri, "quote": sentence}], **expect}
    return {"id": f"{name}-{number}", "question": question, "group": uri, "split": _split(number), "expect": told}


def _intents(data: Path, count: int) -> Iterator[dict[str, Any]]:
    for split, file, most in (("train", "train.csv", 20 * len(INTENTS)), ("", "test.csv", count)):
        with (data / "banking77" / file).open(encoding="utf-8") as opened:
            rows = [row for row in csv.DictReader(opened) if row["category"] in INTENTS]
        rows.sort(key=lambda row: fingerprint(row["text"]))
        for i, row in enumerate(rows[:most]):
            expect = {"label": row["category"], "labels": list(INTENTS)}
            yield {
                "id": f"{file[:-4]}-{i}",
                "input": row["text"],
                "group": f"{file}-{i}",
                "split": split or _split(i + 8),
                "expect": expect,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--facts", type=int, default=110, help="questions of each set")
    parser.add_argument("--records", type=int, default=30)
    parser.add_argument("--intents", type=int, default=50)
    parser.add_argument("--nowhere", type=int, default=30)
    args = parser.parse_args()
    with Workspace.init(args.work):
        pass
    toml = args.work / "knowhow.toml"
    toml.write_text(toml.read_text("utf-8") + RECIPES, "utf-8")
    suites = args.work / "suites"
    suites.mkdir(exist_ok=True)
    sets = {"nq": nq(args.data), "xquad": xquad(args.data)}
    corpus = []
    for name, (documents, rows) in sets.items():
        rows.sort(key=lambda row: fingerprint(row[0]))
        facts, records, nowhere = (
            rows[: args.facts],
            rows[args.facts : args.facts + args.records],
            rows[args.facts + args.records :][: args.nowhere // 2],
        )
        away = {row[1] for row in nowhere} - {row[1] for row in (*facts, *records)}
        held = {row[1] for row in (*facts, *records)}
        others = [one for one in documents if one["_id"] not in away | held][:250]
        corpus += [one for one in documents if one["_id"] in held] + others
        write_lines((_asked(name, i, row, {"style": _STYLE}) for i, row in enumerate(facts)), suites / f"{name}.jsonl")
        write_lines(
            (_asked(f"{name}-json", i, row, {"schema": _SCHEMA}) for i, row in enumerate(records)),
            suites / f"{name}-json.jsonl",
        )
        lines = (
            {"id": f"{name}-nowhere-{i}", "question": row[0], "group": row[1], "split": _split(i + 8)}
            | {"expect": {"abstain": True}}
            for i, row in enumerate(nowhere)
            if row[1] in away
        )
        write_lines(lines, suites / f"{name}-nowhere.jsonl")
    write_lines(_intents(args.data, args.intents), suites / "intents.jsonl")
    write_lines(corpus, args.work / "corpus.jsonl")
    with Workspace.open(args.work) as workspace:
        print(f"{workspace.ingest(args.work / 'corpus.jsonl', as_documents=True).passages} passages")
    named = [f"{name}:facts" for name in sets] + [f"{name}-json:records" for name in sets]
    named += [f"{name}-nowhere:careful" for name in sets] + ["intents:intents"]
    print(f"knowhow bench planted {' '.join(named)} -w {args.work} --out {args.work / 'proof'}")


if __name__ == "__main__":
    main()
