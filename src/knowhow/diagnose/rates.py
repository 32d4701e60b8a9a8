"""Response rates: how often each cause shows a finding and gives way to an intervention, expected and learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from knowhow.diagnose.expected import FINDINGS, HEALTHY, SIDES, STRENGTH, expected_finding, expected_response
from knowhow.ports import Record, Records
from knowhow.types import EVERYTHING, Cause, Json, Move, Response, Side, Signals, Trial, flat

KIND = "rates"
MOST = 25.0
"""Observations that one kind of fault counts as at most, so that a frequent kind does not stand for all of a cause."""
LEAN = 3.0
"""Observations that what a cause shows on the whole counts as, beside those of one of its kinds."""
FLOOR = 0.02
"""Share of every distribution that is spread evenly over its values: one odd finding never rules a cause out."""
_SOURCES = {"citation", "grounded"}

Counts = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Temper:
    """How much the evidence is believed, learned so that stated confidence matches accuracy.

    Log likelihoods of findings and of trials are multiplied by `findings` and `trials` (findings repeat each other, and
    so count less than their product). `spread` is the precision of a case's own rates around its cause's: draws of one
    intervention on one case are alike, so the second tells less than the first.
    """

    findings: float = 0.6
    trials: float = 0.8
    spread: float = 4.0


@dataclass(frozen=True, slots=True)
class Known:
    """A failed case whose causes are known because they were planted, with all that was seen of it."""

    id: str
    kinds: tuple[str, ...]
    """The faults, one per cause."""
    causes: tuple[Cause, ...]
    group: str
    signals: Signals
    sides: frozenset[Side]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """Learned counts of every kind of fault, beside what the design expects of its cause. For one model.

    A cause shows itself in several ways: a wrong gold label and a wrong gold fact have little in common but that they
    are wrong. So every kind that was learned is a way of its own, leaning on what its cause shows on the whole, and
    each cause has one way more, "", for kinds that were never seen.
    """

    model: str = ""
    """Empty: nothing was learned, the design's expectations alone."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Kind of fault → its cause."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Kind of fault → cases learned from."""
    findings: Counts = field(default_factory=dict)
    """Finding → kind or `HEALTHY` → value → count."""
    responses: Counts = field(default_factory=dict)
    """"move side" → kind → response → count."""
    sides: Counts = field(default_factory=dict)
    """Side → kind → "failed" or "held" → count."""
    temper: Temper = field(default_factory=Temper)
    cases: int = 0
    """Planted cases that were learned from."""

    def kinds_of(self, cause: str) -> tuple[str, ...]:
        """The kinds of fault learned for a cause, and "" for any other."""
        return ("", *sorted(kind for kind, of in self.kinds.items() if of == cause))

    def finding(self, cause: str, kind: str, name: str) -> dict[str, float]:
        """Probability of each value that was ever expected or seen of a finding."""
        seen = self.findings.get(name, {})
        values = {value for table in (FINDINGS.get(name, {}), seen) for counts in table.values() for value in counts}
        return self._of(cause, kind, expected_finding(cause, name), seen, values)

    def response(self, cause: str, kind: str, move: Move, side: Side) -> dict[Response, float]:
        """Probability of each response of a side to a move, given what made it fail."""
        expected = {response.value: p for response, p in expected_response(cause, move).items()}
        learned = self.responses.get(f"{move} {side}", {})
        found = self._of(cause, kind, expected, learned, set(expected))
        return {Response(name): p for name, p in found.items()}

    def breaks(self, cause: str, kind: str, side: Side) -> float:
        """How often it makes a check of `side` fail."""
        expected = SIDES[cause][0 if side is Side.KNOWLEDGE else 1]
        shares = {"failed": expected, "held": 1 - expected}
        return self._of(cause, kind, shares, self.sides.get(side, {}), set(shares))["failed"]

    @property
    def names(self) -> tuple[str, ...]:
        """Every finding that anything is known of."""
        return tuple(sorted({*FINDINGS, *self.findings}))

    def to_json(self) -> Json:
        """As it is kept and shipped."""
        return {**flat(self), "temper": flat(self.temper)}

    @staticmethod
    def from_json(body: Json) -> Rates:
        """The rates that `to_json` wrote."""
        return Rates(**{**body, "temper": Temper(**body["temper"])})

    def _of(
        self,
        cause: str,
        kind: str,
        expected: Mapping[str, float],
        learned: Mapping[str, Mapping[str, float]],
        values: set[str],
    ) -> dict[str, float]:
        """The cause on the whole: what is expected of it and its kinds, each counting as at most `MOST` cases; a kind:
        its own counts beside that."""
        kinds = [HEALTHY] if cause == HEALTHY else [one for one in self.kinds_of(cause) if one]
        whole: dict[str, float] = {}
        for one in kinds:
            counts = learned.get(one, {})
            weight = min(1.0, MOST / max(sum(counts.values()), 1.0))
            for value, count in counts.items():
                whole[value] = whole.get(value, 0.0) + weight * count
        base = _mean(expected, STRENGTH, whole, values)
        return _mean(base, LEAN, learned.get(kind, {}), values) if kind else base


