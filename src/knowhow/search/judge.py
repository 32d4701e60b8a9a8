"""All that is known of the best candidates: their texts, and every score on the way to a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowhow.ports import Candidates, Floats, Ints
from knowhow.search.fuse import fuse, phrases
from knowhow.search.relevance import coverage, relevance
from knowhow.store.analyze import query_terms, terms
from knowhow.types import Passage, Recipe, SearchMode


@dataclass(frozen=True, slots=True)
class Judged:
    """A passage with its scores; `lead` and `body` are the terms of its lead and of its text."""

    passage: Passage
    lead: Sequence[str]
    body: Sequence[str]
    keyword: float
    vector: float
    fused: float
    relevance: float


def shortlist(found: Candidates, recipe: Recipe, size: int) -> tuple[Ints, Floats]:
    """The `size` best candidates by the scores of the store: (positions in `found`, what they were ranked by)."""
    if recipe.mode is SearchMode.KEYWORD:
        scores = found.keyword
    elif recipe.mode is SearchMode.VECTOR:
        scores = found.vector
    else:
        scores = fuse(found.keyword, found.vector, recipe.vector_weight)
    order = np.lexsort((found.ids, -scores))[:size]
    return order, scores[order]


def judge(
    question: str, recipe: Recipe, passages: Sequence[Passage], keyword: Floats, vector: Floats, scores: Floats
) -> list[Judged]:
    """`passages` with their final scores, best first; the arrays are parallel to them.

    In a hybrid search the phrases of the question count too, which only the texts can tell.
    """
    leads = [terms(passage.lead) for passage in passages]
    bodies = [terms(passage.text) for passage in passages]
    texts = [[*lead, *body] for lead, body in zip(leads, bodies, strict=True)]
    if recipe.mode is SearchMode.HYBRID:
        scores = scores + phrases(terms(question), texts, recipe.vector_weight)
    covered = coverage(query_terms(question), texts)
    relevant = relevance(covered, None if recipe.mode is SearchMode.KEYWORD else vector)
    rows = zip(
        passages, leads, bodies, keyword.tolist(), vector.tolist(), scores.tolist(), relevant.tolist(), strict=True
    )
    return sorted((Judged(*row) for row in rows), key=lambda one: (-one.fused, one.passage.id))
