"""Response rates: how often each cause shows a finding and gives way to an intervention, expected and learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from knowhow.diagnose.expected import FINDINGS, HEALTHY, SIDES, STRENGTH, expected_finding, expected_response
from knowhow.ports import Record, Records
from knowhow.types import EVERYTHING, Cause, Json, Move, Response, Side, Signals, Trial, flat

KIND = "rates"
MOST = 25.0
"""Observations that one kind of fault counts as at most, so that a frequent kind does not stand for all of a cause."""
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
    """Learned counts beside the expected ones, for one model. Keys are values of the enums."""

    model: str = ""
    """Empty: nothing was learned, the design's expectations alone."""
    findings: Counts = field(default_factory=dict)
    """Finding → cause or `HEALTHY` → value → count."""
    responses: Counts = field(default_factory=dict)
    """"move side" → cause → response → count."""
    sides: Counts = field(default_factory=dict)
    """Cause → side → "failed" or "held" → count."""
    temper: Temper = field(default_factory=Temper)
    cases: int = 0
    """Planted cases that were learned from."""

    def finding(self, cause: str, name: str) -> dict[str, float]:
        """Probability of each value that was ever expected or seen of a finding, given the cause."""
        seen = self.findings.get(name, {})
        values = {value for table in (FINDINGS.get(name, {}), seen) for counts in table.values() for value in counts}
        return _mean(expected_finding(cause, name), seen.get(cause, {}), values)

    def response(self, cause: str, move: Move, side: Side) -> dict[Response, float]:
        """Probability of each response of a failed side to a move, given the cause that made it fail."""
        expected = {response.value: p for response, p in expected_response(cause, move).items()}
        learned = self.responses.get(f"{move} {side}", {}).get(cause, {})
        found = _mean(expected, learned, {*expected, *learned})
        return {Response(name): p for name, p in found.items()}

    def breaks(self, cause: str, side: Side) -> float:
        """How often the cause makes a check of `side` fail."""
        expected = SIDES[cause][0 if side is Side.KNOWLEDGE else 1]
        learned = self.sides.get(cause, {}).get(side, {})
        return _mean({"failed": expected, "held": 1 - expected}, learned, {"failed", "held"})["failed"]

    @property
    def names(self) -> tuple[str, ...]:
        """Every finding that anything is known of."""
        return tuple(sorted({*FINDINGS, *self.findings}))

    def to_json(self) -> Json:
        """As it is kept and shipped."""
        return {
            "model": self.model,
            "cases": self.cases,
            "temper": flat(self.temper),
            "sides": _plain(self.sides),
            "findings": _plain(self.findings),
            "responses": _plain(self.responses),
        }

    @staticmethod
    def from_json(body: Json) -> Rates:
        """The rates that `to_json` wrote."""
        return Rates(
            body["model"], body["findings"], body["responses"], body["sides"], Temper(**body["temper"]), body["cases"]
        )


def findings_of(signals: Signals) -> dict[str, str]:
    """The findings that inference reads: the checks that failed one by one, and nothing that is the same for any cause.

    Whether draws differ says nothing where only one was logged.
    """
    found = dict(signals.findings)
    failed = set(filter(None, found.pop("failed", "").split("+")))
    for check in ("content", "format", "style", "label", "reasoning"):
        found[f"fails.{check}"] = "yes" if check in failed else "no"
    found["fails.sources"] = "yes" if failed & _SOURCES else "no"
    if found.get("abstained") == "wrongly" and found["fails.style"] == "no":
        del found["fails.style"]  # a decline has its own words, and their style is not looked at
    if found.get("draws") == "one":
        del found["draws"]
    return found


def learn(model: str, known: Sequence[Known], healthy: Iterable[Signals] = (), temper: Temper | None = None) -> Rates:
    """Counts of what single planted faults showed; compounds follow from their parts (docs/diagnose.md).

    `healthy` are the findings of cases that pass. Every kind of fault counts as at most `MOST` cases.
    """
    single = [case for case in known if len(case.causes) == 1]
    sizes = Counter(case.kinds[0] for case in single)
    findings, responses, sides = _Tally(), _Tally(), _Tally()
    for case in single:
        cause, weight = case.causes[0].value, min(1.0, MOST / sizes[case.kinds[0]])
        for name, value in findings_of(case.signals).items():
            findings.add(name, cause, value, weight)
        for side in Side:
            sides.add(cause, side.value, "failed" if side in case.sides else "held", weight)
        for trial in case.trials:
            for side, response in trial.responses.items():
                if side in case.sides and response is not Response.UNMEASURED:
                    responses.add(f"{trial.move} {side}", cause, response.value, weight)
    passing = [findings_of(one) for one in healthy]
    for found in passing:
        for name, value in found.items():
            findings.add(name, HEALTHY, value, min(1.0, MOST / len(passing)))
    return Rates(model, findings.counts, responses.counts, sides.counts, temper or Temper(), len(known))


def keep(records: Records, rates: Rates) -> None:
    """Stores the rates with the model they were learned for."""
    records.put([Record(KIND, rates.model, rates.to_json())])


def rates_for(records: Records, model: str) -> Rates:
    """The rates learned for `model`; the design's expectations where none were."""
    record = records.get(KIND, model, frozenset({EVERYTHING}))
    return Rates.from_json(record.body) if record is not None else Rates()


def _mean(expected: Mapping[str, float], learned: Mapping[str, float], values: Iterable[str]) -> dict[str, float]:
    """Mean of a Dirichlet with `STRENGTH` expected observations and the learned ones, a little of it spread evenly."""
    names = sorted({*expected, *learned, *values})
    total = sum(learned.values()) + (STRENGTH if expected else 0.0)
    if not names:
        return {}
    if not total:
        return dict.fromkeys(names, 1 / len(names))
    return {
        name: (1 - FLOOR) * (STRENGTH * expected.get(name, 0.0) + learned.get(name, 0.0)) / total + FLOOR / len(names)
        for name in names
    }


class _Tally:
    """Weighted counts under two names."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, dict[str, float]]] = {}

    def add(self, first: str, second: str, value: str, weight: float) -> None:
        found = self.counts.setdefault(first, {}).setdefault(second, {})
        found[value] = found.get(value, 0.0) + weight


def _plain(counts: Counts) -> Json:
    return {
        first: {
            second: {value: round(count, 4) for value, count in sorted(found.items())}
            for second, found in sorted(table.items())
        }
        for first, table in sorted(counts.items())
    }
