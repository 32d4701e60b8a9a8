"""Knowhow at one size: filled from files through the real readers, asked real questions, edited. Prints JSON.

Run by `side_by_side.py`, each step in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from knowhow import Workspace
from knowhow.backends.embed_static import NAME, load_static
from knowhow.ingest.batch import Batch, Vectors
from knowhow.ingest.ingest import ingest
from knowhow.ingest.readers import read_bytes
from knowhow.ingest.split import embed_text
from knowhow.ports import Embedder, FileStamp, Floats
from knowhow.search.search import search
from knowhow.store.sqlite import SqliteStore
from knowhow.store.writing import OpenIndex
from knowhow.types import EVERYTHING, Document, Extract, Filter, IndexSpec, Progress, Recipe, SearchMode, SplitSpec
from made_corpus import GROUPS, PER_DOCUMENT, MadeCorpus, customer, files, team
from scale_common import WARMING, Place, anonymous_mb, percentiles

ALL = Filter(access=frozenset({EVERYTHING}))
DEPTH = Recipe("rag").depth
EXPORTED = 2000
"""Documents embedded at once for the others."""


class Free:
    """An embedder that costs nothing: what is left is the price of everything else."""

    name = NAME
    dims = 256

    def __init__(self) -> None:
        rows = np.random.default_rng(0).standard_normal((4096, self.dims)).astype(np.float32)
        self._rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def documents(self, texts: Sequence[str]) -> Floats:
        found: Floats = self._rows[[crc32(text.encode()) % 4096 for text in texts]]
        return found

    def query(self, text: str) -> Floats:
        row: Floats = self.documents([text])[0]
        return row


def load(place: Path, data: Path, size: int) -> dict[str, object]:
    """Ingests the files, syncs them again unchanged, and ingests once more without the embedder's cost."""
    documents = size // PER_DOCUMENT
    root = place / "files"
    written = files(MadeCorpus(data), documents, root)
    time.sleep(2.1)  # files written in the last two seconds are read again by the next sync
    found: dict[str, object] = {"documents": documents, "text_mb": round(written / 1e6, 1)}
    with Workspace.init(place / "desk") as desk:
        found |= _ingested(desk.ingest_stream(root), written)
        assert not any(info.reason for info in desk.documents(access=ALL.access))
        began = time.perf_counter()
        again = desk.ingest(root)
        seconds = time.perf_counter() - began
        assert again.unchanged == documents, again
        found["unchanged_s"] = round(seconds, 2)
        found["unchanged_times_faster"] = round(float(str(found["ingest_s"])) / seconds, 1)
    found["disk_mb"] = round((place / "desk/.knowhow/knowhow.db").stat().st_size / 1e6)
    return found


def load_bare(place: Path) -> dict[str, object]:
    """The same without the embedder's cost, into a store that is not used again."""
    path = place / "bare.db"
    path.unlink(missing_ok=True)
    free, spec = Free(), IndexSpec(SplitSpec(), NAME, 256)
    store = SqliteStore(path)
    written = sum(file.stat().st_size for file in (place / "files").glob("*/*.md"))
    stream = ingest([place / "files"], store=store, index=store.create_index(spec), embedder=free, spec=spec)
    found = _ingested(stream, written)
    store.close()
    for leftover in place.glob("bare.db*"):
        leftover.unlink()
    return {f"bare_{name}": value for name, value in found.items()}


def _ingested(stream: object, written: int) -> dict[str, object]:
    """Speed of an ingest, and its memory at the start, after a tenth and at most."""
    began, peak, early, passages = time.perf_counter(), 0.0, 0.0, 0
    worked = time.process_time()
    for step in stream:  # type: ignore[attr-defined]
        assert isinstance(step, Progress)
        if step.unit == "files" and step.done % 50 == 0:
            peak = max(peak, anonymous_mb())
            early = early or (peak if step.total and step.done >= step.total / 10 else 0.0)
        passages = step.counts.get("passages", passages)
    seconds = time.perf_counter() - began
    return {
        "passages": passages,
        "ingest_s": round(seconds, 1),
        "ingest_cpu_s": round(time.process_time() - worked, 1),
        "ingest_mb_per_s": round(written / 1e6 / seconds, 2),
        "ingest_passages_per_s": round(passages / seconds),
        "anonymous_mb_after_a_tenth": round(early),
        "anonymous_mb_most": round(peak),
    }


