"""How likely a passage holds what is asked, on one scale for all questions, so that an answer can be declined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knowhow.ports import Floats


def coverage(question: Sequence[str], passages: Sequence[Sequence[str]]) -> Floats:
    """float32[n], 0..1: the share of the question's rarity that each passage holds.

    All are terms without stop words. A term's rarity is ln(1 + n / (1/2 + how many of the n passages hold it)), so a
    term that none of the best passages holds weighs most. Measured, this tells answerable from unanswerable questions
    better than document frequencies of the whole corpus do (docs/search.md).
    """
    wanted = list(dict.fromkeys(question))
    if not wanted or not passages:
        return np.zeros(len(passages), dtype=np.float32)
    sets = [set(passage) for passage in passages]
    held = np.array([[term in terms for term in wanted] for terms in sets], dtype=np.float32)
    rarity = np.log1p(len(passages) / (0.5 + held.sum(axis=0)))
    share: Floats = (held @ (rarity / rarity.sum())).astype(np.float32)
    return share


def relevance(covered: Floats, vector: Floats | None) -> Floats:
    """float32[n], 0..1: logistic in coverage and cosine (None where no vector was asked for).

    Fitted on questions whose answer is in the corpus against the same questions with it taken out, and on questions
    people found unanswerable (bench/search_quality.py, docs/search.md); 0.5 means as likely as not.
    """
    odds = 5.4 * covered + 4.7 * vector - 5.1 if vector is not None else 6.1 * covered - 3.2
    chance: Floats = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
    return chance
