"""One score from the evidence for a passage: its words, its meaning, and the question's phrases found in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from knowhow.ports import Floats
from knowhow.store.analyze import STOP_TERMS

COSINE = 25.0
"""A cosine of 1 weighs like this much BM25. Like `PHRASE` chosen by measurement (docs/search.md)."""
PHRASE = 0.75
"""A phrase of the question found in a passage weighs like this much BM25 per nat of its rarity."""


def fuse(keyword: Floats, vector: Floats, weight: float) -> Floats:
    """float32[n]: BM25 and cosine summed, `weight` (0..1) on the side of the cosine.

    Both enter as they are. BM25 is a sum of log odds, so it needs no scaling to be added to other evidence, and a
    passage's score depends on nothing but itself. Scaling by the best and worst of the pool, or by ranks, throws away
    how good the best hit is: reciprocal ranks lose to BM25 alone (docs/search.md).
    """
    fused: Floats = (1.0 - weight) * keyword + weight * COSINE * vector
    return fused


def phrases(question: Sequence[str], passages: Sequence[Sequence[str]], weight: float) -> Floats:
    """float32[n]: what to add to the fused scores of `passages` for the phrases of `question` they hold.

    All are terms in order. A phrase is two neighbouring terms, stop words skipped on both sides; its rarity is
    ln(n / how many of the n passages hold it). `weight` is the same as for `fuse`.
    """
    wanted = {phrase: place for place, phrase in enumerate(dict.fromkeys(_phrases(question)))}
    held = np.zeros((len(passages), len(wanted)), dtype=np.float32)
    for row, passage in zip(held, passages, strict=True):
        row[[wanted[phrase] for phrase in wanted.keys() & set(_phrases(passage))]] = 1.0
    rarity = np.log(max(len(passages), 1) / np.maximum(held.sum(axis=0), 1.0))
    bonus: Floats = ((1.0 - weight) * PHRASE * held @ rarity).astype(np.float32)
    return bonus


def _phrases(terms: Sequence[str]) -> Iterator[tuple[str, str]]:
    return pairwise([term for term in terms if term not in STOP_TERMS])
