"""Planted faults in a workspace: what passes is found, faults are planted in it, a diagnosis is proven on them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.diagnose.case import Lab
from knowhow.diagnose.planted import FAULTS, Fell, Planting, plant
from knowhow.diagnose.proving import Bench, Proof, experience, learned, prove
from knowhow.diagnose.rates import Rates, keep, rates_for
from knowhow.errors import NotFound, UsageProblem
from knowhow.types import Example, Progress, Recipe, Split, Suite
from knowhow.workspace.diagnosing import Diagnosing
from knowhow.workspace.evaluating import Evaluations
from knowhow.workspace.parts import Parts
from knowhow.workspace.rereading import Rereading


@dataclass(frozen=True, slots=True)
class Beds:
    """Examples with the recipe each should pass with, in one suite whose train split lends worked examples."""

    suite: Suite
    recipes: dict[str, Recipe]

    def of(self, split: Split) -> list[tuple[Example, Recipe]]:
        """The examples of one split with their recipes; those without a split count as `test`."""
        return [
            (one, self.recipes[one.id])
            for one in self.suite.examples
            if (one.split or Split.TEST) is split and not one.draft
        ]


@dataclass(frozen=True, slots=True)
class Growing:
    """How much is planted, and with what it is learned."""

    per_fault: int = 20
    """Cases of every kind of fault that are scored, at most."""
    to_learn: int = 20
    """And that are learned from."""
    hold_out: str = ""
    """A kind of fault that is scored and not learned."""
    draws: int = 1
    """Draws of each move on each case that is learned from."""
    moves: int | None = None
    """Moves tried on each case that is learned from, drawn at random; None = all."""
    weaker: str = ""
    stronger: str = ""
    seed: int = 0
    learn: bool = True
    """False: with the rates that are kept for the model, or the design's."""
    one_pass: bool = True
    """Whether the baseline that tries every move is measured as well; it takes most of the calls."""


@dataclass(frozen=True, slots=True)
class Proven:
    """The proof, and what became of every planted fault in learning and in scoring."""

    model: str
    proof: Proof
    scored: Planting
    learned: Planting | None


class Plantings:
    """The planting side of a workspace."""

    def __init__(self, parts: Parts, evaluations: Evaluations, diagnosing: Diagnosing) -> None:
        self._parts = parts
        self._evaluations = evaluations
        self._diagnosing = diagnosing

    def beds(self, named: Sequence[tuple[str | Path, Recipe]]) -> Beds:
        """Suites, each with the recipe its examples are asked with. Raises `UsageProblem` where models differ."""
        models = sorted({recipe.model for _, recipe in named})
        if len(models) != 1:
            raise UsageProblem(f"rates belong to one model, and the recipes name {', '.join(models) or 'none'}")
        examples: list[Example] = []
        recipes: dict[str, Recipe] = {}
        for name, recipe in named:
            suite = self._evaluations.suite(name)
            for example in suite.examples:
                own = replace(example, id=f"{suite.name}/{example.id}" if example.id in recipes else example.id)
                examples.append(own)
                recipes[own.id] = recipe
        return Beds(Suite("+".join(Path(name).stem for name, _ in named), tuple(examples)), recipes)

    def grow(self, beds: Beds, growing: Growing) -> Generator[Progress, None, Proven]:
        """Learns on faults planted in the `dev` split, and scores on those planted in `test`; rates are kept.

        Raises `NotFound` for an unknown kind of fault, `UsageProblem` where a split has no example that passes.
        """
        if growing.hold_out and growing.hold_out not in {fault.name for fault in FAULTS}:
            raise NotFound(
                f'no fault is called "{growing.hold_out}"; there are {", ".join(fault.name for fault in FAULTS)}'
            )
        some = next(iter(beds.recipes.values()))
        setup = self._diagnosing.setup(some)
        weaker, stronger = (
            self._diagnosing.setup(replace(some, model=name, adapter="")) if name else None
            for name in (growing.weaker, growing.stronger)
        )
        lab = Lab(beds.suite, setup, Rereading(self._parts.store), stronger)
        rates, taught = rates_for(self._parts.records, setup.model.name), None
        if growing.learn:
            faults = [fault for fault in FAULTS if fault.name != growing.hold_out]
            taught = yield from plant(
                lab, beds.of(Split.DEV), per_fault=growing.to_learn, seed=growing.seed, weaker=weaker, faults=faults
            )
            rates = yield from self._learn(lab, taught, growing)
        planting = yield from plant(
            lab, beds.of(Split.TEST), per_fault=growing.per_fault, seed=growing.seed + 1, weaker=weaker
        )
        proof = yield from prove(Bench(planting.cases), rates, one_pass=growing.one_pass)
        return Proven(setup.model.name, proof, planting, taught)

    def _learn(self, lab: Lab, taught: Planting, growing: Growing) -> Generator[Progress, None, Rates]:
        known = yield from experience(Bench(taught.cases), draws=growing.draws, moves=growing.moves, seed=growing.seed)
        yield Progress(0, 1, "rates", "cross-validation")
        rates = learned(lab.setup.model.name, known, taught.healthy, lab)
        keep(self._parts.records, rates)
        return rates


def survival(planting: Planting) -> list[tuple[str, int, int, dict[str, int]]]:
    """Per fault, compounds taken together: tries, cases kept, and how many fell at which step."""
    merged: dict[str, dict[Fell, int]] = {}
    for name, fell in planting.fell.items():
        into = merged.setdefault("compound" if "+" in name else name, {})
        for step, count in fell.items():
            into[step] = into.get(step, 0) + count
    return [
        (
            name,
            sum(fell.values()),
            fell.get(Fell.KEPT, 0),
            {step.value: count for step, count in fell.items() if step is not Fell.KEPT},
        )
        for name, fell in merged.items()
    ]
