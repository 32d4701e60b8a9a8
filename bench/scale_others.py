"""What Knowhow's speed is compared with, on the same passages, vectors and questions. Prints JSON.

`plain` is what one writes in an afternoon: a float32 matrix and SQLite's FTS5, fused like ours. `lancedb` is a vector
database that also searches words and runs in the process (its own hybrid search with its defaults; the vectors' index
refines ten times as many as asked for). Both get passages already cut and vectors for nothing, so that loading
them compares with `bare` of `scale_knowhow.py` at best. Needs numpy, apsw and lancedb, and nothing of Knowhow.

    python bench/scale_others.py plain load PLACE
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scale_common import DIMS, WARMING, Place, anonymous_mb, percentiles

Vector = NDArray[np.float32]
POOL = 200
"""Candidates of each side, as deep as Knowhow looks."""
K = 8
COSINE = 25.0
EDITED = 20
_WORD = re.compile(r"\w+")


def passages(place: Place) -> Iterator[tuple[int, str, str]]:
    """(id from 1, lead, text)."""
    with place.passages.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            lead, text, _ = json.loads(line)
            yield number, lead, text


class Plain:
    """A matrix in memory and FTS5 in a file."""

    def __init__(self, place: Place) -> None:
        import apsw

        self._place = place
        self.path = place.folder / "plain.db"
        self._connection = apsw.Connection(str(self.path))
        self._connection.execute("pragma mmap_size=68719476736; pragma journal_mode=wal; pragma synchronous=full")
        self._matrix = np.zeros((0, DIMS), np.float32)
        self._alive = np.zeros(0, np.float32)

    def load(self) -> None:
        connection = self._connection
        connection.execute("create table passage (id integer primary key, lead text, text text, vector blob)")
        connection.execute(
            "create virtual table words using fts5(lead, text, content='', contentless_delete=1, "
            "tokenize='porter unicode61 remove_diacritics 2')"
        )
        vectors = self._place.stored(np.load(self._place.owners).shape[0])
        connection.execute("begin")
        for number, lead, text in passages(self._place):
            self._insert(number, lead, text, vectors[number - 1])
            if number % 512 == 0:
                connection.execute("commit; begin")
        connection.execute("commit")

    def _insert(self, number: int, lead: str, text: str, vector: Vector) -> None:
        self._connection.execute("insert into passage values (?,?,?,?)", (number, lead, text, vector.tobytes()))
        self._connection.execute("insert into words (rowid, lead, text) values (?,?,?)", (number, lead, text))

    def open(self) -> None:
        rows = self._connection.execute("select count(*) from passage").get
        self._matrix = np.zeros((rows + 20_000, DIMS), np.float32)
        for number, data in self._connection.execute("select id, vector from passage"):
            self._matrix[number - 1] = np.frombuffer(data, np.float32)
        self._alive = np.zeros(len(self._matrix), np.float32)
        self._alive[rows:] = -9

    def ask(self, text: str, vector: Vector) -> list[tuple[int, str]]:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(_WORD.findall(text.lower())))
        sql = "select rowid, bm25(words, 2, 1) from words where words match ? order by rank limit ?"
        found = {number: -score for number, score in self._connection.execute(sql, (words, POOL))} if words else {}
        cosines = self._matrix @ vector + self._alive
        near = np.argpartition(-cosines, POOL)[:POOL] + 1
        both = np.array(sorted({*found, *near.tolist()}))
        fused = 0.5 * np.array([found.get(i, 0.0) for i in both.tolist()]) + 0.5 * COSINE * cosines[both - 1]
        best = both[np.argsort(-fused)[:K]].tolist()
        sql = "select id, text from passage where id = ?"
        return [self._connection.execute(sql, (number,)).get for number in best]

    def nearest(self, vector: Vector) -> list[int]:
        return list(np.argpartition(-(self._matrix @ vector), 10)[:10] + 1)

    def replace(self, first: int, texts: list[str], vectors: Vector) -> None:
        rows = self._connection.execute("select max(id) from passage").get
        self._connection.execute("begin immediate")
        for number in range(first, first + len(texts)):
            self._connection.execute("delete from words where rowid = ?", (number,))
            self._connection.execute("delete from passage where id = ?", (number,))
        for i, text in enumerate(texts):
            self._insert(rows + 1 + i, "", text, vectors[i])
        self._connection.execute("commit")
        self._alive[first - 1 : first - 1 + len(texts)] = -9
        self._matrix[rows : rows + len(texts)] = vectors
        self._alive[rows : rows + len(texts)] = 0

    def disk(self) -> int:
        return sum(file.stat().st_size for file in self._place.folder.glob("plain.db*"))


class Lance:
    """A table of LanceDB with its two indexes."""

    def __init__(self, place: Place) -> None:
        import lancedb

        self._place = place
        self.path = place.folder / "lance"
        self._db = lancedb.connect(str(self.path))
        self._table: Any = None

    def load(self) -> None:
        import pyarrow
        from lancedb.index import FTS, IvfPq

        vectors = self._place.stored(np.load(self._place.owners).shape[0])
        schema = pyarrow.schema(
            [("id", pyarrow.int64()), ("text", pyarrow.string()), ("vector", pyarrow.list_(pyarrow.float32(), DIMS))]
        )

        def batches() -> Iterator[Any]:
            rows: list[tuple[int, str, str]] = []
            for row in passages(self._place):
                rows.append(row)
                if len(rows) == 10_000:
                    yield _table(rows, vectors, schema)
                    rows = []
            if rows:
                yield _table(rows, vectors, schema)

        reader = pyarrow.RecordBatchReader.from_batches(
            schema, (batch for table in batches() for batch in table.to_batches())
        )
        self._table = self._db.create_table("passages", reader)
        self._table.create_index("vector", config=IvfPq(distance_type="cosine"))
        self._table.create_index("text", config=FTS())

    def open(self) -> None:
        self._table = self._db.open_table("passages")

    def ask(self, text: str, vector: Vector) -> list[tuple[int, str]]:
        query = self._table.search(query_type="hybrid").vector(vector).text(text).refine_factor(10)
        return [(row["id"], row["text"]) for row in query.limit(K).to_list()]

    def nearest(self, vector: Vector) -> list[int]:
        query = self._table.search(vector).distance_type("cosine").refine_factor(10)
        return [row["id"] for row in query.limit(10).select(["id", "_distance"]).to_list()]

    def replace(self, first: int, texts: list[str], vectors: Vector) -> None:
        self._table.delete(f"id >= {first} and id < {first + len(texts)}")
        start = 10_000_000 + time.time_ns() % 1_000_000_000
        rows = [{"id": start + i, "text": text, "vector": vectors[i]} for i, text in enumerate(texts)]
        self._table.add(rows)

    def disk(self) -> int:
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def _table(rows: list[tuple[int, str, str]], vectors: Vector, schema: Any) -> Any:
    import pyarrow

    first, last = rows[0][0] - 1, rows[-1][0]
    flat = pyarrow.array(np.ascontiguousarray(vectors[first:last]).ravel())
    columns = [
        pyarrow.array([number for number, _, _ in rows]),
        pyarrow.array([f"{lead}\n{text}" for _, lead, text in rows]),
        pyarrow.FixedSizeListArray.from_arrays(flat, DIMS),
    ]
    return pyarrow.Table.from_arrays(columns, schema=schema)


def load(side: Plain | Lance, place: Place) -> dict[str, Any]:
    """Fills it in one go."""
    began = time.perf_counter()
    side.load()
    seconds = time.perf_counter() - began
    count = np.load(place.owners).shape[0]
    return {"load_s": round(seconds, 1), "load_passages_per_s": round(count / seconds), "disk_mb": side.disk() // 10**6}


def ask(side: Plain | Lance, place: Place, most: int) -> dict[str, Any]:
    """Every question once after others to warm up, then the vectors' recall."""
    questions, asked = json.loads(place.questions.read_text())[:most], np.load(place.asked)
    began = time.perf_counter()
    side.open()
    side.ask(questions[0], asked[0])
    opening = time.perf_counter() - began
    for text, vector in zip(questions[:WARMING], asked, strict=False):
        side.ask(text, vector)
    taken, worked = [], []
    for text, vector in zip(questions[WARMING:], asked[WARMING:], strict=False):
        began, busy = time.perf_counter(), time.process_time()
        side.ask(text, vector)
        taken.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - busy))
    found = {
        "open_to_first_answer_s": round(opening, 2),
        "hybrid": percentiles(taken) | {"cpu_p50_ms": percentiles(worked)["p50_ms"]},
        "anonymous_mb": round(anonymous_mb()),
    }
    stored = place.stored(np.load(place.owners).shape[0])
    hits = 0
    for vector in asked[:100]:
        wanted = np.argpartition(-(stored @ vector), 10)[:10] + 1
        hits += len({*wanted.tolist()} & {*side.nearest(vector)})
    return found | {"recall10": round(hits / 10 / 100, 4)}


