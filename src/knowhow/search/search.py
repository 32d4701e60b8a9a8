"""Search: candidates of both sides from one snapshot, fused, freed of repeats, merged, reranked, cut to k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from knowhow.errors import ConfigProblem, NotFound
from knowhow.ports import Candidates, Embedder, Floats, Overlay, Reranker, Store
from knowhow.search.distinct import Stretch, stretches, unrepeated
from knowhow.search.fuse import fuse
from knowhow.types import CandidateTrace, Fate, Filter, Hit, Passage, Recipe, SearchMode, SearchResult

RECORDED = 60
"""Best candidates whose texts are looked at and whose fates are recorded; at least four times `k`."""
RERANKED = 30
"""Stretches a reranker sees; at least twice `k`."""
_TRIES = 3
"""How often a question is asked anew when documents change while it is being answered."""


def search(
    store: Store,
    embedder: Embedder,
    question: str,
    recipe: Recipe,
    filter: Filter,
    *,
    overlay: Overlay | None = None,
    reranker: Reranker | None = None,
) -> SearchResult:
    """The `recipe.k` best hits for `question` among what `filter` may see, with what became of each candidate.

    `candidates` holds the best max(`RECORDED`, 4k) of the pool. `ms` has one entry per stage and `total`.
    Raises `ConfigProblem` when the index was made with another embedder, `NotFound` for an unknown index.
    """
    clock = _Clock()
    index = _index(store, embedder, recipe)
    if not index or not question.strip():
        return SearchResult((), (), clock.ms())
    vector = None if recipe.mode is SearchMode.KEYWORD else embedder.query(question)
    clock.lap("embed")
    pool = _pool(store, index, question, vector, recipe, filter, overlay, clock)
    kept, repeated = unrepeated(pool.passages)
    size = max(RERANKED, 2 * recipe.k) if reranker else recipe.k
    found, merged = stretches(kept, size, store, filter, overlay)
    clock.lap("distinct")
    reranked = _rerank(reranker, question, found)
    clock.lap("rerank")
    hits = _hits(found, reranked, pool, recipe)
    shown = {passage: Fate.SHOWN for hit in hits for passage in hit.passages[:1]}
    fates = repeated | merged | shown
    return SearchResult(hits, _traces(pool, reranked, fates), clock.ms())


@dataclass(frozen=True, slots=True)
class _Pool:
    """The best candidates by fused score: their passages, and (keyword, vector, fused) by passage id."""

    passages: list[Passage]
    scores: Mapping[int, tuple[float, float, float]]


class _Clock:
    """Milliseconds per stage since the last lap."""

    def __init__(self) -> None:
        self._start = self._last = perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self._laps[stage] = self._laps.get(stage, 0.0) + (now - self._last) * 1000
        self._last = now

    def ms(self) -> dict[str, float]:
        return {**self._laps, "total": (perf_counter() - self._start) * 1000}


def _index(store: Store, embedder: Embedder, recipe: Recipe) -> str:
    """The recipe's index or the active one; "" while nothing was ever ingested."""
    known = store.indexes()
    spec = next((spec for spec, active in known if (spec.id == recipe.index if recipe.index else active)), None)
    if spec is None:
        if recipe.index:
            raise NotFound(f"there is no index {recipe.index}; `knowhow config show` names the active one")
        return ""
    if recipe.mode is not SearchMode.KEYWORD and spec.embedder != embedder.name:
        raise ConfigProblem(
            f"index {spec.id} was made with the embedder {spec.embedder}, but {embedder.name} is configured; "
            "run `knowhow reindex` or configure the former"
        )
    return spec.id


def _pool(
    store: Store,
    index: str,
    question: str,
    vector: Floats | None,
    recipe: Recipe,
    filter: Filter,
    overlay: Overlay | None,
    clock: _Clock,
) -> _Pool:
    """Candidates, fused and cut to what is looked at.

    A document replaced between reading scores and reading texts would be missing in both versions, so the question
    is then asked anew.
    """
    text = "" if recipe.mode is SearchMode.VECTOR else question
    for _ in range(_TRIES):
        found = store.candidates(index, text, vector, recipe.depth, filter, overlay)
        clock.lap("candidates")
        fused = _fused(found, recipe)
        order = np.lexsort((found.ids, -fused))[: max(RECORDED, 4 * recipe.k)]
        clock.lap("fuse")
        ids = found.ids[order].tolist()
        passages = store.passages(index, ids, filter, overlay)
        clock.lap("passages")
        if len(passages) == len(ids):
            break
    rows = zip(found.keyword[order].tolist(), found.vector[order].tolist(), fused[order].tolist(), strict=True)
    return _Pool(passages, dict(zip(ids, rows, strict=True)))


def _fused(found: Candidates, recipe: Recipe) -> Floats:
    if recipe.mode is SearchMode.KEYWORD:
        return found.keyword
    if recipe.mode is SearchMode.VECTOR:
        return found.vector
    return fuse(found.keyword, found.vector, recipe.vector_weight)


def _rerank(reranker: Reranker | None, question: str, found: Sequence[Stretch]) -> dict[int, float]:
    """The reranker's score by the id of each stretch's best passage; empty without one."""
    if reranker is None or not found:
        return {}
    scores = reranker.scores(question, [f"{s.passages[0].lead}\n{s.text}".lstrip() for s in found])
    return {s.passages[0].id: float(score) for s, score in zip(found, scores, strict=True)}


def _hits(found: Sequence[Stretch], reranked: Mapping[int, float], pool: _Pool, recipe: Recipe) -> tuple[Hit, ...]:
    """The k best as hits; newest first among those k where the recipe asks for it."""
    best = sorted(found, key=lambda s: -reranked.get(s.passages[0].id, 0.0))[: recipe.k]
    if recipe.newest_first:
        best.sort(key=_age)
    return tuple(_hit(rank, s, reranked, pool) for rank, s in enumerate(best, 1))


def _age(stretch: Stretch) -> tuple[float, float]:
    """Sorts by `effective_at`, latest first, undated documents after dated ones, then by when we learned of it."""
    passage = stretch.passages[0]
    dated = passage.effective_at
    return (float("inf") if dated is None else -dated, -passage.valid_from)


def _hit(rank: int, stretch: Stretch, reranked: Mapping[int, float], pool: _Pool) -> Hit:
    best = stretch.passages[0]
    first = min(stretch.passages, key=lambda passage: passage.start)
    keyword, vector, fused = pool.scores[best.id]
    return Hit(
        rank=rank,
        passages=tuple(passage.id for passage in stretch.passages),
        uri=best.uri,
        version=best.version,
        start=stretch.start,
        end=stretch.end,
        text=stretch.text,
        title=best.title,
        place=first.place,
        lead=first.lead,
        score=fused,
        keyword=keyword,
        vector=vector,
        rerank=reranked.get(best.id),
        metadata=best.metadata,
        effective_at=best.effective_at,
        valid_from=best.valid_from,
    )


def _traces(pool: _Pool, reranked: Mapping[int, float], fates: Mapping[int, Fate]) -> tuple[CandidateTrace, ...]:
    """One row per passage looked at, in fused order."""
    rows = []
    for passage in pool.passages:
        keyword, vector, fused = pool.scores[passage.id]
        rows.append(
            CandidateTrace(
                passage=passage.id,
                uri=passage.uri,
                version=passage.version,
                start=passage.start,
                end=passage.end,
                keyword=keyword,
                vector=vector,
                fused=fused,
                rerank=reranked.get(passage.id),
                fate=fates.get(passage.id, Fate.BELOW_K),
            )
        )
    return tuple(rows)
