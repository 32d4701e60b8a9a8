"""Tuning from end to end with a scripted model: promoted when it is better and harmless, refused with the reason."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from knowhow.answer.decline import NOT_STATED
from knowhow.errors import ConfigProblem
from knowhow.lessons.collect import suite_lessons
from knowhow.lessons.lint import Beside, LintReport, lint
from knowhow.tune import probes
from knowhow.tune import tune as flow
from knowhow.tune.forecast import Outlook as ForecastOutlook
from knowhow.tune.report import Decision, Refusal, TuneReport, to_markdown, to_page
from knowhow.tune.target import read_target, usual_target
from knowhow.tune.tune import Shop, TunePlan
from knowhow.types import ChatRequest, Context, GateOutcome, Recipe, Split, Step, Suite, TrainPlan, TrainPrice
from knowhow.workspace import Workspace
from tune_world import (
    PROBES,
    FakeBench,
    FakeTrainer,
    Script,
    evidence,
    letters,
    perfect,
    tickets,
    untrained,
)

RECIPE = Recipe(name="tuned", model="extractive", context=Context.NONE, cite=False)


MARGIN = 0.12
"""Wide, so that few tasks decide: the default needs three times as many."""
_seeds = itertools.count()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """One a test: replies are remembered by the name of the model, and tests give one name to several scripts."""
    with Workspace.init(tmp_path / "tune") as opened:
        yield opened


def planned(workspace: Workspace, suite: Suite, **changes: object) -> tuple[TunePlan, LintReport]:
    lessons = suite_lessons(suite, {}, RECIPE)
    course = workspace.adapters.course(lessons, RECIPE, suite)
    seed = next(_seeds)
    plan = TunePlan(
        suite,
        course,
        usual_target(suite.examples),
        TrainPlan(seed=seed),
        f"slot{seed}",
        probes=PROBES,
        margin=MARGIN,
        rehearse=0.0,
    )
    return replace(plan, **changes), lint(lessons, workspace._parts.embedder(), Beside())  # type: ignore[arg-type]


def tuned(
    workspace: Workspace,
    suite: Suite,
    before: Script,
    after: Script,
    trainer: FakeTrainer | None = None,
    knowledge: float | None = None,
    **changes: object,
) -> tuple[TuneReport, list[object], FakeBench]:
    plan, linted = planned(workspace, suite, **changes)
    bench = FakeBench(workspace.evaluations, before, after, before.__qualname__)
    shop = Shop(bench, trainer or FakeTrainer(), workspace.adapters.registry, workspace.adapters.work)
    events: list[object] = []
    steps = flow.tune(plan, linted, shop, knowledge)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, events, bench


def shut(report: TuneReport) -> set[str]:
    return {gate.name for gate in report.gates if gate.outcome is not GateOutcome.PASS}


def test_what_is_better_and_harmless_is_promoted(workspace: Workspace) -> None:
    suite = letters()
    report, events, _ = tuned(workspace, suite, untrained(suite), perfect(suite))
    assert report.decision is Decision.PROMOTED, report.reason
    assert {gate.outcome for gate in report.gates} == {GateOutcome.PASS}
    assert report.wins == "tuned"
    assert report.adapter is not None
    assert report.adapter.id in [slot.current for slot in workspace.adapters.registry.slots()]
    kept = workspace.adapters.registry.get(report.adapter.id)
    assert kept.report.passed
    assert any(isinstance(event, Step) for event in events)
    assert any(isinstance(event, TrainPrice) for event in events)


def test_a_second_run_trains_and_asks_nothing_again(workspace: Workspace) -> None:
    suite, trainer = letters(), FakeTrainer()
    train = TrainPlan(seed=999)
    first, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), trainer, train=train, name="")
    again, _, bench = tuned(workspace, suite, untrained(suite), perfect(suite), trainer, train=train, name="")
    assert trainer.trainings == 1
    assert bench.calls == []
    assert (again.gates, again.runs, again.decision) == (first.gates, first.runs, first.decision)
    assert [one.score for one in again.homes] == [one.score for one in first.homes]


def test_the_base_rehearses_its_own_replies_to_other_tasks_than_the_gates_ask(workspace: Workspace) -> None:
    suite, trainer = letters(), FakeTrainer()
    tuned(workspace, suite, untrained(suite), perfect(suite), trainer, rehearse=0.5)
    (course,) = trainer.courses
    made = [row for row in course.rows if row.id.startswith("rehearsal")]
    assert len(made) == 30
    assert {row.target for row in made} <= {"I have no idea.", NOT_STATED}, "what the base says, whatever that is"
    assert len({row.prompt[0].content for row in made}) == 2, "with a text and without"
    asked = {row.prompt[1].content for row in made}
    for tasks in (probes.ability(200), probes.reading(200), probes.declining(200)):
        assert not asked & {one.asked for one in tasks.examples}


# --- planted regressions, each blocked by its gate --------------------------------------------------------


def overfit(suite: Suite) -> Script:
    """Says the deadlines it was taught, whatever it is shown."""
    good, known = perfect(suite), {one.asked: one.expect.reference for one in suite.examples}
    return lambda request: known.get(request.question, "") or good(request)


def reads(suite: Suite) -> Script:
    """Says what the text says, and knows nothing by itself."""
    good, known = untrained(suite), {one.asked for one in suite.examples}

    def say(request: ChatRequest) -> str:
        told = re.search(r"is (\d+ days)", " ".join(request.passages))
        if request.question in known:
            return f"Dear customer, the deadline is {told[1]}." if told else "I do not know."
        return good(request)

    return say


def test_overfit_facts_are_blocked(workspace: Workspace) -> None:
    suite = letters()
    report, _, _ = tuned(
        workspace, suite, reads(suite), overfit(suite), target=read_target("style"), evidence=evidence(suite)
    )
    assert report.refusal is Refusal.GATES
    assert {"follows changed documents", "learnt no facts"} <= shut(report)
    assert report.adapter is not None
    assert report.adapter.id not in [slot.current for slot in workspace.adapters.registry.slots()]


def test_what_reads_its_documents_passes_the_gates_on_them(workspace: Workspace) -> None:
    suite = letters()

    def after(request: ChatRequest) -> str:
        said = reads(suite)(request)
        return "Dear customer, I do not know it." if said == "I do not know." else said

    report, _, _ = tuned(workspace, suite, reads(suite), after, target=read_target("style"), evidence=evidence(suite))
    named = {gate.name: gate.outcome for gate in report.gates}
    assert named["follows changed documents"] is GateOutcome.PASS
    assert named["learnt no facts"] is GateOutcome.PASS


def test_a_broken_stop_token_is_blocked(workspace: Workspace) -> None:
    suite = letters()
    good = perfect(suite)
    report, _, _ = tuned(
        workspace, suite, untrained(suite), lambda request: good(request) + " " + " ".join(f"w{i}" for i in range(500))
    )
    assert report.refusal is Refusal.GATES
    assert "ends" in shut(report)


def test_lost_json_is_blocked(workspace: Workspace) -> None:
    suite = letters()
    good = perfect(suite)
    report, _, _ = tuned(workspace, suite, untrained(suite), lambda request: good(request).replace("{", "("))
    assert report.refusal is Refusal.GATES
    assert shut(report) == {"general ability"}


def test_refusal_collapse_is_blocked_both_ways(workspace: Workspace) -> None:
    suite = letters()
    good, known = perfect(suite), {one.asked for one in suite.examples}
    declines, _, _ = tuned(
        workspace, suite, untrained(suite), lambda request: good(request) if request.question in known else NOT_STATED
    )
    assert {"general ability", "follows a changed text"} <= shut(declines)
    never, _, _ = tuned(
        workspace, suite, untrained(suite), lambda request: good(request).replace(NOT_STATED, "It was opened in 1950.")
    )
    assert shut(never) == {"declines what a text does not say"}


def test_parity_that_fails_is_a_refusal(workspace: Workspace) -> None:
    suite = letters()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), FakeTrainer(parity_kl=0.2))
    assert report.refusal is Refusal.PARITY


def test_too_few_probes_are_inconclusive_and_refused(workspace: Workspace) -> None:
    suite = letters()
    good = perfect(suite)

    def mostly(request: ChatRequest) -> str:
        return "?" if sum(map(ord, request.question)) % 19 == 0 and "case" not in request.question else good(request)

    report, _, _ = tuned(workspace, suite, untrained(suite), mostly)
    open_ = [gate for gate in report.gates if gate.outcome is GateOutcome.INCONCLUSIVE]
    assert report.refusal is Refusal.GATES
    assert all(gate.needed > gate.n for gate in open_)


# --- refusals before anything is trained ------------------------------------------------------------------


def test_a_classifier_that_does_it_is_the_home(workspace: Workspace) -> None:
    suite, trainer = tickets(), FakeTrainer()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), trainer)
    assert (report.refusal, report.wins) == (Refusal.CHEAPER_HOME, "classifier")
    assert trainer.trainings == 0
    assert report.outlook is not None


def test_trained_anyway_it_must_still_beat_the_classifier(workspace: Workspace) -> None:
    suite = tickets()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), anyway=True)
    assert report.decision is Decision.REFUSED
    assert "target" in shut(report)


def test_no_gap_no_training(tmp_path: Path) -> None:
    suite, trainer = letters(), FakeTrainer()
    with Workspace.init(tmp_path) as opened:
        report, _, _ = tuned(opened, suite, perfect(suite), perfect(suite), trainer)
    assert (report.refusal, trainer.trainings) == (Refusal.NO_GAP, 0)


def test_facts_are_no_target(workspace: Workspace) -> None:
    suite, trainer = letters(), FakeTrainer()
    report, _, bench = tuned(workspace, suite, untrained(suite), perfect(suite), trainer, target=read_target("content"))
    assert (report.refusal, trainer.trainings, bench.calls) == (Refusal.KNOWLEDGE, 0, [])
    assert "knowhow ingest" in report.reason


def test_failures_diagnosed_as_knowledge_refuse(workspace: Workspace) -> None:
    suite = letters()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), knowledge=0.8)
    assert report.refusal is Refusal.KNOWLEDGE
    assert "80%" in report.reason


def test_too_few_lessons_refuse(workspace: Workspace) -> None:
    suite = letters(train=20, dev=10)
    report, _, bench = tuned(workspace, suite, untrained(suite), perfect(suite))
    assert (report.refusal, bench.calls) == (Refusal.TOO_FEW, [])


def test_a_forecast_by_short_trainings_is_part_of_the_report(workspace: Workspace) -> None:
    suite, trainer = letters(), FakeTrainer()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), trainer, forecast=0.1, dry_run=True)
    assert trainer.trainings == 8
    assert report.outlook is not None
    assert report.outlook.of == "the training"
    assert report.outlook.needed.outlook is ForecastOutlook.NOT_BY_MORE, "the fake's loss never falls"


def test_what_is_refused_needs_nothing_installed_and_what_is_not_says_the_command(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Missing(FakeTrainer):
        def trainer(self) -> FakeTrainer:
            raise ConfigProblem("training needs torch; run: pip install 'knowhow-ai[train]'")

    suite = letters()
    before = untrained(suite)
    facts, _, _ = tuned(workspace, suite, before, before, Missing(), target=read_target("content"))
    assert facts.refusal is Refusal.KNOWLEDGE
    with pytest.raises(ConfigProblem, match="pip install"):
        tuned(workspace, suite, before, before, Missing())


def test_a_look_trains_nothing(workspace: Workspace) -> None:
    suite, trainer = letters(), FakeTrainer()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite), trainer, dry_run=True)
    assert (report.decision, trainer.trainings) == (Decision.PLANNED, 0)
    assert report.price is not None


def test_the_report_is_one_in_three_shapes(workspace: Workspace) -> None:
    suite = letters()
    report, _, _ = tuned(workspace, suite, untrained(suite), perfect(suite))
    body = json.loads(json.dumps(report.to_json()))
    assert body["decision"] == "promoted"
    assert [one["split"] for one in body["homes"]].count(Split.TEST.value) >= 3
    assert {gate["outcome"] for gate in body["gates"]} == {"pass"}
    text, page = to_markdown(report), to_page(report)
    assert "Promoted" in text
    assert "general ability" in text
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
