"""What is searched, what may be seen, and what came of every candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from knowhow.types.core import MetaValue
from knowhow.types.documents import Place


class SearchMode(StrEnum):
    """Which scores rank."""

    KEYWORD = "keyword"
    VECTOR = "vector"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Filter:
    """What may be seen. Applied inside the store, before any score leaves it; fails closed."""

    access: frozenset[str] = frozenset()
    """Tags the asker holds; a document is visible when all its tags are among them. `EVERYTHING` opens all."""
    where: Mapping[str, MetaValue] = field(default_factory=dict)
    """Metadata that must be equal (compared as text); `uri` and `source` are accepted as keys too."""
    as_of: float | None = None
    """Answer from what was known at this time (UTC seconds); access tags are still today's."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; `text == document.text[start:end]` also where adjacent passages were merged."""

    rank: int
    passages: tuple[int, ...]
    uri: str
    version: int
    start: int
    end: int
    text: str
    title: str
    place: Place
    lead: str
    score: float
    """What ranked it, in the units of this search mode; a fused score is comparable within one question."""
    keyword: float
    vector: float
    rerank: float | None = None
    relevance: float = 1.0
    """0..1, comparable across questions: how likely it holds what was asked. 1 where nothing was searched."""
    metadata: Mapping[str, MetaValue] = field(default_factory=dict)
    effective_at: float | None = None
    valid_from: float = 0.0


class Fate(StrEnum):
    """What became of a candidate on its way to the context."""

    SHOWN = "shown"
    MERGED = "merged-with-adjacent"
    DUPLICATE = "near-duplicate"
    BELOW_K = "below-k"
    OVER_BUDGET = "over-budget"
    IRRELEVANT = "below-relevance"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class CandidateTrace:
    """One candidate with each stage's score and its fate, as the trace keeps it."""

    passage: int
    uri: str
    version: int
    start: int
    end: int
    keyword: float
    vector: float
    fused: float
    rerank: float | None
    fate: Fate


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits in rank order, what was looked at, and milliseconds per stage."""

    hits: tuple[Hit, ...]
    candidates: tuple[CandidateTrace, ...]
    ms: Mapping[str, float]
