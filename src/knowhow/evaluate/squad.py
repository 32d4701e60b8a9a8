"""Exact match and F1 as SQuAD defines them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


def normalized(text: str) -> str:
    """Lower case, without ASCII punctuation, without articles, one space between words, in that order.

    Rajpurkar et al. (2016), SQuAD, section 6.1, as its official scorer does it.
    """
    bare = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals any reference once both are normalised, else 0."""
    return float(any(normalized(answer) == normalized(reference) for reference in references))


def f1(answer: str, references: Sequence[str]) -> float:
    """The best token F1 over the references: words as bags, 0..1.

    Where one side has no words left, 1 if neither has, else 0, as SQuAD 2.0 scores unanswerable questions
    (Rajpurkar et al. 2018).
    """
    return max(
        (_f1(normalized(answer).split(), normalized(reference).split()) for reference in references), default=0.0
    )


def _f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    common = sum((Counter(answer) & Counter(reference)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(answer), common / len(reference)
    return 2 * precision * recall / (precision + recall)
