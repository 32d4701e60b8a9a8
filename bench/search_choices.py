"""What the search defaults were chosen from, in plain numpy: stemming, title weight, BM25, fusion, sizes of passages.

    python bench/search_choices.py stems|bm25|fusion|split [--data ../shared/data]

Documents are not split but in `split`. Each row has nDCG@10 on half 0 (chosen on) and half 1 (reported); `split` has
the share of questions whose answer is within the best 4,800 characters, for the sets of long documents. The final
figures come from bench/search_quality.py through the real store.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowhow.backends.embed_static import load_static
from knowhow.ingest.split import split
from knowhow.ports import Floats
from knowhow.search.fuse import COSINE, fuse, phrases
from knowhow.search.search import LOOKED_AT
from knowhow.store import analyze
from knowhow.store.analyze import query_terms, searchable, terms
from knowhow.types import SplitSpec
from search_quality import CHOSEN_ON, HERE, ndcg
from search_sets import Query, Set, load

BUDGET = 4800
SIZES = [
    *(SplitSpec(300, 500), SplitSpec(450, 700), SplitSpec(600, 900), SplitSpec(900, 1400), SplitSpec(1200, 1800)),
    *(SplitSpec(1600, 2400), SplitSpec(2400, 3600)),
    *(SplitSpec(600, 900, 100), SplitSpec(900, 1400, 150), SplitSpec(1200, 1800, 200)),
]
Matrix = NDArray[np.float32]


class Bm25:
    """Exact BM25 over a list of term lists."""

    def __init__(self, passages: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75) -> None:
        lengths = np.array([len(passage) for passage in passages])
        damping = k1 * (1 - b + b * lengths / lengths.mean())
        postings: dict[str, tuple[list[int], list[int]]] = {}
        for i, passage in enumerate(passages):
            for term, count in Counter(passage).items():
                where, times = postings.setdefault(term, ([], []))
                where.append(i)
                times.append(count)
        self.size = len(passages)
        self._weights: dict[str, tuple[NDArray[np.int64], Floats]] = {}
        for term, (where, times) in postings.items():
            at, tf = np.array(where), np.array(times)
            idf = np.log(1 + (self.size - len(at) + 0.5) / (len(at) + 0.5))
            self._weights[term] = at, (idf * tf * (k1 + 1) / (tf + damping[at])).astype(np.float32)

    def score(self, question: Sequence[str]) -> Floats:
        found = np.zeros(self.size, np.float32)
        for term in dict.fromkeys(question):
            if term in self._weights:
                at, weight = self._weights[term]
                found[at] += weight
        return found


def keyword(data: Set, repeat: int = 2, k1: float = 1.2, b: float = 0.75) -> Matrix:
    """float32[queries, documents], with the title counted `repeat` times."""
    index = Bm25([terms(f"{text.title}\n" * repeat + text.text) for text in data.texts], k1, b)
    return np.stack([index.score(query_terms(query.text)) for query in data.queries])


def vector(data: Set, repeat: int = 2) -> Matrix:
    embedder = load_static()
    documents = embedder.documents([f"{text.title}\n" * repeat + text.text for text in data.texts])
    scores: Matrix = embedder.documents([query.text for query in data.queries]) @ documents.T
    return scores


def allowed(data: Set) -> NDArray[np.bool_]:
    """bool[queries, documents]: a question with a scope sees only its documents."""
    scopes = np.array([text.scope for text in data.texts])
    return np.array([(scopes == query.scope) | (query.scope == "") for query in data.queries])


def quality(data: Set, scores: Matrix) -> tuple[float, float]:
    """nDCG@10 on half 0 and half 1."""
    hidden = np.where(allowed(data), scores, -np.inf)
    order = np.argsort(-hidden, axis=1, kind="stable")[:, :10]
    found = [
        ndcg([data.texts[i].uri for i in row if np.isfinite(hidden[at, i])], query.relevant)
        for at, (row, query) in enumerate(zip(order, data.queries, strict=True))
    ]
    half = np.array([query.half for query in data.queries])
    return float(np.array(found)[half == 0].mean()), float(np.array(found)[half == 1].mean())


def table(sets: Sequence[Set], rows: Mapping[str, Callable[[Set], Matrix]]) -> None:
    print("| |", " | ".join(data.name for data in sets), "| mean, half 0 | mean, half 1 |")
    print("|---" * (len(sets) + 3) + "|")
    for name, scores in rows.items():
        found = np.array([quality(data, scores(data)) for data in sets])
        cells = " | ".join(f"{a:.4f} {b:.4f}" for a, b in found)
        print(f"| {name} | {cells} | {found[:, 0].mean():.4f} | {found[:, 1].mean():.4f} |", flush=True)


# --- the choices ------------------------------------------------------------------------------------------


def stems(folder: Path) -> None:
    """Word forms: none, plural s only, Porter, Porter with German endings (the default)."""
    sets = list(load(folder, [*CHOSEN_ON, "xquad-en", "xquad-de"]))

    def with_stem(change: Callable[[str], str]) -> Callable[[Set], Matrix]:
        def scores(data: Set) -> Matrix:
            usual = analyze.stem
            analyze.stem = change  # type: ignore[attr-defined]
            analyze._known.clear()
            try:
                return keyword(data)
            finally:
                analyze.stem = usual  # type: ignore[attr-defined]
                analyze._known.clear()

        return scores

    from knowhow.store import stem as stemming

    def porter(word: str) -> str:
        endings = stemming._GERMAN
        stemming._GERMAN = ()
        try:
            return stemming.stem(word)
        finally:
            stemming._GERMAN = endings

    def plural(word: str) -> str:
        return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "us" else word

    rows = {"none": with_stem(str), "plural": with_stem(plural), "Porter": with_stem(porter)}
    table(sets, rows | {"Porter + German": with_stem(stemming.stem)})


def bm25(folder: Path) -> None:
    """Title weight, k1 and b."""
    sets = list(load(folder, CHOSEN_ON))
    rows = {f"title x{n}": lambda data, n=n: keyword(data, n) for n in (0, 1, 2, 3)}
    rows |= {f"k1={k} b={b}": lambda data, k=k, b=b: keyword(data, 2, k, b) for k, b in product((0.9, 1.5), (0.6, 0.9))}
    rows |= {f"vector, title x{n}": lambda data, n=n: vector(data, n) for n in (0, 1, 2, 3)}
    table(sets, rows)


def fusion(folder: Path) -> None:
    """Ranks, min-max, z-scores, plain sums; then the phrases."""
    sets = list(load(folder, CHOSEN_ON))
    parts = {data.name: (keyword(data), vector(data)) for data in sets}
    words = {data.name: [terms(f"{text.title}\n{text.text}") for text in data.texts] for data in sets}

    def of(combine: Callable[[Matrix, Matrix], Matrix]) -> Callable[[Set], Matrix]:
        """`combine` on what a question may see; the rest is NaN."""

        def scores(data: Set) -> Matrix:
            seen = allowed(data)
            k, v = (np.where(seen, part, np.nan) for part in parts[data.name])
            return np.where(seen, combine(k, v), -np.inf)

        return scores

    def with_phrases(weight: float) -> Callable[[Set], Matrix]:
        def scores(data: Set) -> Matrix:
            fused = of(lambda k, v: fuse(k, v, weight))(data)
            for row, query in zip(fused, data.queries, strict=True):
                best = np.argsort(-row, kind="stable")[:LOOKED_AT]
                best = best[np.isfinite(row[best])]
                row[best] += phrases(terms(query.text), [words[data.name][i] for i in best], weight)
            return fused

        return scores

    rows = {
        "keyword": of(lambda k, v: fuse(k, v, 0.0)),
        "vector": of(lambda k, v: fuse(k, v, 1.0)),
        "ranks (RRF, 60)": of(_ranks),
    }
    rows |= {
        f"min-max, {w}": of(lambda k, v, w=w: (1 - w) * _min_max(k) + w * _min_max(v)) for w in (0.2, 0.3, 0.4, 0.5)
    }
    rows |= {f"z-scores, {w}": of(lambda k, v, w=w: (1 - w) * _z(k) + w * _z(v)) for w in (0.3, 0.5)}
    rows |= {f"BM25 + {n} cosine": of(lambda k, v, n=n: k + n * v) for n in (10, 15, 20, 25, 30, 40)}
    rows |= {f"BM25 + {n} z(cosine)": of(lambda k, v, n=n: k + n * _z(v)) for n in (2, 3)}
    rows |= {f"BM25 + {COSINE:.0f} cosine + phrases, weight {w}": with_phrases(w) for w in (0.4, 0.5, 0.6)}
    table(sets, rows)


def _ranks(k: Matrix, v: Matrix) -> Matrix:
    def one(scores: Matrix) -> Matrix:
        order = np.argsort(np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable"), axis=1)
        return (1 / (61 + order)).astype(np.float32)

    return one(k) + one(v)


def _min_max(scores: Matrix) -> Matrix:
    low, high = np.nanmin(scores, axis=1, keepdims=True), np.nanmax(scores, axis=1, keepdims=True)
    return (scores - low) / np.maximum(high - low, 1e-9)


def _z(scores: Matrix) -> Matrix:
    return (scores - np.nanmean(scores, axis=1, keepdims=True)) / np.maximum(
        np.nanstd(scores, axis=1, keepdims=True), 1e-9
    )


def sizes(folder: Path) -> None:
    """Target, limit and overlap of passages: answers within a budget, and nDCG@10 of abstracts."""
    sets = list(load(folder, ["policies", "articles-en", "articles-de", "scifact", "cranfield"]))
    print("| target, limit, overlap |", " | ".join(data.name for data in sets), "| mean, half 0 | mean, half 1 |")
    print("|---" * (len(sets) + 3) + "|")
    for spec in SIZES:
        found = np.array([_within(data, spec) for data in sets])
        cells = " | ".join(f"{a:.4f} {b:.4f}" for a, b in found)
        means = " | ".join(f"{value:.4f}" for value in found.mean(axis=0))
        print(f"| {spec.target}, {spec.limit}, {spec.overlap} | {cells} | {means} |", flush=True)


def _within(data: Set, spec: SplitSpec) -> tuple[float, float]:
    found: dict[int, list[float]] = {0: [], 1: []}
    for query, ranked in _passages(data, spec):
        if query.ranges:
            found[query.half].append(_answered(query, ranked))
        else:
            uris = list(dict.fromkeys(uri for uri, _, _ in ranked))
            found[query.half].append(ndcg(uris, query.relevant))
    return float(np.mean(found[0])), float(np.mean(found[1]))


def _answered(query: Query, ranked: Sequence[tuple[str, int, int]]) -> float:
    left = BUDGET
    for uri, start, end in ranked:
        end = min(end, start + left)
        if any(uri == u and start <= a and b <= end for u, a, b in query.ranges):
            return 1.0
        left -= end - start
        if left <= 0:
            break
    return 0.0


def _passages(data: Set, spec: SplitSpec) -> Iterator[tuple[Query, list[tuple[str, int, int]]]]:
    """Each question with the best passages, (uri, start, end), as the default search ranks them."""
    cut = [(text, piece) for text in data.texts for piece in split(text.text, [], text.title, spec)]
    bodies = [searchable(piece.lead, text.text[piece.start : piece.end]) for text, piece in cut]
    index = Bm25([terms(body) for body in bodies])
    embedder = load_static()
    vectors = embedder.documents(bodies)
    words = [terms(f"{piece.lead}\n{text.text[piece.start : piece.end]}") for text, piece in cut]
    scopes = np.array([text.scope for text, _ in cut])
    for query in data.queries:
        fused = fuse(index.score(query_terms(query.text)), vectors @ embedder.query(query.text), 0.5)
        if query.scope:
            fused = np.where(scopes == query.scope, fused, -np.inf)
        best = np.argsort(-fused, kind="stable")[:LOOKED_AT]
        best = best[np.isfinite(fused[best])]
        final = fused[best] + phrases(terms(query.text), [words[i] for i in best], 0.5)
        best = best[np.argsort(-final, kind="stable")]
        yield query, [(cut[i][0].uri, cut[i][1].start, cut[i][1].end) for i in best]


CHOICES = {"stems": stems, "bm25": bm25, "fusion": fusion, "split": sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("choice", choices=CHOICES)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    args = parser.parse_args()
    CHOICES[args.choice](args.data)


if __name__ == "__main__":
    main()
