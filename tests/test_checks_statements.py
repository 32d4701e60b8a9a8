"""Facts are found however they are written, EM and F1 are SQuAD's, ranking measures are those of other libraries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.evaluate.ranking import gains, ndcg, recall, reciprocal_rank
from knowhow.evaluate.spelled import in_digits
from knowhow.evaluate.squad import exact_match, f1
from knowhow.evaluate.statements import Mention, mention
from knowhow.suites import import_suite
from knowhow.types import Evidence, Located, Range

STATED, DENIED, ABSENT = Mention.STATED, Mention.DENIED, Mention.ABSENT


@pytest.mark.parametrize(
    ("text", "statement", "outcome"),
    [
        # numbers
        ("You have forty-five days.", "45 days", STATED),
        ("within a 45-day window", "45 days", STATED),
        ("You have 145 days.", "45 days", ABSENT),
        ("You have 45 days.", "45", STATED),
        ("You have 45.", "45 days", ABSENT),
        ("two hundred and fifty people", "250 people", STATED),
        ("1,234,567 in all", "1234567", STATED),
        ("costs $1.2 million", "1,200,000 dollars", STATED),
        ("costs US$5", "5 USD", STATED),
        ("costs €5", "$5", ABSENT),
        ("fifty percent of it", "50%", STATED),
        ("it fell by -3", "3", ABSENT),
        # units
        ("within 24 hours", "1 day", STATED),
        ("it is 3.5 km away", "3500 m", STATED),
        ("30 days", "1 month", ABSENT),
        ("5 business days", "5 days", ABSENT),
        ("five business days", "5 business days", STATED),
        ("5 °C", "5 degrees Celsius", STATED),
        ("5 °C", "5 °F", ABSENT),
        ("21 users", "21 patients", ABSENT),
        # dates
        ("on 5 March 2024", "2024-03-05", STATED),
        ("on March 5th, 2024", "March 2024", STATED),
        ("in March 2024", "March 5, 2024", ABSENT),
        ("on 2024-03-05", "2024", STATED),
        # words
        ("THE Beatles’ label", "the beatles", STATED),
        ("Angela Merkel's office", "Angela Merkel", STATED),
        ("in Zürich", "Zurich", STATED),
        ("the U.S. Army", "US army", STATED),
        ("vitamin C", "vitamin A", ABSENT),
        ("it is vitamin A", "vitamin A", STATED),
        ('his article, "A Machine to End War", of 1937', '"A Machine to End War"', STATED),
        ("nothing passes without the Council", "the Council", STATED),
        ("C++ code", "C", ABSENT),
        ("a carpet", "car", ABSENT),
        ("x <= 3", "<=", STATED),
        ("", "45", ABSENT),
        ("Yes, you can.", "yes", STATED),
        ("Nobody said yes.", "yes", ABSENT),
        # negation
        ("It is not 30 days, it is 45 days.", "30 days", DENIED),
        ("It is not 30 days, it is 45 days.", "45 days", STATED),
        ("It isn’t within 30 days.", "30 days", DENIED),
        ("It is no longer 30 days.", "30 days", DENIED),
        ("45 rather than 30 days", "30 days", DENIED),
        ("not only 30 days", "30 days", STATED),
        ("not more than 30 days", "30 days", STATED),
        ("It is not 30 days. It is 30 days.", "30 days", STATED),
        ("Not today, 30 days", "30 days", STATED),
        ("It cannot be returned.", "returned", DENIED),
        ("It is not refundable.", "not refundable", STATED),
        ("It is refundable.", "not refundable", ABSENT),
    ],
)
def test_mentions(text: str, statement: str, outcome: Mention) -> None:
    assert mention(text, statement) is outcome


@pytest.mark.data
def test_answers_people_marked_are_stated_by_the_sentence_they_marked_them_in(data: Path) -> None:
    suite = import_suite(data / "xquad" / "xquad.en.json").suite
    stated = [
        any(mention(one.expect.evidence[0].quote, fact) is STATED for fact in one.expect.facts[0])
        for one in suite.examples
    ]
    # what is missing is cut inside a word, or marked right after a "not"
    assert len(stated) - sum(stated) <= 8


def spell(n: int) -> str:
    """An independent speller, British style."""
    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    if n < 20:
        return small[n]
    if n < 100:
        return tens[n // 10 - 2] + (f"-{small[n % 10]}" if n % 10 else "")
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            rest = n % size
            joint = " and " if 0 < rest < 100 else " "
            return f"{spell(n // size)} {name}" + (joint + spell(rest) if rest else "")
    raise AssertionError


@given(st.integers(0, 10**12 - 1))
def test_any_number_in_words_reads_as_its_digits(n: int) -> None:
    assert in_digits(f"It has {spell(n)} parts.") == f"It has {n} parts."


def test_words_that_only_look_like_numbers_stay() -> None:
    text = "Someone anyone stone tent second, often twofold."
    assert in_digits(text) == text
    assert in_digits("the twenty-first century and twenty third") == "the 21st century and 23rd"


@given(st.integers(1, 10**9), st.sampled_from(["days", "users", "km", "%"]))
def test_a_number_states_itself_in_any_form_and_never_its_neighbour(n: int, unit: str) -> None:
    for form in (f"{n}", f"{n:,}", spell(n)):
        assert mention(f"We count {form} {unit} here.", f"{n} {unit}") is STATED
        assert mention(f"We count {form} {unit} here.", f"{n + 1} {unit}") is ABSENT


@given(st.text(max_size=40), st.text(max_size=12))
def test_no_text_breaks_the_check(text: str, statement: str) -> None:
    assert mention(text, statement) in Mention


@given(st.lists(st.sampled_from("apple Berlin refund 45 days the of".split()), min_size=1, max_size=5))
def test_every_text_states_itself(words: list[str]) -> None:
    text = " ".join(["Refund", *words])
    assert mention(f"So: {text}.", text) is STATED


@pytest.mark.parametrize(
    ("answer", "references", "em", "score"),
    [
        ("Denver Broncos", ["Denver Broncos"], 1, 1),
        ("the Denver Broncos!", ["Denver Broncos"], 1, 1),
        ("The Broncos", ["Denver Broncos"], 0, 2 / 3),
        ("a b c d", ["c d e"], 0, 2 * (2 / 3) * (2 / 3) / (4 / 3)),
        ("x x y", ["x y y"], 0, 2 / 3),
        ("forty-five", ["forty five"], 0, 0),
        ("U.S.", ["US", "United States"], 1, 1),
        ("it is in 1999", ["1999", "in 1999"], 0, 2 * (2 / 4) * 1 / (2 / 4 + 1)),
        ("", [""], 1, 1),
        ("", ["x"], 0, 0),
        ("the", [""], 1, 1),
        ("x", ["y"], 0, 0),
        ("Ångström", ["ångström"], 1, 1),
    ],
)
def test_em_and_f1_on_a_set_worked_by_hand(answer: str, references: list[str], em: float, score: float) -> None:
    # "a b c d" loses its article: b c d against c d e share two of three
    assert exact_match(answer, references) == em
    assert f1(answer, references) == pytest.approx(score)


@given(st.text("abc the.,! ", max_size=20), st.text("abc the.,! ", max_size=20))
def test_f1_is_symmetric_bounded_and_one_for_an_exact_match(left: str, right: str) -> None:
    assert f1(left, [right]) == pytest.approx(f1(right, [left]))
    assert 0 <= f1(left, [right]) <= 1
    if exact_match(left, [right]):
        assert f1(left, [right]) == 1


def test_ranking_measures_agree_with_independent_libraries() -> None:
    golden = json.loads((Path(__file__).parent / "golden" / "ndcg.json").read_text())
    k = golden["k"]
    assert len(golden["cases"]) == 60
    for case in golden["cases"]:
        evidence = [
            Located(Evidence(uri, relevance=grade), (Range(uri, 1, 0, 9),)) for uri, grade in case["relevant"].items()
        ]
        ranked = [Range(uri, 1, 3, 5) for uri in case["ranked"]]
        found = gains(evidence, ranked)
        assert ndcg(found, list(case["relevant"].values()), k) == pytest.approx(case["ndcg"], abs=1e-9)
        assert recall(evidence, ranked, k) == pytest.approx(case["recall"], abs=1e-9)
        assert reciprocal_rank(found) == pytest.approx(case["mrr"], abs=1e-9)


def test_a_passage_with_two_pieces_of_evidence_is_as_good_as_two_passages() -> None:
    evidence = [Located(Evidence("a", "q"), (Range("a", 1, at, at + 9),)) for at in (0, 20)]
    found = gains(evidence, [Range("a", 1, 0, 100), Range("b", 1, 0, 9)])
    assert found == [1.0, 1.0]
    assert ndcg(found, [1, 1], 6) == 1.0


def test_a_second_passage_of_the_same_evidence_gains_nothing() -> None:
    evidence = [Located(Evidence("a"), (Range("a", 1, 0, 100),))]
    ranked = [Range("a", 1, 0, 10), Range("a", 1, 50, 60)]
    assert gains(evidence, ranked) == [1.0, 0.0]
