"""What each intervention shows the model: the passages of the failed answer with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from knowhow.answer.conflict import ABOUT
from knowhow.answer.gather import excerpt
from knowhow.answer.pack import pack, room
from knowhow.answer.verify import Rarity
from knowhow.diagnose.case import Case, Lab
from knowhow.diagnose.swap import Swap, swap
from knowhow.diagnose.versions import others, replaced
from knowhow.evaluate.ranking import overlap
from knowhow.evaluate.statements import Mention, mention
from knowhow.ports import Overlay, Put
from knowhow.search.search import search
from knowhow.store.analyze import query_terms, terms
from knowhow.types import Context, Document, Hit, Move, Range, Recipe

WIDER = 4
"""How many times the passages and tokens of the recipe a wide context has."""
SLACK = 48
"""Tokens by which the same passages may differ in another order, whose marks are others."""
_LIKE = 0.6
"""Share of the gold's length that a placebo must at least have."""


@dataclass(frozen=True, slots=True)
class Shows:
    """What a move shows, best first, and over which corpus. `reason` says why it is not possible, else it is empty."""

    hits: tuple[Hit, ...] = ()
    overlay: Overlay | None = None
    budget: int = 0
    """Tokens that hold them."""
    reason: str = ""
    swapped: Swap | None = None


def shows(case: Case, lab: Lab, move: Move) -> Shows:
    """The passages of a move. Moves that change no passage show what the failed answer was shown."""
    match move:
        case Move.GOLD | Move.GOLD_CONSTRAINED | Move.GOLD_INSTRUCTED:
            return _gold(case)
        case Move.NO_CONTEXT:
            return _nothing(case)
        case Move.WITH_GOLD:
            return _with_gold(case)
        case Move.WITH_PLACEBO:
            return _with_placebo(case, lab)
        case Move.SWAPPED:
            return _swapped(case, lab)
        case Move.WIDE:
            return _wide(case, lab)
        case Move.FOCUSED:
            return _focused(case)
        case Move.CURRENT:
            return _current(case, lab)
        case _:
            return _as_before(case)


def fitting(hits: Sequence[Hit], case: Case, lab: Lab, recipe: Recipe) -> tuple[Hit, ...]:
    """As many of `hits` as the budget holds in any order, cut as they would be packed."""
    if not hits:
        return ()
    left = room(lab.setup.model, recipe, case.example.asked, case.example.messages[:-1]).tokens
    packed = pack(hits, lab.setup.model, max(left - SLACK, 1))
    return tuple(replace(one.hit, text=one.text, end=one.hit.start + len(one.text)) for one in packed.shown)


# --- one function a move ----------------------------------------------------------------------------------


def _as_before(case: Case) -> Shows:
    if not case.shown and not case.example.context.strip() and case.recipe.context is not Context.NONE:
        return Shows(reason="nothing was shown, so it declines without asking the model")
    return Shows(case.shown, case.overlay, case.recipe.budget + SLACK)


def _nothing(case: Case) -> Shows:
    if case.recipe.context is Context.NONE:
        return Shows(reason="the recipe shows nothing anyway")
    return Shows(overlay=case.overlay)


def _gold(case: Case) -> Shows:
    gold = case.found.gold
    if not gold:
        return Shows(reason=_no_gold(case))
    return Shows(gold, _laid(case), _budget(case, gold))


def _with_gold(case: Case) -> Shows:
    gold = case.found.gold
    if not gold:
        return Shows(reason=_no_gold(case))
    if not case.shown:
        return Shows(reason="nothing else was shown, so it is the same as the evidence alone")
    missing = tuple(hit for hit in gold if not any(_touches(hit, other) for other in case.shown))
    if not missing:
        return Shows(reason="the evidence was shown already")
    return Shows((*missing, *case.shown), _laid(case), _budget(case, missing))


def _with_placebo(case: Case, lab: Lab) -> Shows:
    gold = case.found.gold
    if not gold:
        return Shows(reason=_no_gold(case))
    if not case.shown:
        return Shows(reason="nothing was shown beside which it could stand")
    instead = _placebo(case, lab, sum(len(hit.text) for hit in gold))
    if instead is None:
        return Shows(reason="no passage elsewhere is irrelevant and long enough")
    kept = tuple(hit for hit in case.shown if not any(_touches(hit, other) for other in gold))
    return Shows((instead, *kept), case.overlay, _budget(case, (instead,)))


def _swapped(case: Case, lab: Lab) -> Shows:
    gold = case.found.gold
    if not gold:
        return Shows(reason=_no_gold(case))
    made = swap(case.example, [hit.text for hit in gold], lab.suite.examples)
    if made is None:
        return Shows(reason="the evidence holds no number, date, name or phrase of the facts that could be swapped")
    hits, documents = [], []
    for hit, text in zip(gold, made.texts, strict=True):
        document = _document(case, lab, hit)
        before = document.text
        changed = replace(document, text=before[: hit.start] + text + before[hit.end :], spans=())
        documents.append(changed)
        hits.append(replace(hit, text=text, end=hit.start + len(text)))
    if len({document.uri for document in documents}) < len(documents):
        return Shows(reason="the evidence is in several passages of one document")
    return Shows(tuple(hits), _overlay(case, documents), _budget(case, hits), swapped=made)


