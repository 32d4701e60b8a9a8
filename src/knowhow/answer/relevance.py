"""Keeps what a search found from reaching the model where it has nothing to do with the question."""

from __future__ import annotations

from dataclasses import replace

from knowhow.answer.gather import Gathered
from knowhow.types import Context, Recipe


def relevant(found: Gathered, recipe: Recipe) -> Gathered:
    """`found` without hits less relevant than the recipe wants; only what a search found is gated."""
    if recipe.context is not Context.RETRIEVED:
        return found
    near = tuple(hit for hit in found.hits if hit.relevance >= recipe.relevance)
    far = tuple(hit for hit in found.hits if hit.relevance < recipe.relevance)
    return replace(found, hits=near, irrelevant=far)
