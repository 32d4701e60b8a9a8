"""Adapters: trained behaviour with its proofs, and which of them answers under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from knowhow.types.answers import Recipe
from knowhow.types.lessons import Origin
from knowhow.types.training import Precision, Trained, TrainPlan


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Whether llama.cpp says the same as the training stack with this adapter, both in `precision`.

    `agreement` is the share of positions with the same likeliest next token, `kl` the mean divergence of llama.cpp's
    next-token distribution from the training stack's, in nats. `adapter_agreement` says how often the adapter keeps
    the base model's likeliest token: an adapter that changes nothing would prove nothing.
    """

    positions: int
    agreement: float
    kl: float
    precision: Precision
    adapter_agreement: float
    least_agreement: float = 0.97
    most_kl: float = 0.01

    @property
    def passed(self) -> bool:
        """Whether both bounds hold."""
        return self.agreement >= self.least_agreement and self.kl <= self.most_kl


class GateOutcome(StrEnum):
    """How one gate before promotion came out."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """The data cannot tell; this refuses as well, and says how many more examples would."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: what was held against what, and the numbers it was decided by."""

    name: str
    outcome: GateOutcome
    reason: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    needed: int = 0
    """Examples that would decide it, where it is inconclusive."""


@dataclass(frozen=True, slots=True)
class AdapterReport:
    """Before and after: what the gates said. Without gates nothing was measured, and promotion needs `force`."""

    gates: tuple[GateResult, ...] = ()
    runs: Mapping[str, str] = field(default_factory=dict)
    """Recipe → id of the run the gates read."""
    summary: str = ""

    @property
    def passed(self) -> bool:
        """Whether there are gates and every one is passed."""
        return bool(self.gates) and all(gate.outcome is GateOutcome.PASS for gate in self.gates)


@dataclass(frozen=True, slots=True)
class Adapter:
    """Trained behaviour, named by the hash of its weights. The weights are files in `folder`."""

    id: str
    """16 hex digits over weights, factors and base; equal training gives an equal id."""
    base: str
    """The model it belongs to, as recipes name it."""
    base_hash: str
    recipe: Recipe
    """What the lessons were asked with; the adapter is at home in prompts of this recipe."""
    plan: TrainPlan
    lessons: str
    """Name of the lessons."""
    lessons_hash: str
    taught: frozenset[str]
    """Fingerprints of the questions it was trained on (`knowhow.tune.registry.taught_as`)."""
    trained: Trained
    folder: str
    made: float
    """UTC seconds."""
    report: AdapterReport = field(default_factory=AdapterReport)
    parity: ParityReport | None = None
    origins: Mapping[Origin, int] = field(default_factory=dict)
    """How many lessons came from where."""
    uris: frozenset[str] = frozenset()
    """Documents its lessons quoted: whoever purges one of them should train anew."""


class Standing(StrEnum):
    """What an adapter is in a slot that knows it."""

    CURRENT = "current"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Slot:
    """The adapter that answers under a name with one base model, and the one before it.

    A recipe with `adapter = NAME` uses `current`. Either may be empty: the bare model.
    """

    name: str
    model: str
    current: str
    previous: str
    changed: float
    """UTC seconds."""
    by: str = ""
    """"promote" or "rollback"."""
