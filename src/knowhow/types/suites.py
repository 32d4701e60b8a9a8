"""Examples, what a right answer must hold, and what came of asking: verdicts, rows and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from knowhow.types.answers import Citation, Recipe, Usage
from knowhow.types.chat import Message
from knowhow.types.core import MetaValue, fingerprint
from knowhow.types.documents import Range


class Side(StrEnum):
    """What a check is about: what the product knows, or what it does."""

    KNOWLEDGE = "knowledge"
    BEHAVIOUR = "behaviour"


class Check(StrEnum):
    """What is measured of one answer. Verdicts are a vector over these, never one score."""

    RETRIEVAL = "retrieval"
    CONTENT = "content"
    ABSTENTION = "abstention"
    CITATION = "citation"
    GROUNDED = "grounded"
    FORMAT = "format"
    LABEL = "label"
    STYLE = "style"
    REASONING = "reasoning"

    @property
    def side(self) -> Side:
        """Knowledge up to `grounded`, behaviour from `format` on."""
        behaviour = {Check.FORMAT, Check.LABEL, Check.STYLE, Check.REASONING}
        return Side.BEHAVIOUR if self in behaviour else Side.KNOWLEDGE


class Outcome(StrEnum):
    """How one check came out. What could not be measured is neither a pass nor a failure."""

    PASS = "pass"
    FAIL = "fail"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check of one answer, always with its reason in words.

    `measures` holds graded numbers of the same check (e.g. `ndcg@6`, `f1`); one that is undefined is absent.
    """

    outcome: Outcome
    reason: str
    measures: Mapping[str, float] = field(default_factory=dict)


class Split(StrEnum):
    """What an example may be used for: lessons and few-shot, trial fixes, or proof."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the answer is written: `quote` in the document `source`; without a quote, the whole document."""

    source: str
    quote: str = ""
    relevance: int = 1
    """Graded relevance for nDCG, at least 1."""


