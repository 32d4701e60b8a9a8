"""How well search finds: keyword, vector, reciprocal ranks and the default hybrid, through the real store.

    python bench/search_quality.py [--data ../shared/data] [--sets scifact,nq] [--write]

Every document is ingested as it would be (split, led by its title, embedded by the default embedder); documents are
ranked by their best passage. Defaults were chosen on half 0 of each set's questions; half 1 is what is reported, with
a paired bootstrap interval of hybrid minus the better of its two parts. Then: how well `Hit.relevance` tells questions
the corpus answers from those it does not, and the constants a new fit gives. `--write` puts docs/results/search.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowhow.backends.embed_static import load_static
from knowhow.ingest.split import embed_hash, embed_text, split
from knowhow.ports import Change, Embedder, IndexedPassage, Overlay, Put, Store
from knowhow.search.relevance import coverage
from knowhow.search.search import search
from knowhow.store.analyze import query_terms, terms
from knowhow.store.sqlite import SqliteStore
from knowhow.types import EVERYTHING, Document, Filter, IndexSpec, Recipe, SearchMode, SplitSpec
from search_sets import Query, Set, load

HERE = Path(__file__).resolve().parent
CHOSEN_ON = ("scifact", "cranfield", "nq", "policyqa", "hotpot")
ALSO = ("xquad-en", "xquad-de", "clapnq")
DEEP = 20
"""Hits asked for, so that ten different documents are among them."""
RRF = 60
"""The constant of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009."""
RESAMPLES = 4000
ASKED = 200
"""Questions per set in the relevance study, evenly drawn."""
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
DEFAULT = 0.2
"""The highest that on half 0 declines at most one answerable question in twenty."""
Scores = NDArray[np.float64]


# --- the corpus -------------------------------------------------------------------------------------------


@contextmanager
def filled(data: Set, embedder: Embedder) -> Iterator[tuple[Store, str]]:
    """A store that holds the set's documents, and its index."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "knowhow.db")
        index = store.create_index(IndexSpec(SplitSpec(), embedder.name, embedder.dims))
        puts: list[Change] = [put(text.uri, text.title, text.text, text.scope, embedder) for text in data.texts]
        for start in range(0, len(puts), 500):
            store.apply(index, puts[start : start + 500])
        yield store, index
        store.close()


def put(uri: str, title: str, text: str, scope: str, embedder: Embedder) -> Put:
    document = Document(uri=uri, text=text, title=title, metadata={"scope": scope})
    pieces = split(text, [], title, SplitSpec())
    bodies = [text[piece.start : piece.end] for piece in pieces]
    vectors = embedder.documents([embed_text(p.lead, body) for p, body in zip(pieces, bodies, strict=True)])
    return Put(
        document,
        [
            IndexedPassage(p.start, p.end, p.lead, embed_hash(p.lead, body), vector)
            for p, body, vector in zip(pieces, bodies, vectors, strict=True)
        ],
    )


def seen(query: Query) -> Filter:
    return Filter(access=frozenset({EVERYTHING}), where={"scope": query.scope} if query.scope else {})


# --- the rankings -----------------------------------------------------------------------------------------


def by_search(mode: SearchMode) -> Callable[[Store, Embedder, Query], list[str]]:
    recipe = Recipe(mode=mode, k=DEEP)

    def ranking(store: Store, embedder: Embedder, query: Query) -> list[str]:
        hits = search(store, embedder, query.text, recipe, seen(query)).hits
        return list(dict.fromkeys(hit.uri for hit in hits))

    return ranking


def by_ranks(store: Store, embedder: Embedder, query: Query) -> list[str]:
    """Reciprocal rank fusion of the same candidates."""
    index = store.indexes()[0][0].id
    found = store.candidates(index, query.text, embedder.query(query.text), Recipe().depth, seen(query))
    fused = np.zeros(len(found.ids))
    for scores in (found.keyword, found.vector):
        rank = np.empty(len(scores))
        rank[np.lexsort((found.ids, -scores))] = np.arange(1, len(scores) + 1)
        fused += 1 / (RRF + rank)
    best = found.ids[np.argsort(-fused, kind="stable")[: 2 * DEEP]]
    return list(dict.fromkeys(passage.uri for passage in store.passages(index, best.tolist(), seen(query))))


