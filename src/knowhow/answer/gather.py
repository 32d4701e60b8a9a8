"""Brings together what may be shown: nothing, what search finds, the given evidence, or the corpus in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from knowhow.answer.asked import CONTEXT_URI, Corpus
from knowhow.search.search import search
from knowhow.types import CandidateTrace, Context, Document, EvidenceAt, Hit, Place, Range, Recipe

_SURE = 3 / 8
"""Share of the characters read that surely fits: three characters a token where eight are read."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Hits in the order they are to be shown, what was looked at, and what was left out before packing."""

    hits: tuple[Hit, ...] = ()
    candidates: tuple[CandidateTrace, ...] = ()
    irrelevant: tuple[Hit, ...] = ()
    """Found, but below the recipe's relevance."""
    superseded: tuple[Hit, ...] = ()
    """Found, but another document says that it replaces theirs."""
    order: str = ""
    """How the hits are ordered, in words."""
    unread: int = 0
    """Documents never opened because what came before already fills the budget."""
    ms: Mapping[str, float] = field(default_factory=dict)


def gather(recipe: Recipe, corpus: Corpus, search_text: str, gold: Sequence[Range], characters: int) -> Gathered:
    """What `recipe.context` asks for. `characters` bounds how much of the corpus is read for `FULL`."""
    if recipe.context is Context.NONE:
        return Gathered(order="no context")
    if recipe.context is Context.GOLD:
        return Gathered(_gold(corpus, gold), order="the given evidence, in its order")
    if recipe.context is Context.FULL:
        if gold and recipe.evidence_at is not EvidenceAt.AS_ORDERED:
            return _placed(corpus, recipe, gold, characters)
        return _full(corpus, recipe, characters)
    result = search(
        corpus.store,
        corpus.embedder,
        search_text,
        recipe,
        corpus.filter,
        overlay=corpus.overlay,
        reranker=corpus.reranker,
    )
    order = "newest first" if recipe.newest_first else "most relevant first"
    return Gathered(
        result.hits, result.candidates, order=order, ms={f"search.{stage}": ms for stage, ms in result.ms.items()}
    )


def given(text: str) -> Hit:
    """Text that came with the question, as a hit of its own."""
    return excerpt(Document(uri=CONTEXT_URI, text=text, title="Given with the question"), 0, len(text), 0)


def _gold(corpus: Corpus, gold: Sequence[Range]) -> tuple[Hit, ...]:
    hits = []
    for rank, range_ in enumerate(gold, 1):
        document = corpus.document(range_.uri, range_.version)
        if document is not None:
            hits.append(excerpt(document, range_.start, range_.end, rank))
    return tuple(hits)


def _full(corpus: Corpus, recipe: Recipe, characters: int) -> Gathered:
    """Whole documents by uri (or newest first) until `characters` are read; the rest is named, not opened."""
    infos = [info for info in corpus.store.documents(corpus.filter) if info.version]
    hidden = corpus.overlay.mask if corpus.overlay else frozenset()
    listed = [(info.effective_at or info.updated, info.uri) for info in infos if info.uri not in hidden]
    if corpus.overlay:
        added = {put.document.uri: put.document for put in corpus.overlay.add}
        listed = [row for row in listed if row[1] not in added]
        listed += [(document.effective_at or document.valid_from, uri) for uri, document in added.items()]
    listed.sort(key=lambda row: (-row[0] if recipe.newest_first else 0.0, row[1]))
    hits: list[Hit] = []
    unread = 0
    left = characters
    for _, uri in listed:
        document = corpus.document(uri, 0) if left > 0 else None
        if left <= 0:
            unread += 1
        elif document is not None and document.text.strip():
            hits.append(excerpt(document, 0, len(document.text), len(hits) + 1))
            left -= len(document.text)
    order = "newest first" if recipe.newest_first else "by uri"
    return Gathered(tuple(hits), order=f"whole documents, {order}", unread=unread)


def _placed(corpus: Corpus, recipe: Recipe, gold: Sequence[Range], characters: int) -> Gathered:
    """The documents that hold the evidence at the start, middle or end of the others.

    The others fill less than the budget, so that packing never cuts evidence that stands at the end.
    """
    uris = list(dict.fromkeys(range_.uri for range_ in gold))
    evidence = [document for document in (corpus.document(uri, 0) for uri in uris) if document is not None]
    left = int(characters * _SURE) - sum(len(document.text) for document in evidence)
    full = _full(corpus, recipe, left)
    others = [hit for hit in full.hits if hit.uri not in uris]
    while others and sum(len(hit.text) for hit in others) > max(left, 0):
        others.pop()
    at = {EvidenceAt.START: 0, EvidenceAt.MIDDLE: len(others) // 2}.get(recipe.evidence_at, len(others))
    held = [excerpt(document, 0, len(document.text), 0) for document in evidence]
    hits = tuple(replace(hit, rank=rank) for rank, hit in enumerate([*others[:at], *held, *others[at:]], 1))
    unread = full.unread + len(full.hits) - len(others) - len(held)
    return Gathered(hits, order=f"{full.order}, the evidence at the {recipe.evidence_at}", unread=max(unread, 0))


def excerpt(document: Document, start: int, end: int, rank: int) -> Hit:
    """`document.text[start:end]` as a hit that no search brought up, so that its scores say nothing."""
    return Hit(
        rank=rank,
        passages=(),
        uri=document.uri,
        version=document.version,
        start=start,
        end=end,
        text=document.text[start:end],
        title=document.title,
        place=document.place_at(start) if document.spans else Place(),
        lead="",
        score=1.0,
        keyword=0.0,
        vector=0.0,
        metadata=document.metadata,
        effective_at=document.effective_at,
        valid_from=document.valid_from,
    )
