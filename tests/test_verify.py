"""The check of a claim against its range: figures, dates, names, negation, words, and a verifier's word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_world import show
from knowhow.answer.read import read
from knowhow.answer.values import agree, values
from knowhow.answer.verify import check
from knowhow.backends.fake import FakeVerifier
from knowhow.types import Recipe, Support

RANGE = "Laptops can be returned within 45 business days of delivery. Opened software is not refundable."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("45 days", "forty-five days"),
        ("45 days", "45 business days"),
        ("two weeks", "14 days"),
        ("1 year", "12 months"),
        ("1,200", "1200"),
        ("$1,200.50", "1.200,50 $"),
        ("$1.2 million", "$1,200,000"),
        ("35%", "35 percent"),
        ("35 per cent", "thirty-five percent"),
        ("5 March 2024", "2024-03-05"),
        ("March 5th, 2024", "05.03.2024"),
        ("March 2024", "5 March 2024"),
        ("2024", "5 March 2024"),
        ("03/05/2024", "5 March 2024"),
        ("03/05/2024", "3 May 2024"),
        ("5. März 2024", "5 March 2024"),
        ("€20", "20 euros"),
        ("$1.23 billion", "$1,234 million"),
        ("$82,959 million", "82,959"),
        ("5 km", "5000 metres"),
        ("2 GB", "2000 MB"),
    ],
)
def test_the_same_value_however_it_is_written(one: str, other: str) -> None:
    (claim,), (given,) = values(one), values(other)
    assert agree(claim, given)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("30 days", "45 days"),
        ("45 days", "45 weeks"),
        ("45%", "45 days"),
        ("$20", "€20"),
        ("5 March 2024", "6 March 2024"),
        ("5 March 2024", "March 2024"),
        ("2023", "5 March 2024"),
        ("13/05/2024", "5 January 2024"),
        ("$1.3 billion", "$1,234 million"),
        ("$5 million", "$5 billion"),
        ("1.5", "15"),
        ("1998", "1999"),
    ],
)
def test_different_values_do_not_agree(one: str, other: str) -> None:
    (claim,), (given,) = values(one), values(other)
    assert not agree(claim, given)


@given(st.integers(2, 10**9))
def test_a_number_agrees_with_itself_in_every_spelling(number: int) -> None:
    for text in (f"{number:,}", f"{number:_}".replace("_", "."), f"{number:_}".replace("_", "'"), str(number)):
        found = values(f"It has {text} parts")
        assert len(found) == 1, text
        assert agree(found[0], values(f"{number:,} parts")[0]) or 1000 <= number < 2200


@given(st.text(max_size=80))
def test_values_are_ranges_of_the_text_in_order(text: str) -> None:
    at = 0
    for value in values(text):
        assert at <= value.start < value.end <= len(text)
        at = value.end


@pytest.mark.parametrize("text", ["KB-1234", "v2.5.1", "one of them", "3a", "maxRetries2"])
def test_identifiers_and_pronouns_are_no_figures(text: str) -> None:
    assert [v for v in values(text) if text not in ("v2.5.1",)] == []


@pytest.mark.parametrize(
    "claim",
    [
        "You can return a laptop within 45 days.",
        "Laptops can be returned within forty-five business days.",
        "Opened software is not refundable.",
        "Opened software cannot be refunded.",
        "45 days after delivery",
    ],
)
def test_what_the_range_says_is_supported(claim: str) -> None:
    assert check(claim, RANGE).support is Support.YES, check(claim, RANGE)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("You can return a laptop within 30 days.", "30 days is not in the range"),
        ("You can return a laptop within 45 weeks.", "45 weeks is not in the range"),
        ("Opened software is refundable.", "the range negates what it states"),
        ("Laptops cannot be returned within 45 days.", "it negates what the range states"),
        ("Laptops from Lenovo can be returned within 45 days.", "Lenovo is not in the range"),
        ("Laptops of type XPS_15 can be returned.", "XPS_15 is not in the range"),
        ("Customers love our friendly showroom staff.", "are not in the range"),
        ("Laptops can be returned within 45 days until 2024-05-01.", "2024-05-01 is not in the range"),
    ],
)
def test_what_the_range_does_not_say_is_named(claim: str, reason: str) -> None:
    finding = check(claim, RANGE)
    assert finding.support is Support.NO
    assert reason in "; ".join(finding.reasons)


def test_opposite_words_are_opposed() -> None:
    finding = check("Revenue increased in the north.", "Revenue decreased in the north.")
    assert finding.reasons == ("the range says decreased, not increased",)


def test_names_and_words_may_come_from_around_the_range_but_figures_may_not() -> None:
    assert check("Acme laptops can be returned.", RANGE).support is Support.YES
    lenovo = "The Lenovo laptop can be returned within 45 days."
    assert check(lenovo, RANGE, around="Lenovo policy").support is Support.YES
    assert check("Laptops can be returned within 60 days.", RANGE, around="60 days").support is Support.NO


def test_nothing_to_check_is_unchecked() -> None:
    assert check("It is so.", RANGE).support is Support.UNCHECKED


def test_a_verifier_decides_about_words_but_never_about_figures() -> None:
    claim = "Purchasers may give notebooks back."
    assert check(claim, RANGE).support is Support.NO
    assert check(claim, RANGE, entailed=0.9).support is Support.YES
    assert check("Laptops can be returned within 30 days.", RANGE, entailed=0.99).support is Support.NO
    doubted = check("You can return a laptop within 45 days.", RANGE, entailed=0.1)
    assert doubted.reasons == ("the verifier does not see it follow from the range",)


def test_a_verifier_is_asked_while_reading() -> None:
    shown = show("Laptops can be returned within 45 days of delivery by all customers everywhere.")
    assert read("Laptops come back.", "x?", shown, Recipe(), FakeVerifier()).unsupported
