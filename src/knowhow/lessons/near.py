"""Texts that say nearly the same: between lessons, and between lessons and the examples they are proved on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from knowhow.ports import Embedder, Floats

ALIKE = 0.8
"""Similarity from which two texts count as the same; chosen in docs/results/lint.md."""
_NEAREST = 30
"""Texts by embedding that are compared letter by letter."""
_BLOCK = 1024
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Near:
    """Text `left` and the text `right` it is like, by their places; `similarity` 1 = equal but for case and marks."""

    left: int
    right: int
    similarity: float

    @property
    def exact(self) -> bool:
        """Whether both have the same words in the same order."""
        return self.similarity == 1.0


class Texts:
    """Texts prepared for comparing: their plain words, pieces of three letters, and vectors."""

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        self.plain = [plain(text) for text in texts]
        self.pieces = [pieces(text) for text in self.plain]
        self.vectors: Floats = embedder.documents(self.plain)

    def __len__(self) -> int:
        return len(self.plain)


def plain(text: str) -> str:
    """The words in small letters, one space apart."""
    return " ".join(_WORD.findall(text.casefold()))


def pieces(words: str) -> frozenset[str]:
    """Every three letters in a row, with the spaces between and around words."""
    padded = f" {words} "
    return frozenset(padded[i : i + 3] for i in range(max(len(padded) - 2, 1)))


def similarity(left: str, right: str, left_pieces: frozenset[str], right_pieces: frozenset[str]) -> float:
    """How much of two texts is the same, 0..1; 1 only for equal words in equal order.

    The larger of two overlaps: of pieces, which forgives a typo (Dice 1945, Ecology 26(3):297-302), and of whole
    words, which forgives another order (Jaccard 1912, New Phytologist 11(2):37-50).
    """
    if left == right:
        return 1.0
    both = len(left_pieces & right_pieces)
    by_pieces = 2 * both / max(len(left_pieces) + len(right_pieces), 1)
    one, other = set(left.split()), set(right.split())
    by_words = len(one & other) / max(len(one | other), 1)
    return min(max(by_pieces, by_words), 0.999)


def across(lessons: Texts, others: Texts, alike: float = ALIKE) -> Iterator[Near]:
    """For each lesson that is like one of `others`, the one it is most like."""
    for left, places in _shortlist(lessons, others):
        found = [Near(left, right, _alike(lessons, left, others, right)) for right in places]
        best = max(found, key=lambda near: near.similarity, default=None)
        if best is not None and best.similarity >= alike:
            yield best


def within(texts: Texts, alike: float = ALIKE) -> Iterator[Near]:
    """Every pair of texts that are alike, once, `left` before `right`."""
    seen: set[tuple[int, int]] = set()
    for one, places in _shortlist(texts, texts):
        for other in places:
            pair = (min(one, other), max(one, other))
            if one == other or pair in seen:
                continue
            seen.add(pair)
            near = Near(*pair, _alike(texts, one, texts, other))
            if near.similarity >= alike:
                yield near


def _alike(a: Texts, i: int, b: Texts, j: int) -> float:
    return similarity(a.plain[i], b.plain[j], a.pieces[i], b.pieces[j])


def _shortlist(a: Texts, b: Texts) -> Iterator[tuple[int, list[int]]]:
    """For each text of `a` the few of `b` that are nearest by embedding, in blocks so that memory stays flat."""
    if not len(b):
        return
    count = min(_NEAREST + (a is b), len(b))
    for start in range(0, len(a), _BLOCK):
        scores = a.vectors[start : start + _BLOCK] @ b.vectors.T
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        for row, places in enumerate(best):
            yield start + row, sorted(int(place) for place in places)
