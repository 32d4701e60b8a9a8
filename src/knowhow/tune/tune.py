"""Tune: lint, cheaper homes, forecast and price, training, gates; then promoted, or refused with the reason."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from knowhow.evaluate.stats import estimate
from knowhow.lessons.lint import Fault, LintReport
from knowhow.lessons.rehearsal import SHARE, asked_with, general_tasks, part, rehearsed
from knowhow.ports import Trainer
from knowhow.tune.curves import classifier_outlook, training_outlook
from knowhow.tune.gates import MARGIN
from knowhow.tune.homes import Bench, Measured, asked, best_of, cheap_homes, measure
from knowhow.tune.make import Course, make
from knowhow.tune.proof import Proof, prove
from knowhow.tune.registry import Registry
from knowhow.tune.report import Decision, HomeScore, Refusal, TuneReport
from knowhow.tune.target import Target
from knowhow.types import (
    Adapter,
    AdapterReport,
    Check,
    GateOutcome,
    GateResult,
    Home,
    Lessons,
    Progress,
    Recipe,
    Row,
    Split,
    Suite,
    TrainEvent,
    TrainPlan,
    TrainPrice,
)

CLOSED = 0.05
"""A cheaper home that misses at most so much of the target closes the gap."""
_ENOUGH_DEV = 30
"""Examples of the dev split on which homes are chosen; with fewer the test split serves, which a note says."""
_KNOWLEDGE = 0.5
"""Share of diagnosed failures on the side of knowledge from which training is refused."""


@dataclass(frozen=True, slots=True)
class TunePlan:
    """What is to be learned, how it is judged, and how far to go."""

    suite: Suite
    course: Course
    target: Target
    train: TrainPlan
    name: str = ""
    """Slot to promote to; empty = nothing is promoted."""
    probes: int = 250
    """Small general tasks of each kind that the gates ask."""
    margin: float = MARGIN
    """How much worse counts as held."""
    rehearse: float = SHARE
    """General tasks that are rehearsed for each lesson; 0 = none."""
    anyway: bool = False
    """Train although a refusal stands; the gates decide all the same."""
    forecast: float | None = None
    """Loss per target token to be reached: short trainings measure a learning curve first."""
    dry_run: bool = False
    workers: int = 2
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Example id → the text of its evidence, for questions over changed documents."""


class Trainers(Protocol):
    """Who trains, asked for only once nothing speaks against it."""

    def course(self, lessons: Lessons, recipe: Recipe, suite: Suite | None = None) -> Course:
        """Lessons as rows that `recipe` asks."""
        ...

    def trainer(self) -> Trainer:
        """Raises `ConfigProblem` with the command where what training needs is not installed."""
        ...


@dataclass(frozen=True, slots=True)
class Shop:
    """What the work is done with."""

    bench: Bench
    trainers: Trainers
    registry: Registry
    work: Path


TuneEvent = Progress | LintReport | HomeScore | TrainPrice | TrainEvent | GateResult


def tune(
    plan: TunePlan, linted: LintReport, shop: Shop, knowledge: float | None = None
) -> Generator[TuneEvent, None, TuneReport]:
    """Yields what is found as it is found, and returns the report; called again it goes on where it stopped.

    `linted` is the report on the lessons of the course, `knowledge` the share of knowledge among diagnosed failures.
    Errors are those of `evaluate` and `Trainer`; a refusal is a report, not an error.
    """
    report = _begun(plan, linted)
    yield linted
    if (report := _unfit(report, plan, linted)).refused and not plan.anyway:
        return report
    homes = yield from _homes(plan, shop, _split(plan))
    report = replace(report, homes=tuple(_scored(one, _split(plan)) for one in homes))
    report = _needless(report, plan, homes, knowledge)
    report = replace(report, outlook=classifier_outlook(plan.suite, shop.bench, CLOSED))
    if report.refused and not plan.anyway:
        return report
    if plan.rehearse:
        plan = yield from _rehearsed(plan, shop)
        report = replace(report, notes=(*report.notes, *plan.course.lessons.notes[-1:]))
    if (adapter := _known(plan, shop.registry)) is None:
        trainer = shop.trainers.trainer()
        price = trainer.price(plan.train, plan.course.rows, plan.course.validation)
        report = replace(report, price=price)
        yield price
        if plan.forecast is not None:
            curve = training_outlook(plan.train, plan.course, trainer, shop.work, plan.forecast)
            report = replace(report, outlook=(yield from curve))
        if plan.dry_run:
            return report
        adapter = yield from make(plan.course, plan.train, trainer, shop.registry, shop.work)
    proof = yield from _proof(plan, shop, adapter)
    return _decided(_proved(report, plan, adapter, proof), plan, shop, adapter, proof)


