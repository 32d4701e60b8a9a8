"""Keeps what a search found from reaching the model where it has nothing to do with the question."""

from __future__ import annotations

from dataclasses import replace

from knowhow.answer.gather import Gathered
from knowhow.answer.verify import Rarity, claim_terms
from knowhow.store.analyze import terms
from knowhow.types import Context, Hit, Recipe

_ASKING = frozenset(terms("long many much old often far big soon late"))
"""What a question asks with ("how long"), which its answer need not hold."""


def relevant(question: str, found: Gathered, recipe: Recipe) -> Gathered:
    """`found` without hits below `recipe.relevance`; only what a search found is gated."""
    if recipe.context is not Context.RETRIEVED or recipe.relevance <= 0:
        return found
    degrees = relevances(question, found.hits)
    near = tuple(hit for hit, degree in zip(found.hits, degrees, strict=True) if degree >= recipe.relevance)
    far = tuple(hit for hit, degree in zip(found.hits, degrees, strict=True) if degree < recipe.relevance)
    return replace(found, hits=near, irrelevant=far)


def relevances(question: str, hits: tuple[Hit, ...]) -> list[float]:
    """0..1 for each hit: the share of the question's telling words it holds, or its cosine, whichever is more.

    Fused scores are no measure of this: they are relative, the best hit of any search scores about 1.
    """
    texts = [f"{hit.title} {hit.lead} {hit.text}" for hit in hits]
    rarity = Rarity(texts)
    wanted = set(claim_terms(question)) - _ASKING
    return [max(rarity.share(wanted, terms(text)), hit.vector) for hit, text in zip(hits, texts, strict=True)]
