"""Makes the suites and recipes of the tuning experiments from real data, in a workspace of their own.

    python bench/tune_tasks.py --data ../shared/data --to /some/folder
    knowhow tune -w /some/folder --suite banking12 --recipe intent --target label …   (docs/results/tune.md has all)

Nothing is drawn at random but by a hash, so that everybody gets the same rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from knowhow.backends.embed_static import load_static
from knowhow.lessons.near import Texts, across
from knowhow.suites import write_suite
from knowhow.types import Example, Expect, Split, Suite, fingerprint
from knowhow.workspace import Workspace

INTENTS = (
    "activate_my_card", "age_limit", "card_arrival", "card_payment_fee_charged", "change_pin", "declined_card_payment",
    "exchange_rate", "lost_or_stolen_card", "pending_transfer", "request_refund", "top_up_failed", "verify_my_identity",
)  # fmt: skip
A_CLASS = 50
DEV = 60
RECIPES = """
[recipes.intent]
extends = "prompt"
form = "free"
instructions = "Name the intent of the customer's message."
sampling = {max_tokens = 24}

[recipes.entry]
extends = "prompt"
form = "free"
instructions = "Write the changelog entry of this commit as JSON with section and line."
sampling = {max_tokens = 90}

[recipes.entities]
extends = "prompt"
form = "free"
instructions = "List the named entities of the text as JSON."
sampling = {max_tokens = 160}

