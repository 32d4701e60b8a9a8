"""How many planted errors the lint finds in lessons, and how often it cries out over clean ones.

    python bench/lint_planted.py --data ../shared/data

Thresholds were chosen on banking77, the ruff changelog and half of nq_open_oracle; figures are reported on clinc150,
the other half of nq_open_oracle and XQuAD as well, which nothing was chosen on. Planted are: near-duplicates (one of
case, filler, typo, dropped word, other word, swapped words), a label exchanged in a copy with one such change, and
question-answer pairs whose answer stands in the documents and not in the question. Clean are: rows held against rows
with another label or answer, and the same answers taught together with the passage they stand in.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from knowhow.backends.embed_static import load_static
from knowhow.lessons.lint import Beside, Fault, lint
from knowhow.lessons.near import ALIKE, Texts, across, plain
from knowhow.store.analyze import terms
from knowhow.types import Example, Expect, Lesson, Lessons, Origin
from knowhow.workspace import Workspace

PLANTED = 400
ROWS = 5000
Labelled = tuple[str, str]
FILLERS = ("hi, {}", "please {}", "good morning, {}", "quick question: {}", "{} please", "{} thanks", "{} asap")
OTHER_WORDS = {
    "can't": "cannot", "cannot": "can't", "i'm": "i am", "what's": "what is", "how do i": "how can i",
    "how can i": "how do i", "need": "want", "help": "assist", "card": "bank card", "money": "cash", "get": "obtain",
    "show": "display", "find": "locate", "fix": "repair", "add": "include", "remove": "delete", "many": "numerous",
}  # fmt: skip
SMALL = frozenset("the a an my is to of for in on i do can".split())


def changed(text: str, times: int, rng: random.Random) -> str:
    """`text` said nearly the same, in `times` different ways at once."""
    ways: list[Callable[[str, random.Random], str]] = [_case, _filled, _typo, _dropped, _other_word, _swapped]
    for way in rng.sample(ways, times):
        text = way(text, rng)
    return text


def _case(text: str, rng: random.Random) -> str:
    return re.sub(r"[^\w\s]", "", text).upper() if rng.random() < 0.5 else text.lower().replace("'", "")


def _filled(text: str, rng: random.Random) -> str:
    return rng.choice(FILLERS).format(text.rstrip("?.! "))


def _typo(text: str, rng: random.Random) -> str:
    words = text.split()
    at = rng.randrange(len(words))
    word = words[at]
    if len(word) >= 4:
        i = rng.randrange(1, len(word) - 1)
        words[at] = rng.choice([word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:]])
    return " ".join(words)


def _dropped(text: str, rng: random.Random) -> str:
    words = text.split()
    small = [at for at, word in enumerate(words) if word.lower() in SMALL]
    if small and len(words) > 2:
        del words[rng.choice(small)]
    return " ".join(words)


def _other_word(text: str, rng: random.Random) -> str:
    low = text.lower()
    known = [word for word in OTHER_WORDS if re.search(rf"\b{re.escape(word)}\b", low)]
    if not known:
        return _filled(text, rng)
    word = rng.choice(known)
    return re.sub(rf"\b{re.escape(word)}\b", OTHER_WORDS[word], low, count=1)


def _swapped(text: str, rng: random.Random) -> str:
    words = text.split()
    if len(words) < 5:
        return _filled(text, rng)
    i = rng.randrange(len(words) - 1)
    words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


# --- data -------------------------------------------------------------------------------------------------


def labelled(data: Path) -> dict[str, list[Labelled]]:
    """Texts with their label; questions and commit subjects each have a label of their own."""
    clinc = json.loads((data / "clinc150" / "data_full.json").read_text())
    nq, ruff = oracle(data), lines(data / "ruff_changelog_style" / "pairs.jsonl")
    return {
        "banking77": banking(data / "banking77" / "train.csv"),
        "ruff subjects": [(row["commit_subject"], str(i)) for i, row in enumerate(ruff)],
        "clinc150": [(text, label) for text, label in clinc["train"]],
        "nq_open questions": [(row["question"], str(i)) for i, row in enumerate(nq)],
    }


def banking(path: Path) -> list[Labelled]:
    with path.open(encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def oracle(data: Path) -> list[dict]:
    return lines(data / "nq_open_oracle" / "nq-open-oracle.jsonl")


# --- near-duplicates and contradictions -------------------------------------------------------------------


def near_duplicates(rows: Sequence[Labelled], rng: random.Random) -> tuple[float, float]:
    """Recall over planted ones, and share of clean rows that are like a row of another label."""
    embedder = load_static()
    texts = Texts([text for text, _ in rows], embedder)
    planted = Texts([changed(text, 1, rng) for text, _ in rows[:PLANTED]], embedder)
    recall = sum(1 for _ in across(planted, texts)) / len(planted)
    clean = rows[PLANTED : 2 * PLANTED]
    alarms = 0
    for at, (text, label) in enumerate(clean):
        others = [i for i, row in enumerate(rows) if row[1] != label]
        one = Texts([text], embedder)
        one.vectors = texts.vectors[PLANTED + at : PLANTED + at + 1]
        alarms += any(True for _ in across(one, _some(texts, others)))
    return recall, alarms / len(clean)


def _some(texts: Texts, places: Sequence[int]) -> Texts:
    part = object.__new__(Texts)
    part.plain = [texts.plain[i] for i in places]
    part.pieces = [texts.pieces[i] for i in places]
    part.vectors = texts.vectors[places]
    return part


def contradictions(rows: Sequence[Labelled], rng: random.Random) -> tuple[float, float]:
    """Recall over planted ones, and share of the other rows that are named."""
    labels = sorted({label for _, label in rows})
    planted = []
    for text, label in rows[:PLANTED]:
        other = rng.choice([one for one in labels if one != label]) if len(labels) > 1 else "other"
        planted.append((changed(text, 1, rng), other))
    every = [*rows, *planted]
    lessons = [
        Lesson(str(i), text, label, Origin.FILE, f"row:{i}", expect=Expect(label=label))
        for i, (text, label) in enumerate(every)
    ]
    report = lint(Lessons("planted", tuple(lessons)), load_static(), Beside())
    named = {row - 1 for one in report.findings if one.fault is Fault.CONTRADICTION for row in one.rows}
    recall = sum(i in named for i in range(len(rows), len(every))) / len(planted)
    touched = {plain(text) for text, _ in planted}
    clean = [i for i in range(PLANTED, len(rows)) if plain(rows[i][0]) not in touched]
    return recall, sum(i in named for i in clean) / len(clean)


def official_split(data: Path) -> dict[str, object]:
    """Banking77's own train and test: what the lint says of them."""
    lessons = [
        Lesson(str(i), text, label, Origin.FILE, f"train.csv:{i + 2}", expect=Expect(label=label))
        for i, (text, label) in enumerate(banking(data / "banking77" / "train.csv"))
    ]
    test = [
        Example(str(i), Expect(label=label), input=text, group=str(i))
        for i, (text, label) in enumerate(banking(data / "banking77" / "test.csv"))
    ]
    embedder = load_static()
    trained = Texts([one.question for one in lessons], embedder)
    tested = Texts([one.asked for one in test], embedder)
    found = list(across(tested, trained))
    exact = [near for near in found if near.exact]
    strict = [(i, j) for i, j in _sets_alike([one.asked for one in test], [one.question for one in lessons], 0.85)]
    seen = {near.left for near in found}
    conflict = [(i, j) for i, j in strict if test[i].expect.label != lessons[j].expect.label]
    report = lint(Lessons("banking77", tuple(lessons)), embedder, Beside(test=test))
    return {
        "test rows": len(test),
        "exact": len(exact),
        "near (lint)": len(found),
        "near (lint), share": len(found) / len(test),
        "near by word sets ≥ 0.85": len({i for i, _ in strict}),
        "of these found": len({i for i, _ in strict} & seen),
        "of these with another label": len({i for i, _ in conflict}),
        "of those found": len({i for i, _ in conflict} & seen),
        "findings": [one.message.split(":")[0] for one in report.findings],
    }


