"""Quality gates for a team's CI: a level a run must reach, or a recipe that must not be worse than another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from knowhow.errors import UsageProblem
from knowhow.evaluate.compare import Marks, marks
from knowhow.evaluate.paired import NotWorse, not_worse
from knowhow.types import Check, Estimate, Row, Run

MARGIN = 0.05
"""How much worse counts as not worse."""
_LEVEL = re.compile(r"\s*([\w.@-]+)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*")
_NO_WORSE = re.compile(r"\s*no-worse:([^:]+)(?::([a-z]+))?\s*")
_EXAMPLE = 'write for example "content>=0.8", "abstention.low>=0.7", "retrieval.mrr>=0.5", "p95<=2000" or "cost<=1.5"'


class Held(StrEnum):
    """How a gate came out. What could not be measured does not open it."""

    HELD = "held"
    FAILED = "failed"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate with its outcome; `reason` is in words with the numbers that decided."""

    gate: str
    recipe: str
    outcome: Held
    reason: str


def level(gate: str, run: Run) -> Gate:
    """Holds `CHECK>=VALUE` against a run. The left side is a check (its mean), `CHECK.low` or `CHECK.high` (an end of
    its interval), a measure such as `retrieval.mrr`, `p50` or `p95` (milliseconds), or `cost` (dollars per 1,000).

    Raises `UsageProblem` where the gate cannot be read or names nothing that is known.
    """
    name, sign, limit = read_level(gate)
    value, reason = _value(name, run)
    if value is None:
        return Gate(gate, run.recipe.name, Held.UNMEASURED, f"{name} is not measured: {reason}")
    held = {">=": value >= limit, ">": value > limit, "<=": value <= limit, "<": value < limit}[sign]
    return Gate(gate, run.recipe.name, Held.HELD if held else Held.FAILED, f"{name} is {value:.4g}")


def read_level(gate: str) -> tuple[str, str, float]:
    """Name, sign and limit of a level gate. Raises `UsageProblem`."""
    found = _LEVEL.fullmatch(gate)
    if found is None:
        raise UsageProblem(f'the gate "{gate}" cannot be read; {_EXAMPLE}')
    name, sign, number, percent = found.groups()
    known = [check.value for check in Check]
    if name.split(".")[0] not in {*known, "p50", "p95", "cost"}:
        raise UsageProblem(f'the gate "{gate}" names no check ({", ".join(known)}); {_EXAMPLE}')
    return name, sign, float(number) / (100 if percent else 1)


def _value(name: str, run: Run) -> tuple[float | None, str]:
    if name in ("p50", "p95"):
        return run.latency_ms.get(name), "every reply came from memory"
    if name == "cost":
        cost = run.usage.cost_usd
        asked = max(run.timed, 1)
        return (None if cost is None else 1000 * cost / asked), "no price is known; set `prices` in knowhow.toml"
    check, _, part = name.partition(".")
    if not part or part in ("low", "high"):
        found = run.checks.get(Check(check))
        return _end(found, part) if found else (None, "no example measures it")
    measured = run.measures.get(name)
    return (measured.mean, measured.reason) if measured else (None, f"known are {', '.join(run.measures) or 'none'}")


def _end(found: Estimate, part: str) -> tuple[float | None, str]:
    return {"": found.mean, "low": found.low, "high": found.high}[part], found.reason


def no_worse(gate: str, rows: Mapping[str, Sequence[Row]], margin: float = MARGIN) -> list[Gate]:
    """Holds `no-worse:RECIPE` or `no-worse:RECIPE:CHECK` against every other recipe, check by check.

    Held is what the one-sided 95% bound shows; inconclusive is a failure that says how many examples would settle it.
    Raises `UsageProblem` where the gate cannot be read or names a recipe or check that is not compared.
    """
    base, checks = read_no_worse(gate, list(rows))
    found = []
    baseline = marks(rows[base])
    for name in rows:
        if name == base:
            continue
        other = marks(rows[name])
        for check in checks:
            one = _held(gate, baseline, other, name, check, margin)
            if one is not None:
                found.append(one)
    if not found:
        reason = f"nothing is measured in both {base} and another recipe"
        return [Gate(gate, base, Held.UNMEASURED, reason)]
    return found


def read_no_worse(gate: str, names: Sequence[str]) -> tuple[str, tuple[Check, ...]]:
    """The recipe and the checks of such a gate. Raises `UsageProblem`."""
    match = _NO_WORSE.fullmatch(gate)
    if match is None:
        raise UsageProblem(f'the gate "{gate}" cannot be read; write "no-worse:RECIPE" or "no-worse:RECIPE:content"')
    base, named = match.groups()
    if base not in names:
        raise UsageProblem(f"the gate {gate} names {base}, which is not compared ({', '.join(names)})")
    if named and named not in {check.value for check in Check}:
        raise UsageProblem(f"the gate {gate} names no check; known are {', '.join(Check)}")
    return base, (Check(named),) if named else tuple(Check)


def _held(gate: str, a: Marks, b: Marks, name: str, check: Check, margin: float) -> Gate | None:
    """None where the check is not measured on one example in both."""
    left, right = a.shares[check], b.shares[check]
    ids = [id for id in left if id in right]
    if not ids:
        return None
    found = not_worse([left[id] for id in ids], [right[id] for id in ids], [a.groups[id] for id in ids], margin)
    kinds = {NotWorse.HELD: Held.HELD, NotWorse.UNMEASURED: Held.UNMEASURED}
    word = "" if found.outcome is NotWorse.HELD else f"{found.outcome}: "
    return Gate(gate, name, kinds.get(found.outcome, Held.FAILED), f"{check}: {word}{found.reason}")