[recipes.quiz]
extends = "closed-book"
sampling = {max_tokens = 40}
"""


def banking(data: Path) -> Suite:
    """600 messages of 12 intents to learn from; the official test rows of these, near-duplicates of them left out."""
    taught = defaultdict(list)
    for text, label in _csv(data / "banking77" / "train.csv"):
        taught[label].append(text)
    train = [(text, label) for label in INTENTS for text in _ordered(taught[label])[:A_CLASS]]
    test = [(text, label) for text, label in _csv(data / "banking77" / "test.csv") if label in INTENTS]
    near = _near([text for text, _ in test], [text for text, _ in train])
    kept = [row for at, row in enumerate(test) if at not in near]
    print(f"banking12: {len(train)} lessons, {len(test)} test rows, {len(near)} near-duplicates left out")
    dev = {text for text, _ in sorted(train, key=lambda row: fingerprint(["dev", *row]))[:DEV]}
    examples = [
        _labelled(f"train-{i}", *row, Split.DEV if row[0] in dev else Split.TRAIN) for i, row in enumerate(train)
    ]
    return Suite("banking12", (*examples, *(_labelled(f"test-{i}", *row, Split.TEST) for i, row in enumerate(kept))))


def _labelled(id: str, text: str, label: str, split: Split) -> Example:
    return Example(id, Expect(label=label, labels=INTENTS), input=text, group=id, split=split)


def changelog(data: Path, lessons: int = 600, tests: int = 250) -> Suite:
    """Commit → section and line, in time order: the last fifth is proof, the `lessons` commits before it are learnt,
    the first `tests` lines that differ from their subject are proof."""
    rows = [
        json.loads(line) for line in (data / "ruff_changelog_style" / "pairs.jsonl").read_text("utf-8").splitlines()
    ]
    cut = len(rows) * 4 // 5
    sections = sorted({row["section"] for row in rows[:cut]})
    test = [row for row in rows[cut:] if row["section"] in sections]
    train = rows[cut - lessons : cut]
    near = _near([row["commit_subject"] for row in test], [row["commit_subject"] for row in train])
    print(f"changelog: {len(train)} lessons, {len(test)} test rows, {len(near)} near-duplicates left out")
    examples = []
    for at, row in enumerate(train):
        examples.append(_entry(row, sections, Split.DEV if at % 10 == 9 else Split.TRAIN))
    kept = [row for at, row in enumerate(test) if at not in near]
    changed = [row for row in kept if _line(row) != row["commit_subject"].strip()]
    print(f"changelog: {len(changed)} of {len(kept)} lines differ from the subject; those are the proof")
    return Suite("changelog", (*examples, *(_entry(row, sections, Split.TEST) for row in changed[:tests])))


def _entry(row: dict[str, str], sections: list[str], split: Split) -> Example:
    schema = {
        "type": "object",
        "properties": {"section": {"enum": sections}, "line": {"type": "string"}},
        "required": ["section", "line"],
        "additionalProperties": False,
    }
    fields = {"section": row["section"], "line": _line(row)}
    expect = Expect(schema=schema, fields=fields)
    return Example(row["pr"], expect, input=row["commit_subject"], group=row["pr"], split=split, tags=(row["section"],))


def _line(row: dict[str, str]) -> str:
    """The line without the links that end it."""
    return re.sub(r"\s*\(\[#\d+\]\([^)]*\)(?:,\s*\[#\d+\]\([^)]*\))*\)\s*$", "", row["changelog_line"]).strip()


def entities(data: Path, domain: str = "science", tests: int = 250) -> Suite:
    """Sentences → named entities by type, as JSON: train and most of dev to learn from, the first of test as proof."""
    folder = data / "crossner" / domain
    train = [*_bio(folder / "train.txt"), *_bio(folder / "dev.txt")[:400]]
    test = _bio(folder / "test.txt")[:tests]
    kinds = sorted({kind for _, found in train for kind in found})
    near = _near([text for text, _ in test], [text for text, _ in train])
    examples = [
        _tagged(f"train-{i}", *row, kinds, Split.DEV if i % 10 == 9 else Split.TRAIN) for i, row in enumerate(train)
    ]
    kept = [row for at, row in enumerate(test) if at not in near]
    print(f"entities: {len(train)} lessons, {len(kept)} test rows, {len(near)} near-duplicates left out")
    return Suite(
        "entities", (*examples, *(_tagged(f"test-{i}", *row, kinds, Split.TEST) for i, row in enumerate(kept)))
    )


def _tagged(id: str, text: str, found: dict[str, list[str]], kinds: list[str], split: Split) -> Example:
    each = {"type": "array", "items": {"type": "string"}}
    schema = {"type": "object", "properties": dict.fromkeys(kinds, each), "additionalProperties": False}
    return Example(id, Expect(schema=schema, fields=found), input=text, group=id, split=split)


def _bio(path: Path) -> list[tuple[str, dict[str, list[str]]]]:
    """Sentences with entities, as (text, type → names in order)."""
    sentences = []
    for block in path.read_text("utf-8").strip().split("\n\n"):
        words, spans = [], []
        for line in block.splitlines():
            word, tag = line.rsplit("\t", 1)
            words.append(word)
            if tag.startswith("B-"):
                spans.append((tag[2:], [word]))
            elif tag.startswith("I-") and spans:
                spans[-1][1].append(word)
        found: dict[str, list[str]] = {}
        for kind, name in spans:
            found.setdefault(kind, []).append(" ".join(name))
        if found:
            sentences.append((" ".join(words), found))
    return sentences


def oracle(data: Path, documents: Path) -> Suite:
    """Facts as lessons, which is what not to do: questions and answers of passages, one half to learn, and the
    passages themselves as documents. The proof asks the facts that were taught in other words of the same question."""
    rows = [
        json.loads(line) for line in (data / "nq_open_oracle" / "nq-open-oracle.jsonl").read_text("utf-8").splitlines()
    ]
    rows = sorted(rows, key=lambda row: fingerprint(row["question"]))[:500]
    lines, examples = [], []
    for at, row in enumerate(rows):
        passage = row["ctxs"][0]
        lines.append(json.dumps({"_id": f"nq/{at}", "title": passage["title"], "text": passage["text"]}))
        expect = Expect(facts=(tuple(row["answers"]),))
        split = Split.TRAIN if at < 250 else Split.TEST
        examples.append(Example(f"nq-{at}", expect, question=row["question"], group=passage["title"], split=split))
    documents.write_text("\n".join(lines) + "\n", "utf-8")
    tests = {one.group for one in examples if one.split is Split.TEST}
    kept = [one for one in examples if one.split is Split.TEST or one.group not in tests]
    taught = [one for one in kept if one.split is Split.TRAIN]
    asked = (
        Example(f"again-{one.id}", one.expect, question=f"Tell me, {one.question}?", group=one.group, split=Split.TEST)
        for one in taught
    )
    return Suite("facts", (*kept, *asked))


def _near(test: list[str], train: list[str]) -> set[int]:
    embedder = load_static()
    return {near.left for near in across(Texts(test, embedder), Texts(train, embedder))}


def _ordered(texts: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(texts), key=fingerprint)


def _csv(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    Workspace.init(given.to).close()
    (given.to / "suites").mkdir(exist_ok=True)
    for suite in (
        banking(given.data),
        changelog(given.data),
        entities(given.data),
        oracle(given.data, given.to / "facts-documents.jsonl"),
    ):
        write_suite(suite.examples, given.to / "suites" / f"{suite.name}.jsonl")
    settings = given.to / "knowhow.toml"
    if "[recipes.intent]" not in settings.read_text("utf-8"):
        settings.write_text(settings.read_text("utf-8") + RECIPES, "utf-8")


if __name__ == "__main__":
    main()