RANKINGS = {
    "keyword": by_search(SearchMode.KEYWORD),
    "vector": by_search(SearchMode.VECTOR),
    "rrf": by_ranks,
    "hybrid": by_search(SearchMode.HYBRID),
}


def ndcg(ranked: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float:
    gains = np.array([relevant.get(uri, 0.0) for uri in ranked[:k]])
    ideal = np.array(sorted(relevant.values(), reverse=True)[:k])
    return float((gains / _discount(gains)).sum() / (ideal / _discount(ideal)).sum())


def _discount(gains: Scores) -> Scores:
    return np.log2(np.arange(2, len(gains) + 2))


def recall(ranked: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float:
    return len(set(ranked[:k]) & relevant.keys()) / len(relevant)


def measure(data: Set, embedder: Embedder) -> dict[str, Any]:
    """Per ranking: nDCG@10 and recall@10 on all questions and by half; hybrid against the better part."""
    half = np.array([query.half for query in data.queries])
    row: dict[str, Any] = {"set": data.name, "documents": len(data.texts), "questions": len(data.queries)}
    quality: dict[str, Scores] = {}
    with filled(data, embedder) as (store, _):
        for name, ranking in RANKINGS.items():
            start = perf_counter()
            ranked = [ranking(store, embedder, query) for query in data.queries]
            spent = (perf_counter() - start) * 1000 / len(ranked)
            pairs = list(zip(ranked, data.queries, strict=True))
            quality[name] = np.array([ndcg(uris, query.relevant) for uris, query in pairs])
            reached = np.array([recall(uris, query.relevant) for uris, query in pairs])
            row[name] = {
                "ndcg": float(quality[name].mean()),
                "halves": [float(quality[name][half == h].mean()) for h in (0, 1)],
                "recall": float(reached.mean()),
                "ms": spent,
            }
    row["gain"] = []
    for h in (0, 1):
        parts = [quality["keyword"][half == h], quality["vector"][half == h]]
        better = max(parts, key=lambda part: float(part.mean()))
        row["gain"].append(interval(quality["hybrid"][half == h] - better))
    return row


def interval(differences: Scores) -> list[float]:
    """(mean, low, high): 95% percentile bootstrap over questions."""
    drawn = np.random.default_rng(0).integers(0, len(differences), (RESAMPLES, len(differences)))
    means = differences[drawn].mean(axis=1)
    return [float(differences.mean()), *np.percentile(means, [2.5, 97.5]).tolist()]


# --- relevance --------------------------------------------------------------------------------------------


def relevances(data: Set, embedder: Embedder) -> dict[str, Any]:
    """Best relevance among the hits and (coverage, cosine) of the first: answerable, and not.

    "taken out": the same questions with every relevant document masked. "unanswerable": as people judged.
    """
    step = max(1, len(data.queries) // ASKED)
    queries = data.queries[::step]
    with filled(data, embedder) as (store, index):
        found = {"answerable": [features(store, index, embedder, query, None) for query in queries]}
        found["taken out"] = [
            features(store, index, embedder, query, Overlay(mask=frozenset(query.relevant))) for query in queries
        ]
        found["unanswerable"] = [features(store, index, embedder, query, None) for query in data.unanswerable]
    return {name: np.array(rows) for name, rows in found.items() if rows} | {
        "half": np.array([query.half for query in queries]),
        "unanswerable half": np.array([query.half for query in data.unanswerable]),
    }


def features(
    store: Store, index: str, embedder: Embedder, query: Query, overlay: Overlay | None
) -> tuple[float, float, float]:
    result = search(store, embedder, query.text, Recipe(), seen(query), overlay=overlay)
    if not result.hits:
        return 0.0, 0.0, 0.0
    ids = [row.passage for row in result.candidates]
    texts = [[*terms(p.lead), *terms(p.text)] for p in store.passages(index, ids, seen(query), overlay)]
    covered = coverage(query_terms(query.text), texts)
    return max(hit.relevance for hit in result.hits), float(covered[0]), result.candidates[0].vector


def auc(yes: Scores, no: Scores) -> float:
    """Chance that an answerable question scores above one that is not; ties count half."""
    return float((yes[:, None] > no[None, :]).mean() + 0.5 * (yes[:, None] == no[None, :]).mean())


def study(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Separation per set on half 1, declining by threshold on both halves, and constants fitted on half 0."""
    pairs: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for name, rows in found.items():
        for kind, other in (("taken out", "half"), ("unanswerable", "unanswerable half")):
            if kind in rows:
                pairs[f"{name}, {kind}"] = [
                    (rows["answerable"][rows["half"] == h], rows[kind][rows[other] == h]) for h in (0, 1)
                ]
    return {
        "auc": {name: auc(yes[:, 0], no[:, 0]) for name, (_, (yes, no)) in pairs.items()},
        "declined, half 0": [declined(at, [chosen for chosen, _ in pairs.values()]) for at in THRESHOLDS],
        "declined, half 1": [declined(at, [told for _, told in pairs.values()]) for at in THRESHOLDS],
        "by set at the default, half 1": {name: declined(DEFAULT, [told]) for name, (_, told) in pairs.items()},
        "fit": {
            "coverage, cosine, constant": fit([chosen for chosen, _ in pairs.values()], [1, 2]),
            "coverage, constant": fit([chosen for chosen, _ in pairs.values()], [1]),
        },
    }


def declined(threshold: float, pairs: Sequence[tuple[Scores, Scores]]) -> dict[str, float]:
    """Declining below `threshold`, every set weighing the same, as many answerable questions as others."""
    wrongly, rightly = (float(np.mean([(pair[side][:, 0] < threshold).mean() for pair in pairs])) for side in (0, 1))
    precision = rightly / (rightly + wrongly) if rightly + wrongly else 1.0
    return {"threshold": threshold, "precision": precision, "recall": rightly, "answerable declined": wrongly}


def fit(pairs: Sequence[tuple[Scores, Scores]], columns: list[int]) -> list[float]:
    """Logistic regression by Newton's method, every set and side weighing the same."""
    rows = [part[:, columns] for pair in pairs for part in pair]
    x = np.hstack([np.concatenate(rows), np.ones((sum(map(len, rows)), 1))])
    y = np.concatenate([np.full(len(part), 1.0 - i % 2) for i, part in enumerate(rows)])
    w = np.concatenate([np.full(len(part), 1 / len(part)) for part in rows])
    b = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ b))
        b += np.linalg.solve((x * (w * p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(len(b)), x.T @ (w * (y - p)))
    return [round(float(value), 2) for value in b]


# --- the report -------------------------------------------------------------------------------------------


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    print("\n| set | keyword | vector | RRF | hybrid | half 0 | half 1 | hybrid - better part, half 1 | recall@10 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        mean, low, high = row["gain"][1]
        numbers = " | ".join(f"{row[name]['ndcg']:.4f}" for name in RANKINGS)
        halves = " | ".join(f"{value:.4f}" for value in row["hybrid"]["halves"])
        print(f"| {row['set']} | {numbers} | {halves} | {mean:+.4f} [{low:+.4f}, {high:+.4f}] | "
              f"{row['hybrid']['recall']:.3f} |")  # fmt: skip
    chosen = [row for row in rows if row["set"] in CHOSEN_ON]
    if chosen:
        means = " | ".join(f"{np.mean([row[name]['ndcg'] for row in chosen]):.4f}" for name in RANKINGS)
        halves = " | ".join(f"{np.mean([row['hybrid']['halves'][h] for row in chosen]):.4f}" for h in (0, 1))
        gain = np.mean([row["gain"][1][0] for row in chosen])
        print(f"| mean of the first {len(chosen)} | {means} | {halves} | {gain:+.4f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--sets", default=",".join(CHOSEN_ON + ALSO))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    embedder = load_static()
    rows, found = [], {}
    for data in load(args.data, args.sets.split(",")):
        rows.append(measure(data, embedder))
        if data.name != "policyqa":  # its questions ask for topics; segments left in the policy may answer them too
            found[data.name] = relevances(data, embedder)
        print(f"{data.name}: done", flush=True)
    show(rows)
    report = {"embedder": embedder.name, "search": rows, "relevance": study(found)}
    print(json.dumps(report["relevance"], indent=1))
    if args.write:
        target = HERE.parent / "docs" / "results" / "search.json"
        target.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
