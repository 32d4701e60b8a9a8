"""Where the evidence of a failed answer is: followed from its source over index and candidates to the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from knowhow.answer.asked import Corpus
from knowhow.answer.conflict import ABOUT
from knowhow.answer.gather import excerpt
from knowhow.answer.verify import ENTAILED, Rarity
from knowhow.evaluate.ranking import reached
from knowhow.evaluate.statements import Mention, mention
from knowhow.ports import Verifier
from knowhow.search.search import search
from knowhow.store.analyze import query_terms, terms
from knowhow.suites import locate
from knowhow.types import (
    EVERYTHING,
    Context,
    Document,
    Evidence,
    Example,
    Fate,
    Filter,
    Hit,
    Located,
    Passage,
    Range,
    Recipe,
)

DEPTH = 100
"""Passages among which evidence is ranked, and looked for where the suite names none."""
LONGEST = 3000
"""Characters of a gold passage; as long as a merged search result may be."""
_VERIFIED = 20
"""Passages that a verifier reads where the suite names no evidence."""


class Sources(Protocol):
    """Reads the source of a document again; a mapping from uri to text is one."""

    def get(self, uri: str, /) -> str | None:
        """What the source of `uri` says when it is read today; None where there is nothing to read."""
        ...


class Reached(StrEnum):
    """How far the evidence of a case came, from the source to the prompt."""

    UNNAMED = "unnamed"
    """The suite names none, and a wide search found none."""
    HIDDEN = "hidden"
    """The asker's access tags do not open its document."""
    ABSENT = "absent"
    """Neither the index nor the source says it."""
    LOST = "in-source"
    """The source says it, the index does not."""
    INDEXED = "in-index"
    """Indexed, but not among the candidates."""
    CANDIDATE = "in-candidates"
    """Among the candidates, but not shown."""
    SHOWN = "in-context"


ORDER = list(Reached)
"""From the least to the most that is known to be in place."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence. `gold` is the passage that holds it, None where nobody knows its text or the asker may
    not see it; `laid` is the document it is from where the corpus does not hold that."""

    evidence: Evidence
    reached: Reached
    ranges: tuple[Range, ...] = ()
    gold: Hit | None = None
    laid: Document | None = None
    rank: int | None = None
    """Among the best `DEPTH` passages for the question, from 1; None where it is not among them."""
    fate: Fate | None = None
    """What kept it from being shown."""
    outdated: int = 0
    """The earlier version of its document in which the quote stands, where the present one lacks it; 0 = none."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What searching again brings: the best `DEPTH` passages, and the evidence. `assumed`: the suite names none, and
    a search for passages that state the facts expected did."""

    candidates: tuple[Passage, ...] = ()
    pieces: tuple[Piece, ...] = ()
    assumed: bool = False

    @property
    def gold(self) -> tuple[Hit, ...]:
        """The passages that hold the evidence, each once."""
        places = {(piece.gold.uri, piece.gold.start, piece.gold.end): piece.gold for piece in self.pieces if piece.gold}
        return tuple(places.values())


@dataclass(frozen=True, slots=True)
class Search:
    """What evidence is looked for with."""

    example: Example
    recipe: Recipe
    corpus: Corpus
    sources: Sources
    verifier: Verifier | None = None
    shown: Sequence[Hit] = ()
    cut: Mapping[Range, Fate] = field(default_factory=dict)
    """What the failed answer's own search found and did not show, with the reason."""


def find(at: Search, evidence: Sequence[Located]) -> Findings:
    """Follows every piece of evidence; where none is named, the passages that state the expected facts are taken."""
    deep = _deep(at)
    if evidence:
        return Findings(deep, tuple(_piece(at, item, deep) for item in evidence))
    found = _assumed(at, deep)
    return Findings(deep, tuple(_piece(at, item, deep) for item in found), assumed=bool(found))


def index_of(corpus: Corpus, recipe: Recipe) -> str:
    """The recipe's index or the active one; "" while nothing was ever ingested."""
    return recipe.index or next((spec.id for spec, active in corpus.store.indexes() if active), "")