@dataclass(frozen=True, slots=True)
class Located:
    """Evidence resolved against the documents as they are. Every range holds the quote, so any one will do.

    `ranges` is empty where it could not be resolved, and `reason` says why.
    """

    evidence: Evidence
    ranges: tuple[Range, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """How an answer must be written. Only what is set is checked; patterns are regular expressions."""

    min_words: int | None = None
    max_words: int | None = None
    min_sentences: int | None = None
    max_sentences: int | None = None
    min_reading_ease: float | None = None
    """Flesch reading ease, for English: about 0 (hard) to 100 (easy)."""
    must_match: tuple[str, ...] = ()
    must_not_match: tuple[str, ...] = ()


Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one given value, e.g. `days at_most 45`. `value` is a tuple for `in` and `not_in`."""

    name: str
    test: Literal["is", "not", "at_least", "at_most", "above", "below", "in", "not_in"]
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """When all conditions hold, the answer's fields must be as `then` says."""

    name: str
    when: tuple[Condition, ...]
    then: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A decision table: the facts of the case, the rules, and whether the first or every rule that applies binds."""

    given: Mapping[str, Scalar]
    rules: tuple[Rule, ...]
    policy: Literal["first", "every"] = "first"


@dataclass(frozen=True, slots=True)
class Expect:
    """What a right answer holds, facts and behaviour apart. Everything is optional."""

    facts: tuple[tuple[str, ...], ...] = ()
    """Each inner tuple is a list of alternatives; every one of them must be met."""
    forbidden: tuple[str, ...] = ()
    abstain: bool | None = None
    evidence: tuple[Evidence, ...] = ()
    evidence_needed: Literal["all", "any"] = "all"
    label: str | None = None
    labels: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    style: Style | None = None
    reasoning: Reasoning | None = None
    reference: str = ""
    rubric: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A question, an input or a conversation (exactly one of them), and what a right answer must hold."""

    id: str
    expect: Expect
    question: str = ""
    input: str = ""
    messages: tuple[Message, ...] = ()
    context: str = ""
    """Text that comes with the request, e.g. the ticket a question is about."""
    access: frozenset[str] = frozenset()
    where: Mapping[str, MetaValue] = field(default_factory=dict)
    as_of: float | None = None
    """Ask as of this time (UTC seconds)."""
    group: str = ""
    """What intervals cluster by; never empty once read from a suite."""
    split: Split | None = None
    """None until the suite is split; it then counts as `test`."""
    tags: tuple[str, ...] = ()
    draft: bool = False
    """Proposed by a machine and not yet kept by a person."""

    @property
    def asked(self) -> str:
        """The text that is put to the model: the question, the input or the last user turn."""
        turns = [message.content for message in self.messages if message.role == "user"]
        return self.question or self.input or (turns[-1] if turns else "")


@dataclass(frozen=True, slots=True)
class Suite:
    """Examples under a name. `notes` are remarks on the file that stop nothing, in words."""

    name: str
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """12 hex digits over the examples in their order; the name does not count."""
        return fingerprint(list(self.examples), 12)


@dataclass(frozen=True, slots=True)
class SuiteProblem:
    """One thing wrong with a suite file. `line` counts from 1; 0 = the file as a whole."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Row:
    """One example put to one recipe once, with what was said and every verdict.

    `failure` is set where no answer came (the model failed); every verdict is then unmeasured.
    """

    id: str
    group: str
    draw: int
    answer: str
    abstained: bool
    verdicts: Mapping[Check, Verdict]
    citations: tuple[Citation, ...] = ()
    usage: Usage = field(default_factory=Usage)
    ms: Mapping[str, float] = field(default_factory=dict)
    trace_id: str = ""
    remembered: bool = False
    """The reply came from the cache of model calls: time and tokens are those of the call that made it, and nothing
    was paid again."""
    failure: str = ""
    judge_usage: Usage = field(default_factory=lambda: Usage(cost_usd=0.0))
    """What a judge took for this row; its remembered replies take nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over rows with its 95% interval. What is undefined is None, and `reason` says why.

    `n` rows in `groups` groups were measured, `unmeasured` rows were not.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    unmeasured: int = 0
    reason: str = ""
    """Why there is no interval, e.g. "7 groups; an interval needs 10"."""


@dataclass(frozen=True, slots=True)
class Run:
    """One recipe put to many examples: the record that every report reads. Its rows are kept beside it."""

    id: str
    recipe: Recipe
    suite: str
    suite_hash: str
    split: Split | None
    draws: int
    checks: Mapping[Check, Estimate]
    """Share of rows that pass (with several draws: pass@1)."""
    every_draw: Mapping[Check, Estimate]
    """Share of examples that pass in every draw; empty with one draw."""
    measures: Mapping[str, Estimate]
    """Means of the graded numbers, e.g. `retrieval.ndcg@6`."""
    n: int
    """Rows, failed ones included."""
    failed: int
    """Rows that have no answer."""
    usage: Usage
    """What the answers took, summed over the `timed` rows that have one. A remembered reply counts as it was made."""
    latency_ms: Mapping[str, float]
    """`p50` and `p95` over the same rows, `first_p50` where replies were streamed; empty without any."""
    timed: int
    started: float
    finished: float
    code: str
    """Version of Knowhow that made it."""
    data_revision: int
    machine: str
    remembered: int = 0
    """Rows whose reply was made for an earlier run."""
    paid_usd: float | None = 0.0
    """What this run was charged: replies that were not remembered, and the judge."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Recipe `b` against recipe `a` on one check over the examples that both have measured.

    `difference` is mean(b) − mean(a); `fixed` and `broken` are example ids. Undefined numbers are None, with
    `reason`.
    """

    a: str
    b: str
    check: Check
    n: int
    groups: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    reason: str = ""
    detectable: float | None = None
    """The smallest true difference that this many groups would show 4 times in 5."""
