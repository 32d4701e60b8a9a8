"""The ways pgvector itself offers to find nearest vectors, beside the store's own: speed, recall, cost. Prints JSON.

    python tests/postgres_server.py python bench/pgvector_ways.py {url} [PASSAGES] [--queries N]

The corpus of bench/store_scale.py. `exact` lets the server compare every vector that the asker may see, `hnsw` lets it
walk a graph over them (with `hnsw.iterative_scan`, so that a filter still fills the answer), `store` is what
`candidates` does: sign bits in this process, then the vectors of the best 1,000 compared by the server.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

import numpy as np

from knowhow.ports import Floats
from knowhow.store.connection import fetch, fetch_one
from knowhow.store.postgres import PostgresStore
from knowhow.store.postgres_address import read_address
from knowhow.types import Filter
from store_scale import ALL, DEPTH, DIMS, SPEC, Corpus, build, exact

Ask = Callable[[Floats, int, bool], list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("passages", nargs="?", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=50)
    options = parser.parse_args()
    url, corpus = f"{options.url}&schema=ways", Corpus(options.passages)
    store = PostgresStore(read_address(url, os.environ))
    if not store.indexes():
        build(url, corpus)
    with store.database.reading() as connection:
        numbers = dict(fetch(connection, "select id, embed_hash from passage"))
    questions = list(corpus.questions(options.queries))
    truth = exact(corpus, questions)
    report: dict[str, object] = {"passages": options.passages}

    def store_way(vector: Floats, tenant: int, filtered: bool) -> list[int]:
        filter = Filter(where={"tenant": tenant}) if filtered else ALL
        found = store.candidates(SPEC.id, "", vector, DEPTH, filter)
        return found.ids[np.argsort(-found.vector)[:10]].tolist()

    def server_way(vector: Floats, tenant: int, filtered: bool) -> list[int]:
        with store.database.reading() as connection:
            connection.execute("set local hnsw.iterative_scan = strict_order")
            connection.execute(f"set local hnsw.ef_search = {ef_search}")
            rows = fetch(
                connection, _sql(filtered), (f"[{','.join(map(str, vector.tolist()))}]", str(tenant))[: 1 + filtered]
            )
        return [key for key, _ in rows]

    report["store"] = measured(store_way, questions, truth, numbers)
    ef_search = 100
    report["exact"] = measured(server_way, questions, truth, numbers)
    began = time.perf_counter()
    with store.database.writing() as connection:
        connection.execute("set local maintenance_work_mem = '1GB'")
        connection.execute(f"create index ways on passage using hnsw ((vector::halfvec({DIMS})) halfvec_cosine_ops)")
    report["hnsw_build_s"] = round(time.perf_counter() - began, 1)
    with store.database.reading() as connection:
        report["hnsw_mb"] = round(fetch_one(connection, "select pg_relation_size('ways')") / 1e6)
    for ef_search in (100, 400, 1000):
        report[f"hnsw_{ef_search}"] = measured(server_way, questions, truth, numbers)
    for _ in range(2):  # the first time warms up
        taken = []
        for i in range(20):
            began = time.perf_counter()
            store.apply(SPEC.id, [corpus.put(i, f"w{time.time_ns()}")])
            taken.append(1000 * (time.perf_counter() - began))
    report["hnsw_replace_20_passages_p50_ms"] = round(float(np.median(taken)), 1)
    store.close()
    print(json.dumps(report, indent=1))


def _sql(filtered: bool) -> str:
    """Nearest passages that answer; filtered to the tenant whose number follows."""
    inside = "and exists (select 1 from attribute a where a.version = b.version and a.key = 'tenant' and a.value = ?) "
    return (
        f"with asked as materialized (select ?::halfvec({DIMS}) as v) "
        f"select p.id, p.vector::halfvec({DIMS}) <=> (select v from asked) as distance "
        f"from passage p join body b on b.id = p.body where b.version > 0 {inside if filtered else ''}"
        "order by distance limit 10"
    )


def measured(
    way: Ask,
    questions: list[tuple[str, Floats, int]],
    truth: tuple[list[set[int]], list[set[int]]],
    numbers: dict[int, str],
) -> dict[str, float]:
    """Milliseconds and recall@10, over everything and with a filter of 1%."""
    result: dict[str, float] = {}
    for filtered, words in ((False, ""), (True, "_filter_1pct")):
        taken, hits = [], 0
        for _, vector, tenant in questions[:5]:
            way(vector, tenant, filtered)
        for (_, vector, tenant), wanted in zip(questions, truth[filtered], strict=True):
            began = time.perf_counter()
            found = way(vector, tenant, filtered)
            taken.append(1000 * (time.perf_counter() - began))
            names = [numbers[key].split(".") for key in found]
            hits += len(wanted & {int(uri[1:]) * 20 + int(place) for uri, place in names})
        result[f"p50_ms{words}"] = round(float(np.percentile(taken, 50)), 1)
        result[f"p95_ms{words}"] = round(float(np.percentile(taken, 95)), 1)
        result[f"recall10{words}"] = round(hits / (10 * len(questions)), 4)
    return result


if __name__ == "__main__":
    main()
