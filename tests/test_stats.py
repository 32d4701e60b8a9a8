"""Statistics: formulas against independent ones, and error rates and coverage by simulation."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.evaluate import singles
from knowhow.evaluate.clusters import cluster, t_quantile
from knowhow.evaluate.paired import (
    Method,
    NotWorse,
    detectable_in_words,
    difference,
    holm,
    interval,
    not_worse,
    sign_flip,
)
from knowhow.evaluate.sequential import looks
from knowhow.evaluate.stats import estimate, wilson


def own(values: list[float]) -> list[str]:
    """Every value its own group."""
    return [str(i) for i in range(len(values))]


# --- means ------------------------------------------------------------------------------------------------


def test_wilson_gives_the_published_interval() -> None:
    # Newcombe (1998), Statistics in Medicine 17:857-872, table I: 81 of 263 and 15 of 148, method 3
    assert wilson(81 / 263, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15 / 148, 148, 1.959964) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@pytest.mark.parametrize(("p", "freedom", "value"), [(0.975, 9, 2.26216), (0.99, 9, 2.82144), (0.975, 29, 2.04523)])
def test_t_quantiles_are_those_of_the_tables(p: float, freedom: int, value: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    [(81, 263, 0.2544, 0.3658), (15, 148, 0.0601, 0.1581), (0, 20, 0.0, 0.1391), (1, 29, 0.0017, 0.1585)],
)
def test_mid_p_gives_the_published_interval(passed: int, n: int, low: float, high: float) -> None:
    # Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 6
    assert singles.rate(passed, n, 0.025) == pytest.approx((low, high), abs=5e-5)
    assert singles.rate(n - passed, n, 0.025) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_examples_of_their_own_get_the_mid_p_interval() -> None:
    values = [1.0] * 32 + [0.0] * 8
    found = estimate(values, own(values), unmeasured=3)
    assert (found.mean, found.n, found.groups, found.unmeasured, found.reason) == (0.8, 40, 40, 3, "")
    assert (found.low, found.high) == pytest.approx(singles.rate(32, 40, 0.025))


@given(st.integers(10, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_the_interval_of_single_examples_holds_the_difference_and_mirrors(made: tuple[int, int, int]) -> None:
    n, up, down = made
    down = min(down, n - up)
    low, high = singles.difference(up, down, n, 0.025)
    assert -1 <= low <= (up - down) / n <= high <= 1
    assert singles.difference(down, up, n, 0.025) == pytest.approx((-high, -low), abs=1e-9)
    if (up, down) not in ((n, 0), (0, n)):
        assert low < high


@pytest.mark.parametrize(("fixed", "broken"), [(0.1, 0.1), (0.2, 0.1), (0.3, 0.05)])
def test_the_interval_of_single_examples_covers_95_percent_exactly_summed(fixed: float, broken: float) -> None:
    n, covered = 30, 0.0
    for up in range(n + 1):
        for down in range(n + 1 - up):
            ways = comb(n, up) * comb(n - up, down)
            chance = ways * fixed**up * broken**down * (1 - fixed - broken) ** (n - up - down)
            if chance > 1e-6:
                clusters = cluster([1.0] * up + [-1.0] * down + [0.0] * (n - up - down), own([0.0] * n))
                low, high = interval(clusters, 0.025)
                covered += chance * (low <= fixed - broken <= high)
    assert 0.93 <= covered <= 0.97


def test_nothing_measured_has_no_mean_and_few_groups_no_interval() -> None:
    nothing = estimate([], [], unmeasured=4)
    assert (nothing.mean, nothing.low, nothing.n, nothing.unmeasured) == (None, None, 0, 4)
    assert nothing.reason == "nothing was measured"
    few = estimate([1.0, 0.0] * 30, list("abcdefghi") * 6 + list("abcdef"))
    assert (few.mean, few.low, few.high, few.reason) == (0.5, None, None, "9 groups; an interval needs 10")


def test_asking_the_same_again_adds_no_certainty() -> None:
    random = np.random.default_rng(1)
    values = (random.random(60) < 0.6).astype(float).tolist()
    once = estimate(values, own(values))
    thrice = estimate(values * 3, own(values) * 3)
    assert once.low is not None
    assert once.high is not None
    assert thrice.low is not None
    assert thrice.high is not None
    assert thrice.n == 180
    assert thrice.high - thrice.low > 0.95 * (once.high - once.low)


def test_a_perfect_score_is_not_certain_and_groups_count_once() -> None:
    found = estimate([1.0] * 100, [str(i // 5) for i in range(100)])
    assert found.high == 1.0
    assert found.low == pytest.approx(wilson(1.0, 20, t_quantile(0.975, 19))[0])


def test_groups_that_are_all_alike_have_an_interval_too() -> None:
    found = estimate([1.0, 0.0] * 20, [str(i // 2) for i in range(40)])
    assert (found.low, found.high) == pytest.approx(wilson(0.5, 20, t_quantile(0.975, 19)))
    # 2/7 and its sums cannot be written exactly, and what rounding leaves over is no difference between groups
    graded = estimate([2 / 7] * 60, [str(i // (2 + i % 3)) for i in range(60)])
    assert graded.low is not None
    assert graded.low < 2 / 7


scores = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from("abcdefghijklmnop")), min_size=1
) | st.lists(st.tuples(st.just(2 / 7), st.sampled_from("abcdefghijklmnop")), min_size=30)


@given(scores, st.randoms())
def test_the_order_of_rows_never_matters_and_the_interval_holds_the_mean(rows: list, random: object) -> None:
    first = estimate([value for value, _ in rows], [group for _, group in rows])
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert estimate([value for value, _ in rows], [group for _, group in rows]) == first
    assert first.mean is not None
    if first.low is not None and first.high is not None:
        assert 0 <= first.low <= first.mean + 1e-9
        assert first.mean <= first.high + 1e-9 <= 1 + 1e-9


@given(scores)
def test_the_standard_error_is_that_of_a_ratio_written_out(rows: list) -> None:
    groups = {name: [value for value, group in rows if group == name] for _, name in rows}
    if len(groups) < 2:
        return
    mean = sum(value for value, _ in rows) / len(rows)
    rest = [sum(values) - mean * len(values) for values in groups.values()]
    many = len(groups)
    expected = (many / (many - 1) * sum(r * r for r in rest)) ** 0.5 / len(rows)
    assert cluster([value for value, _ in rows], [group for _, group in rows]).error == pytest.approx(expected)


# --- differences ------------------------------------------------------------------------------------------


def every_flip(sums: list[float]) -> float:
    observed = abs(sum(sums))
    totals = [abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=len(sums))]
    return sum(total >= observed - 1e-9 for total in totals) / len(totals)


@given(st.lists(st.sampled_from([-3, -1, -0.5, 0, 0, 0.5, 1, 2]), min_size=1, max_size=9))
def test_the_exact_p_value_is_that_of_every_sign_flip(sums: list[float]) -> None:
    p, method = sign_flip(cluster(sums, own(sums)))
    assert p == pytest.approx(every_flip(sums))
    assert method in (Method.EXACT, Method.MCNEMAR)


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 4)), min_size=1, max_size=8))
def test_uneven_sums_are_enumerated_too(sums: list[float]) -> None:
    assert sign_flip(cluster(sums, own(sums)))[0] == pytest.approx(every_flip(sums), abs=1e-6)


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (5, 0), (6, 1), (12, 4), (30, 31)])
def test_single_examples_give_the_exact_mcnemar_test(fixed: int, broken: int) -> None:
    a = [0.0] * fixed + [1.0] * broken + [1.0, 0.0] * 5
    b = [1.0] * fixed + [0.0] * broken + [1.0, 0.0] * 5
    many, least = fixed + broken, min(fixed, broken)
    binomial = min(1.0, 2 * sum(comb(many, k) for k in range(least + 1)) / 2**many)
    found = difference(a, b, own(a))
    assert found.p == pytest.approx(binomial)
    assert found.method is Method.MCNEMAR


def test_a_group_with_many_examples_is_no_mcnemar() -> None:
    assert sign_flip(cluster([1.0, 1.0], ["a", "a"])) == (1.0, Method.EXACT)


def test_sampled_flips_come_close_to_the_exact_value() -> None:
    random = np.random.default_rng(5)
    sums = (random.random(40) - 0.35).tolist()
    p, method = sign_flip(cluster(sums, own(sums)))
    flips = random.choice([-1.0, 1.0], size=(50_000, 40)) @ np.array(sums)
    assert method is Method.SAMPLED
    assert p == pytest.approx(float(np.mean(np.abs(flips) >= abs(sum(sums)))), abs=0.01)


def test_holm_on_a_hand_worked_case() -> None:
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1, made non-decreasing
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_never_helps(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(left >= right for left, right in zip(adjusted, p, strict=True))
    by_size = [adjusted[i] for i in sorted(range(len(p)), key=lambda i: p[i])]
    assert by_size == sorted(by_size)
    assert max(adjusted, default=0) <= 1


def test_equal_recipes_differ_by_nothing_and_the_reach_is_said() -> None:
    same = [1.0, 0.0] * 40
    found = difference(same, same, own(same))
    assert (found.difference, found.p) == (0.0, 1.0)
    assert found.low is not None
    assert found.low < 0 < (found.high or 0)
    assert detectable_in_words(found) == "n=80 in 80 groups can show ≥ 5 points"
    few = difference(same, same, ["a", "b"] * 40)
    assert (few.low, few.detectable, few.reason) == (None, None, "2 groups; an interval needs 10")
    assert detectable_in_words(few).startswith("2 groups are too few")


def test_twenty_fixed_and_none_broken_is_a_difference() -> None:
    a, b = [0.0] * 20 + [1.0] * 40, [1.0] * 60
    found = difference(a, b, [str(i // 2) for i in range(60)])
    assert found.difference == pytest.approx(1 / 3)
    assert found.p < 0.01
    assert found.low is not None
    assert found.low > 0.1


# --- not worse --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "outcome"), [(0, NotWorse.HELD), (4, NotWorse.HELD), (12, NotWorse.INCONCLUSIVE), (60, NotWorse.WORSE)]
)
def test_not_worse_holds_fails_or_says_how_many_more(broken: int, outcome: NotWorse) -> None:
    a, b = [1.0] * 300, [0.0] * broken + [1.0] * (300 - broken)
    found = not_worse(a, b, own(a), 0.05)
    assert found.outcome is outcome
    assert found.bound is not None
    assert (found.bound > -0.05) is (outcome is NotWorse.HELD)
    assert (found.needed is not None and found.needed > 300) is (outcome is NotWorse.INCONCLUSIVE)


def test_groups_of_several_examples_are_held_to_a_bound_with_one_more_broken() -> None:
    broken, groups = [0.0] * 40 + [1.0] * 320, [str(i % 90) for i in range(360)]
    clusters = cluster([after - 1.0 for after in broken], groups)
    found = not_worse([1.0] * 360, broken, groups, 0.15)
    assert found.bound == interval(clusters.with_more([-1.0]), 0.05)[0] < interval(clusters, 0.05)[0]
    single = not_worse([1.0] * 360, broken, own(broken), 0.15)
    assert single.bound == interval(cluster([after - 1.0 for after in broken], own(broken)), 0.05)[0]


def test_not_worse_needs_ten_groups() -> None:
    found = not_worse([1.0] * 9, [1.0] * 9, own([1.0] * 9), 0.05)
    assert (found.outcome, found.bound) == (NotWorse.UNMEASURED, None)
    assert found.reason == "9 groups; a bound needs 10"


# --- early stopping ---------------------------------------------------------------------------------------


def test_a_look_never_changes_what_earlier_looks_said() -> None:
    sums = np.random.default_rng(2).choice([-1.0, 0.0, 1.0, 2.0], size=40).tolist()
    whole = looks(sums, [10, 20, 30, 40], 40)
    assert looks(sums[:20], [10, 20], 40) == whole[:2]
    assert [look.groups for look in whole] == [10, 20, 30, 40]
    assert whole[-1].total == sum(sums)


def test_a_plain_difference_stops_early_and_a_tiny_start_never_does() -> None:
    made = looks([1.0] * 60, [3, 30, 60], 60)
    assert made[0].boundary is None
    assert [look.stop for look in made] == [False, True, True]


# --- error rates, small; bench/stats_simulation.py has them in full ----------------------------------------


def alike(random: np.random.Generator, groups: int) -> tuple[list[float], list[str]]:
    chance = random.beta(1.4, 0.6, groups)
    member = np.repeat(np.arange(groups), random.geometric(0.25, groups))
    return (random.random(len(member)) < chance[member]).astype(float).tolist(), [str(g) for g in member]


def test_a_95_percent_interval_covers_about_95_percent_with_correlated_groups() -> None:
    random = np.random.default_rng(3)
    hit = naive = 0
    for _ in range(120):
        values, groups = alike(random, 30)
        found = estimate(values, groups)
        assert found.low is not None
        assert found.high is not None
        hit += found.low <= 0.7 <= found.high
        low, high = wilson(float(np.mean(values)), len(values), 1.96)
        naive += low <= 0.7 <= high
    assert 0.89 <= hit / 120 <= 0.995
    assert naive / 120 < 0.9, "groups must matter here, or the test shows nothing"


def test_equal_recipes_are_rarely_told_apart_at_the_end_or_on_the_way() -> None:
    random = np.random.default_rng(4)
    end = early = peeking = 0
    for run in range(300):
        sums = random.choice([-2.0, -1.0, 0.0, 1.0, 2.0], size=32).tolist()
        end += sign_flip(cluster(sums, own(sums)))[0] <= 0.05
        peeking += any(sign_flip(cluster(sums[:k], own(sums[:k])))[0] <= 0.05 for k in (8, 16, 24, 32))
        if run < 120:
            early += any(look.stop for look in looks(sums, [8, 16, 24, 32], 32, seed=run))
    assert end / 300 <= 0.08
    assert early / 120 <= 0.1
    assert peeking / 300 > 0.08, "looking without a plan must cost something, or the test shows nothing"


def test_the_interval_of_a_difference_covers_about_95_percent() -> None:
    random = np.random.default_rng(6)
    hit = 0
    for _ in range(120):
        rate = random.dirichlet([1.2, 0.6, 4.2], 40)
        member = np.repeat(np.arange(40), 4)
        draw = random.random(160)
        up = draw < rate[member, 0]
        down = ~up & (draw < rate[member, 0] + rate[member, 1])
        low, high = interval(cluster((up * 1.0 - down * 1.0).tolist(), [str(g) for g in member]), 0.025)
        hit += low <= 0.1 <= high
    assert 0.89 <= hit / 120 <= 0.995
