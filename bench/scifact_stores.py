"""Whether both stores rank real text alike: every test claim of scifact by keyword, by vector and by both. Prints JSON.

    python tests/postgres_server.py python bench/scifact_stores.py ../shared/data {url}

Both are filled with the same passages, as bench/search_quality.py cuts and embeds them. `same` counts questions whose
candidates have the same order, `within_ties` those that differ only in the order of scores closer than 1e-5.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from knowhow.backends.embed_static import load_static
from knowhow.ports import Candidates
from knowhow.store.postgres import PostgresStore
from knowhow.store.postgres_address import read_address
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Filter, IndexSpec, SplitSpec
from search_quality import put
from search_sets import scifact

DEPTH = 100
CLOSE = 1e-5


def main(data: Path, url: str) -> None:
    embedder, texts = load_static(), scifact(data)
    spec = IndexSpec(SplitSpec(), embedder.name, embedder.dims)
    with tempfile.TemporaryDirectory() as folder:
        stores = (SqliteStore(Path(folder) / "knowhow.db"), PostgresStore(read_address(url, os.environ)))
        for store in stores:
            store.create_index(spec)
        for start in range(0, len(texts.texts), 500):
            puts = [put(t.uri, t.title, t.text, t.scope, embedder) for t in texts.texts[start : start + 500]]
            for store in stores:
                store.apply(spec.id, puts)
        counts = {side: {"same": 0, "within_ties": 0, "different": 0} for side in ("keyword", "vector", "both")}
        apart = 0.0
        for query in texts.queries:
            vector = embedder.query(query.text)
            for side, text, asked in (
                ("keyword", query.text, None),
                ("vector", "", vector),
                ("both", query.text, vector),
            ):
                here, there = (store.candidates(spec.id, text, asked, DEPTH, Filter()) for store in stores)
                verdict, most = compared(here, there)
                counts[side][verdict] += 1
                apart = max(apart, most)
        passages = sum(info.passages for info in stores[1].documents(Filter()))
        for store in stores:
            store.close()
    print(
        json.dumps({"passages": passages, "questions": len(texts.queries), **counts, "scores_apart": apart}, indent=1)
    )


def compared(here: Candidates, there: Candidates) -> tuple[str, float]:
    """(same, within_ties or different; the largest difference of a score)."""
    if set(here.ids.tolist()) != set(there.ids.tolist()):
        return "different", 0.0
    totals, orders = [], []
    for found in (here, there):
        at = np.argsort(found.ids)
        totals.append((found.keyword + found.vector)[at])
        orders.append(np.lexsort((found.ids[at], -totals[-1])))
    most = float(np.abs(totals[0] - totals[1]).max(initial=0))
    if np.array_equal(*orders):
        return "same", most
    return ("within_ties" if most < CLOSE else "different"), most


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