def _begun(plan: TunePlan, linted: LintReport) -> TuneReport:
    return TuneReport(
        plan.suite.name,
        plan.course.lessons.name,
        len(plan.course.rows),
        str(plan.target),
        Decision.PLANNED,
        "nothing speaks against a training",
        lint=linted,
        notes=(*plan.suite.notes, *plan.course.lessons.notes),
    )


def _unfit(report: TuneReport, plan: TunePlan, linted: LintReport) -> TuneReport:
    """Refused where the lessons have errors, or the target is nothing that a product does."""
    few = next((one for one in linted.errors if one.fault is Fault.FEW), None)
    wrong = [one for one in linted.errors if one.fault is not Fault.FEW]
    if not plan.target.behaviour:
        reason = (
            f"{plan.target} is what the product knows, not what it does: put it into the documents (`knowhow ingest`) "
            f"and let retrieval find it"
        )
        return _refused(report, Refusal.KNOWLEDGE, reason)
    if wrong:
        named = "; ".join(one.message for one in wrong)
        return _refused(report, Refusal.LINT, f"the lessons have errors: {named}. Mend them, or --leave-out these rows")
    return _refused(report, Refusal.TOO_FEW, few.message) if few is not None else report


def _needless(report: TuneReport, plan: TunePlan, homes: Sequence[Measured], knowledge: float | None) -> TuneReport:
    """Refused where the base does it, a cheaper home closes the gap, or the failures are of knowledge."""
    if report.refused:
        return report
    base, best = homes[0], best_of(homes)
    shares = f"{plan.target} is at {100 * best.mean:.1f}% with {best.recipe.name}"
    if base.mean >= 1 - CLOSED:
        reason = f"there is no gap: {plan.target} is at {100 * base.mean:.1f}% without anything"
        return replace(_refused(report, Refusal.NO_GAP, reason), wins=base.recipe.name)
    if best.mean >= 1 - CLOSED:
        reason = f"a cheaper home closes the gap: {shares}; use that recipe"
        return replace(_refused(report, Refusal.CHEAPER_HOME, reason), wins=best.recipe.name)
    if knowledge is not None and knowledge > _KNOWLEDGE:
        reason = (
            f"{100 * knowledge:.0f}% of the diagnosed failures are of knowledge; mend documents and retrieval first "
            f"(`knowhow diagnose` says which)"
        )
        return _refused(report, Refusal.KNOWLEDGE, reason)
    return replace(report, wins=best.recipe.name)


def _split(plan: TunePlan) -> Split:
    """Where homes are chosen: on dev, so that the proof stays fresh, if there is enough of it."""
    return Split.DEV if asked(plan.suite.examples, Split.DEV) >= _ENOUGH_DEV else Split.TEST


def _homes(plan: TunePlan, shop: Shop, split: Split) -> Generator[TuneEvent, None, list[Measured]]:
    """The base first, then every cheaper home."""
    base = replace(plan.course.recipe, name="base", adapter="")
    found = []
    for home, recipe in [(Home.MODEL, base), *cheap_homes(plan.course.recipe, plan.suite)]:
        one = yield from measure(home, recipe, plan.suite, split, plan.target, shop.bench, workers=plan.workers)
        found.append(one)
        yield _scored(one, split)
    return found