def edit(side: Plain | Lance, place: Place, edits: int) -> dict[str, Any]:
    """Replaces 20 passages until this same process finds the new text."""
    side.open()
    random = np.random.default_rng(0)
    count = np.load(place.owners).shape[0]
    taken, writing = [], []
    for i in range(edits):
        first = int(random.integers(1, count - EDITED))
        word = f"fresh{time.time_ns():x}"
        vectors = random.standard_normal((EDITED, DIMS)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        began = time.perf_counter()
        side.replace(first, [f"{word} number {i} {k} " * 40 for k in range(EDITED)], vectors)
        writing.append(1000 * (time.perf_counter() - began))
        while not any(word in text for _, text in side.ask(word, vectors[0])):
            pass
        taken.append(1000 * (time.perf_counter() - began))
    return {"replace": percentiles(writing), "replace_to_visible": percentiles(taken)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("plain", "lancedb"))
    parser.add_argument("step", choices=("load", "ask", "edit"))
    parser.add_argument("place", type=Path)
    parser.add_argument("--most", type=int, default=480, help="questions")
    parser.add_argument("--edits", type=int, default=40)
    options = parser.parse_args()
    place = Place(options.place)
    side = Plain(place) if options.side == "plain" else Lance(place)
    steps = {
        "load": lambda: load(side, place),
        "ask": lambda: ask(side, place, options.most),
        "edit": lambda: edit(side, place, options.edits),
    }
    print(json.dumps(steps[options.step](), indent=1))


if __name__ == "__main__":
    main()