def export(place: Path, data: Path, each: int) -> dict[str, object]:
    """Writes the very same passages and questions with float32 vectors for the others and for exact answers."""
    home = Place(place)
    store, embedder = opened(place), load_static()
    index = store.indexes()[0][0].id
    uris = [info.uri for info in store.documents(ALL)]
    owners: list[int] = []
    ids: list[int] = []
    with home.passages.open("w", encoding="utf-8") as out, home.vectors.open("wb") as vectors:
        for first in range(0, len(uris), EXPORTED):
            rows = [row for uri in uris[first : first + EXPORTED] for row in store.passages_of(index, uri, 1)]
            texts = [embed_text(row.lead, row.text) for row in rows]
            vectors.write(embedder.documents(texts).tobytes())
            ids += [row.id for row in rows]
            owners += [int(Path(row.uri).stem) for row in rows]
            for row in rows:
                out.write(json.dumps([row.lead, row.text, int(Path(row.uri).stem)], ensure_ascii=False) + "\n")
    np.save(home.owners, np.array(owners, np.int32))
    np.save(home.ids, np.array(ids, np.int64))
    questions = [query.text for query in MadeCorpus(data).questions(each)]
    home.questions.write_text(json.dumps(questions))
    np.save(home.asked, np.stack([embedder.query(text) for text in questions]))
    store.close()
    return {"passages": len(ids), "questions": len(questions)}


def opened(place: Path) -> SqliteStore:
    return SqliteStore(place / "desk/.knowhow/knowhow.db")


def ask(place: Path) -> dict[str, object]:
    """Every question once per way, after others to warm up."""
    questions: list[str] = json.loads(Place(place).questions.read_text())
    before = anonymous_mb()
    began = time.perf_counter()
    desk = Workspace.open(place / "desk")
    desk.search(questions[0], access=ALL.access)
    found: dict[str, object] = {"open_to_first_answer_s": round(time.perf_counter() - began, 2)}
    desk.close()
    store, embedder = opened(place), load_static()
    for text in questions[:WARMING]:
        search(store, embedder, text, Recipe("rag"), ALL)
    ways = {
        "hybrid": (SearchMode.HYBRID, ALL),
        "hybrid_where_1pct": (SearchMode.HYBRID, None),
        "hybrid_access_1pct": (SearchMode.HYBRID, None),
        "keyword": (SearchMode.KEYWORD, ALL),
        "vector": (SearchMode.VECTOR, ALL),
    }
    for name, (mode, filter) in ways.items():
        found[name] = _timed(store, embedder, questions[WARMING:], mode, filter, name)
    found["anonymous_mb"] = round(anonymous_mb())
    found["anonymous_mb_of_it_before"] = round(before)
    store.close()
    return found


def _timed(
    store: SqliteStore, embedder: Embedder, questions: list[str], mode: SearchMode, filter: Filter | None, name: str
) -> dict[str, float]:
    taken, worked, inside = [], [], []
    for number, text in enumerate(questions):
        narrow = _narrow(number, name) if filter is None else filter
        began, busy = time.perf_counter(), time.process_time()
        result = search(store, embedder, text, Recipe("rag", mode=mode), narrow)
        taken.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - busy))
        inside.append(result.ms["candidates"] + result.ms["texts"])
    return percentiles(taken) | {
        "cpu_p50_ms": percentiles(worked)["p50_ms"],
        "store_p50_ms": percentiles(inside)["p50_ms"],
        "store_p95_ms": percentiles(inside)["p95_ms"],
    }


def _narrow(number: int, name: str) -> Filter:
    """A customer, or an asker who holds one team's tag: another one each question."""
    if name.endswith("access_1pct"):
        return Filter(access=frozenset({f"t{number % GROUPS:02}"}))
    return Filter(access=ALL.access, where={"customer": f"c{number % GROUPS:02}"})


def recall(place: Path) -> dict[str, object]:
    """Share of the ten nearest by an exact scan of float32 vectors that the store's vector side finds."""
    home = Place(place)
    ids, owners, asked = np.load(home.ids), np.load(home.owners), np.load(home.asked)
    stored = np.array(home.stored(len(ids)))
    store = opened(place)
    index = store.indexes()[0][0].id
    groups = {
        "recall10": None,
        "recall10_where_1pct": np.array([customer(int(i)) for i in owners]),
        "recall10_access_1pct": np.array([team(int(i)) for i in owners]),
    }
    hits = dict.fromkeys(groups, 0)
    for number, vector in enumerate(asked):
        row = stored @ vector
        for name, group in groups.items():
            inside = row if group is None else np.where(group == number % GROUPS, row, -9)
            wanted = set(ids[np.argpartition(-inside, 10)[:10]].tolist())
            near = store.candidates(index, "", vector, DEPTH, ALL if group is None else _narrow(number, name))
            hits[name] += len(wanted & set(near.ids[np.lexsort((near.ids, -near.vector))[:10]].tolist()))
    found: dict[str, object] = {name: round(hit / 10 / len(asked), 4) for name, hit in hits.items()}
    store.close()
    return found