def _deep(at: Search, text: str = "") -> tuple[Passage, ...]:
    """The best `DEPTH` passages, ranked as the recipe ranks; `text` is searched for instead of the question."""
    recipe = replace(at.recipe, k=DEPTH // 4)
    found = search(
        at.corpus.store,
        at.corpus.embedder,
        text or at.example.asked,
        recipe,
        at.corpus.filter,
        overlay=at.corpus.overlay,
    )
    ids = [row.passage for row in found.candidates]
    index = index_of(at.corpus, at.recipe)
    return tuple(at.corpus.store.passages(index, ids, at.corpus.filter, at.corpus.overlay)) if ids else ()


# --- one piece --------------------------------------------------------------------------------------------


def _piece(at: Search, item: Located, deep: Sequence[Passage]) -> Piece:
    if not item.ranges:
        return _outside(at, item.evidence)
    document = at.corpus.document(item.evidence.source, 0)
    if document is None:
        return Piece(item.evidence, Reached.HIDDEN, item.ranges)
    inside = _indexed(at, document, item)
    if not inside:
        gold = _around(document, item.ranges[0])
        return Piece(item.evidence, Reached.LOST, item.ranges, gold)
    ranks = [rank for rank, one in enumerate(deep, 1) if reached(item, [_range(one)])]
    piece = Piece(item.evidence, Reached.INDEXED, item.ranges, _gold(document, item, inside))
    piece = replace(piece, rank=min(ranks, default=None))
    quote = item.evidence.quote
    if reached(item, [_range(hit) for hit in at.shown]) or (quote and any(locate(hit.text, quote) for hit in at.shown)):
        return replace(piece, reached=Reached.SHOWN)
    fate = next((fate for place, fate in at.cut.items() if reached(item, [place])), None)
    if fate is None and at.recipe.context is Context.FULL:
        fate = Fate.OVER_BUDGET
    return replace(piece, reached=Reached.CANDIDATE, fate=fate) if fate else piece


def _range(one: Passage | Hit) -> Range:
    return Range(one.uri, one.version, one.start, one.end)


def _indexed(at: Search, document: Document, item: Located) -> list[Passage]:
    """The passages of the index that hold the evidence, in the order of the document."""
    store, overlay = at.corpus.store, at.corpus.overlay
    index = index_of(at.corpus, at.recipe)
    within = replace(at.corpus.filter, where={**at.corpus.filter.where, "uri": document.uri})
    text = item.evidence.quote or at.example.asked
    found = store.candidates(index, text, at.corpus.embedder.query(text), DEPTH, within, overlay)
    passages = store.passages(index, found.ids.tolist(), within, overlay)
    places = [Located(item.evidence, (place,)) for place in item.ranges]
    if not item.evidence.quote:
        best = found.ids[(found.keyword + found.vector).argsort()[::-1]].tolist()
        return sorted(passages, key=lambda one: best.index(one.id))[:1]
    for place in places:
        touching = [one for one in passages if reached(Located(Evidence("", ""), place.ranges), [_range(one)])]
        if reached(place, [_range(one) for one in touching]):
            return sorted(touching, key=lambda one: one.start)
    return []


def _gold(document: Document, item: Located, inside: Sequence[Passage]) -> Hit:
    """The whole passages that hold the evidence; of a document without a quote all of it, where that is not long."""
    if not item.evidence.quote and len(document.text) <= LONGEST:
        return excerpt(document, 0, len(document.text), 1)
    start, end = inside[0].start, max(one.end for one in inside)
    return (
        excerpt(document, start, min(end, start + LONGEST), 1)
        if end - start <= LONGEST
        else _around(document, item.ranges[0])
    )


def _around(document: Document, place: Range) -> Hit:
    """The place with the rest of its paragraph."""
    start = max(document.text.rfind("\n\n", 0, place.start), 0)
    end = document.text.find("\n\n", place.end)
    end = len(document.text) if end < 0 else end
    start, end = max(start, place.end - LONGEST), min(end, place.start + LONGEST)
    while start < place.start and document.text[start].isspace():
        start += 1
    return excerpt(document, start, max(end, min(place.end, start + LONGEST)), 1)


def _outside(at: Search, evidence: Evidence) -> Piece:
    """Evidence that the documents, as this case sees them, do not hold: read again from its source."""
    everyone = replace(at.corpus, filter=replace(at.corpus.filter, access=frozenset({EVERYTHING})))
    tags = _tags(everyone, evidence.source)
    if not (EVERYTHING in at.example.access or tags <= at.example.access):
        return Piece(evidence, Reached.HIDDEN)
    known = everyone.document(evidence.source, 0)
    base = known or Document(uri=evidence.source, text="", access=tags)
    text = at.sources.get(evidence.source) or ""
    places = locate(text, evidence.quote) if evidence.quote else [(0, len(text))] if text else []
    if places:
        laid = replace(base, text=text, spans=())
        gold = _around(laid, Range(laid.uri, laid.version, *places[0]))
        return Piece(evidence, Reached.LOST, gold=gold, laid=laid)
    if not evidence.quote:
        return Piece(evidence, Reached.ABSENT)
    laid = replace(base, text=evidence.quote, spans=())
    gold = excerpt(laid, 0, len(laid.text), 1)
    return Piece(evidence, Reached.ABSENT, gold=gold, laid=laid, outdated=_outdated(everyone, evidence))


def _tags(everyone: Corpus, uri: str) -> frozenset[str]:
    """Tags of a document, also of one that could not be read; empty where it was never heard of."""
    held = everyone.access(uri)
    if held is not None:
        return held
    named = Filter(access=frozenset({EVERYTHING}), where={"uri": uri})
    return next((info.access for info in everyone.store.documents(named, removed=True)), frozenset())


def _outdated(everyone: Corpus, evidence: Evidence) -> int:
    for info in everyone.store.versions(evidence.source, everyone.filter):
        document = everyone.store.document(evidence.source, everyone.filter, version=info.version)
        if document is not None and locate(document.text, evidence.quote):
            return info.version
    return 0


# --- where the suite names none ---------------------------------------------------------------------------


def _assumed(at: Search, deep: Sequence[Passage]) -> tuple[Located, ...]:
    """For each fact expected the best passage that states it and is about the question, in a search for the question
    and in one for the facts.

    A verifier, where there is one, must find that the passage bears out what is expected. Only what names facts or
    a reference can be looked for.
    """
    expect = at.example.expect
    if expect.abstain or not (expect.facts or (expect.reference and at.verifier)):
        return ()
    told = " ".join([at.example.asked, *(fact[0] for fact in expect.facts)])
    asked, rarity = query_terms(at.example.asked), Rarity(())
    passages = {
        one.id: one
        for one in (*deep, *_deep(at, told))
        if rarity.share(asked, terms(f"{one.lead} {one.text}")) >= ABOUT
    }
    found: dict[int, Passage] = {}
    for fact in expect.facts or ((),):
        stating = [one for one in passages.values() if not fact or _states(one, fact)]
        claim = expect.reference or f"{at.example.asked} {fact[0]}"
        best = next(iter(_borne_out(at.verifier, claim, stating)), None)
        if best is not None:
            found[best.id] = best
    return tuple(Located(Evidence(one.uri, one.text), (_range(one),)) for one in found.values())


def _states(passage: Passage, fact: Sequence[str]) -> bool:
    return any(mention(passage.text, alternative) is Mention.STATED for alternative in fact)


def _borne_out(verifier: Verifier | None, claim: str, passages: Sequence[Passage]) -> list[Passage]:
    if verifier is None or not passages:
        return list(passages)
    read = passages[:_VERIFIED]
    support = verifier.support([(claim, one.text) for one in read])
    return [one for one, found in zip(read, support.tolist(), strict=True) if found >= ENTAILED]
