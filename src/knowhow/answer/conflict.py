"""Finds shown passages that answer the same question with different values, and which of them is in force."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from knowhow.answer.asked import CONTEXT_URI
from knowhow.answer.guard import untrusted
from knowhow.answer.prompt import day
from knowhow.answer.sentences import Unit, sentences
from knowhow.answer.values import Date, Number, Value, agree, values
from knowhow.answer.verify import Rarity
from knowhow.store.analyze import query_terms, terms
from knowhow.types import Hit, Shown

ADDED = 0.25
"""Words, as a share of the shorter statement's, that the other may have more. Measured in docs/answers.md."""
ABOUT = 0.5
"""Share of the question's words a sentence, with its title and heading, must hold to answer it."""


class Force(StrEnum):
    """How two conflicting statements stand to each other."""

    NEWER = "newer"
    SUPERSEDES = "supersedes"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a shown passage: `shown[index].text[start:end]`, and the value in it that is at issue."""

    index: int
    start: int
    end: int
    value: str
    source: str
    """Where it stands and since when, e.g. "policies/returns.md, 2025-03-01"."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements that cannot both answer the question, the one in force (or newer) first."""

    first: Statement
    second: Statement
    force: Force


@dataclass(frozen=True, slots=True)
class _Candidate:
    index: int
    unit: Unit
    words: frozenset[str]
    values: tuple[Value, ...]
    text: str


def conflicts(question: str, shown: Sequence[Shown], superseded: Sequence[tuple[str, str]] = ()) -> list[Conflict]:
    """Pairs of statements from different documents that give different values for what is asked.

    Two sentences are about the same thing when, figures aside, nearly all their words and their qualifiers are the
    same, so merely different numbers (other products, other periods) do not conflict. `superseded` holds
    (newer uri, older uri) where a document says that it replaces another.
    """
    found = _candidates(question, shown)
    pairs = []
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            a, b = shown[one.index].hit, shown[other.index].hit
            if (
                a.uri == b.uri
                or not same_subject(_title(shown[one.index]), _title(shown[other.index]))
                or not _alike(question, one, other)
            ):
                continue
            clash = _clash(one, other)
            if clash:
                pairs.append(_ordered(one, other, clash, shown, superseded))
    return pairs


_WORD = re.compile(r"[^\W_]+")
_QUALIFIER = re.compile(r"\b[A-ZÄÖÜ][\w-]+|\b\w*\d\w*[A-Za-z]\w*")
_VERSION_WORD = re.compile(
    r"v?\d[\d.\-/]*|q[1-4]|fy\d*|old|new|draft|final|archived?|current|copy|backup|rev\w*|version|updated?|superseded|"
    r"deprecated|jan\w*|feb\w*|mar\w*|apr\w*|may|jun\w*|jul\w*|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*|md|txt|pdf|docx|"
    r"html?|index|readme"
)


def _candidates(question: str, shown: Sequence[Shown]) -> list[_Candidate]:
    """Sentences with a value that answer the question, at most the two best of each passage."""
    units = [(i, u) for i, p in enumerate(shown) for u in _evidence(p.text)]
    rarity = Rarity(())
    asked = query_terms(question)
    best: dict[int, list[tuple[float, _Candidate]]] = {}
    for i, unit in units:
        text = shown[i].text[unit.start : unit.end]
        given = tuple(values(text))
        if not given or shown[i].hit.uri == CONTEXT_URI:
            continue
        held = terms(text) + terms(f"{shown[i].hit.title} {shown[i].hit.lead}")
        score = rarity.share(asked, held)
        if score >= ABOUT:
            words = frozenset(term for term in query_terms(_without(text, given)) if not term.isdigit())
            best.setdefault(i, []).append((score, _Candidate(i, unit, words, given, text)))
    ranked = (sorted(rows, key=lambda row: -row[0])[:2] for rows in best.values())
    return [candidate for rows in ranked for _, candidate in rows]


