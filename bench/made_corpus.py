"""A corpus of any size for measuring scale: real sentences recombined into documents, and real questions beside them.

A document is made of sentences of three texts of one set and some of its set at large, so that passages have
neighbours; half of the numbers are drawn anew, so that no two documents say the same and rare words never run out.
Passages come out at about 900 characters, ten to a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from search_sets import Query, load

GROUPS = 100
"""Documents belong to one of so many customers and of so many teams: a filter on either leaves 1%."""
PER_DOCUMENT = 10
"""Paragraphs of a document, each about a passage."""
_PARAGRAPH = 840
"""Characters at which a paragraph ends with the sentence at hand."""
_SETS = ("scifact", "cranfield", "nq", "policyqa", "hotpot", "xquad-en", "clapnq")
_ASKED = ("nq", "scifact", "policyqa", "hotpot", "xquad-en", "clapnq")
"""Sets whose questions are asked: people wrote them, and none of their words come from the made documents."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“])")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Made:
    """One document as a Markdown file below the corpus' root, with its customer and team in the front matter."""

    path: str
    text: str


class MadeCorpus:
    """The same documents in every process: document `i` depends on nothing but `i` and the data sets."""

    def __init__(self, data: Path) -> None:
        self._data = data

    @cached_property
    def _material(self) -> list[list[tuple[str, list[str]]]]:
        """Per set its texts as (title, sentences)."""
        found = []
        for made in load(self._data, _SETS):
            texts = [(text.title or made.name, _sentences(text.text)) for text in made.texts]
            found.append([(title, sentences) for title, sentences in texts if sentences])
        return found

    @cached_property
    def _sizes(self) -> list[float]:
        # The root, so that the largest set does not fill the corpus.
        sizes = [len(texts) ** 0.5 for texts in self._material]
        return [size / sum(sizes) for size in sizes]

    def document(self, number: int, revision: int = 0) -> Made:
        """Document `number`; another `revision` says something else."""
        random = np.random.default_rng([number, revision])
        texts = self._material[int(random.choice(len(self._sizes), p=self._sizes))]
        own = [texts[i] for i in random.integers(0, len(texts), 3)]
        near = list(chain.from_iterable(sentences for _, sentences in own))
        title = f"{own[0][0]} {number}"
        lines = [f"---\ncustomer: c{customer(number):02}\naccess: [t{team(number):02}]\n---", f"# {title}"]
        for paragraph in range(PER_DOCUMENT):
            if paragraph % 5 == 0:
                lines.append(f"## {own[paragraph // 5 + 1][0]}")
            lines.append(_paragraph(random, near, texts))
        return Made(f"{number // 1000:04}/{number:07}.md", "\n\n".join(lines) + "\n")

    def questions(self, each: int) -> list[Query]:
        """`each` questions of every set, mixed."""
        random = np.random.default_rng(1)
        found: list[Query] = []
        for made in load(self._data, _ASKED):
            chosen = random.choice(len(made.queries), min(each, len(made.queries)), replace=False)
            found += [made.queries[i] for i in chosen]
        return [found[i] for i in random.permutation(len(found))]


def customer(number: int) -> int:
    """Whose document it is."""
    return number * 37 % GROUPS


def team(number: int) -> int:
    """Who may see it."""
    return (number * 53 + number // GROUPS) % GROUPS


def files(corpus: MadeCorpus, documents: int, folder: Path) -> int:
    """Writes what is missing of the first `documents` below `folder`; returns their bytes."""
    size = 0
    for number in range(documents):
        path = folder / f"{number // 1000:04}" / f"{number:07}.md"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(corpus.document(number).text, "utf-8")
        size += path.stat().st_size
    return size


def _sentences(text: str) -> list[str]:
    pieces = (" ".join(piece.split()) for piece in _SENTENCE.split(text))
    return [piece for piece in pieces if 40 <= len(piece) <= 400]


def _paragraph(random: np.random.Generator, near: Sequence[str], texts: Sequence[tuple[str, Sequence[str]]]) -> str:
    drawn = random.random((40, 3)).tolist()
    return " ".join(_filled(random, drawn, near, texts))


def _filled(
    random: np.random.Generator,
    drawn: Sequence[Sequence[float]],
    near: Sequence[str],
    texts: Sequence[tuple[str, Sequence[str]]],
) -> Iterator[str]:
    """Sentences until the paragraph is long enough, three of four from the document's own texts."""
    size = 0
    for where, which, inside in drawn:
        if where < 0.75:
            sentence = near[int(which * len(near))]
        else:
            sentences = texts[int(which * len(texts))][1]
            sentence = sentences[int(inside * len(sentences))]
        if any(c.isdigit() for c in sentence):
            sentence = _NUMBER.sub(lambda found: _renumbered(random, found.group()), sentence)
        yield sentence
        size += len(sentence) + 1
        if size >= _PARAGRAPH:
            return


def _renumbered(random: np.random.Generator, number: str) -> str:
    """Every other number becomes another one of as many digits."""
    if random.random() < 0.5 or len(number) > 9:
        return number
    return str(random.integers(10 ** (len(number) - 1), 10 ** len(number)))
