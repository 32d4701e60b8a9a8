"""Diagnose a run's failures: causes, clusters, fixes, the bound of calls, interruptions and models that fail."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from answer_world import OPEN
from diagnose_world import RETURNS, Bench, bench, example, reader
from knowhow.backends.fake import FakeChat
from knowhow.diagnose.case import Case, Lab, open_case
from knowhow.diagnose.clusters import kind
from knowhow.diagnose.diagnose import Plan, diagnose, planned
from knowhow.diagnose.rates import Rates
from knowhow.errors import ProviderKind, ProviderProblem
from knowhow.types import CaseDiagnosis, Cause, ChatRequest, Diagnosis, Example, Home, Progress

LABELLED = example("ticket", "My parcel never came.", label="shipping", labels=["returns", "shipping", "billing"])
DOWN = ProviderProblem("nothing answers at localhost:1", ProviderKind.UNREACHABLE)


def speak(request: ChatRequest) -> str:
    if "parcel" in request.question:
        asked = request.schema is not None or "exactly one of these labels" in request.messages[0].content
        return ('"shipping"' if request.schema else "shipping") if asked else "It is about shipping, I think."
    return reader(request)


def missing(world: Bench, count: int = 1) -> list[Example]:
    """Examples whose document was never ingested."""
    return [
        example(
            f"bonus-{n}",
            f"How high is the bonus of level {n}?",
            facts=[f"{n}7 euros"],
            evidence=[{"source": f"hr/bonus-{n}.md", "quote": f"The bonus of level {n} is {n}7 euros."}],
        )
        for n in range(1, count + 1)
    ]


def opened(world: Bench, examples: Sequence[Example]) -> tuple[list[Case], Lab]:
    cases = [world.case(one) for one in examples]
    return [case for case, _ in cases], cases[-1][1]


def finish(flow: Generator[Progress | CaseDiagnosis, None, Diagnosis]) -> Diagnosis:
    while True:
        try:
            next(flow)
        except StopIteration as done:
            result: Diagnosis = done.value
            return result


def plan(cases: Sequence[Case], **changes: object) -> Plan:
    return replace(planned("run1", "shop", 20, len(cases)), **changes)  # type: ignore[arg-type]


def test_a_missing_document_and_a_form_never_asked_for_are_told_apart(tmp_path: Path) -> None:
    world = bench(tmp_path, speak)
    cases, lab = opened(world, [*missing(world), LABELLED])
    found = finish(diagnose(cases, lab, Rates(), plan(cases)))
    by_id = {case.id: case for case in found.cases}
    assert by_id["bonus-1"].causes == (Cause.MISSING,)
    assert by_id["ticket"].causes == (Cause.LABEL,)
    assert by_id["bonus-1"].fix is not None
    assert by_id["bonus-1"].fix.home is Home.DOCUMENTS
    assert by_id["ticket"].fix is not None
    assert by_id["ticket"].fix.home is Home.SCHEMA
    assert len(found.clusters) == 2
    assert found.calls == sum(case.calls for case in found.cases) <= 20
    assert "hr/bonus-1.md" in by_id["bonus-1"].why


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 5])
def test_the_bound_of_calls_is_never_exceeded(tmp_path: Path, calls: int) -> None:
    world = bench(tmp_path, speak)
    cases, lab = opened(world, [*missing(world, 3), LABELLED])
    before = len(world.model.requests)
    found = finish(diagnose(cases, lab, Rates(), plan(cases, calls=calls)))
    assert len(world.model.requests) - before <= calls
    assert found.calls <= calls
    if not calls:
        assert all(case.stopped == "no calls were allowed: signals only" for case in found.cases)
        assert "signals alone" in found.notes[0]


def test_the_same_failures_give_the_same_report_whatever_the_workers_and_interruptions(tmp_path: Path) -> None:
    world = bench(tmp_path, speak)
    cases, lab = opened(world, [*missing(world, 3), LABELLED])
    flow = diagnose(cases, lab, Rates(), plan(cases, workers=1))
    for event in flow:
        if isinstance(event, Progress) and event.done >= 3:
            flow.close()
    asked = len(world.model.requests)
    first = finish(diagnose(cases, lab, Rates(), plan(cases, workers=4)))
    made = len(world.model.requests)
    second = finish(diagnose(cases, lab, Rates(), plan(cases, workers=1)))
    assert first == second
    assert len(world.model.requests) == made, "no trial is made twice"
    assert made - asked < first.calls, "those made before the interruption are kept"


def test_a_model_that_goes_down_half_way_leaves_what_was_found(tmp_path: Path) -> None:
    world = bench(tmp_path, speak)
    cases, lab = opened(world, [*missing(world, 3), LABELLED])
    world.model._failures = dict.fromkeys(range(len(world.model.requests) + 3, 99), DOWN)
    found = finish(diagnose(cases, lab, Rates(), plan(cases, workers=1)))
    assert "localhost:1" in found.stopped
    assert 1 <= found.calls < 5
    assert len(found.cases) == 4
    world.model._failures = {}
    assert not finish(diagnose(cases, lab, Rates(), plan(cases))).stopped


def test_no_failure_is_no_diagnosis(tmp_path: Path) -> None:
    world = bench(tmp_path, speak)
    found = finish(diagnose([], world.lab(), Rates(), plan([])))
    assert (found.failed, found.calls, found.clusters, found.cases) == (0, 0, (), ())


def test_a_cluster_judged_together_takes_few_calls_and_its_gain_is_in_points_of_the_suite(tmp_path: Path) -> None:
    world = bench(tmp_path, speak)
    cases, lab = opened(world, missing(world, 12))
    found = finish(diagnose(cases, lab, Rates(), plan(cases, pooled=True, most=3, calls=36)))
    assert found.calls <= 36
    assert sum(cluster.n for cluster in found.clusters) == 12
    top = found.clusters[0].causes[0]
    assert top.cause is Cause.MISSING
    assert top.share > 0.8
    fix = found.clusters[0].fix
    assert fix is not None
    if fix.expected_gain is not None:
        assert 0.3 <= fix.expected_gain <= 12 / 20


def test_pooling_is_the_default_for_many_failures() -> None:
    assert not planned("r", "s", 100, 10).pooled
    many = planned("r", "s", 100, 31)
    assert (many.pooled, many.most, many.calls) == (True, 3, 93)
    assert planned("r", "s", 100, 31, pool=False).calls == 310
    assert planned("r", "s", 100, 31, max_calls=7).calls == 7


def test_a_purged_document_takes_its_trials_with_it(tmp_path: Path) -> None:
    world = bench(tmp_path, lambda _: "Within 30 days [1].")
    case, lab = world.case()
    finish(diagnose([case], lab, Rates(), plan([case])))
    assert any(world.world.records.select("trial", frozenset({"*"})))
    world.world.records.purge("policies/returns.md")
    held = [str(record.body) for record in world.world.records.select("trial", frozenset({"*"}))]
    assert not any("45 business days" in body for body in held)


def test_a_question_kind_is_read_from_its_first_words() -> None:
    assert kind("How long can a laptop be returned?") == "how much or how many"
    assert kind("And when did it open?") == "when"
    assert kind("Is it allowed?") == "yes or no"
    assert kind("Laptop broken.") == ""


def test_a_case_without_its_trace_is_opened_from_a_search(tmp_path: Path) -> None:
    world = bench(tmp_path, lambda _: "Within 30 days [1].")
    case, lab = world.case()
    blind = open_case(RETURNS, OPEN, [replace(row, trace_id="") for row in case.rows], lab)
    assert {hit.uri for hit in blind.shown} >= {hit.uri for hit in case.shown}
    assert isinstance(lab.setup.model, FakeChat)