def _rehearsed(plan: TunePlan, shop: Shop) -> Generator[TuneEvent, None, TunePlan]:
    """The plan with the base's own replies to general tasks among the lessons."""
    course = plan.course
    suite = general_tasks(round(plan.rehearse * len(course.rows)), seed=plan.train.seed)
    rows: list[Row] = []
    for text in (False, True):
        some, asked_as = part(suite, text=text), asked_with(course.recipe, text=text)
        if some.examples:
            target = Target((Check.ABSTENTION,))
            flow = measure(Home.MODEL, asked_as, some, Split.TRAIN, target, shop.bench, workers=plan.workers)
            rows += (yield from flow).rows
    lessons = rehearsed(course.lessons, suite, rows, course.recipe)
    return replace(plan, course=shop.trainers.course(lessons, course.recipe, plan.suite))


def _known(plan: TunePlan, registry: Registry) -> Adapter | None:
    """The adapter that the same course and plan gave before."""
    course = plan.course
    recipe = replace(course.recipe, adapter="")
    for one in registry.all():
        if one.lessons_hash == course.lessons.hash and one.plan == plan.train and one.recipe.hash == recipe.hash:
            return one
    return None


def _proof(plan: TunePlan, shop: Shop, adapter: Adapter) -> Generator[TuneEvent, None, Proof]:
    homes = yield from _homes(plan, shop, Split.TEST)
    proof = yield from prove(
        plan.course.recipe,
        adapter,
        homes,
        plan.suite,
        plan.target,
        shop.bench,
        probes=plan.probes,
        margin=plan.margin,
        evidence=plan.evidence,
        workers=plan.workers,
    )
    yield from proof.gates
    return proof


def _proved(report: TuneReport, plan: TunePlan, adapter: Adapter, proof: Proof) -> TuneReport:
    homes = [one for one in report.homes if one.split != Split.TEST]
    homes += [_scored(one, Split.TEST) for one in (*proof.homes, proof.tuned)]
    runs = {one.recipe.name: one.run.id for one in (*proof.homes, proof.tuned)}
    wins = best_of([*proof.homes, proof.tuned]).recipe.name
    notes = (*report.notes, *proof.notes)
    if _split(plan) is Split.TEST:
        notes = (*notes, "homes were chosen on the test split, since the dev split is too small")
    return replace(report, adapter=adapter, homes=tuple(homes), gates=proof.gates, runs=runs, wins=wins, notes=notes)


def _decided(report: TuneReport, plan: TunePlan, shop: Shop, adapter: Adapter, proof: Proof) -> TuneReport:
    """Keeps the gates with the adapter; promotes where a slot was named and every gate and the parity are passed."""
    shut = [one for one in proof.gates if one.outcome is not GateOutcome.PASS]
    if shut:
        reason = "; ".join(f"{one.name} {one.outcome}: {one.reason}" for one in shut)
        report = _refused(report, Refusal.GATES, reason)
    elif adapter.parity is None or not adapter.parity.passed:
        reason = f"llama.cpp does not say what was trained: {adapter.parity or 'parity was not measured'}"
        report = _refused(report, Refusal.PARITY, reason)
    elif not report.refused:
        report = replace(report, decision=Decision.PROMOTABLE, reason="every gate is passed")
    kept = AdapterReport(proof.gates, dict(report.runs), f"{report.decision}: {report.reason}")
    adapter = replace(adapter, report=kept)
    shop.registry.update(adapter)
    if report.decision is Decision.PROMOTABLE and plan.name:
        slot = shop.registry.promote(adapter.id, plan.name)
        reason = f'every gate is passed; it answers as "{slot.name}" with {slot.model} from now on'
        report = replace(report, decision=Decision.PROMOTED, reason=reason)
    return replace(report, adapter=adapter)


def _refused(report: TuneReport, refusal: Refusal, reason: str) -> TuneReport:
    if report.refused:
        return report
    return replace(report, decision=Decision.REFUSED, refusal=refusal, reason=reason)


def _scored(one: Measured, split: Split) -> HomeScore:
    ids = list(one.scores.by_id)
    score = estimate([one.scores.by_id[id] for id in ids], [one.scores.groups[id] for id in ids])
    usage = one.run.usage
    tokens = usage.prompt_tokens / max(one.run.timed, 1)
    return HomeScore(
        one.recipe.name, one.home.value, split.value, score, one.run.id, one.run.latency_ms.get("p50"), tokens
    )
