"""What a training is to improve, as one score an example: checks that must pass, or a graded number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knowhow.errors import UsageProblem
from knowhow.types import Check, Example, Outcome, Row, Side


@dataclass(frozen=True, slots=True)
class Scores:
    """Example id → score, 0..1 (the mean over draws), and the group of each."""

    by_id: Mapping[str, float]
    groups: Mapping[str, str]

    @property
    def mean(self) -> float | None:
        """None where nothing was measured."""
        return sum(self.by_id.values()) / len(self.by_id) if self.by_id else None


@dataclass(frozen=True, slots=True)
class Target:
    """Checks that must all pass, or one measure such as `content.fields_f1`."""

    checks: tuple[Check, ...] = ()
    measure: str = ""

    def __str__(self) -> str:
        return self.measure or " and ".join(self.checks)

    @property
    def behaviour(self) -> bool:
        """Whether any of it is what a product does rather than what it knows."""
        return bool(self.measure) or any(check.side is Side.BEHAVIOUR for check in self.checks)

    def score(self, row: Row) -> float | None:
        """The row's score; None where it was not measured. A decline scores 0 where a measure is missing for it."""
        if self.measure:
            check, _, name = self.measure.partition(".")
            return row.verdicts[Check(check)].measures.get(name)
        found = [row.verdicts[check].outcome for check in self.checks]
        measured = [outcome for outcome in found if outcome is not Outcome.UNMEASURED]
        return float(all(outcome is Outcome.PASS for outcome in measured)) if measured else None

    def scores(self, rows: Iterable[Row]) -> Scores:
        """Every measured example of a run."""
        return scored((row, self.score(row)) for row in rows)


def scored(rows: Iterable[tuple[Row, float | None]]) -> Scores:
    """Scores by example; what is None was not measured."""
    sums: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    for row, score in rows:
        if score is not None:
            sums.setdefault(row.id, []).append(score)
            groups[row.id] = row.group
    return Scores({id: sum(found) / len(found) for id, found in sums.items()}, groups)


def read_target(text: str) -> Target:
    """`label`, `format,content` or `content.fields_f1`. Raises `UsageProblem`."""
    known = [check.value for check in Check]
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) == 1 and "." in names[0] and names[0].split(".")[0] in known:
        return Target(measure=names[0])
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageProblem(
            f'the target "{text}" names no check ({", ".join(known)}) and no measure such as content.fields_f1'
        )
    return Target(tuple(Check(name) for name in names))


def usual_target(examples: Iterable[Example]) -> Target:
    """What most examples say is right: label, fields, style, decision or schema, else the content."""
    counts = dict.fromkeys(("label", "content.fields_f1", "reasoning", "style", "format", "content"), 0)
    for one in examples:
        expect = one.expect
        counts["label"] += expect.label is not None
        counts["content.fields_f1"] += bool(expect.fields)
        counts["reasoning"] += expect.reasoning is not None
        counts["style"] += expect.style is not None
        counts["format"] += expect.schema is not None and not expect.fields
        counts["content"] += bool(expect.facts or expect.reference)
    best = max(counts, key=lambda name: counts[name])
    if not counts[best]:
        raise UsageProblem("no example says what a right answer is, so a training cannot be judged")
    return read_target(best)
