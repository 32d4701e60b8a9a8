"""Search: candidates of both sides from one snapshot, fused, freed of repeats, merged, reranked, cut to k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

from knowhow.errors import ConfigProblem, NotFound
from knowhow.ports import Embedder, Floats, Overlay, Reranker, Store
from knowhow.search.distinct import Stretch, stretches, unrepeated
from knowhow.search.judge import Judged, judge, shortlist
from knowhow.types import CandidateTrace, Fate, Filter, Hit, Passage, Recipe, SearchMode, SearchResult

LOOKED_AT = 30
"""Candidates whose texts are read and whose fates are recorded, at least four times `k`. 60 rank no better."""
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

    `candidates` holds the max(`LOOKED_AT`, 4k) best of the pool. `ms` has an entry per stage, and `total`.
    Raises `ConfigProblem` when the index was made with another embedder, `NotFound` for an unknown index.
    """
    clock = _Clock()
    index = _index(store, embedder, recipe)
    if not index or not question.strip():
        return SearchResult((), (), clock.ms())
    vector = None if recipe.mode is SearchMode.KEYWORD else embedder.query(question)
    clock.lap("embed")
    judged = _look(store, index, question, vector, recipe, filter, overlay, clock)
    kept, repeated = unrepeated(judged)
    size = max(RERANKED, 2 * recipe.k) if reranker else recipe.k
    found, merged = stretches(kept, size, store, filter, overlay)
    clock.lap("distinct")
    reranked = _rerank(reranker, question, found)
    clock.lap("rerank")
    chosen = _choose(found, reranked, recipe)
    hits = tuple(_hit(rank, stretch, reranked) for rank, stretch in enumerate(chosen, 1))
    shown = {stretch.best.passage.id: Fate.SHOWN for stretch in chosen}
    traces = tuple(_trace(one, reranked, repeated | merged | shown) for one in judged)
    return SearchResult(hits, traces, clock.ms())


class _Clock:
    """Milliseconds per stage, each since the lap before."""

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
            raise NotFound(f"there is no index {recipe.index}; leave the recipe's `index` empty to use the active one")
        return ""
    if recipe.mode is not SearchMode.KEYWORD and spec.embedder != embedder.name:
        raise ConfigProblem(
            f"index {spec.id} was made with the embedder {spec.embedder}, but {embedder.name} is configured; "
            "run `knowhow reindex` or configure the former"
        )
    return spec.id


def _look(
    store: Store,
    index: str,
    question: str,
    vector: Floats | None,
    recipe: Recipe,
    filter: Filter,
    overlay: Overlay | None,
    clock: _Clock,
) -> list[Judged]:
    """The best candidates with their texts, best first.

    A document replaced between reading scores and reading texts would be missing in both versions, so the question
    is then asked anew.
    """
    text = "" if recipe.mode is SearchMode.VECTOR else question
    for _ in range(_TRIES):
        found = store.candidates(index, text, vector, recipe.depth, filter, overlay)
        clock.lap("candidates")
        order, scores = shortlist(found, recipe, max(LOOKED_AT, 4 * recipe.k))
        passages = store.passages(index, found.ids[order].tolist(), filter, overlay)
        clock.lap("texts")
        if len(passages) == len(order):
            break
    here = {passage.id for passage in passages}
    there = [i for i, key in enumerate(found.ids[order].tolist()) if key in here]
    order, scores = order[there], scores[there]
    judged = judge(question, recipe, passages, found.keyword[order], found.vector[order], scores)
    clock.lap("judge")
    return judged


def _rerank(reranker: Reranker | None, question: str, found: Sequence[Stretch]) -> dict[int, float]:
    """The reranker's score by the id of each stretch's best passage; empty without one."""
    if reranker is None or not found:
        return {}
    scores = reranker.scores(question, [f"{stretch.best.passage.lead}\n{stretch.text}".strip() for stretch in found])
    return {stretch.best.passage.id: float(score) for stretch, score in zip(found, scores, strict=True)}


def _choose(found: Sequence[Stretch], reranked: Mapping[int, float], recipe: Recipe) -> list[Stretch]:
    """The k best; the latest of them first where the recipe asks for it."""
    best = sorted(found, key=lambda stretch: -reranked.get(stretch.best.passage.id, 0.0))[: recipe.k]
    return sorted(best, key=lambda stretch: -_since(stretch.best.passage)) if recipe.newest_first else best


def _since(passage: Passage) -> float:
    """When its content took effect, as far as is known."""
    return passage.valid_from if passage.effective_at is None else passage.effective_at


def _hit(rank: int, stretch: Stretch, reranked: Mapping[int, float]) -> Hit:
    best = stretch.best
    first = min((member.passage for member in stretch.members), key=lambda passage: passage.start)
    return Hit(
        rank=rank,
        passages=tuple(member.passage.id for member in stretch.members),
        uri=first.uri,
        version=first.version,
        start=stretch.start,
        end=stretch.end,
        text=stretch.text,
        title=first.title,
        place=first.place,
        lead=first.lead,
        score=best.fused,
        keyword=best.keyword,
        vector=best.vector,
        rerank=reranked.get(best.passage.id),
        relevance=max(member.relevance for member in stretch.members),
        metadata=first.metadata,
        effective_at=first.effective_at,
        valid_from=first.valid_from,
    )


def _trace(one: Judged, reranked: Mapping[int, float], fates: Mapping[int, Fate]) -> CandidateTrace:
    passage = one.passage
    return CandidateTrace(
        passage=passage.id,
        uri=passage.uri,
        version=passage.version,
        start=passage.start,
        end=passage.end,
        keyword=one.keyword,
        vector=one.vector,
        fused=one.fused,
        rerank=reranked.get(passage.id),
        fate=fates.get(passage.id, Fate.BELOW_K),
    )