def _sets_alike(left: Sequence[str], right: Sequence[str], least: float) -> Iterable[tuple[int, int]]:
    """Each left text with the right one whose set of words is most like its own (Jaccard), where that is enough."""
    sets = [frozenset(plain(text).split()) for text in right]
    holding: dict[str, list[int]] = {}
    for j, words in enumerate(sets):
        for word in words:
            holding.setdefault(word, []).append(j)
    for i, text in enumerate(left):
        words = frozenset(plain(text).split())
        near = {j for word in words for j in holding.get(word, ())}
        best = max(((len(words & sets[j]) / len(words | sets[j]), j) for j in near), default=(0.0, -1))
        if best[0] >= least:
            yield i, best[1]


# --- facts of the documents -------------------------------------------------------------------------------


def facts(data: Path, folder: Path) -> dict[str, tuple[float, float, int, int]]:
    """By set: recall over planted facts, false alarms over the same taught with their passage, and their numbers."""
    nq_lessons, nq_documents = _nq(data)
    xq_lessons, xq_documents = _xquad(data)
    found = {}
    with _corpus(folder / "nq", nq_documents) as corpus:
        found["nq_open_oracle, first half"] = _leaks(corpus, nq_lessons[:400], nq_lessons[400:700])
        found["nq_open_oracle, second half"] = _leaks(corpus, nq_lessons[700:1000], nq_lessons[1000:1300])
        found["ruff lines over nq passages"] = _leaks(corpus, [], _ruff(data))
    with _corpus(folder / "xquad", xq_documents) as corpus:
        found["XQuAD"] = _leaks(corpus, xq_lessons[:500], xq_lessons[600:1100])
        found["ruff lines over XQuAD passages"] = _leaks(corpus, [], _ruff(data))
    return found