class Noting(SqliteStore):
    """Notes when a commit was done: merging comes after it and concerns no reader."""

    committed = 0.0

    def _tend(self, chosen: OpenIndex) -> None:
        self.committed = time.time()
        super()._tend(chosen)


def edit(place: Path, data: Path, edits: int) -> dict[str, object]:
    """Replaces two documents at a time; another process that asks all the time says when it found the new text."""
    watcher = subprocess.Popen(
        [sys.executable, __file__, "watch", str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    store, embedder = Noting(place / "desk/.knowhow/knowhow.db"), load_static()
    spec = store.indexes()[0][0]
    made = MadeCorpus(data)
    documents = len(list((place / "files").glob("*/*.md")))
    random = np.random.default_rng(time.time_ns())
    writing, seen, both, passages = [], [], [], []
    for _ in range(edits):
        word = f"fresh{time.time_ns():x}"
        puts = [_edited(made, int(number), word) for number in random.integers(0, documents, 2)]
        watcher.stdin.write(word + "\n")
        watcher.stdin.flush()
        watcher.stdout.readline()
        began = time.time()
        batch = Batch(store, spec.id, spec, Vectors(store, [spec.id], embedder))
        passages.append(sum(batch.put(put, FileStamp(put.uri, put.uri, 1, 0, word)) for put in puts))
        batch.write()
        done = time.time()
        first = float(watcher.stdout.readline())
        writing.append(1000 * (done - began))
        seen.append(1000 * (first - store.committed))
        both.append(1000 * (first - began))
    watcher.stdin.close()
    watcher.wait()
    store.close()
    return {
        "passages": round(float(np.mean(passages)), 1),
        "replace": percentiles(writing),
        "commit_to_visible": percentiles(seen),
        "replace_to_visible": percentiles(both),
    }


def _edited(made: MadeCorpus, number: int, word: str) -> Document:
    """Document `number` in another revision with `word` in its first paragraph, as ingest would put it."""
    file = made.document(number, revision=time.time_ns())
    extract = read_bytes(file.path, file.text.encode())
    assert isinstance(extract, Extract)
    text = f"{extract.text} {word}"
    access = frozenset({f"t{team(number):02}"})
    return Document(
        file.path, text, extract.title, extract.media_type, "files", metadata=extract.metadata, access=access,
        content_hash=word,
    )  # fmt: skip


def watch(place: Path) -> None:
    """Reads a word a line; says when it begins to look and when it first finds it, searching as anybody does."""
    store, embedder = opened(place), load_static()
    search(store, embedder, "warm", Recipe("rag"), ALL)
    for line in sys.stdin:
        word = line.strip()
        print("looking", flush=True)
        while not any(word in hit.text for hit in search(store, embedder, word, Recipe("rag"), ALL).hits):
            pass
        print(time.time(), flush=True)
    store.close()


def cold(place: Path) -> dict[str, object]:
    """`knowhow search` as a command, with the file in the page cache and without; what it prints is not looked at."""
    question = json.loads(Place(place).questions.read_text())[1]
    command = [str(Path(sys.executable).parent / "knowhow"), "search", question, "--workspace", str(place / "desk")]
    found = {}
    for name in ("warm", "cold"):
        if name == "cold":
            for file in (place / "desk/.knowhow").glob("knowhow.db*"):
                handle = os.open(file, os.O_RDONLY)
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(handle)
        began = time.perf_counter()
        subprocess.run([*command, "--json"], check=True, capture_output=True)
        found[f"command_{name}_s"] = round(time.perf_counter() - began, 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("load", "bare", "export", "ask", "recall", "edit", "watch", "cold"))
    parser.add_argument("place", type=Path)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--each", type=int, default=80)
    parser.add_argument("--edits", type=int, default=300)
    options = parser.parse_args()
    steps = {
        "load": lambda: load(options.place, options.data, options.size),
        "bare": lambda: load_bare(options.place),
        "export": lambda: export(options.place, options.data, options.each),
        "ask": lambda: ask(options.place),
        "recall": lambda: recall(options.place),
        "edit": lambda: edit(options.place, options.data, options.edits),
        "cold": lambda: cold(options.place),
    }
    if options.step == "watch":
        watch(options.place)
    else:
        print(json.dumps(steps[options.step](), indent=1))


if __name__ == "__main__":
    main()
