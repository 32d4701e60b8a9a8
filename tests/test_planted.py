"""Faults planted in a made company: they flip a passing case and flip back, nothing is written, and they are found."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from bench.scripted_world import World, make_world

from knowhow.backends.fake import FakeEmbedder
from knowhow.diagnose import proof_report as report
from knowhow.diagnose.case import Lab, failures
from knowhow.diagnose.ground import Ground, Site, site_of
from knowhow.diagnose.planted import FAULTS, Fell, Planted, Planting, healthy_cases, plant
from knowhow.diagnose.proving import Bench, experience, learned, prove
from knowhow.diagnose.signals import signals
from knowhow.types import EVERYTHING, Cause, Filter, Move, Split
from knowhow.workspace.planting import survival

T = TypeVar("T")
USED = {
    "deleted-document", "garbled-parse", "cut-short", "unindexed-passage", "pushed-below-k", "outranked-by-old",
    "schema-omitted", "style-hidden", "labels-hidden", "gold-corrupted", "over-bold",
}  # fmt: skip


def run(flow: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(flow)
        except StopIteration as done:
            result: T = done.value
            return result


class Company:
    """A small made world, its lab, and what was planted in it."""

    def __init__(self, folder: Path) -> None:
        self.world: World = make_world(4, families=3, size=4)
        setup = self.world.setup(folder, FakeEmbedder(256))
        sources = {one.uri: one.text for one in self.world.documents}
        self.lab = Lab(self.world.suite, setup, sources, replace(setup, model=self.world.model("scripted:strong")))
        asked = [(one, self.world.recipes[one.id]) for one in self.world.suite.examples if one.split is not Split.TRAIN]
        tasks: dict[str, list[Any]] = {}
        for pair in asked:
            tasks.setdefault(pair[0].tags[0], []).append(pair)
        self.asked = [pair for of_task in tasks.values() for pair in of_task[:9]]
        self.revision = setup.store.revision()
        faults = [fault for fault in FAULTS if fault.name in USED]
        self.planting: Planting = run(plant(self.lab, self.asked, per_fault=1, seed=1, faults=faults))

    def case(self, fault: str) -> Planted:
        return next(one for one in self.planting.cases if one.faults == (fault,))

    def site(self) -> Site:
        one = next(one for one in self.planting.healthy if one.case.found.pieces and "fact" in one.case.example.tags)
        return site_of(one.case, self.lab)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company(tmp_path_factory.mktemp("company"))


def test_what_is_planted_fails_and_nothing_was_written(company: Company) -> None:
    planted = {one.faults[0] for one in company.planting.cases if len(one.faults) == 1}
    assert len(planted) >= 8  # a small company may hold no example that some of them flip
    assert all(failures(one.case.row) for one in company.planting.cases)
    assert company.lab.setup.store.revision() == company.revision
    for name, tried, kept, fell in survival(company.planting):
        assert tried == kept + sum(fell.values()), name


def test_a_compound_holds_two_faults_that_each_fail_alone(company: Company) -> None:
    compounds = [one for one in company.planting.cases if len(one.faults) == 2]
    assert compounds
    assert all(len(set(one.causes)) == 2 and one.causes[0].side != one.causes[1].side for one in compounds)


def test_the_findings_show_what_was_planted(company: Company) -> None:
    for fault, evidence in (
        ("deleted-document", "absent"),
        ("garbled-parse", "in-source"),
        ("cut-short", "in-source"),
        ("unindexed-passage", "in-source"),
        ("pushed-below-k", "in-candidates"),
    ):
        one = company.case(fault)
        assert signals(one.case, one.lab).findings["evidence"] in (evidence, "unnamed"), fault
    old = company.case("outranked-by-old")
    named = [row["uri"] for row in signals(old.case, old.lab).details["superseded"]]
    assert named == list(old.offending)
    gold = company.case("gold-corrupted")
    assert signals(gold.case, gold.lab).findings["gold"] == "not-stated"


def test_an_edit_moves_the_passages_and_is_seen_by_search_only_here(company: Company) -> None:
    site = company.site()
    place = site.places[0][0]
    ground = Ground(company.lab, 0)
    edited = ground.edited(site, {place: "Nothing is known."})
    assert edited.overlay is not None
    put = edited.overlay.add[0]
    before = company.lab.setup.store.document(place.uri, Filter(access=frozenset({EVERYTHING})))
    assert before is not None
    assert put.document.text == before.text[: place.start] + "Nothing is known." + before.text[place.end :]
    assert "".join(put.document.text[p.start : p.end] for p in put.passages) == put.document.text.replace("\n\n", "")
    assert edited.sources[place.uri] == before.text


def test_a_sick_example_and_a_fault_that_changes_nothing_are_kept_out(company: Company) -> None:
    example, recipe = company.asked[0]
    wrong = replace(example, expect=replace(example.expect, facts=(("never said",),), abstain=None))
    assert [found for _, found in healthy_cases(company.lab, [(wrong, recipe)])] == [None]
    idle = replace(next(fault for fault in FAULTS if fault.name == "small-k"), plant=lambda _, site: site)
    found = run(plant(company.lab, company.asked[:8], per_fault=1, seed=1, faults=[idle]))
    assert not found.cases
    assert Fell.NOT_FLIPPED in found.fell["small-k"]


def test_a_proof_learns_diagnoses_and_reports(company: Company) -> None:
    bench = Bench(company.planting.cases)
    known = run(experience(bench, draws=1))
    assert {trial.move for case in known for trial in case.trials} >= {Move.GOLD, Move.REPLAY, Move.INSTRUCTED}
    rates = learned("scripted", known, company.planting.healthy, company.lab)
    proof = run(prove(bench, rates))
    scores = {one.name: one for one in proof.scores}
    assert scores["sequential"].accuracy >= 0.8  # learned on the same cases: that it can be told at all
    assert scores["sequential"].calls <= 10
    assert scores["pooled"].calls <= 3
    assert scores["every move once"].calls > scores["sequential"].calls
    assert proof.offending == (1, 1)
    told = report.markdown(proof, survival(company.planting), "Proof")
    assert "| sequential |" in told
    assert "<svg" in report.html(proof, survival(company.planting), "Proof")
    assert report.proof_json(proof, survival(company.planting))["superseded"] == {"planted": 1, "named": 1}


def test_every_cause_can_be_planted_and_every_kind_has_a_name_of_its_own() -> None:
    assert {fault.cause for fault in FAULTS} == set(Cause) - {Cause.UNDETERMINED}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 10
