"""Evidence: quotes are found with exact ranges however they are spaced, and never where they do not stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.suites import locate, locate_evidence
from knowhow.types import Document, Evidence, Example, Expect, Range

TEXT = "Returns\n\nYou can send it back within 45\n   days of delivery. Within 145 days you may swap. “Don’t” – wait."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("within 45 days of delivery", ["within 45\n   days of delivery"]),
        ("Within 145 days", ["Within 145 days"]),
        ("WITHIN", ["within", "Within"]),
        ("45 days", ["45\n   days"]),
        ("within 45 day", []),
        ("5 days.", []),
        ('"Don\'t" - wait.', ["“Don’t” – wait."]),
        (" delivery. ", ["delivery."]),
        ("", []),
        ("  ", []),
    ],
)
def test_quotes_are_found_whole_and_nowhere_else(quote: str, found: list[str]) -> None:
    assert [TEXT[a:b] for a, b in locate(TEXT, quote)] == found


def test_exact_places_are_preferred_to_those_in_another_case() -> None:
    assert locate("May may", "may") == [(4, 7)]


def test_scripts_without_spaces_match_inside_a_run_but_never_inside_a_number() -> None:
    assert locate("退货期限为45天以内。", "期限为45天") == [(2, 8)]
    assert locate("退货期限为45天。", "5天") == []


@given(
    st.lists(st.text("abcAB019", min_size=1, max_size=6), min_size=1, max_size=8, unique_by=str.casefold),
    st.data(),
)
def test_any_run_of_words_is_found_whatever_its_white_space_and_case(words: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    gap = data.draw(st.sampled_from([" ", "\n", "  \t", "\u00a0"]))
    text = "¶ " + gap.join(words) + " ¶"
    quote = " ".join(words[first : last + 1]).swapcase()
    start = len("¶ " + gap.join(words[:first])) + (len(gap) if first else 0)
    places = locate(text, quote)
    assert all(" ".join(text[a:b].split()).casefold() == quote.casefold() for a, b in places)
    assert places
    assert any(a <= start < b for a, b in places)


def example(*evidence: Evidence) -> Example:
    return Example("x", Expect(evidence=evidence), question="q", as_of=5.0)


def test_evidence_gets_the_version_and_the_range_as_of_the_examples_time() -> None:
    asked = []

    def documents(uri: str, as_of: float | None) -> Document | None:
        asked.append((uri, as_of))
        return Document("a.md", TEXT, version=3) if uri == "a.md" else None

    asking = example(Evidence("a.md", "45 days"), Evidence("a.md"), Evidence("b.md", "x"))
    found = locate_evidence([asking, asking], documents)["x"]
    assert found[0].ranges == (Range("a.md", 3, 37, 47),)
    assert found[1].ranges == (Range("a.md", 3, 0, len(TEXT)),)
    assert found[2].ranges == ()
    assert found[2].reason == "the document b.md is not ingested"
    assert asked == [("a.md", 5.0), ("b.md", 5.0)], "each document is fetched once"


def test_a_quote_that_is_not_there_or_everywhere_says_so() -> None:
    document = Document("a.md", "yes " * 60, version=1)
    no, often = locate_evidence(
        [example(Evidence("a.md", "no"), Evidence("a.md", "yes"))], lambda uri, as_of: document
    )["x"]
    assert no.reason == 'a.md (version 1) does not say "no"'
    assert often.reason == "the quote stands in more than 50 places of a.md"
    assert not no.ranges
    assert not often.ranges
