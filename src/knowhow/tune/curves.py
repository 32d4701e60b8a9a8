"""Learning curves of what learns in no time, so that a forecast costs nothing: the classifier's, on the dev split."""

from __future__ import annotations

from knowhow.errors import UsageProblem
from knowhow.evaluate.classifier import learn
from knowhow.ports import Embedder
from knowhow.tune.forecast import Curve, Point, sizes_of
from knowhow.tune.homes import Bench
from knowhow.tune.report import Outlook
from knowhow.types import Context, Example, Recipe, Split, Suite, fingerprint

_SEEDS = 3
_AHEAD = (1, 2, 4, 8)
"""Multiples of the largest size that the outlook names."""
_LEAST = 30
"""Examples held out that an error is measured on."""


def classifier_outlook(suite: Suite, bench: Bench, goal: float) -> Outlook | None:
    """How the classifier's error falls with more lessons and how many reach an error of `goal`; None where the suite
    is no classification, or too small for a curve."""
    labelled = [one for one in suite.examples if one.expect.label is not None and not one.draft]
    train = [one for one in labelled if one.split is Split.TRAIN]
    held = [one for one in labelled if one.split is Split.DEV]
    if len(labelled) < len(suite.examples) or len(held) < _LEAST:
        return None
    embedder = bench.setup(Recipe(name="classifier", model="classifier", context=Context.NONE), suite).embedder
    try:
        points = _points(train, held, embedder)
        curve = Curve(points)
    except UsageProblem:
        return None
    errors = [sum(p.error for p in points if p.n == n) / sum(p.n == n for p in points) for n in curve.sizes]
    expected = tuple(curve.at(times * curve.sizes[-1]) for times in _AHEAD)
    return Outlook("the classifier", tuple(curve.sizes), tuple(errors), expected, curve.needed(goal))


def _points(train: list[Example], held: list[Example], embedder: Embedder) -> list[Point]:
    """Errors on `held` after learning from part of `train`, drawn by a hash of seed and id."""
    vectors = embedder.documents([one.asked for one in train])
    tested = embedder.documents([one.asked for one in held])
    labels = [one.expect.label or "" for one in train]
    points = []
    for n in sizes_of(len(train)):
        for seed in range(_SEEDS):
            drawn = sorted(range(len(train)), key=lambda i, s=seed: fingerprint([s, train[i].id]))[:n]  # type: ignore[misc]
            linear = learn(vectors[drawn], [labels[i] for i in drawn], embedder.name, strength=0.03)
            said = linear.says(tested)
            wrong = sum(a != b.expect.label for a, b in zip(said, held, strict=True))
            points.append(Point(n, seed, wrong / len(held)))
    return points
