"""Proves the statistics by simulation and writes docs/results/statistics.md: `python bench/stats_simulation.py`.

The interval methods are chosen on one set of settings and reported on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import comb
from pathlib import Path
from statistics import NormalDist

import numpy as np

from knowhow.evaluate import singles
from knowhow.evaluate.clusters import Clusters, cluster, t_quantile
from knowhow.evaluate.paired import NotWorse, difference, holm, interval, not_worse, sign_flip
from knowhow.evaluate.sequential import looks
from knowhow.evaluate.stats import estimate, wilson

OUT = Path(__file__).parent.parent / "docs" / "results" / "statistics.md"
TAILS = (0.025, 0.975)
Pair = tuple[float, float]
random = np.random.default_rng(20_261_120)


# --- made-up suites with correlated groups ---------------------------------------------------------------


def sizes(groups: int, shape: str) -> np.ndarray:
    """One example a group, four, or 1, 2, 3 … with a mean of 4 and a long tail."""
    if shape == "1":
        return np.ones(groups, dtype=int)
    return np.full(groups, 4) if shape == "4" else random.geometric(0.25, groups)


def passes(groups: int, rate: float, likeness: float, shape: str) -> tuple[list[float], list[str]]:
    """Passes and failures whose groups differ like a beta distribution; `likeness` is the intra-class correlation."""
    chance = random.beta(rate * (1 - likeness) / likeness, (1 - rate) * (1 - likeness) / likeness, groups)
    many = sizes(groups, shape)
    member = np.repeat(np.arange(groups), many)
    return (random.random(len(member)) < chance[member]).astype(float).tolist(), [str(g) for g in member]


def pairs(groups: int, fixed: float, broken: float, shape: str, likeness: float = 0.15) -> tuple[list, list, list]:
    """Two recipes on the same examples; how often a group is fixed or broken differs by group."""
    spread = (1 - likeness) / likeness
    rates = random.dirichlet(np.array([fixed, broken, 1 - fixed - broken]) * spread + 1e-9, groups)
    member = np.repeat(np.arange(groups), sizes(groups, shape))
    draw = random.random(len(member))
    up = draw < rates[member, 0]
    down = ~up & (draw < rates[member, 0] + rates[member, 1])
    same = (random.random(len(member)) < 0.7).astype(float)
    a, b = np.where(up, 0.0, np.where(down, 1.0, same)), np.where(up, 1.0, np.where(down, 0.0, same))
    return a.tolist(), b.tolist(), [str(g) for g in member]


# --- candidate intervals ---------------------------------------------------------------------------------


def percentile(c: Clusters) -> Pair:
    means, _ = c.resample(0, 1000)
    return tuple(np.quantile(means, TAILS))


def bca(c: Clusters) -> Pair:
    """Efron & Tibshirani, section 14.3, with the jackknife over groups."""
    means, _ = c.resample(0, 1000)
    normal = NormalDist()
    below = (np.mean(means < c.mean) + np.mean(means <= c.mean)) / 2
    shift = normal.inv_cdf(min(max(float(below), 1e-4), 1 - 1e-4))
    left = (c.counts @ c.sums - c.sums) / (c.n - c.sizes)
    off = c.counts @ left / c.groups - left
    bend = float(c.counts @ off**3) / (6 * float(c.counts @ off**2) ** 1.5) if np.any(off) else 0.0
    at = [shift + (shift + normal.inv_cdf(t)) / (1 - bend * (shift + normal.inv_cdf(t))) for t in TAILS]
    return tuple(np.quantile(means, [normal.cdf(z) for z in at]))


def percentile_t(c: Clusters) -> Pair:
    means, errors = c.resample(0, 1000)
    sound = errors > 1e-12
    if c.error == 0 or sound.sum() < 50:
        return c.mean, c.mean
    low, high = np.quantile((means[sound] - c.mean) / errors[sound], TAILS)
    return c.mean - high * c.error, c.mean - low * c.error


def student(c: Clusters) -> Pair:
    half = t_quantile(0.975, c.groups - 1) * c.error
    return c.mean - half, c.mean + half


CANDIDATES: dict[str, Callable[[Clusters], Pair]] = {
    "percentile": percentile,
    "BCa": bca,
    "percentile-t": percentile_t,
    "Student's t": student,
}


def covers(pair: Pair, truth: float) -> bool:
    return pair[0] - 1e-9 <= truth <= pair[1] + 1e-9


def coverage_of_means(settings: Iterable[tuple], runs: int, candidates: bool) -> list[tuple[tuple, dict[str, float]]]:
    rows = []
    for groups, rate, likeness, shape in settings:
        if shape == "1":
            rows.append(((groups, rate, "-", shape), {"Knowhow": exact_coverage(groups, rate)}))
            continue
        hit: dict[str, int] = dict.fromkeys(["Knowhow", *(CANDIDATES if candidates else [])], 0)
        for _ in range(runs):
            values, names = passes(groups, rate, likeness, shape)
            found = estimate(values, names)
            hit["Knowhow"] += covers((found.low, found.high), rate)
            if candidates:
                c = cluster(values, names)
                for name, method in CANDIDATES.items():
                    hit[name] += covers(method(c), rate)
        rows.append(((groups, rate, likeness, shape), {name: count / runs for name, count in hit.items()}))
    return rows


def exact_coverage(groups: int, rate: float) -> float:
    """Of single examples, summed over every number of passes."""
    covered = 0.0
    for passed in range(groups + 1):
        found = estimate([1.0] * passed + [0.0] * (groups - passed), [str(i) for i in range(groups)])
        if covers((found.low, found.high), rate):
            covered += comb(groups, passed) * rate**passed * (1 - rate) ** (groups - passed)
    return covered


def spread_of_formulas() -> str:
    """Exact coverage of formulas for single examples."""
    z = NormalDist().inv_cdf(0.975)

    def plus_four(passed: int, n: int) -> Pair:
        """Agresti & Coull (1998), The American Statistician 52(2):119-126."""
        mean = (passed + z * z / 2) / (n + z * z)
        half = z * (mean * (1 - mean) / (n + z * z)) ** 0.5
        return mean - half, mean + half

    formulas: dict[str, Callable[[int, int], Pair]] = {
        "mid-P (Knowhow)": lambda passed, n: singles.rate(passed, n, 0.025),
        "Wilson": lambda passed, n: wilson(passed / n, n, z),
        "Agresti-Coull": plus_four,
    }
    rows = []
    for n in (30, 40, 50, 60, 80, 100, 150):
        ends = {name: [formula(passed, n) for passed in range(n + 1)] for name, formula in formulas.items()}
        for rate in np.arange(10, 91) / 100:
            chances = [comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
            rows.append(
                (
                    (n, rate),
                    {
                        name: sum(chance for chance, pair in zip(chances, pairs, strict=True) if covers(pair, rate))
                        for name, pairs in ends.items()
                    },
                )
            )
    return spread(rows)


def coverage_of_differences(settings: Iterable[tuple], runs: int, candidates: bool) -> list:
    rows = []
    for groups, fixed, broken, shape in settings:
        hit: dict[str, int] = dict.fromkeys(["Knowhow", *(CANDIDATES if candidates else [])], 0)
        for _ in range(runs):
            a, b, names = pairs(groups, fixed, broken, shape)
            c = cluster([y - x for x, y in zip(a, b, strict=True)], names)
            hit["Knowhow"] += covers(interval(c, 0.025), fixed - broken)
            if candidates:
                for name, method in CANDIDATES.items():
                    hit[name] += covers(method(c), fixed - broken)
        rows.append(((groups, fixed, broken, shape), {name: count / runs for name, count in hit.items()}))
    return rows


# --- error rates -----------------------------------------------------------------------------------------


def false_better(settings: Iterable[tuple], runs: int) -> list[tuple[tuple, dict[str, float]]]:
    """A/A: how often two equal recipes are told apart, at the end and over four looks."""
    rows = []
    for groups, changed, shape in settings:
        fixed, early = 0, 0
        for run in range(runs):
            a, b, names = pairs(groups, changed / 2, changed / 2, shape)
            c = cluster([y - x for x, y in zip(a, b, strict=True)], names)
            fixed += sign_flip(c, seed=run)[0] <= 0.05
            if run < runs // 2:
                early += any(look.stop for look in four_looks(a, b, names, seed=run))
        rows.append(((groups, changed, shape), {"at the end": fixed / runs, "four looks": early / (runs // 2)}))
    return rows


def four_looks(a: list[float], b: list[float], names: list[str], seed: int) -> list:
    sums: dict[str, float] = {}
    for x, y, name in zip(a, b, names, strict=True):
        sums[name] = sums.get(name, 0.0) + y - x
    many = len(sums)
    return looks(list(sums.values()), [many // 4, many // 2, 3 * many // 4, many], many, seed=seed)


def power(runs: int) -> dict[str, float]:
    """60 groups of about 4, a true gain of 12 points: how often it is found, and after which share of the groups."""
    end, early, share, said = 0, 0, 0.0, 0
    for run in range(runs):
        a, b, names = pairs(60, 0.17, 0.05, "varied")
        end += difference(a, b, names).p <= 0.05
        made = four_looks(a, b, names, run)
        stops = [look.groups / 60 for look in made if look.stop]
        early += bool(stops)
        share += stops[0] if stops else 1.0
    for _ in range(runs):
        a, b, names = pairs(60, 0.11, 0.11, "varied")
        reach = difference(a, b, names).detectable
        a, b, names = pairs(60, 0.11 + reach / 2, 0.11 - reach / 2, "varied")
        said += difference(a, b, names).p <= 0.05
    return {"end": end / runs, "early": early / runs, "share": share / runs, "detectable": said / runs}


def family(runs: int) -> float:
    """Four recipes equal to the baseline: how often Holm lets any of them through."""
    wrong = 0
    for _ in range(runs):
        p = [sign_flip(cluster_of(pairs(40, 0.1, 0.1, "varied")))[0] for _ in range(4)]
        wrong += min(holm(p)) <= 0.05
    return wrong / runs


def cluster_of(made: tuple[list, list, list]) -> Clusters:
    a, b, names = made
    return cluster([y - x for x, y in zip(a, b, strict=True)], names)


def wrongly_held(settings: Iterable[tuple], runs: int) -> list[tuple[tuple, dict[str, float]]]:
    """A recipe exactly as much worse as the margin allows (5 points): how often it passes as not worse."""
    rows = []
    for groups, changed, shape in settings:
        held = 0
        for _ in range(runs):
            a, b, names = pairs(groups, changed / 2 - 0.025, changed / 2 + 0.025, shape)
            held += not_worse(a, b, names, 0.05).outcome is NotWorse.HELD
        rows.append(((groups, changed, shape), {"wrongly held": held / runs}))
    return rows


# --- report ----------------------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: list[tuple[tuple, dict[str, float]]]) -> str:
    names = list(rows[0][1])
    lines = ["| " + " | ".join([*head, *names]) + " |", "|" + "---|" * (len(head) + len(names))]
    for setting, found in rows:
        cells = [f"{value:g}" if isinstance(value, float) else str(value) for value in setting]
        lines.append("| " + " | ".join(cells + [f"{100 * found[name]:.1f}%" for name in names]) + " |")
    return "\n".join(lines)


def spread(rows: list[tuple[tuple, dict[str, float]]]) -> str:
    lines = ["| method | least | mean | most | settings outside 93-97% |", "|---|---|---|---|---|"]
    for name in rows[0][1]:
        found = np.array([row[1][name] for row in rows])
        out = int(np.sum((found < 0.93) | (found > 0.97)))
        lines.append(
            f"| {name} | {100 * found.min():.1f}% | {100 * found.mean():.1f}% | {100 * found.max():.1f}% "
            f"| {out} of {len(found)} |"
        )
    return "\n".join(lines)


def main() -> None:
    shapes = ("1", "4", "varied")
    chosen = [(g, r, 0.2, s) for g in (30, 60) for r in (0.3, 0.8, 0.95) for s in shapes[1:]]
    alike = [(k, s) for k in (0.1, 0.3) for s in shapes[1:]]
    reported = [(g, r, k, s) for g in (30, 50, 100) for r in (0.5, 0.7, 0.9) for k, s in [(0.0, "1"), *alike]]
    chosen_pairs = [(g, f, b, s) for g in (30, 60) for f, b in ((0.05, 0.05), (0.15, 0.05), (0.3, 0.1)) for s in shapes]
    reported_pairs = [
        (g, f, b, s) for g in (30, 50, 100) for f, b in ((0.1, 0.1), (0.2, 0.1), (0.25, 0.2)) for s in shapes
    ]
    equal = [(g, c, s) for g in (12, 30, 100) for c in (0.1, 0.3) for s in shapes]
    margins = [(g, c, s) for g in (60, 150) for c in (0.1, 0.2) for s in shapes]
    means, differences = coverage_of_means(reported, 1000, False), coverage_of_differences(reported_pairs, 1000, False)
    strength = power(300)
    OUT.write_text(
        TEXT.format(
            formulas=spread_of_formulas(),
            chosen=spread(coverage_of_means(chosen, 500, True)),
            reported=spread(means),
            means=table(("groups", "true rate", "likeness", "group size"), means),
            chosen_pairs=spread(coverage_of_differences(chosen_pairs, 500, True)),
            reported_pairs=spread(differences),
            differences=table(("groups", "fixed", "broken", "group size"), differences),
            equal=table(("groups", "changed", "group size"), false_better(equal, 1000)),
            family=100 * family(1000),
            margins=table(("groups", "changed", "group size"), wrongly_held(margins, 1000)),
            end=100 * strength["end"],
            early=100 * strength["early"],
            share=100 * strength["share"],
            detectable=100 * strength["detectable"],
        ),
        encoding="utf-8",
    )


TEXT = """# Statistics, proven by simulation