def _leaks(corpus: Workspace, planted: Sequence[Lesson], clean: Sequence[Lesson]) -> tuple[float, float, int, int]:
    bare = [replace(one, attached="") for one in planted if not set(terms(one.target)) <= set(terms(one.question))]
    found, alarms = (len(_named(corpus, one)) for one in (bare, clean))
    return found / max(len(bare), 1), alarms / len(clean), len(bare), len(clean)


def _named(corpus: Workspace, lessons: Sequence[Lesson]) -> set[int]:
    if not lessons:
        return set()
    report = lint(Lessons("facts", tuple(lessons)), load_static(), Beside(store=corpus._parts.store))
    return {row for one in report.findings if one.fault is Fault.FACT for row in one.rows}


def _corpus(folder: Path, documents: Iterable[dict[str, str]]) -> Workspace:
    folder.mkdir()
    (folder / "documents.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents), "utf-8")
    workspace = Workspace.init(folder)
    workspace.ingest(folder / "documents.jsonl", as_documents=True)
    return workspace


def _nq(data: Path) -> tuple[list[Lesson], list[dict[str, str]]]:
    lessons, documents = [], {}
    for i, row in enumerate(oracle(data)):
        passage = row["ctxs"][0]
        documents.setdefault(passage["text"], {"_id": f"nq/{i}", "title": passage["title"], "text": passage["text"]})
        shown = f"{passage['title']}\n{passage['text']}"
        lessons.append(Lesson(f"nq{i}", row["question"], row["answers"][0], Origin.FILE, f"nq:{i}", attached=shown))
    return lessons, list(documents.values())


def _xquad(data: Path) -> tuple[list[Lesson], list[dict[str, str]]]:
    """Every other answer is the whole sentence it stands in."""
    lessons, documents = [], []
    for article in json.loads((data / "xquad" / "xquad.en.json").read_text())["data"]:
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            documents.append({"_id": f"xquad/{len(documents)}", "title": article["title"], "text": text})
            for qa in paragraph["qas"]:
                answer = qa["answers"][0]
                start = text.rfind(". ", 0, answer["answer_start"]) + 2 if "." in text[: answer["answer_start"]] else 0
                end = text.find(". ", answer["answer_start"] + len(answer["text"]))
                whole = text[max(start, 0) : end + 1 if end >= 0 else len(text)]
                target = whole if len(lessons) % 2 else answer["text"]
                lessons.append(Lesson(qa["id"], qa["question"], target, Origin.FILE, qa["id"], attached=text))
    return lessons, documents


def _ruff(data: Path) -> list[Lesson]:
    rows = lines(data / "ruff_changelog_style" / "pairs.jsonl")[:300]
    return [
        Lesson(row["pr"], row["commit_subject"], re.sub(r" \(\[#.*", "", row["changelog_line"]), Origin.FILE, row["pr"])
        for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    print(f"near-duplicates and contradictions: similarity ≥ {ALIKE}")
    for name, rows in labelled(data).items():
        rng = random.Random(1)
        rows = list(dict.fromkeys(rows))
        rng.shuffle(rows)
        rows = rows[:ROWS]
        recall, alarms = near_duplicates(rows, rng)
        told = f"{name}: near-duplicates recall {recall:.3f}, false alarms {alarms:.3f}"
        if len({label for _, label in rows}) < len(rows):
            found, false = contradictions(rows, rng)
            told += f"; contradictions recall {found:.3f}, false alarms {false:.3f}"
        print(told, flush=True)
    print("banking77, official split:", json.dumps(official_split(data), indent=1, ensure_ascii=False), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, (recall, alarms, planted, clean) in facts(data, Path(folder)).items():
            share = f"recall {recall:.3f} of {planted}, " if planted else ""
            print(f"facts, {name}: {share}false alarms {alarms:.3f} of {clean}", flush=True)


if __name__ == "__main__":
    main()
