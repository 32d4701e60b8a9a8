"""Recipes, and the answers, citations and declines they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from knowhow.types.chat import Sampling
from knowhow.types.core import fingerprint
from knowhow.types.documents import Place
from knowhow.types.search import Hit, SearchMode


class Context(StrEnum):
    """Where a recipe's context comes from."""

    NONE = "none"
    RETRIEVED = "retrieved"
    GOLD = "gold"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class FewShot:
    """One worked example shown in the prompt."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every choice that can change an answer, frozen and hashed. An option to compare is a recipe."""

    name: str = "rag"
    model: str = "local:starter"
    context: Context = Context.RETRIEVED
    index: str = ""
    """Index id; empty = the workspace's active index."""
    mode: SearchMode = SearchMode.HYBRID
    k: int = 6
    depth: int = 1000
    """How deep the pools go that are fused."""
    vector_weight: float = 0.5
    """Share of the vector side in the fused score, 0..1; 0.5 was measured best (docs/search.md)."""
    reranker: str = ""
    newest_first: bool = False
    relevance: float = 0.0
    """Hits scoring below this count as irrelevant; with none left the answer is declined."""
    budget: int = 1200
    """Tokens of context shown to the model."""
    instructions: str = ""
    """Replaces the built-in instructions when not empty."""
    examples: tuple[FewShot, ...] = ()
    cite: bool = True
    schema: Mapping[str, Any] | None = None
    adapter: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    verifier: str = ""
    """Entailment model for support checks; empty = the deterministic check alone."""

    @property
    def hash(self) -> str:
        """12 hex digits over every field but the name."""
        body = asdict(self)
        del body["name"]
        return fingerprint(body, 12)


class Support(StrEnum):
    """Whether a cited sentence is borne out by its range."""

    YES = "yes"
    NO = "no"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Citation:
    """One sentence of the answer tied to an exact range of the document version that was shown."""

    mark: str
    uri: str
    version: int
    start: int
    end: int
    quote: str
    """Equals `document.text[start:end]` of that version."""
    supported: Support
    place: Place = field(default_factory=Place)
    sentence: tuple[int, int] = (0, 0)
    """The claim: `answer.text[a:b]`."""
    by: Literal["model", "attributed"] = "model"
    """Whether the model wrote the mark or Knowhow found the range for an unmarked sentence."""
    reason: str = ""
    """Why it is not supported, e.g. "30 days is not in the range"."""


class Decline(StrEnum):
    """Why no answer was given."""

    NOTHING_RELEVANT = "nothing-relevant"
    NOT_STATED = "not-stated"
    CONFLICT = "sources-conflict"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money of one answer. Cost is None where no price is known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One passage as the model saw it, under its mark."""

    mark: str
    hit: Hit
    text: str
    """As packed (may be cut to the budget); always a prefix of `hit.text`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said, what it rests on, and how it came about."""

    text: str
    abstained: bool
    reason: Decline | None
    explanation: str
    """The reason in words a person reads; empty when answered."""
    citations: tuple[Citation, ...]
    unsupported: tuple[tuple[int, int], ...]
    """Sentences `text[a:b]` that no shown range bears out."""
    shown: tuple[Shown, ...]
    model: str
    recipe: str
    usage: Usage
    ms: Mapping[str, float]
    trace_id: str = ""
