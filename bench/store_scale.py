"""How a store behaves as it grows: speed, recall, freshness, memory. Prints JSON.

    python bench/store_scale.py [PASSAGES ...] [--queries N] [--keep FOLDER]
    python tests/postgres_server.py python bench/store_scale.py 100000 --url {url}

Passages are made up: 150 words each drawn from a Zipf distribution over 200,000, 20 passages a document. A vector is
the weighted mean of random word vectors, as static embedders make them. Questions are 8 words of a passage among
three frequent ones. `--keep` reuses the stores of an earlier run; `--url` measures a server instead, in a schema for
each size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from knowhow.ports import Floats, IndexedPassage, Put
from knowhow.store.corpus import CorpusStore
from knowhow.store.postgres import PostgresStore
from knowhow.store.postgres_address import is_address, read_address
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Document, Filter, IndexSpec, Passage, SplitSpec

DIMS = 256
WORDS = 150
PER_DOCUMENT = 20
TENANTS = 100
DEPTH = 1000
SPEC = IndexSpec(SplitSpec(), "synthetic", DIMS)
VOCABULARY = 200_000
ALL = Filter()


class Corpus:
    """The same made-up corpus in every process."""

    def __init__(self, passages: int) -> None:
        self.passages = passages
        random = np.random.default_rng(7)
        shares = 1.0 / np.arange(1, VOCABULARY + 1) ** 1.05
        self._edges = np.cumsum(shares / shares.sum())
        self._matrix = random.standard_normal((VOCABULARY, DIMS), dtype=np.float32)
        self._matrix *= np.minimum(1.0, 3e-4 / (3e-4 + shares / shares.sum()))[:, None].astype(np.float32)
        self.words = [f"w{i:x}" for i in range(VOCABULARY)]

    def numbers(self, document: int) -> np.ndarray:
        """Word numbers [PER_DOCUMENT, WORDS]: half from the whole vocabulary, half from the document's topic."""
        random = np.random.default_rng([document, 1])
        drawn = np.searchsorted(self._edges, random.random((PER_DOCUMENT, WORDS)))
        topic = np.searchsorted(self._edges, random.random(60))
        mixed = np.where(random.random(drawn.shape) < 0.3, topic[random.integers(0, 60, drawn.shape)], drawn)
        return np.minimum(mixed, VOCABULARY - 1)

    def vectors(self, numbers: np.ndarray) -> Floats:
        """float32[n, DIMS] of length 1 for word numbers [n, words]."""
        means = self._matrix[numbers].mean(axis=1)
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    def put(self, document: int, extra: str = "") -> Put:
        """A document with its passages; `extra` is added to the first."""
        numbers = self.numbers(document)
        texts = [" ".join([self.words[i] for i in row]) for row in numbers.tolist()]
        if extra:
            texts[0] += " " + extra
        vectors = self.vectors(numbers)
        uri = f"d{document:06}"
        passages, start = [], 0
        for i, text in enumerate(texts):
            passages.append(IndexedPassage(start, start + len(text), "", f"{uri}.{i}{extra}", vectors[i]))
            start += len(text) + 1
        tenant = document % TENANTS
        return Put(Document(uri, "\n".join(texts), source="bench", metadata={"tenant": tenant}), passages)

    def questions(self, count: int) -> Iterator[tuple[str, Floats, int]]:
        """(text, vector, tenant of the document it was made from)."""
        random = np.random.default_rng(11)
        for _ in range(count):
            document = int(random.integers(self.passages // PER_DOCUMENT))
            row = self.numbers(document)[int(random.integers(PER_DOCUMENT))]
            chosen = np.concatenate([random.choice(row, 8, replace=False), random.integers(20, 200, 3)])
            yield " ".join(self.words[i] for i in chosen), self.vectors(chosen[None, :])[0], document % TENANTS


def opened(place: str) -> CorpusStore:
    """The store at a URL or in a file."""
    return PostgresStore(read_address(place, os.environ)) if is_address(place) else SqliteStore(place)


def size_mb(place: str) -> int:
    """What it takes on the disk."""
    if not is_address(place):
        return round(os.path.getsize(place) / 1e6)
    store = opened(place)
    with store.database.reading() as connection:
        sql = "select sum(pg_total_relation_size(c.oid))::bigint from pg_class c where c.relkind = 'r' and "
        found = connection.execute(sql + "c.relnamespace = current_schema()::regnamespace").get
    store.close()
    return round(found / 1e6)


def build(place: str, corpus: Corpus) -> dict[str, float]:
    """Ingests the corpus in batches of 50 documents."""
    store = opened(place)
    index = store.create_index(SPEC)
    making = 0.0
    began = time.perf_counter()
    for first in range(0, corpus.passages // PER_DOCUMENT, 50):
        at = time.perf_counter()
        puts = [corpus.put(i) for i in range(first, min(first + 50, corpus.passages // PER_DOCUMENT))]
        making += time.perf_counter() - at
        store.apply(index, puts)
    seconds = time.perf_counter() - began - making
    began = time.perf_counter()
    store.optimize()
    optimizing = time.perf_counter() - began
    store.close()
    return {"ingest_passages_per_s": round(corpus.passages / seconds), "optimize_s": round(optimizing, 2)}


def exact(corpus: Corpus, questions: list[tuple[str, Floats, int]]) -> tuple[list[set[str]], list[set[str]]]:
    """The ten nearest passages of every question as "uri.k", over everything and within its tenant."""
    asked = np.stack([vector for _, vector, _ in questions])
    best = np.zeros((len(questions), 2, 0), np.float32)
    names = np.zeros((len(questions), 2, 0), np.int64)
    step = 500
    for first in range(0, corpus.passages // PER_DOCUMENT, step):
        documents = range(first, min(first + step, corpus.passages // PER_DOCUMENT))
        half = corpus.vectors(np.concatenate([corpus.numbers(i) for i in documents])).astype(np.float16)
        scores = asked @ half.astype(np.float32).T
        own = np.repeat(np.array(documents) % TENANTS, PER_DOCUMENT)
        inside = np.where(own[None, :] == np.array([[tenant] for _, _, tenant in questions]), scores, -9)
        here = np.broadcast_to(first * PER_DOCUMENT + np.arange(scores.shape[1]), inside.shape)
        best = np.concatenate([best, np.stack([scores, inside], axis=1)], axis=2)
        names = np.concatenate([names, np.stack([here, here], axis=1)], axis=2)
        top = np.argsort(-best, axis=2)[:, :, :10]
        best, names = np.take_along_axis(best, top, 2), np.take_along_axis(names, top, 2)
    return [set(row[0].tolist()) for row in names], [set(row[1].tolist()) for row in names]


def query(place: str, corpus: Corpus, count: int) -> dict[str, object]:
    """Timings and recall in a process of its own, so that its memory is the reader's alone."""
    questions = list(corpus.questions(count))
    before = anonymous()
    began = time.perf_counter()
    store = opened(place)
    ask(store, *questions[0][:2], ALL)
    result: dict[str, object] = {"open_to_first_answer_s": round(time.perf_counter() - began, 2)}
    for text, vector, _ in questions[:10]:
        ask(store, text, vector, ALL)
    for name, mode in (("hybrid", 3), ("keyword", 1), ("vector", 2)):
        result[name] = timed(store, questions, mode, filtered=False)
        result[name + "_filter_1pct"] = timed(store, questions, mode, filtered=True)
    result["anonymous_mb"] = round((anonymous() - before) / 1024)
    truth = exact(corpus, questions)
    for i, name in enumerate(("recall10", "recall10_filter_1pct")):
        hits = 0
        for (_, vector, tenant), wanted in zip(questions, truth[i], strict=True):
            filter = Filter(where={"tenant": tenant}) if i else ALL
            found = store.candidates(SPEC.id, "", vector, DEPTH, filter)
            top = found.ids[np.argsort(-found.vector)[:10]]
            rows = store.passages(SPEC.id, top.tolist(), filter)
            hits += len(wanted & {number(store, row) for row in rows})
        result[name] = round(hits / (10 * len(questions)), 4)
    store.close()
    return result


def number(store: CorpusStore, passage: Passage) -> int:
    """The number of a passage in the corpus, also after the document was edited."""
    siblings = [row.id for row in store.passages_of(SPEC.id, passage.uri, passage.version)]
    return int(passage.uri[1:]) * PER_DOCUMENT + siblings.index(passage.id)


def ask(store: CorpusStore, text: str, vector: Floats | None, filter: Filter) -> None:
    found = store.candidates(SPEC.id, text, vector, DEPTH, filter)
    top = found.ids[np.argsort(-(found.keyword / 30 + found.vector))[:10]]
    store.passages(SPEC.id, top.tolist(), filter)


def timed(
    store: CorpusStore, questions: list[tuple[str, Floats, int]], mode: int, *, filtered: bool
) -> dict[str, float]:
    taken = []
    for text, vector, tenant in questions:
        began, worked = time.perf_counter(), time.process_time()
        filter = Filter(where={"tenant": tenant}) if filtered else ALL
        ask(store, text if mode & 1 else "", vector if mode & 2 else None, filter)
        taken.append((1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)))
    p50, p95 = np.percentile(taken, 50, axis=0), np.percentile(taken, 95, axis=0)
    return {"p50_ms": round(p50[0], 1), "p95_ms": round(p95[0], 1), "p50_cpu_ms": round(p50[1], 1)}


def freshness(place: str, corpus: Corpus, edits: int) -> dict[str, float]:
    """From the commit of an edit to the first hit in another warm process that asks all the time."""
    watcher = subprocess.Popen(
        [sys.executable, __file__, "--watch", place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    store = opened(place)
    writing, seen = [], []
    for i in range(edits):
        word = f"fresh{time.time_ns():x}"
        watcher.stdin.write(word + "\n")
        watcher.stdin.flush()
        watcher.stdout.readline()
        put = corpus.put(i * 7 % (corpus.passages // PER_DOCUMENT), word)
        began = time.time()
        store.apply(SPEC.id, [put])
        done = time.time()
        seen.append(1000 * (float(watcher.stdout.readline()) - done))
        writing.append(1000 * (done - began))
    watcher.stdin.close()
    watcher.wait()
    store.close()
    return {
        "replace_20_passages_p50_ms": round(float(np.percentile(writing, 50)), 1),
        "edit_to_visible_p50_ms": round(float(np.percentile(seen, 50)), 1),
        "edit_to_visible_p99_ms": round(float(np.percentile(seen, 99)), 1),
    }


def watch(place: str) -> None:
    """Reads a word a line; says when it begins to look and when it first finds it."""
    store = opened(place)
    store.candidates(SPEC.id, "warm", None, 10, ALL)
    for line in sys.stdin:
        print("looking", flush=True)
        while not len(store.candidates(SPEC.id, line.strip(), None, 10, ALL).ids):
            pass
        print(time.time(), flush=True)
    store.close()


def anonymous() -> int:
    """Anonymous resident memory in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("passages", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        watch(options.watch)
        return
    if options.ask:
        print(json.dumps(query(options.ask, Corpus(options.passages[0]), options.queries)))
        return
    report = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in options.passages:
            folder = options.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            place = f"{options.url}&schema=scale_{size}" if options.url else str(folder / f"{size}.db")
            corpus = Corpus(size)
            row: dict[str, object] = {"passages": size}
            if options.url or not os.path.exists(place):
                row |= build(place, corpus)
            row["disk_mb"] = size_mb(place)
            command = [sys.executable, __file__, str(size), "--queries", str(options.queries), "--ask", place]
            row |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            row |= freshness(place, corpus, 40)
            report.append(row)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
