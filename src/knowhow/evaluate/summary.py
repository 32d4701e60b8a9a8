"""What rows come to: shares with intervals, latency, tokens and money, counted row by row so that no row is kept."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from knowhow.evaluate.stats import estimate
from knowhow.types import Check, Estimate, Outcome, Row, Usage

_CODES = {Outcome.FAIL: 0, Outcome.PASS: 1, Outcome.UNMEASURED: 2}
_UNMEASURED = _CODES[Outcome.UNMEASURED]


class Tally:
    """Counts rows in about a hundred bytes each; the order in which they come changes nothing."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.n = 0
        self.failed = 0
        self.remembered = 0
        self._examples: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._example_of = array("l")
        self._group_of = array("l")
        self._outcomes = {check: array("b") for check in Check}
        self._measured: dict[str, _Measured] = {}
        self._taken = _Taken()
        self._paid = _Taken()
        self._ms: dict[str, array[float]] = {name: array("d") for name in ("total", "first_token")}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Counts one row."""
        group = self._groups.setdefault(row.group, len(self._groups))
        self.n += 1
        self._example_of.append(self._examples.setdefault(row.id, len(self._examples)))
        self._group_of.append(group)
        for check, outcomes in self._outcomes.items():
            outcomes.append(_CODES[row.verdicts[check].outcome])
        self._add_measures(row, group)
        if row.failure:
            self.failed += 1
            return
        self._taken.add(row.usage)
        self._paid.add(row.judge_usage)
        if row.remembered:
            self.remembered += 1
        else:
            self._paid.add(row.usage)
        for name, found in self._ms.items():
            if name in row.ms:
                found.append(row.ms[name])

    def shares(self) -> dict[Check, Estimate]:
        """Check → share of measured rows that pass, for checks that are measured on any row."""
        found = {}
        names, groups = list(self._groups), np.asarray(self._group_of)
        for check, codes in self._outcomes.items():
            outcomes = np.asarray(codes)
            measured = np.flatnonzero(outcomes != _UNMEASURED)
            if len(measured):
                values = outcomes[measured].astype(float).tolist()
                unmeasured = len(outcomes) - len(measured)
                found[check] = estimate(values, [names[i] for i in groups[measured]], unmeasured=unmeasured)
        return found

    def every_draw(self) -> dict[Check, Estimate]:
        """Check → share of examples that pass in all their draws; an example with an unmeasured draw is unmeasured."""
        found = {}
        names, examples = list(self._groups), np.asarray(self._example_of)
        group_of = np.zeros(len(self._examples), dtype=np.int64)
        group_of[examples] = np.asarray(self._group_of)
        for check, codes in self._outcomes.items():
            outcomes = np.asarray(codes)
            least = np.full(len(self._examples), _UNMEASURED)
            np.minimum.at(least, examples, outcomes)
            whole = np.ones(len(self._examples), dtype=bool)
            whole[examples[outcomes == _UNMEASURED]] = False
            measured = np.flatnonzero(whole)
            if len(measured):
                values = least[measured].astype(float).tolist()
                unmeasured = len(whole) - len(measured)
                found[check] = estimate(values, [names[i] for i in group_of[measured]], unmeasured=unmeasured)
        return found

    def measures(self) -> dict[str, Estimate]:
        """`check.measure` → mean of a graded number over the rows that have it. Counts of style are no such numbers.

        `abstention.precision` is the share of declines that were right, `abstention.recall` the share of what should
        be declined that was.
        """
        names = list(self._groups)
        return {
            name: estimate(seen.values.tolist(), [names[i] for i in seen.groups], unmeasured=self.n - len(seen.values))
            for name, seen in sorted(self._measured.items())
        }

    def usage(self) -> Usage:
        """Tokens and money of every answer, also of those whose replies were remembered."""
        return self._taken.usage()

    def paid_usd(self) -> float | None:
        """US dollars for the replies that were really asked for, and for the judge's."""
        return self._paid.cost

    def latency(self) -> Mapping[str, float]:
        """Milliseconds: `p50` and `p95` of the whole answer, `first_p50` to the first token where that is known."""
        totals, first = self._ms["total"], self._ms["first_token"]
        found = {}
        if totals:
            found = {"p50": float(np.quantile(totals, 0.5)), "p95": float(np.quantile(totals, 0.95))}
        return found | ({"first_p50": float(np.quantile(first, 0.5))} if first else {})

    def _add_measures(self, row: Row, group: int) -> None:
        for check, verdict in row.verdicts.items():
            if check is Check.STYLE:
                continue
            for name, value in verdict.measures.items():
                self._measure(f"{check.value}.{name}", value, group)
        outcome = row.verdicts[Check.ABSTENTION].outcome
        if outcome is Outcome.UNMEASURED:
            return
        right = outcome is Outcome.PASS
        if row.abstained:
            self._measure("abstention.precision", float(right), group)
        if row.abstained is right:  # it should have declined
            self._measure("abstention.recall", float(right), group)

    def _measure(self, name: str, value: float, group: int) -> None:
        seen = self._measured.setdefault(name, _Measured())
        seen.values.append(value)
        seen.groups.append(group)


def paid_usd(row: Row) -> float:
    """US dollars that one row was charged, as far as prices are known."""
    own = 0.0 if row.remembered else row.usage.cost_usd or 0.0
    return own + (row.judge_usage.cost_usd or 0.0)


@dataclass(slots=True)
class _Measured:
    """One graded number: its values and, parallel, the groups they belong to."""

    values: array[float] = field(default_factory=lambda: array("d"))
    groups: array[int] = field(default_factory=lambda: array("l"))


@dataclass(slots=True)
class _Taken:
    """Sums of tokens and money; the cost is unknown as soon as one price is."""

    prompt: int = 0
    completion: int = 0
    cost: float | None = 0.0

    def add(self, usage: Usage) -> None:
        self.prompt += usage.prompt_tokens
        self.completion += usage.completion_tokens
        self.cost = None if self.cost is None or usage.cost_usd is None else self.cost + usage.cost_usd

    def usage(self) -> Usage:
        return Usage(self.prompt, self.completion, self.cost)
