"""Recipes, and the answers, citations and declines they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from knowhow.types.chat import Sampling
from knowhow.types.core import fingerprint, flat
from knowhow.types.documents import Place
from knowhow.types.layout import Box
from knowhow.types.search import Hit, SearchMode


class Context(StrEnum):
    """Where a recipe's context comes from."""

    NONE = "none"
    RETRIEVED = "retrieved"
    GOLD = "gold"
    FULL = "full"


class Form(StrEnum):
    """How a recipe deals with the form an example asks for: its labels, schema and lengths."""

    FREE = "free"
    """Nothing is said about it."""
    TOLD = "told"
    """The instructions say it."""
    CONSTRAINED = "constrained"
    """The model can write nothing else; where a form cannot be enforced it is told."""


class Wording(StrEnum):
    """Which of the built-in instructions a recipe without its own gives."""

    FULL = "full"
    SHORT = "short"
    """For small models: one short sentence is asked for, and no marks; Knowhow finds the ranges itself."""


class ShotsBy(StrEnum):
    """Which worked examples of a suite's train split are shown."""

    NEAREST = "nearest"
    """Those most like the question."""
    FIXED = "fixed"
    """The same for every question."""


class EvidenceAt(StrEnum):
    """Where in a whole-corpus context the evidence stands: what a position sweep varies."""

    AS_ORDERED = "as-ordered"
    START = "start"
    MIDDLE = "middle"
    END = "end"


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
    depth: int = 200
    """Best passages of each side that are fused; from 30 on it changed no measured result (docs/search.md)."""
    vector_weight: float = 0.5
    """Share of the vector side in the fused score, 0..1; 0.5 was measured best (docs/search.md)."""
    reranker: str = ""
    newest_first: bool = False
    current_only: bool = False
    """Documents that another one found says it supersedes are not shown."""
    relevance: float = 0.1
    """Hits with a lower `Hit.relevance` are not shown; with none left the answer is declined. 0 = no gate. 0.1 is
    the highest that cost no answer passage on the questions it was chosen on (docs/answers.md)."""
    budget: int = 1200
    """Tokens of context shown to the model."""
    instructions: str = ""
    """Replaces the built-in instructions when not empty."""
    wording: Wording = Wording.FULL
    examples: tuple[FewShot, ...] = ()
    """Worked examples shown with every question."""
    shots: int = 0
    """How many more are drawn, for each question, from the train split of the suite it belongs to."""
    shots_by: ShotsBy = ShotsBy.NEAREST
    form: Form = Form.FREE
    evidence_at: EvidenceAt = EvidenceAt.AS_ORDERED
    """For `Context.FULL` on a suite's examples only: where the evidence is put among the other documents."""
    cite: bool = True
    schema: Mapping[str, Any] | None = None
    adapter: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    verifier: str = ""
    """Entailment model for support checks; empty = the deterministic check alone."""

    @property
    def hash(self) -> str:
        """12 hex digits over every field but the name."""
        body = flat(self)
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
    boxes: tuple[Box, ...] = ()
    """Where the range stands on its pages, a box a line; empty for formats without pages."""
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
    """Tokens and money of one answer, also where a remembered reply was not paid again. Cost is None where no price is
    known."""

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
    """The reason in words a person reads; when answered, what else there is to know (an older source that says
    otherwise), mostly empty."""
    citations: tuple[Citation, ...]
    unsupported: tuple[tuple[int, int], ...]
    """Sentences `text[a:b]` that no shown range bears out."""
    shown: tuple[Shown, ...]
    model: str
    recipe: str
    usage: Usage
    ms: Mapping[str, float]
    trace_id: str = ""
    remembered: bool = False
    """The reply was made for an earlier question: `usage` and the model's part of `ms` are what it took then."""
