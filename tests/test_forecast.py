"""Learning curves: made ones are found again, flat ones say that more will not help, and bounds hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowhow.errors import UsageProblem
from knowhow.tune.forecast import Curve, Outlook, Point, sizes_of

SIZES = (75, 150, 300, 600)


def curve(a: float, b: float, c: float, *, n0: float = 0.0, noise: float = 0.0, seed: int = 0) -> Curve:
    random = np.random.default_rng(seed)
    return Curve(
        [Point(n, turn, max(a * (n + n0) ** -b + c + random.normal(0, noise), 0.0)) for n in SIZES for turn in range(2)]
    )


@pytest.mark.parametrize(("a", "b", "c", "n0"), [(2, 0.5, 0.05, 0), (3, 0.7, 0.0, 40), (1.2, 0.3, 0.0, 0)])
def test_what_comes_after_lies_in_the_band(a: float, b: float, c: float, n0: float) -> None:
    held = 0
    for seed in range(12):
        expected = curve(a, b, c, n0=n0, noise=0.01, seed=seed).at(2400)
        held += expected.low - 0.004 <= a * (2400 + n0) ** -b + c <= expected.high + 0.004
    assert held >= 10


def test_a_flat_curve_says_that_more_will_not_help() -> None:
    for seed in range(10):
        needed = curve(0.0, 0.5, 0.4, noise=0.01, seed=seed).needed(0.2)
        assert needed.outlook is Outlook.NOT_BY_MORE
        assert needed.n is None
        assert "level" in needed.reason


def test_a_falling_curve_says_how_many() -> None:
    truth = (2 / 0.05) ** 2
    needed = curve(2, 0.5, 0.0).needed(0.05)
    assert needed.outlook is Outlook.MORE
    assert needed.low <= truth <= needed.high


def test_a_target_that_is_met_needs_none() -> None:
    assert curve(2, 0.5, 0.0).needed(0.3).outlook is Outlook.REACHED


def test_too_few_sizes_or_seeds_are_refused() -> None:
    with pytest.raises(UsageProblem, match=r"100 \(1\)"):
        Curve([Point(n, 0, 0.5) for n in (100, 200, 400, 800)])
    with pytest.raises(UsageProblem, match="4 sizes"):
        Curve([Point(n, seed, 0.5) for n in (100, 200, 400) for seed in range(2)])
    with pytest.raises(UsageProblem, match="20 examples are too few"):
        sizes_of(20)
    assert sizes_of(600) == (75, 150, 300, 600)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=8, max_size=8),
    st.integers(600, 100_000),
    st.floats(0.001, 0.999),
)
def test_bands_are_ordered_and_never_below_nothing(errors: list[float], n: int, target: float) -> None:
    points = [Point(size, turn, errors[2 * i + turn]) for i, size in enumerate(SIZES) for turn in range(2)]
    fitted = Curve(points)
    near, far = fitted.at(n), fitted.at(2 * n)
    assert 0 <= near.low <= near.error <= near.high
    assert far.error <= near.error + 1e-9
    needed = fitted.needed(target)
    assert needed.low <= needed.high or math.isinf(needed.low)
    assert (needed.n is None) == (needed.outlook in (Outlook.NOT_BY_MORE, Outlook.CANNOT_TELL))