def _evidence(text: str) -> list[Unit]:
    held = untrusted(text)
    return [u for u in sentences(text) if u.kind != "code" and not any(a < u.end and b > u.start for a, b in held)]


def _alike(question: str, one: _Candidate, other: _Candidate) -> bool:
    """Whether both say the same, figures aside: one may add a few words, but none that says which thing it is about."""
    more, less = (one, other) if len(one.words) >= len(other.words) else (other, one)
    added = more.words - less.words
    if less.words - more.words or len(less.words) < 2 or len(added) > ADDED * len(less.words):
        return False
    if any(added & set(terms(name)) for name in _qualifiers(more)):
        return False
    asked = set(query_terms(question))
    words = [set(terms(word)) for word in _WORD.findall(_without(more.text, more.values))]
    return not any(word & added and following & asked for word, following in pairwise(words))


def _qualifiers(candidate: _Candidate) -> list[str]:
    text = _without(candidate.text, candidate.values)
    inner = list(_QUALIFIER.finditer(text))
    return [match.group() for match in inner if match.start() > 2]


def _clash(one: _Candidate, other: _Candidate) -> tuple[str, str] | None:
    """The two values that differ: the same kind and unit, at the same place in line, with all others equal."""
    mine, theirs = [_kind(v) for v in one.values], [_kind(v) for v in other.values]
    if mine != theirs:
        return None
    apart = [(a, b) for a, b in zip(one.values, other.values, strict=True) if not agree(a, b) and not agree(b, a)]
    if len(apart) != 1:
        return None
    a, b = apart[0]
    return one.text[a.start : a.end], other.text[b.start : b.end]


def _kind(value: Value) -> str:
    return "date" if isinstance(value, Date) else f"number {value.unit}"


def _title(passage: Shown) -> str:
    return passage.hit.title or passage.hit.uri


def same_subject(title: str, other: str) -> bool:
    """Whether two documents may speak about the same thing, by their titles.

    They may where the titles are equal but for version words, or have nothing in common. Titles that differ in one
    name ("Model X manual", "Model Y manual") are about different things.
    """
    one, two = _title_words(title), _title_words(other)
    return one == two or not one & two


def _title_words(title: str) -> frozenset[str]:
    words = re.findall(r"[^\W_]+", title.casefold())
    return frozenset(term for word in words if not _VERSION_WORD.fullmatch(word) for term in query_terms(word))


def _ordered(
    one: _Candidate,
    other: _Candidate,
    clash: tuple[str, str],
    shown: Sequence[Shown],
    superseded: Sequence[tuple[str, str]],
) -> Conflict:
    left, right = shown[one.index].hit, shown[other.index].hit
    a = Statement(one.index, one.unit.start, one.unit.end, clash[0], _dated(left))
    b = Statement(other.index, other.unit.start, other.unit.end, clash[1], _dated(right))
    if (left.uri, right.uri) in superseded:
        return Conflict(a, b, Force.SUPERSEDES)
    if (right.uri, left.uri) in superseded:
        return Conflict(b, a, Force.SUPERSEDES)
    if left.effective_at is not None and right.effective_at is not None and left.effective_at != right.effective_at:
        return Conflict(*((a, b) if left.effective_at > right.effective_at else (b, a)), Force.NEWER)
    newer = (left.effective_at or left.valid_from) >= (right.effective_at or right.valid_from)
    return Conflict(*((a, b) if newer else (b, a)), Force.OPEN)


def _dated(hit: Hit) -> str:
    return f"{hit.uri}, {day(hit.effective_at) if hit.effective_at is not None else 'undated'}"


def _without(text: str, found: Sequence[Value]) -> str:
    """`text` with its values blanked out, same length."""
    for value in found:
        if isinstance(value, Number | Date):
            text = text[: value.start] + " " * (value.end - value.start) + text[value.end :]
    return text
