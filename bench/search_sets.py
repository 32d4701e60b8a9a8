"""Retrieval test sets read from the larger data beside the repository, in one shape."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """One document; `scope` names the only documents a question with the same scope is put to."""

    uri: str
    title: str
    text: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One question with its relevant documents (uri → gain) or, in a long document, ranges that hold the answer."""

    id: str
    text: str
    relevant: Mapping[str, float]
    scope: str = ""
    ranges: Sequence[tuple[str, int, int]] = ()

    @property
    def half(self) -> int:
        """0: defaults are chosen on these; 1: figures are reported on these. By hash, so that it never moves."""
        return hashlib.md5(self.id.encode(), usedforsecurity=False).digest()[-1] % 2


@dataclass(frozen=True, slots=True)
class Set:
    """A corpus with its questions; `unanswerable` are questions that people found it does not answer."""

    name: str
    texts: Sequence[Text]
    queries: Sequence[Query]
    unanswerable: Sequence[Query] = field(default=())


def load(data: Path, names: Sequence[str]) -> Iterator[Set]:
    """The sets of these names, one by one."""
    for name in names:
        yield READERS[name](data)


def scifact(data: Path) -> Set:
    """5,183 abstracts, the 300 test claims."""
    return _beir("scifact", data / "scifact")


def cranfield(data: Path) -> Set:
    """1,400 abstracts, 225 queries; a text that repeats its title loses it."""
    return _beir("cranfield", data / "cranfield")


def nq(data: Path) -> Set:
    """The gold passages of 1,300 questions as one corpus."""
    uris: dict[tuple[str, str], str] = {}
    queries = []
    for i, row in enumerate(_lines(data / "nq_open_oracle" / "nq-open-oracle.jsonl")):
        passage = row["ctxs"][0]
        uri = uris.setdefault((passage["title"], passage["text"]), f"p{len(uris)}")
        queries.append(Query(f"q{i}", row["question"], {uri: 1.0}))
    return Set("nq", [Text(uri, title, text) for (title, text), uri in uris.items()], queries)


def policyqa(data: Path) -> Set:
    """Segments of 20 privacy policies, each question put to its own policy."""
    texts = []
    relevant: dict[tuple[str, str], dict[str, float]] = {}
    for i, policy in enumerate(_squad(data / "policyqa" / "data" / "dev.json")):
        for j, segment in enumerate(policy["paragraphs"]):
            uri = f"{i}-{j}"
            texts.append(Text(uri, policy["title"], segment["context"], scope=str(i)))
            for question in segment["qas"]:
                relevant.setdefault((question["question"], str(i)), {})[uri] = 1.0
    queries = [Query(f"{scope}|{text}", text, gains, scope) for (text, scope), gains in relevant.items()]
    return Set("policyqa", texts, queries)


def hotpot(data: Path) -> Set:
    """994 passages, 100 questions that need two of them."""
    folder = data / "hipporag_multihop"
    corpus = json.loads((folder / "hotpotqa_train_corpus.json").read_text())
    texts = [Text(title, title, "".join(sentences)) for title, sentences in corpus.items()]
    queries = []
    for row in json.loads((folder / "hotpotqa_train.json").read_text()):
        titles = {title for title, _ in row["supporting_facts"]} & corpus.keys()
        queries.append(Query(row["_id"], row["question"], dict.fromkeys(titles, 1.0)))
    return Set("hotpot", texts, queries)


def xquad_en(data: Path) -> Set:
    """240 English paragraphs, 1,190 questions."""
    return _paragraphs("xquad-en", data / "xquad" / "xquad.en.json")


def xquad_de(data: Path) -> Set:
    """The same in German."""
    return _paragraphs("xquad-de", data / "xquad" / "xquad.de.json")


def clapnq(data: Path) -> Set:
    """150 questions over all passages of the set, and 150 that their own passages do not answer."""
    uris: dict[tuple[str, str], str] = {}
    found: list[list[Query]] = []
    for name in ("answerable", "unanswerable"):
        queries = []
        for row in _lines(data / "clapnq_dev" / f"clapnq_dev_{name}.jsonl"):
            own = [uris.setdefault((p["title"], p["text"]), f"p{len(uris)}") for p in row["passages"]]
            queries.append(Query(row["id"], row["input"], dict.fromkeys(own, 1.0)))
        found.append(queries)
    return Set("clapnq", [Text(uri, title, text) for (title, text), uri in uris.items()], found[0], found[1])


def policies(data: Path) -> Set:
    """The 20 privacy policies as whole documents, with the ranges that answer each question."""
    return _whole("policies", data / "policyqa" / "data" / "dev.json", scoped=True)


def articles_en(data: Path) -> Set:
    """48 English articles as whole documents."""
    return _whole("articles-en", data / "xquad" / "xquad.en.json", scoped=False)


def articles_de(data: Path) -> Set:
    """The same in German."""
    return _whole("articles-de", data / "xquad" / "xquad.de.json", scoped=False)


READERS = {
    "scifact": scifact,
    "cranfield": cranfield,
    "nq": nq,
    "policyqa": policyqa,
    "hotpot": hotpot,
    "xquad-en": xquad_en,
    "xquad-de": xquad_de,
    "clapnq": clapnq,
    "policies": policies,
    "articles-en": articles_en,
    "articles-de": articles_de,
}


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _squad(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))["data"]


def _beir(name: str, folder: Path) -> Set:
    texts = [
        Text(row["_id"], row["title"], row["text"].removeprefix(row["title"]).strip())
        for row in _lines(folder / "corpus.jsonl")
    ]
    asked = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    relevant: dict[str, dict[str, float]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if float(row["score"]) > 0:
                relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = float(row["score"])
    return Set(name, texts, [Query(key, asked[key], gains) for key, gains in relevant.items()])


def _paragraphs(name: str, path: Path) -> Set:
    texts, queries = [], []
    for i, article in enumerate(_squad(path)):
        for j, paragraph in enumerate(article["paragraphs"]):
            uri = f"{i}-{j}"
            texts.append(Text(uri, article["title"], paragraph["context"]))
            queries += [Query(question["id"], question["question"], {uri: 1.0}) for question in paragraph["qas"]]
    return Set(name, texts, queries)


def _whole(name: str, path: Path, *, scoped: bool) -> Set:
    texts = []
    ranges: dict[tuple[str, str], list[tuple[str, int, int]]] = {}
    for i, article in enumerate(_squad(path)):
        text = ""
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                for answer in question["answers"]:
                    start = len(text) + answer["answer_start"]
                    found = ranges.setdefault((question["question"], str(i)), [])
                    found.append((str(i), start, start + len(answer["text"])))
            text += paragraph["context"] + "\n\n"
        texts.append(Text(str(i), article["title"], text, scope=str(i) if scoped else ""))
    queries = [
        Query(f"{uri}|{text}", text, {uri: 1.0}, uri if scoped else "", found) for (text, uri), found in ranges.items()
    ]
    return Set(name, texts, queries)