`python bench/stats_simulation.py` makes this page (seeded, about ten minutes on one core). Suites are made up with
groups whose examples are alike: *likeness* is the intra-class correlation of passes, *group size* is one, four, or
varied (1, 2, 3 … with a mean of 4 and a long tail). With 1,000 runs a true 95% shows as 93.6-96.4%, a true 5% as
3.6-6.4%.

## Does a 95% interval of a mean hold the true rate?

Chosen on rates of 0.3, 0.8 and 0.95 with 30 and 60 groups (500 runs each). *Knowhow* is percentile-t where at least
eight groups hold a success and eight a failure, Wilson's interval with the effective number of examples otherwise.
Single examples have a formula of their own, chosen by exact coverage over every rate from 0.10 to 0.90 in steps of 0.01
with 30, 40, 50, 60, 80, 100 and 150 examples:

{formulas}

{chosen}

Reported on other settings (1,000 runs each; single examples exactly, by summing over every number of passes, where
the steps of whole passes make any formula swing around 95%):

{reported}

{means}

## Does a 95% interval of a difference hold the true difference?

Chosen on 30 and 60 groups (500 runs each). *Knowhow* is the percentile bootstrap widened for the number of groups
where at least eight groups changed, Student's t with one group up and one group down added otherwise; for single
examples Tango's score interval in place of both. Student's t is
wide on purpose: with a handful of changed examples no method is close to 95%, and too narrow would be the worse
error.

{chosen_pairs}

Reported on other settings (1,000 runs each):

{reported_pairs}

{differences}

## How often are two equal recipes told apart?

The sign-flip test at 5%, and four looks with early stopping at 5% over all looks (half as many runs):

{equal}

Four recipes equal to the baseline, Holm-adjusted: any of them passes in {family:.1f}% of 1,000 comparisons.

## How often does a recipe that is exactly 5 points worse pass as not worse?

One-sided 5%, margin 5 points. Where groups have several examples the bound is taken as if one group more held a broken
example; without that, 60 groups of varied size with 0.1 changed let 7.7% through.

{margins}

## What is found when there is something to find

60 groups of varied size, 17% fixed and 5% broken: found in {end:.0f}% of 300 comparisons at the end, in {early:.0f}%
with four looks, which needed {share:.0f}% of the examples on average. A true difference of the size that
`detectable` names was found in {detectable:.0f}%: 80% is meant, and a suite that happens to look calmer than it is
names too small a difference.
"""


if __name__ == "__main__":
    main()
