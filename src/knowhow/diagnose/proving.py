"""Proves a diagnosis on planted faults: learns rates on some cases, diagnoses others, beside two simpler ways."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from knowhow.diagnose.baselines import by_rules
from knowhow.diagnose.case import Lab, open_case
from knowhow.diagnose.clusters import grouped
from knowhow.diagnose.interventions import attempt
from knowhow.diagnose.planted import Healthy, Planted
from knowhow.diagnose.posterior import Belief, Sets, pooled
from knowhow.diagnose.rates import Known, Rates
from knowhow.diagnose.score import Said, Score, Truth, score
from knowhow.diagnose.signals import signals
from knowhow.diagnose.solve import MOST, Opened, opened
from knowhow.diagnose.temper import fitted
from knowhow.types import Cause, Move, Progress, Signals, Trial

POOLED = 3
"""Generations per case where a cluster is judged together."""
AT_ONCE = 4
"""Every how manieth open case of a cluster is tried in one round, the least sure first: the others learn from it."""
AMBIGUOUS = 0.8
"""A case is ambiguous where the findings alone, with learned rates, leave every set of causes below this."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it: rates, cases, and the score of every way, over all cases and over the ambiguous ones."""

    rates: Rates
    truth: tuple[Truth, ...]
    ambiguous: frozenset[str]
    said: Mapping[str, tuple[Said, ...]]
    scores: tuple[Score, ...]
    on_ambiguous: tuple[Score, ...]
    offending: tuple[int, int]
    """Cases with a planted superseded document, and how many whose diagnosis names cause and document."""


class Bench:
    """Planted cases opened once, and their trials made once: every way of diagnosing sees the same draws."""

    def __init__(self, cases: Sequence[Planted]) -> None:
        self.cases = cases
        self._opened: dict[str, Opened] = {}
        self._trials: dict[tuple[str, Move, int], Trial] = {}

    def opened(self, case: Planted, sets: Sets) -> Opened:
        """The case before anything is tried, as `sets` sees it."""
        if case.id not in self._opened:
            self._opened[case.id] = opened(case.case, case.lab, sets)
        known = self._opened[case.id]
        return replace(known, belief=Belief.start(known.signals, case.case.sides, sets))

    def trial(self, case: Planted, move: Move, nth: int) -> Trial:
        """The `nth` draw of a move, from 0."""
        key = (case.id, move, nth)
        if key not in self._trials:
            self._trials[key] = attempt(case.case, case.lab, move, nth)
        return self._trials[key]

    def tried(self, case: Planted, now: Opened, move: Move) -> Opened:
        """The case after one more draw of `move`."""
        return now.after(self.trial(case, move, sum(trial.move is move for trial in now.trials)))


def experience(
    bench: Bench, *, draws: int, moves: int | None = None, seed: int = 0
) -> Generator[Progress, None, list[Known]]:
    """Tries every possible move on every case `draws` times, or `moves` random ones once, to learn from."""
    found = []
    sets = Sets(Rates())
    for number, case in enumerate(bench.cases, 1):
        now = bench.opened(case, sets)
        possible = [move for move, reason in now.reasons.items() if not reason]
        if moves is not None:
            possible = Random(f"{seed}/{case.id}").sample(possible, min(moves, len(possible)))
        trials = tuple(bench.trial(case, move, nth) for move in possible for nth in range(draws))
        example = case.case.example
        found.append(Known(case.id, case.faults, case.causes, example.group, now.signals, case.case.sides, trials))
        yield Progress(number, len(bench.cases), "learning", case.id)
    return found


def learned(model: str, known: Sequence[Known], healthy: Sequence[Healthy], lab: Lab) -> Rates:
    """The rates of a model, from planted cases and from the findings of healthy ones."""
    passing = [open_case(one.case.example, one.case.recipe, [one.row], lab) for one in healthy]
    return fitted(model, known, [signals(case, lab) for case in passing])


def prove(bench: Bench, rates: Rates, *, one_pass: bool = True) -> Generator[Progress, None, Proof]:
    """Diagnoses every planted case in every way and scores it. Yields progress after each case."""
    sets = Sets(rates)
    said: dict[str, list[Said]] = {"rules on signals": [], "signals only": [], "sequential": [], "every move once": []}
    ambiguous = set()
    named = planted_old = 0
    for number, case in enumerate(bench.cases, 1):
        first = bench.opened(case, sets)
        said["rules on signals"].append(Said(case.id, by_rules(first.signals)))
        said["signals only"].append(_said(case, first))
        if first.belief.best[1] < AMBIGUOUS:
            ambiguous.add(case.id)
        last = solved(bench, case, first)
        said["sequential"].append(_said(case, last))
        if one_pass:
            said["every move once"].append(_said(case, _once(bench, case, first)))
        if case.offending:
            planted_old += 1
            named += Cause.STALE in last.causes and _names(last.signals, case.offending)
        yield Progress(number, len(bench.cases), "diagnosed", case.id)
    said["pooled"] = [_said(case, now) for case, now in zip(bench.cases, together(bench, sets), strict=True)]
    truth = tuple(Truth(case.id, case.faults, case.causes) for case in bench.cases)
    ways = {name: tuple(found) for name, found in said.items() if found}
    unclear = [one for one in truth if one.id in ambiguous]
    return Proof(
        rates,
        truth,
        frozenset(ambiguous),
        ways,
        tuple(score(name, truth, found) for name, found in ways.items()),
        tuple(score(name, unclear, found) for name, found in ways.items()) if unclear else (),
        (planted_old, named),
    )


def solved(bench: Bench, case: Planted, now: Opened, most: int = MOST) -> Opened:
    """One case, one move at a time, until it is sure or `most` generations are made."""
    while move := now.next(most - len(now.trials)):
        now = bench.tried(case, now, move)
    return now


def together(bench: Bench, sets: Sets) -> list[Opened]:
    """All cases in clusters: in each round the least sure of a cluster are tried, and the others learn from them."""
    known = [bench.opened(case, sets) for case in bench.cases]
    for group in grouped(known):
        members = list(group.members)
        while True:
            beliefs = pooled([known[i].belief for i in members])
            for i, belief in zip(members, beliefs, strict=True):
                known[i] = replace(known[i], belief=belief)
            wanted = {i: move for i in members if (move := known[i].next(POOLED - len(known[i].trials)))}
            chosen = sorted(wanted, key=lambda i: (known[i].belief.best[1], i))[: -(-len(members) // AT_ONCE)]
            if not chosen:
                break
            for i in chosen:
                known[i] = bench.tried(bench.cases[i], known[i], wanted[i])
    return known


def _once(bench: Bench, case: Planted, now: Opened) -> Opened:
    for move in [move for move, reason in now.reasons.items() if not reason]:
        now = bench.tried(case, now, move)
    return now


def _said(case: Planted, now: Opened) -> Said:
    best, confidence = now.belief.best
    return Said(case.id, now.causes, confidence, len(now.trials), best)


def _names(found: Signals, uris: Sequence[str]) -> bool:
    """Whether the findings name a planted superseded document as such."""
    told = {one["uri"] for one in found.details.get("superseded", [])} | set(found.details.get("replaced", []))
    return bool(told & set(uris))
