"""The proof of an adapter: its target against the best cheap home, and what it must not have lost or picked up."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from knowhow.tune import probes as tasks
from knowhow.tune.gates import better, by, endings, held, no_more
from knowhow.tune.homes import Bench, Measured, best_of, measure
from knowhow.tune.registry import taught_as
from knowhow.tune.target import Scores, Target
from knowhow.types import (
    Adapter,
    Check,
    Context,
    Example,
    Expect,
    GateResult,
    Home,
    Outcome,
    Progress,
    Recipe,
    Row,
    Sampling,
    Split,
    Suite,
)

SIDE_CHECKS = (Check.FORMAT, Check.ABSTENTION, Check.CITATION, Check.GROUNDED)
"""Checks that must hold on the suite itself, whatever the target is."""
_REPLY = 48
"""Tokens of a reply to a small task."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The homes and the tuned recipe on the test split, and every gate."""

    homes: tuple[Measured, ...]
    tuned: Measured
    gates: tuple[GateResult, ...]
    notes: tuple[str, ...] = ()


def prove(
    recipe: Recipe,
    adapter: Adapter,
    homes: Sequence[Measured],
    suite: Suite,
    target: Target,
    bench: Bench,
    *,
    probes: int,
    margin: float,
    evidence: Mapping[str, str],
    workers: int,
) -> Generator[Progress, None, Proof]:
    """Asks the adapter what the homes were asked, and both what a training must not change. No example that it was
    taught is asked."""
    taught = {one.id for one in suite.examples if one.split is Split.TEST and taught_as(one.asked) in adapter.taught}
    left = replace(suite, examples=tuple(one for one in suite.examples if one.id not in taught))
    tuned = replace(recipe, name="tuned", adapter=adapter.id)
    after = yield from measure(Home.WEIGHTS, tuned, left, Split.TEST, target, bench, workers=workers)
    best = best_of(homes)
    gates = [better("target", _only(best.scores, taught), after.scores, best.recipe.name)]
    gates += _suite_gates(homes, after, taught, target, margin)
    trial = _Trial(recipe, adapter, bench, margin, workers)
    gates += yield from _probe_gates(trial, probes)
    gates += yield from _document_gates(trial, left, evidence)
    notes = (f"{len(taught)} examples of the test split were among the lessons and are left out",) if taught else ()
    return Proof(tuple(homes), after, tuple(gates), notes)


@dataclass(frozen=True, slots=True)
class _Trial:
    """Who is asked, with the adapter and without, and how much worse is held."""

    recipe: Recipe
    adapter: Adapter
    bench: Bench
    margin: float
    workers: int


def _only(scores: Scores, without: set[str]) -> Scores:
    return Scores({id: score for id, score in scores.by_id.items() if id not in without}, scores.groups)


def _suite_gates(
    homes: Sequence[Measured], after: Measured, taught: set[str], target: Target, margin: float
) -> list[GateResult]:
    """On the suite's own examples: replies still end, and every other check of form and knowledge is held against
    the home that does it best."""
    base = homes[0]
    before_ends, after_ends = endings(base.rows, base.recipe), endings(after.rows, after.recipe)
    ends = held("ends", _only(before_ends, taught), after_ends, margin=margin)
    found = [ends]
    for check in SIDE_CHECKS:
        if check in target.checks:
            continue
        befores = [_only(by(one.rows, lambda row, c=check: _passed(row, c)), taught) for one in homes]  # type: ignore[misc]
        measured = [one for one in befores if one.by_id]
        if measured:
            before = max(measured, key=lambda one: one.mean or 0.0)
            found.append(held(check.value, before, by(after.rows, lambda row, c=check: _passed(row, c)), margin=margin))  # type: ignore[misc]
    return found


def _probe_gates(trial: _Trial, n: int) -> Generator[Progress, None, list[GateResult]]:
    """Small general tasks, with the adapter and without."""
    model, sampling = trial.recipe.model, Sampling(max_tokens=_REPLY)
    plain = Recipe(name="probe", model=model, context=Context.NONE, cite=False, sampling=sampling)
    shown = replace(plain, context=Context.GOLD)
    found = []
    for name, suite, asked in (
        ("general ability", tasks.ability(n), plain),
        ("follows a changed text", tasks.reading(n), shown),
        ("declines what a text does not say", tasks.declining(n), shown),
    ):
        before, after = yield from _both(trial, asked, suite)
        found.append(held(name, by(before.rows, _right), by(after.rows, _right), margin=trial.margin))
    return found


def _document_gates(
    trial: _Trial, suite: Suite, evidence: Mapping[str, str]
) -> Generator[Progress, None, list[GateResult]]:
    """On the product's own documents: a changed fact is followed, and without a document no more of them is known."""
    recipe, margin = trial.recipe, trial.margin
    test = [one for one in suite.examples if one.split is Split.TEST and one.expect.facts and one.id in evidence]
    if not test:
        return []
    shown = replace(recipe, context=Context.GOLD, adapter="", name="probe")
    changed = Suite("changed", tuple(tasks.counterfactual(test, dict(evidence))))
    found = []
    if changed.examples:
        before, after = yield from _both(trial, shown, changed)
        found.append(held("follows changed documents", by(before.rows, _right), by(after.rows, _right), margin=margin))
    bare = tuple(
        Example(f"{one.id}/bare", Expect(facts=one.expect.facts), question=one.asked, group=one.group, split=Split.TEST)
        for one in test
    )
    closed = replace(recipe, context=Context.NONE, adapter="", cite=False, name="probe")
    before, after = yield from _both(trial, closed, Suite("bare", bare))
    found.append(no_more("learnt no facts", by(before.rows, _right), by(after.rows, _right), margin=margin))
    return found


def _both(trial: _Trial, recipe: Recipe, suite: Suite) -> Generator[Progress, None, tuple[Measured, Measured]]:
    target = Target((Check.CONTENT,))
    tuned = replace(recipe, adapter=trial.adapter.id, name=f"{recipe.name}+{trial.adapter.id[:8]}")
    bench, workers = trial.bench, trial.workers
    before = yield from measure(Home.MODEL, recipe, suite, Split.TEST, target, bench, workers=workers)
    after = yield from measure(Home.WEIGHTS, tuned, suite, Split.TEST, target, bench, workers=workers)
    return before, after


def _right(row: Row) -> float | None:
    """1 where every check that was measured is passed (grounding aside, which looks in other documents)."""
    found = [
        verdict.outcome for check, verdict in row.verdicts.items() if check not in (Check.GROUNDED, Check.CITATION)
    ]
    measured = [outcome for outcome in found if outcome is not Outcome.UNMEASURED]
    return float(all(outcome is Outcome.PASS for outcome in measured)) if measured else None


def _passed(row: Row, check: Check) -> float | None:
    outcome = row.verdicts[check].outcome
    return None if outcome is Outcome.UNMEASURED else float(outcome is Outcome.PASS)
