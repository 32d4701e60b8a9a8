"""Terms: the spellings of one thing meet, different things stay apart, and nothing hostile is slow."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.store import analyze
from knowhow.store.analyze import query_terms, searchable, terms
from knowhow.store.stem import stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Returns", "return"),
        ("policies", "policy"),
        ("running", "runs"),
        ("relational", "relate"),
        ("Überstunden", "UBERSTUNDEN"),
        ("Verträge", "Vertrage"),
        ("Rückgaben", "Rückgabe"),
        ("Straße", "STRASSE"),
        ("u\u0308ber", "\u00fcber"),
        ("Ver\u00adtrag", "Vertrag"),
        ("pass\u200bword", "password"),
        ("1,000", "1000"),
        ("1,234,567.50", "1234567.50"),
        ("1.234.567,50", "1234567.50"),
        ("3,5", "3.5"),
        ("U.S.", "US"),
        ("KB-1234", "KB1234"),
        ("kb_1234", "KB-1234"),
        ("the company's", "the company s"),
        ("company’s", "company's"),
        ("ﬁle", "file"),
    ],
)
def test_spellings_of_one_thing_meet(one: str, other: str) -> None:
    assert terms(one) == terms(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3.5", "35"), ("C++", "C"), ("C#", "C++"), ("KB-1234", "KB-1235"), ("v3.7.0", "v3.7.1"), ("don't", "done")],
)
def test_different_things_stay_apart(one: str, other: str) -> None:
    assert terms(one) != terms(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KB-1234", ["kb1234", "kb", "1234"]),
        ("maxRetries", ["maxretri", "max", "retri"]),
        ("HTTPServer", ["httpserv", "http", "server"]),
        ("snake_case_name", ["snakecasenam", "snake", "case", "name"]),
        ("2023-01-05", ["20230105", "2023", "01", "05"]),
        ("long-term", ["long", "term"]),
        ("3.5", ["3.5"]),
        ("C++ and C#", ["c++", "and", "c#"]),
        ("東京都に行く", ["東京", "京都", "都に", "に行", "行く"]),
        ("Windows11対応版", ["windows11", "window", "11", "対応", "応版"]),
        ("猫", ["猫"]),
        ("हिन्दी", ["हिन्दी"]),
        ("!?…", []),
    ],
)
def test_compounds_give_themselves_and_their_parts(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        # Examples of Porter's paper, where no German ending follows.
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("feed", "feed"),
        ("agreed", "agre"),
        ("bled", "bled"),
        ("motoring", "motor"),
        ("sing", "sing"),
        ("conflated", "conflat"),
        ("hopping", "hop"),
        ("falling", "fall"),
        ("filing", "file"),
        ("happy", "happi"),
        ("sky", "sky"),
        ("vietnamization", "vietnam"),
        ("hopefulness", "hope"),
        ("electricity", "electr"),
        ("adoption", "adopt"),
        ("controll", "control"),
        ("cease", "ceas"),
        ("aing", "a"),
        ("Kündigungen".lower(), "kündigung"),
    ],
)
def test_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_a_question_loses_its_stop_words_unless_it_has_nothing_else() -> None:
    assert query_terms("What is the return policy?") == ["return", "polici"]
    assert query_terms("Wie lange ist die Frist?") == terms("lange Frist")
    assert query_terms("The Who") == ["the", "who"]
    assert query_terms("") == []


def test_a_lead_counts_twice() -> None:
    assert terms(searchable("Returns", "45 days")) == ["return", "return", "45", "dai"]
    assert searchable("", "45 days") == "45 days"


@given(st.text(), st.text())
def test_terms_of_lines_are_the_lines_terms(one: str, other: str) -> None:
    assert terms(f"{one}\n{other}") == terms(one) + terms(other)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_has_the_terms_it_has_beside_other_letters(text: str) -> None:
    """The shorter way for ASCII finds the same tokens: a letter beyond it sends the text the long way."""
    assert terms(f"{text} é")[:-1] == terms(text)


@given(st.text())
def test_terms_are_bounded_never_empty_and_blind_to_composition(text: str) -> None:
    found = terms(text)
    assert all(0 < len(term) <= 64 for term in found)
    assert len(found) <= 3 * len(text) + 1
    assert terms(text) == found, "a second look comes from memory"


@given(st.text(alphabet="äöüéñçßabc ", max_size=30))
def test_composed_and_decomposed_letters_are_one(text: str) -> None:
    assert terms(unicodedata.normalize("NFD", text)) == terms(text)


def test_one_endless_token_is_cut_and_not_remembered() -> None:
    before = len(analyze._known)
    assert terms("Zm9v" * 50_000) == ["zm9v" * 16]
    assert len(analyze._known) == before


def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyze, "_CACHED", 10)
    analyze._known.clear()
    assert [terms(f"word{i}")[0] for i in range(25)] == [f"word{i}" for i in range(25)]
    assert len(analyze._known) <= 10
