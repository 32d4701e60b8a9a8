"""The homes a behaviour can have, each measured on the same examples: base, prompt, schema, examples, classifier."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from knowhow.evaluate.evaluate import evaluate, rows_of
from knowhow.evaluate.single import Setup
from knowhow.settings.recipes import SHOTS
from knowhow.tune.target import Scores, Target
from knowhow.types import Context, Example, Form, Home, Progress, Recipe, Row, Run, Split, Suite

_LABELLED = 2
"""Different labels that make a classifier possible."""


class Bench(Protocol):
    """Where recipes are put to examples."""

    def setup(self, recipe: Recipe, suite: Suite, judge: str = "") -> Setup:
        """What a recipe is asked with."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """One recipe on the examples of one split."""

    recipe: Recipe
    home: Home
    run: Run
    rows: tuple[Row, ...]
    scores: Scores

    @property
    def mean(self) -> float:
        """The target's mean; 0 where nothing could be measured, so that it never wins."""
        return self.scores.mean or 0.0


def cheap_homes(recipe: Recipe, suite: Suite) -> list[tuple[Home, Recipe]]:
    """What can be tried without training, cheapest first, in the form of `recipe`: only what the suite allows."""
    bare = replace(recipe, adapter="")
    expects = [one.expect for one in suite.examples]
    trained = [one for one in suite.examples if one.split is Split.TRAIN and not one.draft]
    formed = any(expect.schema is not None or expect.labels for expect in expects)
    found = [(Home.PROMPT, replace(bare, name="instruction", form=Form.TOLD))]
    if formed:
        found.append((Home.SCHEMA, replace(bare, name="constrained", form=Form.CONSTRAINED)))
    if trained:
        found.append((Home.EXAMPLES, replace(bare, name="few-shot", form=Form.TOLD, shots=SHOTS)))
    if trained and formed:
        both = replace(bare, name="few-shot+constrained", form=Form.CONSTRAINED, shots=SHOTS)
        found.append((Home.EXAMPLES, both))
    labels = {one.expect.label for one in trained if one.expect.label is not None}
    if len(labels) >= _LABELLED and all(one.expect.label is not None for one in suite.examples):
        plain = Recipe(name="classifier", model="classifier", context=Context.NONE, cite=False)
        found.append((Home.EXAMPLES, plain))
    return found


def measure(
    home: Home, recipe: Recipe, suite: Suite, split: Split, target: Target, bench: Bench, *, workers: int
) -> Generator[Progress, None, Measured]:
    """Puts the examples of `split` to `recipe`; what was asked before is not asked again."""
    setup = bench.setup(recipe, suite)
    flow = evaluate(suite, recipe, setup, split=split, workers=workers, grounding=recipe.context is not Context.NONE)
    while True:
        try:
            event = next(flow)
        except StopIteration as done:
            run: Run = done.value
            break
        if isinstance(event, Progress):
            yield replace(event, note=f"{recipe.name} on {suite.name} {split}")
    rows = tuple(rows_of(setup, run.id))
    return Measured(recipe, home, run, rows, target.scores(rows))


def best_of(homes: Sequence[Measured]) -> Measured:
    """The one with the highest score; of equal ones the first, which is the cheapest."""
    return max(homes, key=lambda one: one.mean)


def asked(examples: Sequence[Example], split: Split) -> int:
    """Examples of a split that are no drafts."""
    return sum((one.split or Split.TEST) is split and not one.draft for one in examples)
