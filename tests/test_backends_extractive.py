"""Quoting without a model: the right sentence, its mark, the kind of thing asked for, and declining."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.answer.decline import NOT_STATED as ANSWER_NOT_STATED
from knowhow.answer.decline import declines
from knowhow.backends.chat_extractive import NOT_STATED, ExtractiveChat, quote, split_sentences
from knowhow.types import ChatRequest, Message

RETURNS = (
    "Our shops take back what does not please. The return window for laptops is 45 days. "
    "Write to Dana Reyes about a late return."
)
SHIPPING = "Parcels leave the warehouse in Utrecht. Dr. Ann Lee has run the warehouse since March 2019."


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("How many days is the return window for laptops?", "The return window for laptops is 45 days. [1]"),
        ("Who runs the warehouse?", "Dr. Ann Lee has run the warehouse since March 2019. [2]"),
        ("Where is the warehouse that parcels leave?", "Parcels leave the warehouse in Utrecht. [2]"),
        ("When did Ann Lee start to run the warehouse?", "Dr. Ann Lee has run the warehouse since March 2019. [2]"),
    ],
)
def test_the_sentence_that_answers_is_quoted_with_its_mark(question: str, said: str) -> None:
    assert quote(question, (RETURNS, SHIPPING)) == said


def test_what_the_passages_do_not_hold_is_declined() -> None:
    assert quote("What is the dress code at the summer party?", (RETURNS, SHIPPING)) == NOT_STATED
    assert quote("What is the dress code?", ()) == NOT_STATED
    assert quote("", (RETURNS,)) == NOT_STATED


def test_a_decline_is_recognised_by_those_who_read_answers() -> None:
    assert NOT_STATED == ANSWER_NOT_STATED
    assert declines(NOT_STATED)


def test_without_a_question_the_last_message_is_asked() -> None:
    request = ChatRequest((Message("user", "How many days is the return window for laptops?"),), passages=(RETURNS,))
    assert "45 days" in ExtractiveChat().chat(request).text


def test_lists_and_rows_are_sentences_of_their_own() -> None:
    text = "Fees:\n- Late return: 5 EUR\n- Lost item: 40 EUR\n\n| Plan | Price |\n| Solo | 9 |\nA wrapped\nsentence."
    assert split_sentences(text) == [
        "Fees:",
        "- Late return: 5 EUR",
        "- Lost item: 40 EUR",
        "| Plan | Price |",
        "| Solo | 9 | A wrapped sentence.",
    ]


@given(st.text(), st.lists(st.text(), max_size=5))
def test_every_quote_stands_in_the_passage_of_its_mark(question: str, passages: list[str]) -> None:
    said = quote(question, passages)
    if said == NOT_STATED:
        return
    shown = [" ".join(passage.split()) for passage in passages]
    at = 0
    for mark in re.finditer(r" \[(\d+)\](?= |$)", said):
        if said[at : mark.start()] in shown[int(mark.group(1)) - 1]:
            at = mark.end() + 1
    assert at == len(said) + 1


@given(st.text())
def test_splitting_loses_nothing_but_white_space(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
