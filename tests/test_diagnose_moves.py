"""Signals and interventions: each does what it says to a case whose fault is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_world import OPEN
from answer_world import RETURNS as RETURNS_TEXT
from diagnose_world import QUESTION, bench, example, reader
from knowhow.diagnose.interventions import attempt, moves
from knowhow.diagnose.passages import shows
from knowhow.diagnose.signals import Signal, signals
from knowhow.diagnose.swap import swap
from knowhow.errors import UsageProblem
from knowhow.evaluate.statements import Mention, mention
from knowhow.ports import Overlay
from knowhow.types import ChatRequest, Example, Move, Response, Sampling, Side, Split, Suite

K, B = Side.KNOWLEDGE, Side.BEHAVIOUR


def stubborn(request: ChatRequest) -> str:
    return "Laptops can be returned within 30 days [1]."


# --- where the evidence is --------------------------------------------------------------------------------


def test_evidence_that_was_shown_and_ignored(tmp_path: Path) -> None:
    case, lab = bench(tmp_path, stubborn).case()
    found = signals(case, lab)
    assert found.findings["evidence"] == "in-context"
    assert found.findings["gold"] == "stated"
    assert "content" in found.findings["failed"]
    assert set(found.findings) == {name.value for name in Signal}


def test_a_deleted_document_is_absent_and_its_quote_stands_for_it(tmp_path: Path) -> None:
    world = bench(tmp_path)
    case, lab = world.case(overlay=Overlay(frozenset({"policies/returns.md"})))
    assert signals(case, lab).findings["evidence"] == "absent"
    trial = attempt(case, lab, Move.GOLD, 0)
    assert trial.responses[K] is Response.PASS
    assert "45 business days" in trial.answer
    assert attempt(case, lab, Move.REPLAY, 1).responses[K] is Response.FAIL


def test_what_only_the_source_says_is_lost(tmp_path: Path) -> None:
    world = bench(tmp_path, sources={"policies/returns.md": RETURNS_TEXT})
    garbled = replace(
        world.world.put("policies/returns.md", "L?pt?ps c?n b? r?t?rn?d w?th?n 4? b?s?n?ss d?ys of d?liv?ry.")
    )
    assert garbled.uri
    case, lab = world.case()
    assert signals(case, lab).findings["evidence"] == "in-source"
    assert attempt(case, lab, Move.GOLD, 0).responses[K] is Response.PASS


def test_a_low_k_leaves_the_evidence_among_the_candidates_and_a_wide_context_brings_it(tmp_path: Path) -> None:
    world = bench(tmp_path)
    for n in range(3):
        world.world.put(f"faq/{n}.md", f"How long can a laptop be rented? A laptop can be rented for {n + 2} weeks.")
    case, lab = world.case(recipe=replace(OPEN, k=1, budget=200))
    found = signals(case, lab)
    assert (found.findings["evidence"], found.findings["cut-by"]) == ("in-candidates", "below-k")
    assert found.details["evidence"][0]["rank"] > 1
    assert found.details["depth"] == 100
    trial = attempt(case, lab, Move.WIDE, 0)
    assert "45 business days" in str(world.model.requests[-1].messages[-1].content)
    assert trial.draw == 0


def test_evidence_behind_the_budget_was_cut_off_and_not_missed_by_search(tmp_path: Path) -> None:
    world = bench(tmp_path, stubborn)
    world.world.put("policies/returns.md", "How long a laptop can be returned is told here. " * 4 + RETURNS_TEXT)
    case, lab = world.case(recipe=replace(OPEN, k=1, budget=30))
    found = signals(case, lab).findings
    assert (found["evidence"], found["cut-by"], found["truncated"]) == ("in-candidates", "over-budget", "evidence")


def test_an_asker_without_the_tags_is_told_so_and_nothing_is_shown_to_the_model(tmp_path: Path) -> None:
    world = bench(tmp_path)
    world.world.put("policies/returns.md", RETURNS_TEXT, access=frozenset({"hr"}))
    case, lab = world.case()
    assert signals(case, lab).findings["evidence"] == "hidden"
    assert moves(case, lab)[Move.GOLD]
    for move, why in moves(case, lab).items():
        if not why:
            attempt(case, lab, move, 0)
    assert not any("45 business" in message.content for one in world.model.requests for message in one.messages)


def test_a_source_that_the_asker_may_not_see_is_not_read_for_them(tmp_path: Path) -> None:
    world = bench(tmp_path, sources={"policies/returns.md": RETURNS_TEXT})
    world.world.put("policies/returns.md", "Nothing here.", access=frozenset({"hr"}))
    case, lab = world.case()
    assert signals(case, lab).findings["evidence"] == "hidden"
    assert not case.found.gold


def test_evidence_the_suite_does_not_name_is_found_by_what_it_states(tmp_path: Path) -> None:
    bare = example(facts=["45 business days"])
    case, lab = bench(tmp_path, stubborn).case(bare)
    found = signals(case, lab)
    assert found.findings["evidence"] == "in-context"
    assert found.details["assumed"] is True
    nowhere = example(facts=["99 hours"])
    case, lab = bench(tmp_path / "b", stubborn).case(nowhere)
    assert signals(case, lab).findings["evidence"] == "unnamed"
    assert "none" in moves(case, lab)[Move.GOLD]


def test_a_suite_behind_the_documents_is_not_the_products_fault(tmp_path: Path) -> None:
    world = bench(tmp_path)
    world.world.put("policies/returns.md", RETURNS_TEXT.replace("45 business", "60 business"))
    case, lab = world.case()
    found = signals(case, lab)
    assert found.findings["gold"] == "not-stated"
    assert found.details["evidence"][0]["outdated_version"] == 1


# --- versions ---------------------------------------------------------------------------------------------

OLD = RETURNS_TEXT.replace("45 business days", "30 business days")


def test_a_superseded_version_that_was_followed_is_named(tmp_path: Path) -> None:
    def follows_the_old(request: ChatRequest) -> str:
        old = [i for i, text in enumerate(request.passages, 1) if "30 business days" in text]
        return f"Laptops can be returned within 30 business days of delivery [{old[0]}]." if old else reader(request)

    world = bench(tmp_path, follows_the_old)
    world.world.put("policies/returns.md", RETURNS_TEXT)
    world.world.put("archive/returns-2019.md", OLD, title="Returns 2019")
    case, lab = world.case()
    found = signals(case, lab)
    assert found.findings["versions"] == "conflicting" or found.findings["decline"] == "sources-conflict"
    named = found.details["superseded"][0]
    assert (named["uri"], named["version"]) == ("archive/returns-2019.md", 1)
    trial = attempt(case, lab, Move.CURRENT, 0)
    assert trial.responses[K] is Response.PASS


def test_another_product_is_no_other_version(tmp_path: Path) -> None:
    world = bench(tmp_path, stubborn)
    phone = RETURNS_TEXT.replace("Laptops", "Phones").replace("45", "14")
    world.world.put("policies/returns.md", RETURNS_TEXT, title="Returns of laptops")
    world.world.put("policies/phones.md", phone, title="Returns of phones")
    case, lab = world.case()
    assert signals(case, lab).findings["versions"] == "one"


# --- controls ---------------------------------------------------------------------------------------------


def test_a_swapped_fact_tells_reading_from_remembering(tmp_path: Path) -> None:
    case, lab = bench(tmp_path, stubborn).case()
    lab.setup.model._script = reader  # type: ignore[attr-defined]
    assert attempt(case, lab, Move.SWAPPED, 0).responses[K] is Response.FOLLOWED
    lab.setup.model._script = lambda _: "Within 45 business days [1]."  # type: ignore[attr-defined]
    assert attempt(case, lab, Move.SWAPPED, 1).responses[K] is Response.REMEMBERED
    assert "45" not in lab.setup.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_a_placebo_is_irrelevant_and_about_as_long_as_the_gold_it_stands_for(tmp_path: Path) -> None:
    world = bench(tmp_path, stubborn)
    case, lab = world.case()
    attempt(case, lab, Move.WITH_PLACEBO, 0)
    said = world.model.requests[-1].messages[-1].content
    assert "45 business days" not in said
    length = sum(len(hit.text) for hit in case.found.gold)
    assert 0.6 * length <= len(shows(case, lab, Move.WITH_PLACEBO).hits[0].text) <= length


def test_moves_that_would_change_nothing_are_not_possible(tmp_path: Path) -> None:
    case, lab = bench(tmp_path, stubborn).case()
    found = moves(case, lab)
    assert found[Move.REPLAY] == ""
    assert found[Move.GOLD] == ""
    for move in (Move.WITH_GOLD, Move.CURRENT, Move.CONSTRAINED, Move.STRONGER, Move.PROBE, Move.GOLD_CONSTRAINED):
        assert found[move], move
        with pytest.raises(UsageProblem):
            attempt(case, lab, move, 0)


# --- draws ------------------------------------------------------------------------------------------------


def test_draws_are_fresh_and_none_repeats_another_or_the_runs(tmp_path: Path) -> None:
    world = bench(tmp_path, stubborn)
    case, lab = world.case(draws=2)
    before = len(world.model.requests)
    for draw in range(6):
        attempt(case, lab, Move.REPLAY, draw)
    prompts = {(one.messages[0].content, one.messages[-1].content) for one in world.model.requests}
    assert len(world.model.requests) == before + 6
    assert len(prompts) == 1 + 6
    attempt(case, lab, Move.REPLAY, 3)
    assert len(world.model.requests) == before + 6, "a trial made before is remembered"


def test_above_temperature_0_only_the_seed_changes(tmp_path: Path) -> None:
    world = bench(tmp_path, stubborn)
    case, lab = world.case(recipe=replace(OPEN, sampling=Sampling(temperature=0.7)))
    attempt(case, lab, Move.REPLAY, 0)
    attempt(case, lab, Move.REPLAY, 1)
    first, *rest = world.model.requests
    assert all(one.messages == first.messages for one in rest)
    assert len({one.sampling.seed for one in world.model.requests}) == 3


# --- form -------------------------------------------------------------------------------------------------

LABELLED = example("ticket", "My parcel never came.", label="shipping", labels=["returns", "shipping", "billing"])


def test_a_label_that_was_never_asked_for_is_mended_by_asking(tmp_path: Path) -> None:
    def obeys(request: ChatRequest) -> str:
        asked = request.schema is not None or "exactly one of these labels" in request.messages[0].content
        return ('"shipping"' if request.schema else "shipping") if asked else "It is about shipping, I think."

    world = bench(tmp_path, obeys)
    case, lab = world.case(LABELLED)
    found = signals(case, lab)
    assert (found.findings["form"], found.findings["label"]) == ("untold", "unknown")
    assert attempt(case, lab, Move.REPLAY, 0).responses[B] is Response.FAIL
    assert attempt(case, lab, Move.CONSTRAINED, 1).responses[B] is Response.PASS
    assert attempt(case, lab, Move.INSTRUCTED, 2).responses[B] is Response.PASS


def test_worked_examples_never_come_from_the_cases_own_group(tmp_path: Path) -> None:
    def train(id: str, group: str) -> Example:
        one = example(id, f"Example {id}?", label="billing", labels=["returns", "shipping", "billing"])
        return replace(one, group=group, split=Split.TRAIN)

    suite = Suite("s", (replace(LABELLED, group="a"), train("mine", "a"), train("other", "b")))
    world = bench(tmp_path, stubborn, suite=suite)
    case, lab = world.case(suite.examples[0])
    attempt(case, lab, Move.INSTRUCTED, 0)
    said = " ".join(message.content for message in world.model.requests[-1].messages)
    assert "Example other?" in said
    assert "Example mine?" not in said


def test_the_rules_of_a_decision_are_told(tmp_path: Path) -> None:
    rules = {
        "given": {"days": 50},
        "rules": [
            {"name": "in time", "when": {"days": {"at_most": 45}}, "then": {"decision": "accept"}},
            {"name": "late", "when": {}, "then": {"decision": "refuse"}},
        ],
    }
    world = bench(tmp_path, lambda _: '{"decision": "accept"}')
    case, lab = world.case(example("decide", QUESTION, reasoning=rules))
    attempt(case, lab, Move.INSTRUCTED, 0)
    said = world.model.requests[-1].messages[0].content
    assert "in time: if days is at most 45, then decision = accept." in said
    assert "days: 50" in said


# --- swaps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "text", "false"),
    [
        ("45 days", "Return it within 45 days. After 45 days it is too late.", "55 days"),
        ("$1,200", "The bonus is $1,200 a year.", "$2,200"),
        ("March 2021", "It opened in March 2021 in Bremen.", "March 2024"),
        ("3 May", "The fair is on 3 May.", "3 October"),
        ("seven", "There are seven gates.", "seventeen gates"),
    ],
)
def test_values_become_others_of_their_kind_everywhere(fact: str, text: str, false: str) -> None:
    made = swap(example("x", "q", facts=[fact]), [text], ())
    assert made is not None
    assert mention(made.texts[0], false) is Mention.STATED
    assert mention(made.texts[0], fact) is Mention.ABSENT


def test_names_are_lent_by_other_examples_and_yes_is_never_swapped() -> None:
    other = example("o", "Who?", facts=["Grace Hopper"])
    made = swap(example("x", "Who leads?", facts=["Ada Lindqvist"]), ["Ada Lindqvist leads it."], [other])
    assert made is not None
    assert made.texts == ("Grace Hopper leads it.",)
    assert swap(example("y", "Is it?", facts=["yes"]), ["yes, it is"], [other]) is None
    assert swap(example("z", "Does Ada Lindqvist lead?", facts=["Ada Lindqvist"]), ["Ada Lindqvist"], [other]) is None


@given(st.integers(1, 10**7), st.sampled_from(["{} days", "${}", "{}%", "{} people", "in {}", "{} km"]))
def test_a_swap_leaves_no_trace_of_the_original(n: int, form: str) -> None:
    fact = form.format(n)
    made = swap(example("x", "q", facts=[fact]), [f"As agreed it is {fact}, no more. So: {fact}."], ())
    if made is not None:
        assert mention(made.texts[0], fact) is Mention.ABSENT
        assert mention(made.texts[0], made.false) is Mention.STATED
    else:
        assert form == "in {}" or n < 10