def _wide(case: Case, lab: Lab) -> Shows:
    recipe = case.recipe
    if recipe.context is not Context.RETRIEVED:
        return Shows(reason="the recipe searches nothing")
    wide = replace(recipe, k=WIDER * recipe.k, budget=WIDER * recipe.budget, relevance=0.0)
    hits = _search(case, lab, wide, case.overlay)
    if sum(len(hit.text) for hit in hits) <= sum(len(hit.text) for hit in case.shown):
        return Shows(reason="the search brings up no more than was shown")
    window = room(lab.setup.model, wide, case.example.asked, case.example.messages[:-1]).tokens
    if window <= recipe.budget + SLACK:
        return Shows(reason="the model's context holds no more than was shown")
    return Shows(hits, case.overlay, wide.budget)


def _focused(case: Case) -> Shows:
    kept = tuple(hit for hit in case.shown if any(_touches(hit, gold) for gold in case.found.gold))
    if not kept:
        return Shows(reason="the evidence was not shown" if case.found.gold else _no_gold(case))
    if len(kept) == len(case.shown):
        return Shows(reason="nothing but the evidence was shown")
    return Shows(kept, case.overlay, case.recipe.budget + SLACK)


def _current(case: Case, lab: Lab) -> Shows:
    old = (*(one.hit.uri for one in others(case, lab)), *replaced(case, lab))
    if not old:
        return Shows(reason="nothing superseded was shown")
    base = case.overlay or Overlay()
    overlay = Overlay(base.mask | set(old), tuple(put for put in base.add if put.document.uri not in old))
    if case.recipe.context is not Context.RETRIEVED:
        return Shows(tuple(hit for hit in case.shown if hit.uri not in old), overlay, case.recipe.budget + SLACK)
    return Shows(_search(case, lab, case.recipe, overlay), overlay, case.recipe.budget + SLACK)


# --- the parts --------------------------------------------------------------------------------------------


def _no_gold(case: Case) -> str:
    if case.example.expect.abstain:
        return "no document answers it, as the suite says"
    if not case.found.pieces:
        return "the suite names no evidence, and a search for the facts found none"
    return "nobody knows the text of the evidence, or the asker may not see it"


def _budget(case: Case, added: Sequence[Hit]) -> int:
    """The recipe's tokens, and more than the added characters can take."""
    return case.recipe.budget + SLACK + sum(len(hit.text) for hit in added) // 2


def _touches(one: Hit, other: Hit) -> bool:
    spans = (Range(hit.uri, hit.version, hit.start, hit.end) for hit in (one, other))
    return overlap(*spans) > 0


def _search(case: Case, lab: Lab, recipe: Recipe, overlay: Overlay | None) -> tuple[Hit, ...]:
    found = search(
        lab.setup.store,
        lab.setup.embedder,
        case.example.asked,
        recipe,
        case.filter,
        overlay=overlay,
        reranker=lab.setup.reranker,
    )
    return tuple(hit for hit in found.hits if hit.relevance >= recipe.relevance)


def _laid(case: Case) -> Overlay | None:
    return _overlay(case, [piece.laid for piece in case.found.pieces if piece.laid is not None])


def _overlay(case: Case, documents: Sequence[Document]) -> Overlay | None:
    """What the case sees, with `documents` in the place of those of the same uri."""
    if not documents:
        return case.overlay
    base = case.overlay or Overlay()
    new = {document.uri for document in documents}
    kept = tuple(put for put in base.add if put.document.uri not in new)
    return Overlay(base.mask - new, (*kept, *(Put(document, ()) for document in documents)))


def _document(case: Case, lab: Lab, hit: Hit) -> Document:
    """The document a gold passage is from: laid over where the corpus lacks it, else as stored."""
    laid = next((piece.laid for piece in case.found.pieces if piece.laid and piece.laid.uri == hit.uri), None)
    document = laid or case.corpus(lab).document(hit.uri, hit.version)
    return document or Document(uri=hit.uri, text=" " * hit.start + hit.text, access=case.example.access)


def _placebo(case: Case, lab: Lab, length: int) -> Hit | None:
    """The least relevant passage looked at, of another document than the evidence, about `length` characters long."""
    golden = {hit.uri for hit in case.found.gold}
    corpus, rarity = case.corpus(lab), Rarity(())
    asked = query_terms(case.example.asked)
    for passage in reversed(case.found.candidates):
        document = corpus.document(passage.uri, passage.version) if passage.uri not in golden else None
        if document is None:
            continue
        start = max(min(passage.start, len(document.text) - length), 0)
        hit = excerpt(document, start, min(start + length, len(document.text)), 1)
        about = rarity.share(asked, terms(f"{hit.title} {hit.text}")) >= ABOUT
        if len(hit.text) >= _LIKE * length and not about and not _tells(case, hit):
            return hit
    return None


def _tells(case: Case, hit: Hit) -> bool:
    facts: Mapping[str, None] = {one: None for fact in case.example.expect.facts for one in fact}
    return any(mention(hit.text, fact) is not Mention.ABSENT for fact in facts)
