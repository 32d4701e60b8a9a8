"""Scores a diagnoser against planted causes: who was confused with whom, how sure it was, what it cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from knowhow.errors import UsageProblem
from knowhow.types import Cause, Json

BINS = 10
"""Bins of equal width in which confidence is held against accuracy."""
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Truth:
    """One planted case: what was planted and which causes that has."""

    id: str
    faults: tuple[str, ...]
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a diagnoser said of one case. `confidence` is that of its best guess, named or not."""

    id: str
    causes: tuple[Cause, ...]
    confidence: float | None = None
    calls: int = 0
    best: tuple[Cause, ...] = ()
    """Its best guess where it names none; empty = `causes`."""


@dataclass(frozen=True, slots=True)
class PerCause:
    """How well one cause is told from all others, over cases that have it or are said to."""

    cause: Cause
    planted: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases whose confidence lies between `low` and `high`: how sure on the mean, and how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Score:
    """All figures of one diagnoser over the same planted cases. Undetermined counts as wrong, sets must be equal."""

    name: str
    n: int
    accuracy: float
    low: float
    high: float
    """95% interval of the accuracy (Wilson)."""
    side: float
    """Share of cases whose sides, knowledge or behaviour or both, are named rightly."""
    macro_f1: float
    undetermined: float
    calls: float
    """Generations per case."""
    ece: float | None
    """Expected calibration error over `BINS` bins; None where no confidence was stated."""
    causes: tuple[PerCause, ...]
    bins: tuple[Bin, ...]
    confusion: Mapping[str, Mapping[str, int]]
    """Planted set → named set → cases."""
    faults: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Kind of fault, compounds under "compound" → cases and how many are right."""


def score(name: str, truth: Sequence[Truth], said: Iterable[Said]) -> Score:
    """Holds what was said against what was planted; a case about which nothing was said is undetermined.

    Raises `UsageProblem` where there is no case.
    """
    if not truth:
        raise UsageProblem("there is no planted case to score on; plant more (--per-fault)")
    answers = {one.id: one for one in said}
    nothing = (Cause.UNDETERMINED,)
    pairs = [(one, answers.get(one.id, Said(one.id, nothing))) for one in truth]
    right = sum(_same(t.causes, s.causes) for t, s in pairs)
    low, high = _wilson(right, len(pairs))
    sure = [(s.confidence, _same(t.causes, s.best or s.causes)) for t, s in pairs if s.confidence is not None]
    bins = _bins([(float(confidence), held) for confidence, held in sure])
    causes = tuple(_per_cause(cause, pairs) for cause in Cause if any(cause in t.causes for t, _ in pairs))
    confusion: dict[str, Counter[str]] = {}
    faults: dict[str, tuple[int, int]] = {}
    for t, s in pairs:
        confusion.setdefault(named(t.causes), Counter())[named(s.causes)] += 1
        kind = "compound" if len(t.faults) > 1 else t.faults[0]
        n, hits = faults.get(kind, (0, 0))
        faults[kind] = (n + 1, hits + _same(t.causes, s.causes))
    return Score(
        name,
        len(pairs),
        right / len(pairs),
        low,
        high,
        sum(_sides(t.causes) == _sides(s.causes) for t, s in pairs) / len(pairs),
        sum(one.f1 for one in causes) / len(causes),
        sum(s.causes == nothing for _, s in pairs) / len(pairs),
        sum(s.calls for _, s in pairs) / len(pairs),
        sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(sure) if sure else None,
        causes,
        bins,
        confusion,
        faults,
    )


def named(causes: Sequence[Cause]) -> str:
    """A set of causes in words, whatever its order."""
    return " + ".join(sorted(cause.value for cause in causes))


def read_verdicts(path: Path) -> list[Said]:
    """Any diagnoser's verdicts from JSONL: `{"id", "causes": [...], "confidence"?, "calls"?}`.

    Raises `UsageProblem` with the line that cannot be read.
    """
    return [
        Said(str(row["id"]), row["causes"], row.get("confidence"), row.get("calls", 0)) for row in _rows(path, ("id",))
    ]


def read_truth(path: Path) -> list[Truth]:
    """Planted cases as `planted_json` wrote them."""
    return [Truth(str(row["id"]), tuple(row["faults"]), row["causes"]) for row in _rows(path, ("id", "faults"))]


def said_json(said: Said) -> Json:
    """One line of a file of verdicts."""
    return {
        "id": said.id,
        "causes": [cause.value for cause in said.causes],
        "confidence": said.confidence,
        "calls": said.calls,
    }


def truth_json(truth: Truth) -> Json:
    """One line of a file of planted cases."""
    return {"id": truth.id, "faults": list(truth.faults), "causes": [cause.value for cause in truth.causes]}


def _rows(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            row["causes"] = tuple(Cause(cause) for cause in row["causes"])
            for key in keys:
                row[key]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageProblem(
                f'{path}, line {number}: {error!r}; every line is {{"id", "causes": [{Cause.MISSING.value!r}, …]}}'
            ) from error
        rows.append(row)
    return rows


def _same(one: Sequence[Cause], other: Sequence[Cause]) -> bool:
    return set(one) == set(other)


def _sides(causes: Sequence[Cause]) -> frozenset[str]:
    return frozenset(cause.side.value if cause.side else cause.value for cause in causes)


def _per_cause(cause: Cause, pairs: Sequence[tuple[Truth, Said]]) -> PerCause:
    planted = sum(cause in t.causes for t, _ in pairs)
    claimed = sum(cause in s.causes for _, s in pairs)
    both = sum(cause in t.causes and cause in s.causes for t, s in pairs)
    precision, recall = both / claimed if claimed else 0.0, both / planted
    f1 = 2 * precision * recall / (precision + recall) if both else 0.0
    return PerCause(cause, planted, precision, recall, f1)


def _bins(sure: Sequence[tuple[float, bool]]) -> tuple[Bin, ...]:
    found = []
    for i in range(BINS):
        held = [(c, right) for c, right in sure if min(int(c * BINS), BINS - 1) == i]
        if held:
            mean = sum(c for c, _ in held) / len(held)
            found.append(Bin(i / BINS, (i + 1) / BINS, len(held), mean, sum(r for _, r in held) / len(held)))
    return tuple(found)


def _wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson (1927), Journal of the American Statistical Association 22:209-212; 95%."""
    p, z2 = right / n, _Z * _Z
    middle, reach = p + z2 / (2 * n), _Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (middle - reach) / (1 + z2 / n), (middle + reach) / (1 + z2 / n)
