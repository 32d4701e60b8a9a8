"""Why an answer failed: causes, the experiments that tell them apart, how sure, and where the fix belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from knowhow.types.core import Json
from knowhow.types.suites import Side


class Cause(StrEnum):
    """What can be wrong with a failed answer. A case has one cause or, compounded, a set of them."""

    LOST = "knowledge.lost"
    """It stands in the source, but not in the index: a reader or the splitter lost it."""
    MISSING = "knowledge.missing"
    """No document says it."""
    UNFOUND = "knowledge.unfound"
    """Indexed, but search did not bring it up."""
    OUTRANKED = "knowledge.outranked"
    """Brought up, but cut from what the model was shown."""
    STALE = "knowledge.stale"
    """A superseded or conflicting version was followed."""
    UNUSED = "knowledge.unused"
    """Shown to the model and ignored."""
    FORMAT = "behaviour.format"
    STYLE = "behaviour.style"
    LABEL = "behaviour.label"
    REASONING = "behaviour.reasoning"
    UNSTABLE = "behaviour.unstable"
    """The same prompt passes in some draws and fails in others."""
    REFUSAL = "behaviour.refusal"
    """Declined wrongly, or answered what should have been declined."""
    MEASUREMENT = "measurement"
    """The example or the judge is wrong, not the answer."""
    UNDETERMINED = "undetermined"

    @property
    def side(self) -> Side | None:
        """What the product does not know, or what it does not do; None for neither."""
        return Side(self.value.split(".")[0]) if "." in self.value else None


class Home(StrEnum):
    """Where a fix belongs, roughly from the cheapest to undo to the dearest."""

    DOCUMENTS = "documents"
    INGESTION = "ingestion"
    RETRIEVAL = "retrieval"
    CONTEXT = "context"
    SCHEMA = "schema"
    PROMPT = "prompt"
    EXAMPLES = "examples"
    MODEL = "model"
    WEIGHTS = "weights"
    TEST = "test"


class Move(StrEnum):
    """One intervention: the case is asked again, freshly drawn, with one thing changed."""

    REPLAY = "replay"
    """Nothing but the draw."""
    NO_CONTEXT = "no-context"
    GOLD = "gold-only"
    WITH_GOLD = "retrieved+gold"
    WITH_PLACEBO = "retrieved+placebo"
    """An irrelevant passage of the gold's length, in the gold's place: what merely changing the context does."""
    SWAPPED = "gold-swapped"
    """Only the gold, its key fact replaced by another: tells an answer that follows it from one out of memory."""
    WIDE = "wide-context"
    FOCUSED = "distractors-dropped"
    CURRENT = "current-only"
    CONSTRAINED = "constrained-output"
    INSTRUCTED = "instruction+few-shot"
    GOLD_CONSTRAINED = "gold+constrained"
    GOLD_INSTRUCTED = "gold+instruction"
    STRONGER = "stronger-model"
    PROBE = "trained-probe"
    """A small adapter trained on the train split, pooled over a cluster."""


class Response(StrEnum):
    """What one side of a case (knowledge or behaviour) did under an intervention."""

    PASS = "pass"
    FAIL = "fail"
    FOLLOWED = "followed-the-swap"
    """Only under `gold-swapped`: it says the false value it was shown."""
    REMEMBERED = "said-the-original"
    """Only under `gold-swapped`: it says what it was not shown."""
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Trial:
    """One draw of one intervention: how each failed side of the case responded, and where it can be read."""

    move: Move
    draw: int
    responses: Mapping[Side, Response]
    """Of the sides whose checks had failed, and of another where it was measured: one fault may have masked it."""
    answer: str
    reason: str
    """Of the first check that still fails, or what was measured."""
    trace_id: str = ""
    cost_usd: float | None = None
    """None where no price is known."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a failed case without asking a model: name → finding, e.g. `evidence` → "in-candidates".

    `findings` are the categories the inference reads, `details` numbers and names a person reads (rank, depth
    searched, uri and version of what conflicts).
    """

    findings: Mapping[str, str]
    details: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fix:
    """What would mend a case or a cluster. The expected gain is in points of the suite (0..1), None if unmeasured."""

    home: Home
    action: str
    command: str
    expected_gain: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class CaseDiagnosis:
    """One failed example: its cause or causes, how sure, what was tried, and what mends it.

    `causes` holds one cause, two for a compound, or `UNDETERMINED` alone; `posterior` is over sets, named by their
    causes joined with " + ". `mended_by` is the smallest set of changes under which every failed check passed.
    """

    id: str
    group: str
    failed: tuple[str, ...]
    """Names of the checks that failed."""
    causes: tuple[Cause, ...]
    posterior: Mapping[str, float]
    signals: Signals
    trials: tuple[Trial, ...]
    why: str
    """The finding in a sentence a person reads."""
    fix: Fix | None
    """None where nothing was determined."""
    mended_by: tuple[Move, ...] = ()
    calls: int = 0
    stopped: str = ""
    """Why no more was tried: sure enough, the budget, nothing left to try, the model failed."""


@dataclass(frozen=True, slots=True)
class CauseShare:
    """How much of a cluster one cause makes up, with a 95% interval; None where there are too few cases for one."""

    cause: Cause
    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failures alike in what interventions do not touch, with the shares of their causes and the fix that pays most."""

    name: str
    n: int
    causes: tuple[CauseShare, ...]
    """How many of its cases each cause is at work in, likeliest first; two at once count in both."""
    fix: Fix | None
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a run's failed rows failed, per cluster and per case, and what it cost to find out."""

    id: str
    run: str
    n: int
    """Examples of the run."""
    failed: int
    calls: int
    cost_usd: float | None
    clusters: tuple[Cluster, ...]
    cases: tuple[CaseDiagnosis, ...]
    causes: tuple[CauseShare, ...] = ()
    """Over all cases, as in a cluster."""
    stopped: str = ""
    """Why it ended before its end: the model failed; what was found until then stands."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures should know: depth searched, moves that were not possible and why."""
