"""Splits: by group, in the given shares, the same every time, and never moved by what is added."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.errors import UsageProblem
from knowhow.suites import split_suite
from knowhow.types import Example, Expect, Split

THIRDS = {Split.TRAIN: 0.5, Split.DEV: 0.25, Split.TEST: 0.25}


def example(number: int, group: str = "", label: str | None = None) -> Example:
    return Example(str(number), Expect(label=label), question="q", group=group or str(number))


groups = st.lists(st.sampled_from("abcdefghij"), max_size=40)


@given(groups, groups, st.integers(0, 5))
def test_no_group_is_torn_and_nothing_added_moves_what_is_placed(old: list[str], new: list[str], seed: int) -> None:
    first = split_suite([example(n, group) for n, group in enumerate(old)], seed=seed)
    grown = split_suite([*(example(100 + n, group) for n, group in enumerate(new)), *first], seed=seed)
    assert grown[len(new) :] == first
    homes: dict[str, set[Split | None]] = {}
    for one in grown:
        homes.setdefault(one.group, set()).add(one.split)
    assert all(len(splits) == 1 and None not in splits for splits in homes.values())


def test_the_order_of_the_file_does_not_matter_but_the_seed_does() -> None:
    examples = [example(n) for n in range(60)]
    forward = {one.id: one.split for one in split_suite(examples, seed=1)}
    assert {one.id: one.split for one in split_suite(examples[::-1], seed=1)} == forward
    assert {one.id: one.split for one in split_suite(examples, seed=2)} != forward


def test_shares_hold_in_the_whole_and_in_every_label() -> None:
    examples = [example(n, label=f"label-{n % 7}") for n in range(280)]
    placed = split_suite(examples, THIRDS)
    assert Counter(one.split for one in placed) == {Split.TRAIN: 140, Split.DEV: 70, Split.TEST: 70}
    for label in {one.expect.label for one in placed}:
        counts = Counter(one.split for one in placed if one.expect.label == label)
        assert abs(counts[Split.TRAIN] - 20) <= 1
        assert abs(counts[Split.TEST] - 10) <= 1


def test_a_share_of_nothing_gets_nothing() -> None:
    placed = split_suite([example(n) for n in range(9)], {Split.TRAIN: 0.0, Split.DEV: 0.0, Split.TEST: 1.0})
    assert {one.split for one in placed} == {Split.TEST}


def test_bad_shares_and_a_torn_group_are_refused() -> None:
    with pytest.raises(UsageProblem, match=r"add up to 1, not train 0\.5"):
        split_suite([], {Split.TRAIN: 0.5})
    with pytest.raises(UsageProblem, match='"g" is in dev and test already'):
        split_suite([replace(example(n, "g"), split=split) for n, split in enumerate([Split.DEV, Split.TEST])])
