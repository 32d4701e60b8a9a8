"""Replays two real handbooks edit by edit through ingest: speed, what is embedded again, and freshness of 25 facts.

`python bench/handbooks.py` prints JSON. Needs the larger data sets beside the repository (`--data`). Right after the
step that changes a fact, no hit and no answer may hold the old statement (another document may, where it held it before
too), and the passage with the new one should be among the first five. Answers quote (`extractive`), so that what they
say is what the documents say. Steps a second are given by the clock and by processor time, reader processes included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from knowhow.answer import ask
from knowhow.backends.chat_extractive import ExtractiveChat
from knowhow.backends.embed_static import load_static
from knowhow.ingest.ingest import ingest
from knowhow.ports import Embedder
from knowhow.search.search import search
from knowhow.store.sqlite import SqliteStore
from knowhow.types import EVERYTHING, Filter, IndexSpec, IngestReport, Recipe, SplitSpec

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BOOKS = ("basecamp-policies", "sourcegraph-handbook")
ALL = Filter(access=frozenset({EVERYTHING}))
DEEP = 50
"""Hits in which the old statement is looked for."""


class Replay:
    """One handbook, its folder as it is at a step, and the workspace that follows it."""

    def __init__(self, source: Path, home: Path, embedder: Embedder) -> None:
        self.source = source
        self.root = home / source.name
        shutil.copytree(source / "base", self.root)
        self.embedder = embedder
        self.spec = IndexSpec(SplitSpec(), embedder.name, embedder.dims)
        self.store = SqliteStore(home / f"{source.name}.db")
        self.index = self.store.create_index(self.spec)

    def sync(self) -> IngestReport:
        return drain(
            ingest([self.root], store=self.store, index=self.index, embedder=self.embedder, spec=self.spec, yes=True)
        )

    def apply(self, step: dict[str, Any]) -> None:
        for change in step["changes"]:
            path = self.root / change["path"]
            if change["op"] == "delete":
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(change["content"], encoding="utf-8")

    def steps(self) -> Iterator[dict[str, Any]]:
        with gzip.open(self.source / "edits.jsonl.gz", "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def facts(self) -> dict[int, list[dict[str, Any]]]:
        found: dict[int, list[dict[str, Any]]] = {}
        for line in (self.source / "facts.jsonl").read_text(encoding="utf-8").splitlines():
            fact = json.loads(line)
            found.setdefault(fact["step"], []).append(fact)
        return found

    def rank(self, fact: dict[str, Any], key: str, *, elsewhere: bool = True) -> int | None:
        """Rank of the first hit for the fact's question that holds `key`; None when there is none."""
        result = search(self.store, self.embedder, fact["question"], replace(Recipe(), k=DEEP), ALL)
        wanted = plain(key)
        hits = (hit for hit in result.hits if wanted in plain(hit.text) and (elsewhere or hit.uri == fact["path"]))
        return next((hit.rank for hit in hits), None)

    def says(self, fact: dict[str, Any], key: str, *, elsewhere: bool = True) -> bool:
        """Whether the answer to the fact's question holds `key`, from any document or from its own alone."""
        answer = ask(
            fact["question"],
            Recipe(model="extractive"),
            store=self.store,
            records=None,
            embedder=self.embedder,
            model=ExtractiveChat(),
            filter=ALL,
        )
        own = [citation.quote for citation in answer.citations if citation.uri == fact["path"]]
        return plain(key) in plain(" ".join(own) if not elsewhere else answer.text)


def plain(text: str) -> str:
    """Words and numbers only, link targets left out, so that Markdown marks don't matter."""
    return " ".join(re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", text).casefold()))


def drain(steps: Generator[object, None, IngestReport]) -> IngestReport:
    """Runs an ingest to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            report: IngestReport = stop.value
            return report


def replay(book: Replay, limit: int, only_facts: bool) -> dict[str, Any]:
    """Every step through a sync of its own; with `only_facts` the steps between two facts are synced together."""
    started = time.perf_counter()
    first = book.sync()
    first_s = time.perf_counter() - started
    facts = book.facts()
    passages = embedded = syncs = done = 0
    seconds = processor = 0.0
    rows = []
    for step in book.steps():
        if limit and done >= limit:
            break
        due = facts.get(step["step"], [])
        if only_facts and due:
            book.sync()
        known = {fact["id"]: book.rank(fact, fact["before_key"]) for fact in due}
        book.apply(step)
        done += 1
        if only_facts and not due:
            continue
        started, busy = time.perf_counter(), _processor()
        report = book.sync()
        seconds += time.perf_counter() - started
        processor += _processor() - busy
        syncs += 1
        passages += report.passages
        embedded += report.embedded
        assert not [failure for failure in report.failed if failure.reason != "empty"], report.failed
        rows += [_fact_row(book, fact, known[fact["id"]]) for fact in due]
    started = time.perf_counter()
    book.sync()
    return {
        "documents": len(first.added),
        "first_s": round(first_s, 2),
        "first_passages": first.passages,
        "unchanged_s": round(time.perf_counter() - started, 3),
        "steps": done,
        "syncs": syncs,
        "syncs_per_s": round(syncs / seconds, 1) if seconds else None,
        "syncs_per_processor_s": round(syncs / processor, 1) if processor else None,
        "passages_of_changed_documents": passages,
        "embedded": embedded,
        "embedded_share": round(embedded / passages, 4) if passages else None,
        "facts": rows,
    }


def _processor() -> float:
    """Seconds of processor time so far, of this process and of the readers it has waited for or still runs."""
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after[1]) == os.getpid():
            ticks += int(after[11]) + int(after[12])
    return used + ticks / os.sysconf("SC_CLK_TCK")


def _fact_row(book: Replay, fact: dict[str, Any], known: int | None) -> dict[str, Any]:
    elsewhere = fact["elsewhere_before"] > 0
    return {
        "id": fact["id"],
        "old_rank_before": known,
        "old_rank_after": book.rank(fact, fact["before_key"], elsewhere=not elsewhere),
        "new_rank_after": book.rank(fact, fact["after_key"]),
        "old_answered_after": book.says(fact, fact["before_key"], elsewhere=not elsewhere),
        "new_answered_after": book.says(fact, fact["after_key"]),
    }


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA / "handbooks")
    parser.add_argument("--limit", type=int, default=0, help="steps of each handbook; 0 = all")
    parser.add_argument(
        "--facts-only", action="store_true", help="sync only before and at the steps that change a fact"
    )
    options = parser.parse_args()
    embedder = load_static()
    result = {}
    with tempfile.TemporaryDirectory() as home:
        for name in BOOKS:
            result[name] = replay(Replay(options.data / name, Path(home), embedder), options.limit, options.facts_only)
    rows = [row for book in result.values() for row in book["facts"]]
    result["all"] = {
        "facts": len(rows),
        "old_found_before": sum(row["old_rank_before"] is not None for row in rows),
        "old_found_after": sum(row["old_rank_after"] is not None for row in rows),
        "old_answered_after": sum(row["old_answered_after"] for row in rows),
        "new_answered_after": sum(row["new_answered_after"] for row in rows),
        "new_in_top_5": sum(row["new_rank_after"] is not None and row["new_rank_after"] <= 5 for row in rows),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
