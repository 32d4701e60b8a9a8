"""Scores: what is fused, what a phrase adds, and how relevance tells an answer from its absence."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.search.fuse import COSINE, PHRASE, fuse, phrases
from knowhow.search.relevance import coverage, relevance
from knowhow.store.analyze import query_terms, terms


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_the_weight_moves_from_words_to_meaning() -> None:
    keyword, vector = floats(10, 0), floats(0.1, 0.6)
    assert fuse(keyword, vector, 0.0).tolist() == [10, 0]
    assert fuse(keyword, vector, 1.0) == pytest.approx([0.1 * COSINE, 0.6 * COSINE])
    assert fuse(keyword, vector, 0.5) == pytest.approx([5 + 0.05 * COSINE, 0.3 * COSINE])


@given(st.lists(st.tuples(st.floats(0, 40, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=20))
def test_a_fused_score_depends_on_nothing_but_the_passage(pairs: list[tuple[float, float]]) -> None:
    keyword, vector = floats(*(k for k, _ in pairs)), floats(*(v for _, v in pairs))
    together = fuse(keyword, vector, 0.5)
    alone = [float(fuse(keyword[i : i + 1], vector[i : i + 1], 0.5)[0]) for i in range(len(pairs))]
    assert together.tolist() == alone


def test_a_phrase_counts_by_how_few_hold_it_and_stop_words_do_not_part_it() -> None:
    question = terms("duration of the notice period")
    held = [terms("The notice period is long."), terms("the duration of notice"), terms("period: notice"), terms("")]
    bonus = phrases(question, held, 0.5)
    assert bonus == pytest.approx([0.5 * PHRASE * log(4), 0.5 * PHRASE * log(4), 0, 0])
    assert phrases(question, held, 1.0).tolist() == [0, 0, 0, 0]
    assert phrases(question, [], 0.5).tolist() == []
    assert phrases(terms("notice"), held, 0.5).tolist() == [0, 0, 0, 0]


def test_what_every_passage_holds_adds_nothing() -> None:
    held = [terms("notice period")] * 3
    assert phrases(terms("notice period"), held, 0.5).tolist() == [0, 0, 0]


def test_coverage_weighs_the_terms_that_few_hold() -> None:
    question = query_terms("Does the warranty cover drones?")
    passages = [
        terms("The warranty covers laptops."),
        terms("A warranty"),
        terms("Warranty covers drones"),
        terms("no"),
    ]
    covered = coverage(question, passages)
    assert covered[2] == pytest.approx(1.0)
    assert covered[2] > covered[0] > covered[1] > covered[3] == 0
    weight = np.log1p(4 / (0.5 + np.array([3, 2, 1])))
    assert covered[1] == pytest.approx(weight[0] / weight.sum(), rel=1e-5)


def test_a_term_that_is_nowhere_weighs_most() -> None:
    nowhere = coverage(["warranty", "drone"], [["warranty"], ["other"]])
    somewhere = coverage(["warranty", "laptop"], [["warranty"], ["laptop"]])
    assert nowhere[0] < somewhere[0] == pytest.approx(0.5)


@given(st.lists(st.sampled_from("abcd"), max_size=5), st.lists(st.lists(st.sampled_from("abcdef")), max_size=6))
def test_coverage_is_a_share(question: list[str], passages: list[list[str]]) -> None:
    covered = coverage(question, passages)
    assert covered.shape == (len(passages),)
    assert ((covered >= 0) & (covered <= 1.0001)).all()
    if question:
        assert all((covered[i] > 0.999) == (set(question) <= set(passage)) for i, passage in enumerate(passages))


def test_relevance_rises_with_both_and_works_without_vectors() -> None:
    covered = floats(0, 0.5, 1)
    both = relevance(covered, floats(0.2, 0.2, 0.2))
    assert both[0] < both[1] < both[2]
    assert (relevance(covered, floats(0.6, 0.6, 0.6)) > both).all()
    alone = relevance(covered, None)
    assert alone[0] < 0.1 < alone[1] < 0.9 < alone[2]
