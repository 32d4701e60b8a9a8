"""Checks of single answers: each verdict with its reason, and nothing undefined dressed up as a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks_world import FAIL, PASS, UNMEASURED, example, said, verdict
from knowhow.evaluate.checks import check, unanswered
from knowhow.evaluate.knowledge import Seen
from knowhow.types import (
    Check,
    Citation,
    Evidence,
    Located,
    Outcome,
    Range,
    Recipe,
    Side,
    Support,
    Verdict,
)


def test_the_sides_are_knowledge_and_behaviour() -> None:
    sides = [one.side for one in Check]
    assert sides == [Side.KNOWLEDGE] * 5 + [Side.BEHAVIOUR] * 4


def test_an_example_that_expects_nothing_measures_nothing() -> None:
    verdicts = check(example(), Recipe(), said("Hello."))
    assert set(verdicts) == set(Check)
    assert {one.outcome for one in verdicts.values()} == {UNMEASURED}
    assert all(one.reason for one in verdicts.values())


def test_a_failed_model_leaves_everything_unmeasured_with_its_reason() -> None:
    assert unanswered("timeout") == dict.fromkeys(Check, Verdict(UNMEASURED, "timeout"))


# --- content ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expect", "outcome", "reason"),
    [
        ("You have forty-five days.", {"facts": [["45 days"]]}, PASS, "states 1 of 1 facts"),
        ("You have 30 days.", {"facts": [["45 days", "45"]]}, FAIL, 'does not state "45 days"'),
        ("45 days, free.", {"facts": [["45 days"], ["no charge", "free"]]}, PASS, "states 2 of 2 facts"),
        ("It is not 30 days but 45.", {"facts": [["45"]], "forbidden": ["30 days"]}, PASS, "nothing forbidden"),
        ("45 days, or 30 days.", {"facts": [["45"]], "forbidden": ["30 days"]}, FAIL, 'states "30 days"'),
        ("It is not 45 days.", {"facts": [["45 days"]]}, FAIL, 'does not state "45 days"'),
        ('{"days": 45}', {"fields": {"days": 45}}, PASS, "1 fields as expected"),
        ('{"days": 30}', {"fields": {"days": 45}}, FAIL, "`days` is 30, must be 45"),
        ("45", {"fields": {"days": 45}}, FAIL, "the fields cannot be read"),
        ("Whatever", {"reference": "You have 45 days."}, UNMEASURED, "needs a judge"),
    ],
)
def test_content(text: str, expect: dict[str, Any], outcome: Outcome, reason: str) -> None:
    found = verdict(Check.CONTENT, text, expect)
    assert found.outcome is outcome
    assert reason in found.reason


def test_content_grades_beside_the_verdict_only_what_is_defined() -> None:
    one = verdict(Check.CONTENT, "the 45 days", {"facts": [["45 days"]]})
    assert one.measures == {"em": 1.0, "f1": 1.0, "facts": 1.0}
    two = verdict(Check.CONTENT, "45 days", {"facts": [["45 days"], ["free"]]})
    assert two.measures == {"facts": 0.5}, "two facts are no single answer to compare with"
    declined = verdict(Check.CONTENT, said("I cannot say.", abstained=True), {"facts": [["45 days"]]})
    assert (declined.outcome, declined.reason) == (FAIL, "it declined to answer")
    assert declined.measures == {"em": 0.0, "f1": 0.0, "facts": 0.0}


def test_citation_marks_are_no_words_of_the_answer() -> None:
    marked = said("You have 45 days [2].", citations=(cite(at("a", 0, 9)),))
    assert verdict(Check.CONTENT, marked, {"facts": [["You have 45 days"]]}).measures["em"] == 1.0
    assert verdict(Check.CONTENT, marked, {"facts": [["2"]]}).outcome is FAIL
    assert verdict(Check.STYLE, marked, {"style": {"max_words": 4}}).outcome is PASS
    assert verdict(Check.GROUNDED, marked, {}, support=corpus("You have 45 days.")).outcome is PASS
    bare = said("It is in [2].")
    assert verdict(Check.CONTENT, bare, {"facts": [["2"]]}).outcome is PASS, "without citations brackets are its own"


# --- abstention -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "abstained", "outcome"),
    [
        ({"abstain": True}, True, PASS),
        ({"abstain": True}, False, FAIL),
        ({"abstain": False}, True, FAIL),
        ({"abstain": False}, False, PASS),
        ({"facts": [["x"]]}, True, FAIL),
        ({"facts": [["x"]]}, False, PASS),
        ({"style": {"max_words": 3}}, True, UNMEASURED),
    ],
)
def test_abstention_is_judged_both_ways(expect: dict[str, Any], abstained: bool, outcome: Outcome) -> None:
    assert verdict(Check.ABSTENTION, said("…", abstained=abstained), expect).outcome is outcome


def test_a_right_decline_is_not_asked_for_content_or_form() -> None:
    expect = {"abstain": True, "schema": {"type": "object"}, "style": {"max_words": 1}, "forbidden": ["x"]}
    verdicts = check(example(**expect), Recipe(), said("I cannot say that.", abstained=True))
    assert {which for which, one in verdicts.items() if one.outcome is not UNMEASURED} == {Check.ABSTENTION}


# --- retrieval --------------------------------------------------------------------------------------------


def at(uri: str, start: int, end: int, version: int = 1) -> Range:
    return Range(uri, version, start, end)


def quote(uri: str, start: int, end: int) -> Located:
    return Located(Evidence(uri, "some quote"), (at(uri, start, end),))


TWO = {"evidence": [{"source": "a", "quote": "some quote"}, {"source": "b", "quote": "some quote"}]}
BOTH = (quote("a", 10, 20), quote("b", 10, 20))


def test_evidence_in_the_context_passes_and_every_stage_is_measured() -> None:
    ranked = (at("z", 0, 99), at("a", 0, 15), at("b", 0, 50))
    found = verdict(Check.RETRIEVAL, "", TWO, evidence=BOTH, seen=Seen(ranked, ranked, ranked))
    assert found.outcome is PASS
    ideal = 1 + 1 / math.log2(3)
    assert found.measures == pytest.approx(
        {
            "recall@6": 1.0,
            "ndcg@6": (1 / math.log2(3) + 1 / math.log2(4)) / ideal,
            "mrr": 0.5,
            "candidates": 1.0,
            "context": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("ranked", "candidates", "shown", "how"),
    [
        ("ab", "ab", "a", "of b was found but not shown"),
        ("a", "ab", "a", "of b was a candidate but ranked too low"),
        ("a", "a", "a", "of b was not among the candidates"),
    ],
)
def test_a_miss_says_at_which_stage_the_evidence_was_lost(ranked: str, candidates: str, shown: str, how: str) -> None:
    stages = [tuple(at(uri, 0, 99) for uri in stage) for stage in (ranked, candidates, shown)]
    found = verdict(Check.RETRIEVAL, "", TWO, evidence=BOTH, seen=Seen(*stages))
    assert found.outcome is FAIL
    assert how in found.reason


def test_any_one_piece_will_do_where_the_suite_says_so() -> None:
    seen = Seen((at("a", 0, 99),), (at("a", 0, 99),), (at("a", 0, 99),))
    assert verdict(Check.RETRIEVAL, "", TWO, evidence=BOTH, seen=seen).outcome is FAIL
    any_of = TWO | {"evidence_needed": "any"}
    assert verdict(Check.RETRIEVAL, "", any_of, evidence=BOTH, seen=seen).outcome is PASS
    half_known = (BOTH[0], Located(Evidence("b", "some quote"), (), "gone"))
    assert verdict(Check.RETRIEVAL, "", any_of, evidence=half_known, seen=seen).outcome is PASS
    needed = verdict(Check.RETRIEVAL, "", TWO, evidence=half_known, seen=seen)
    assert (needed.outcome, needed.reason, needed.measures) == (UNMEASURED, "gone", {})


def test_less_than_half_a_quote_or_another_version_is_not_the_evidence() -> None:
    for held in (at("a", 0, 14), at("a", 0, 99, version=2)):
        seen = Seen((held,), (held,), (held,))
        assert verdict(Check.RETRIEVAL, "", TWO, evidence=BOTH[:1], seen=seen).outcome is FAIL
    pieces = (at("a", 0, 13), at("a", 17, 30))
    assert verdict(Check.RETRIEVAL, "", TWO, evidence=BOTH[:1], seen=Seen(pieces, pieces, pieces)).outcome is PASS


def test_no_search_and_no_evidence_are_unmeasured() -> None:
    assert verdict(Check.RETRIEVAL, "", TWO, evidence=BOTH).reason == "this recipe searches nothing"
    assert verdict(Check.RETRIEVAL, "", {}).reason == "no evidence is given"


# --- citation ---------------------------------------------------------------------------------------------


def cite(place: Range, supported: Support = Support.YES) -> Citation:
    return Citation("1", place.uri, place.version, place.start, place.end, "…", supported, reason="30 is not in it")


def test_citing_the_evidence_passes_and_both_forms_are_measured() -> None:
    answer = said("…", citations=(cite(at("a", 10, 20)), cite(at("b", 15, 35)), cite(at("z", 0, 10))))
    found = verdict(Check.CITATION, answer, TWO, evidence=BOTH)
    assert found.outcome is PASS
    assert found.measures == pytest.approx(
        {"recall": 1.0, "precision": 2 / 3, "char_recall": 15 / 20, "char_precision": 15 / 40}
    )


def test_what_is_wrong_with_citations_is_named() -> None:
    unsound = said("…", citations=(cite(at("a", 10, 20), Support.NO),))
    assert verdict(Check.CITATION, unsound, {}).reason == "[1] does not bear out its sentence: 30 is not in it"
    elsewhere = verdict(Check.CITATION, said("…", citations=(cite(at("a", 10, 20)),)), TWO, evidence=BOTH)
    assert (elsewhere.outcome, elsewhere.reason) == (FAIL, '"some quote" of b is not cited')
    none = verdict(Check.CITATION, "…", TWO, evidence=BOTH)
    assert (none.reason, none.measures) == ("it cites nothing", {"recall": 0.0, "char_recall": 0.0})


def test_a_quote_in_two_places_may_be_cited_at_either() -> None:
    twice = (Located(Evidence("a", "q"), (at("a", 0, 10), at("a", 90, 100))),)
    found = verdict(Check.CITATION, said("…", citations=(cite(at("a", 90, 100)),)), TWO, evidence=twice)
    assert found.outcome is PASS
    assert found.measures["char_recall"] == 1.0


def test_citations_are_unmeasured_where_there_should_be_none() -> None:
    example_ = example(**TWO)
    assert check(example_, replace(Recipe(), cite=False), said("…"))[Check.CITATION].outcome is UNMEASURED
    assert verdict(Check.CITATION, said("…", abstained=True), TWO, evidence=BOTH).outcome is UNMEASURED


ranges = st.lists(
    st.builds(lambda u, s, n: Range(u, 1, s, s + n), st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 9)),
    max_size=5,
)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=4), ranges
)
def test_every_measure_lies_between_nothing_and_all(places: list, held: list[Range]) -> None:
    evidence = tuple(quote(uri, start, start + size) for uri, start, size in places)
    answer = said("…", citations=tuple(cite(place) for place in held))
    seen = Seen(tuple(held), tuple(held), tuple(held))
    verdicts = check(example(**TWO), Recipe(), answer, evidence=evidence, seen=seen)
    for which in (Check.RETRIEVAL, Check.CITATION):
        assert all(0 <= value <= 1 + 1e-9 for value in verdicts[which].measures.values())
    retrieved, measures = verdicts[Check.RETRIEVAL], verdicts[Check.RETRIEVAL].measures
    assert (retrieved.outcome is PASS) == (measures["context"] == 1.0)
    cited = {(one.uri, i) for one in held for i in range(one.start, one.end)}
    wanted = {(uri, i) for uri, start, size in places for i in range(start, start + size)}
    if cited:
        precision = len(cited & wanted) / len(cited)
        assert verdicts[Check.CITATION].measures["char_precision"] == pytest.approx(precision)
    assert verdicts[Check.CITATION].measures["char_recall"] == pytest.approx(len(cited & wanted) / len(wanted))


# --- grounded ---------------------------------------------------------------------------------------------


def corpus(*known: str) -> Callable[[str], tuple[Support, str]]:
    def support(claim: str) -> tuple[Support, str]:
        if claim.startswith("Hello"):
            return Support.UNCHECKED, ""
        return (Support.YES, "") if claim in known else (Support.NO, "no document says so")

    return support


def test_every_sentence_must_be_borne_out_by_the_documents() -> None:
    text = "Hello there. Laptops come back in 45 days. Phones never do."
    known = corpus("Laptops come back in 45 days.")
    found = verdict(Check.GROUNDED, text, {}, support=known)
    assert found.outcome is FAIL
    assert found.reason == 'the documents do not bear out "Phones never do.": no document says so'
    assert found.measures == {"supported": 0.5}
    assert verdict(Check.GROUNDED, text[:42], {}, support=known).outcome is PASS
    assert verdict(Check.GROUNDED, "Hello.", {}, support=known).outcome is UNMEASURED
    assert verdict(Check.GROUNDED, said("…", abstained=True), {}, support=known).outcome is UNMEASURED
    assert verdict(Check.GROUNDED, text, {}).reason == "there is no corpus to check against"
