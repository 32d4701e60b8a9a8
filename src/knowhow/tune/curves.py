"""Learning curves: the classifier's, which costs nothing, and that of short trainings, which has a price."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from knowhow.errors import UsageProblem
from knowhow.evaluate.classifier import learn
from knowhow.ports import Embedder, Trainer
from knowhow.tune.forecast import LEAST_SEEDS, Curve, Point, sizes_of
from knowhow.tune.homes import Bench
from knowhow.tune.make import Course
from knowhow.tune.report import Outlook
from knowhow.types import Context, Example, Recipe, Split, Suite, TrainEvent, TrainPlan, fingerprint

_SEEDS = 3
_AHEAD = (1, 2, 4, 8)
"""Multiples of the largest size that the outlook names."""
_LEAST = 30
"""Examples held out that an error is measured on."""


def training_outlook(
    plan: TrainPlan, course: Course, trainer: Trainer, work: Path, goal: float
) -> Generator[TrainEvent, None, Outlook]:
    """How the validation loss falls with more lessons, from trainings on an eighth, a quarter, half and all of them,
    with two seeds each: together 3.75 times as long as one training. A finished one is not done again.

    `goal` is a loss per target token. Raises `UsageProblem` without validation rows or with too few rows.
    """
    if not course.validation:
        raise UsageProblem("a forecast of training needs validation rows; give the suite a dev split")
    points = []
    for n in sizes_of(len(course.rows)):
        for seed in range(LEAST_SEEDS):
            drawn = sorted(course.rows, key=lambda row, s=seed: fingerprint([s, row.id]))[:n]  # type: ignore[misc]
            short = replace(plan, seed=seed)
            folder = work / f"curve-{trainer.key(short, drawn, course.validation)}"
            trained = yield from trainer.train(short, drawn, course.validation, str(folder))
            losses = [loss for _, loss in trained.validation_losses] or [trained.validation_loss or trained.loss]
            points.append(Point(n, seed, min(losses)))
    return _outlook("the training", Curve(points), goal)


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
        return _outlook("the classifier", Curve(_points(train, held, embedder)), goal)
    except UsageProblem:
        return None


def _outlook(of: str, curve: Curve, goal: float) -> Outlook:
    found = {n: [point.error for point in curve.points if point.n == n] for n in curve.sizes}
    expected = tuple(curve.at(times * curve.sizes[-1]) for times in _AHEAD)
    errors = tuple(sum(errors) / len(errors) for errors in found.values())
    return Outlook(of, tuple(curve.sizes), errors, expected, curve.needed(goal))


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
