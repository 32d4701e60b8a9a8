"""Tuning in a workspace: lessons collected and linted, the plan made, the flow run with this workspace's parts."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.answer.feedback import KIND as FEEDBACK
from knowhow.answer.trace import KIND as TRACE
from knowhow.diagnose.report import KIND as DIAGNOSIS
from knowhow.errors import ConfigProblem, NotFound, ProviderProblem, UsageProblem
from knowhow.evaluate.classifier import MODEL as CLASSIFIER
from knowhow.evaluate.classifier import save_classifier, suite_classifier
from knowhow.evaluate.evaluate import evaluate, rows_of
from knowhow.lessons.collect import by_split, check_lessons, held_out, joined, suite_lessons, trace_lessons
from knowhow.lessons.grounding import Grounding, grounded
from knowhow.lessons.lint import Beside, LintReport, lint
from knowhow.lessons.prompts import Prompter, example_of
from knowhow.lessons.rehearsal import SHARE
from knowhow.ports import Record
from knowhow.suites import locate_evidence
from knowhow.tune.report import TuneReport
from knowhow.tune.target import read_target, usual_target
from knowhow.tune.tune import Shop, TuneEvent, TunePlan, tune
from knowhow.types import (
    EVERYTHING,
    Cause,
    Check,
    Document,
    Expect,
    Filter,
    Json,
    LeftOut,
    Lesson,
    Lessons,
    Located,
    Message,
    Outcome,
    Progress,
    Recipe,
    Row,
    Side,
    Split,
    Suite,
    SuiteProblem,
    TrainPlan,
    fingerprint,
)
from knowhow.types.plain import to_plain
from knowhow.workspace.adapting import Adapters
from knowhow.workspace.evaluating import Evaluations
from knowhow.workspace.parts import Parts

CLASSIFIERS = "classifiers"
"""Folder beside the databases with classifiers that did best."""
TUNING = "tuning"
"""Kind of the records that keep reports."""
_ALL = frozenset({EVERYTHING})
_TRACES = 10_000
"""Newest traces that are looked through for feedback."""
_RECENT = 50
_AROUND = 200
"""Characters shown before and after a quote."""
_ASKED = 100
"""Lessons the base model is asked, to see what it does already."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Lessons with the lines that are none."""

    lessons: Lessons
    problems: tuple[SuiteProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """What a person asks for: a suite to prove on, where lessons come from, how to train, how far to go."""

    suite: Suite | None
    """None: a part of the lessons is kept from the training and proves it."""
    recipe: Recipe
    train: TrainPlan
    name: str
    """Of the lessons."""
    files: Sequence[Path] = ()
    """Lessons; without any, and without `traces`, the suite's train split."""
    traces: bool = False
    target: str = ""
    """Empty = what most examples say is right."""
    promote: str = ""
    probes: int = 250
    margin: float = 0.05
    grounded: bool = False
    """Show evidence among distractors, and a share of the lessons none."""
    rehearse: float = SHARE
    leave_out: bool = False
    anyway: bool = False
    forecast: float | None = None
    dry_run: bool = False


class Tuning:
    """The tuning side of a workspace. Like an evaluation it sees what the examples of the suite may see."""

    def __init__(self, parts: Parts, evaluations: Evaluations, adapters: Adapters) -> None:
        self._parts = parts
        self._evaluations = evaluations
        self._adapters = adapters

    # lessons

    def file_lessons(self, path: Path) -> Collected:
        """The lessons of a JSONL or CSV file, with every line that is none. Raises `NotFound`."""
        lessons, problems = check_lessons(path)
        return Collected(lessons, tuple(problems))

    def suite_lessons(self, suite: Suite, recipe: Recipe) -> Collected:
        """The train split as lessons, the dev split to validate by."""
        return Collected(suite_lessons(suite, self._located(suite), recipe))

    def trace_lessons(self) -> Collected:
        """What people said of stored answers, as lessons; the newest 10,000 traces are looked through."""
        said: dict[str, list[Json]] = {}
        for record in self._parts.records.select(FEEDBACK, _ALL, oldest_first=True):
            said.setdefault(record.parent, []).append(record.body)
        traces = self._parts.records.select(TRACE, _ALL, limit=_TRACES)
        return Collected(trace_lessons((one.body for one in traces if one.id in said), said))

    def all_lessons(self, name: str, parts: Sequence[Collected]) -> Collected:
        """Several sources as one."""
        problems = tuple(problem for part in parts for problem in part.problems)
        return Collected(joined(name, *(part.lessons for part in parts)), problems)

    def grounded(self, lessons: Lessons, recipe: Recipe, how: Grounding | None = None) -> Lessons:
        """Lessons with a context, shown among distractors, and a share without evidence that declines."""
        return grounded(lessons, recipe, self._parts.store, self._parts.embedder(), how)

    def lint(
        self,
        collected: Collected,
        recipe: Recipe,
        against: Suite | None,
        train: TrainPlan,
        known: frozenset[str] | None,
    ) -> LintReport:
        """Every fault of lessons as `recipe` would ask them, held against the test split of `against`.

        Tokens are counted by the tokenizer of the model that is trained.
        """
        beside = Beside(
            problems=collected.problems,
            test=None if against is None else [one for one in against.examples if _proves(one.split)],
            store=self._parts.store if self._has_documents() else None,
            left_out=self._left_out(collected.lessons, recipe, train.max_tokens),
            known=known,
        )
        return lint(collected.lessons, self._parts.embedder(), beside)

    def known(self, lessons: Lessons, recipe: Recipe) -> Generator[Progress, None, frozenset[str]]:
        """Ids among the first 100 lessons that the base model does right without training."""
        bare = replace(recipe, adapter="")
        some = [one for one in lessons.lessons if one.split is Split.TRAIN][:_ASKED]
        suite = Suite(lessons.name, tuple(replace(example_of(one), expect=_expected(one)) for one in some))
        setup = self._evaluations.setup(bare, suite)
        flow = evaluate(suite, bare, setup, split=Split.TRAIN, grounding=False)
        while True:
            try:
                event = next(flow)
            except StopIteration as done:
                return frozenset(row.id for row in rows_of(setup, done.value.id) if _all_right(row))
            if isinstance(event, Progress):
                yield event

    # the flow

    def plan(self, asked: TuneRequest) -> tuple[TunePlan, LintReport]:
        """The lessons collected, linted and made rows of. Raises `UsageProblem` where there is nothing to learn from or
        nothing to prove it on, `NotFound` for a file, suite or recipe that is not there."""
        parts = [self.file_lessons(path) for path in asked.files]
        parts += [self.trace_lessons()] if asked.traces else []
        if not parts and asked.suite is not None:
            parts = [self.suite_lessons(asked.suite, asked.recipe)]
        collected = self.all_lessons(asked.name, parts)
        suite = asked.suite or held_out(collected.lessons)
        if not collected.lessons.lessons and not collected.problems:
            raise UsageProblem(
                f"there is nothing to learn from: {asked.name} has no train split that says what is right "
                f"(`knowhow suite split`), or nobody judged an answer"
            )
        lessons = collected.lessons if asked.suite else by_split(collected.lessons, suite)
        if asked.grounded:
            lessons = self.grounded(lessons, asked.recipe)
        linted = self.lint(replace(collected, lessons=lessons), asked.recipe, suite, asked.train, None)
        if asked.leave_out:
            kept = tuple(one for row, one in enumerate(lessons.lessons, 1) if row not in linted.faulty)
            out = len(lessons.lessons) - len(kept)
            lessons = replace(lessons, lessons=kept, notes=(*lessons.notes, f"{out} lessons with errors are left out"))
            linted = self.lint(Collected(lessons), asked.recipe, suite, asked.train, None)
        if not any((one.split or Split.TEST) is Split.TEST and not one.draft for one in suite.examples):
            raise UsageProblem(f"{suite.name} has no test split to prove anything on; `knowhow suite split` makes one")
        target = read_target(asked.target) if asked.target else usual_target(suite.examples)
        plan = TunePlan(
            suite,
            self._adapters.course(lessons, asked.recipe, suite),
            target,
            asked.train,
            name=asked.promote,
            probes=asked.probes,
            margin=asked.margin,
            rehearse=asked.rehearse,
            anyway=asked.anyway,
            forecast=asked.forecast,
            dry_run=asked.dry_run,
            evidence=self._evidence(suite),
        )
        return plan, linted

    def tune(self, plan: TunePlan, linted: LintReport) -> Generator[TuneEvent, None, TuneReport]:
        """See `knowhow.tune.tune`; the report is kept. Raises `ConfigProblem` with the command where the extra `train`
        is missing and nothing else speaks against a training."""
        shop = Shop(self._evaluations, self._adapters, self._adapters.registry, self._adapters.work)
        report = yield from tune(plan, linted, shop, self._knowledge(plan.suite))
        if report.wins == CLASSIFIER and report.refused:
            report = replace(report, notes=(*report.notes, self._keep_classifier(plan.suite)))
        key = fingerprint([plan.suite.hash, plan.course.lessons.hash, str(plan.target), to_plain(plan.train)])
        self._parts.records.put([Record(TUNING, key, {**report.to_json(), "at": time.time()})])
        return report

    def reports(self, *, limit: int = 20) -> list[Json]:
        """What earlier tunings came to, newest first."""
        return [record.body for record in self._parts.records.select(TUNING, _ALL, limit=limit)]

    def _keep_classifier(self, suite: Suite) -> str:
        """Writes the classifier that won, so that it can be asked; returns how."""
        folder = self._adapters.work.parent / CLASSIFIERS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{suite.hash}.npz"
        save_classifier(suite_classifier(suite, self._parts.embedder()).linear, path)
        return f'the classifier is kept: a recipe with model = "{CLASSIFIER}:{path}" answers with it'

    def _knowledge(self, suite: Suite) -> float | None:
        """Share of knowledge among the sided causes of the newest diagnosis of a run of this suite; None without."""
        runs = {body["run_id"] for body in self._evaluations.runs(limit=None) if body["suite"] == suite.name}
        for record in self._parts.records.select(DIAGNOSIS, _ALL, limit=_RECENT):
            if record.body["run_id"] in runs:
                shares = {one["cause"]: one["share"] for one in record.body["causes"]}
                sided = {name: share for name, share in shares.items() if Cause(name).side is not None}
                known = sum(share for name, share in sided.items() if Cause(name).side is Side.KNOWLEDGE)
                return known / sum(sided.values()) if sum(sided.values()) > 0 else None
        return None

    # the parts

    def _left_out(self, lessons: Lessons, recipe: Recipe, most: int) -> list[LeftOut] | None:
        """Lessons that are too long for a training, or whose context is gone, by the base model's own tokenizer; None
        where that model cannot be opened."""
        try:
            model = self._parts.chat(recipe.model)
        except (ConfigProblem, NotFound, ProviderProblem):
            return None
        prompter = Prompter(
            recipe, Suite(lessons.name, ()), store=self._parts.store, embedder=self._parts.embedder(), model=model
        )
        if recipe.shots:
            return []
        made = prompter(lessons.lessons)
        found = list(made.left_out)
        for row in made.rows:
            target = model.count([Message("assistant", row.target)])
            tokens = model.count(row.prompt) + target
            if tokens > most:
                found.append(LeftOut(row.id, f"more than {most} tokens", target))
        return found

    def _evidence(self, suite: Suite) -> dict[str, str]:
        """Example id → the text of its first evidence, wide enough to be read as a document."""
        found = {}
        for id, items in self._located(suite).items():
            place = next((item.ranges[0] for item in items if item.ranges), None)
            document = self._parts.store.document(place.uri, Filter(access=_ALL)) if place else None
            if place and document:
                found[id] = document.text[max(place.start - _AROUND, 0) : place.end + _AROUND]
        return found

    def _located(self, suite: Suite) -> Mapping[str, tuple[Located, ...]]:
        return locate_evidence(suite.examples, self._document)

    def _document(self, uri: str, as_of: float | None) -> Document | None:
        return self._parts.store.document(uri, Filter(access=_ALL, as_of=as_of))

    def _has_documents(self) -> bool:
        return any(True for _ in self._parts.store.documents(Filter(access=_ALL)))


def _proves(split: Split | None) -> bool:
    return (split or Split.TEST) is Split.TEST


def _expected(lesson: Lesson) -> Expect:
    """What the base model would have to say: what the suite expects, else the very reply."""
    return lesson.expect if lesson.expect != Expect() else Expect(facts=((lesson.target,),))


def _all_right(row: Row) -> bool:
    found = [row.verdicts[check].outcome for check in Check if check is not Check.GROUNDED]
    measured = [outcome for outcome in found if outcome is not Outcome.UNMEASURED]
    return bool(measured) and all(outcome is Outcome.PASS for outcome in measured)
