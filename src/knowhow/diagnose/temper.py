"""Learns how far to believe the evidence, by cross-validation on planted cases, so that confidence matches accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import log

from knowhow.diagnose.posterior import Belief, Sets, next_move
from knowhow.diagnose.rates import Known, Rates, Temper, learn
from knowhow.types import Move, Signals, Trial, fingerprint

FOLDS = 4
MOST = 10
"""Generations a simulated diagnosis may take."""
_FINDINGS = (0.45, 0.6, 0.8, 1.0)
_TRIALS = (0.6, 0.8, 1.0)
_SPREADS = (4.0, 12.0)
_LEAST = 0.005
"""Probability as which an impossible truth is scored, so that one odd case does not decide."""


def fitted(model: str, known: Sequence[Known], healthy: Sequence[Signals]) -> Rates:
    """The rates learned from all of `known`, with the temper under which held-out cases are predicted best.

    Whole groups and half of the kinds of fault are held out in turn, the learned rates of the rest are used to diagnose
    them one move at a time from their own trials, and the log score of the truth where it stops is summed up.
    """
    folds = [_fold(known, healthy, model, number) for number in range(FOLDS)]
    best = max(
        (Temper(*values) for values in product(_FINDINGS, _TRIALS, _SPREADS)),
        key=lambda temper: sum(_log_score(held, Sets(replace(rates, temper=temper))) for held, rates in folds),
    )
    return learn(model, known, healthy, best)


def simulated(case: Known, sets: Sets, most: int = MOST) -> tuple[Belief, int]:
    """What is believed of a case once a diagnosis that draws on its own trials stops, and after how many of them."""
    left: dict[Move, list[Trial]] = {}
    for trial in case.trials:
        left.setdefault(trial.move, []).append(trial)
    belief = Belief.start(case.signals, case.sides, sets)
    calls = 0
    while move := next_move(belief, [move for move, trials in left.items() if trials], most - calls):
        belief = belief.after(left[move].pop(0))
        calls += 1
    return belief, calls


def _fold(known: Sequence[Known], healthy: Sequence[Signals], model: str, number: int) -> tuple[list[Known], Rates]:
    held = [case for case in known if _number(case.group) == number]
    return held, learn(model, [case for case in known if _number(case.group) != number], healthy)


def _number(name: str) -> int:
    return int(fingerprint(name, 8), 16) % FOLDS


def _log_score(held: Sequence[Known], sets: Sets) -> float:
    total = 0.0
    for case in held:
        belief, _ = simulated(case, sets)
        truth = set(case.causes)
        chance = sum(w for causes, w in zip(sets.sets, belief.weights.tolist(), strict=True) if set(causes) == truth)
        total += log(max(chance, _LEAST))
    return total