def findings_of(signals: Signals) -> dict[str, str]:
    """The findings that inference reads: the checks that failed one by one, and nothing that is the same for any cause.

    Where it declined, its behaviour was not seen; whether draws differ says nothing where only one was logged.
    """
    found = dict(signals.findings)
    failed = set(filter(None, found.pop("failed", "").split("+")))
    asks = found.pop("asks", None)
    declined = found.get("abstained") == "wrongly"
    found["fails.content"] = "yes" if "content" in failed else "no"
    for check in ("format", "style", "label", "reasoning"):
        if not declined and (asks is None or check in asks.split("+")):
            found[f"fails.{check}"] = "yes" if check in failed else "no"
    found["fails.sources"] = "yes" if failed & _SOURCES else "no"
    if found.get("draws") == "one":
        del found["draws"]
    return found


def telling(trial: Trial) -> dict[Side, Response]:
    """The responses of a trial that say something: what was measured, and of a swap only what became of the fact,
    since another fact may call for another decision."""
    return {
        side: response
        for side, response in trial.responses.items()
        if response is not Response.UNMEASURED and (trial.move is not Move.SWAPPED or side is Side.KNOWLEDGE)
    }


def learn(model: str, known: Sequence[Known], healthy: Sequence[Signals] = (), temper: Temper | None = None) -> Rates:
    """Counts of what single planted faults showed; compounds follow from their parts (docs/diagnose.md).

    `healthy` are the findings of cases that pass.
    """
    single = [case for case in known if len(case.causes) == 1]
    findings, responses, sides = _Tally(), _Tally(), _Tally()
    for case in single:
        kind = case.kinds[0]
        for name, value in findings_of(case.signals).items():
            findings.add(name, kind, value)
        for side in Side:
            sides.add(side.value, kind, "failed" if side in case.sides else "held")
        for trial in case.trials:
            for side, response in telling(trial).items():
                if side in case.sides:
                    responses.add(f"{trial.move} {side}", kind, response.value)
    for one in healthy:
        for name, value in findings_of(one).items():
            findings.add(name, HEALTHY, value)
    kinds = {case.kinds[0]: case.causes[0].value for case in single}
    sizes = Counter(case.kinds[0] for case in single)
    return Rates(model, kinds, sizes, findings.counts, responses.counts, sides.counts, temper or Temper(), len(known))


def keep(records: Records, rates: Rates) -> None:
    """Stores the rates with the model they were learned for."""
    records.put([Record(KIND, rates.model, rates.to_json())])


def rates_for(records: Records, model: str) -> Rates:
    """The rates learned for `model`; the design's expectations where none were."""
    record = records.get(KIND, model, frozenset({EVERYTHING}))
    return Rates.from_json(record.body) if record is not None else Rates()


def _mean(
    base: Mapping[str, float], strength: float, learned: Mapping[str, float], values: set[str]
) -> dict[str, float]:
    """Mean of a Dirichlet with `strength` observations of `base` and the learned ones, a little of it spread evenly."""
    names = sorted({*base, *learned, *values})
    total = sum(learned.values()) + (strength if base else 0.0)
    if not total:
        return dict.fromkeys(names, 1 / max(len(names), 1))
    return {
        name: (1 - FLOOR) * (strength * base.get(name, 0.0) + learned.get(name, 0.0)) / total + FLOOR / len(names)
        for name in names
    }


class _Tally:
    """Counts under two names."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, dict[str, float]]] = {}

    def add(self, first: str, second: str, value: str) -> None:
        found = self.counts.setdefault(first, {}).setdefault(second, {})
        found[value] = found.get(value, 0.0) + 1.0
