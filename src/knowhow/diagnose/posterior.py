"""The belief about one failed case: over sets of causes, moved by findings and trials, and what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from knowhow.diagnose.expected import COMPOUND, HEALTHY, PAIRS, SINGLE, expected_response
from knowhow.diagnose.rates import Rates, findings_of
from knowhow.types import Cause, Move, Response, Side, Signals, Trial

Floats = NDArray[np.float64]
Causes = tuple[Cause, ...]

SURE = 0.9
"""Posterior of a set of causes at which no more is tried."""
LEAST = 0.5
"""Posterior below which no cause is named: as likely wrong as right."""
WORTH = 0.01
"""Information, in nats for the price of a generation, below which a move is not worth making."""
COSTS: Mapping[Move, float] = {Move.NO_CONTEXT: 0.7, Move.STRONGER: 4.0, Move.WIDE: 1.5}
"""Price of a move beside that of a generation: a prompt without context is short, a wide one long, a stronger model
dear."""


class Sets:
    """Every set of causes that is considered, and what `rates` say each of them shows; arrays run over the sets."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.sets: tuple[Causes, ...] = (*((cause,) for cause in SINGLE), *PAIRS)
        single = [(1 - COMPOUND) / len(SINGLE)] * len(SINGLE)
        self.prior: Floats = np.array([*single, *([COMPOUND / len(PAIRS)] * len(PAIRS))])
        self._findings = {name: self._finding(name) for name in rates.names}
        self._responses: dict[tuple[Move, Side, bool], dict[Response, Floats]] = {}

    def finding(self, name: str, value: str) -> Floats:
        """Log probability of a finding under each set; nothing is known of one that was never expected or seen."""
        known = self._findings.get(name, {})
        return known.get(value, np.zeros(len(self.sets)))

    def responses(self, move: Move, side: Side, *, failed: bool) -> dict[Response, Floats]:
        """Probability of each response of a side to a move under each set; `failed` says whether it had failed before
        or was not looked at."""
        key = (move, side, failed)
        if key not in self._responses:
            rows = [self._of_set(causes, move, side, failed=failed) for causes in self.sets]
            names = sorted({response for row in rows for response in row})
            self._responses[key] = {name: np.array([row.get(name, 1e-3) for row in rows]) for name in names}
        return self._responses[key]

    def _finding(self, name: str) -> dict[str, Floats]:
        """A cause moves a finding away from what it is in a healthy case; two causes move it by both their ratios."""
        healthy = self.rates.finding(HEALTHY, name)
        ratios = {
            cause: {value: p / healthy[value] for value, p in self.rates.finding(cause, name).items()}
            for cause in SINGLE
        }
        weights = {
            value: np.array([p * np.prod([ratios[cause][value] for cause in causes]) for causes in self.sets])
            for value, p in healthy.items()
        }
        total = sum(weights.values())
        return {value: np.log(found / total) for value, found in weights.items()}

    def _of_set(self, causes: Causes, move: Move, side: Side, *, failed: bool) -> dict[Response, float]:
        """A side that several causes broke passes only when the move mends each of them (noisy-and).

        Which of the causes broke it is not known: every choice counts by its probability, none only where it had not
        failed.
        """
        if len(causes) == 1 and failed:
            return self.rates.response(causes[0], move, side)
        whole = expected_response(HEALTHY, move)
        own = [self.rates.response(cause, move, side) for cause in causes]
        breaks = [self.rates.breaks(cause, side) for cause in causes]
        names = {name for response in own for name in response} - {Response.FAIL}
        found: dict[Response, float] = dict.fromkeys(names, 0.0)
        total = 0.0
        for broke in product((True, False), repeat=len(causes)):
            if failed and not any(broke):
                continue
            weight = float(np.prod([p if did else 1 - p for p, did in zip(breaks, broke, strict=True)]))
            total += weight
            for name in names:
                healthy = max(whole.get(name, 0.02), 0.02)
                mended = [min(1.0, one.get(name, 0.01) / healthy) for one, did in zip(own, broke, strict=True) if did]
                found[name] += weight * healthy * float(np.prod(mended))
        responses = {name: p / total for name, p in found.items()}
        return {**responses, Response.FAIL: max(1 - sum(responses.values()), 0.01)}


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely each set of causes is for one case. Adding trials gives a new belief; their order does not matter."""

    sets: Sets
    sides: frozenset[Side]
    prior: Floats
    """Over `sets.sets`; sums to 1."""
    findings: Floats
    """Log likelihood of the findings under each set."""
    trials: Floats
    """Log likelihood of the trials under each set."""
    seen: Mapping[tuple[Move, Side], Mapping[Response, int]]

    @staticmethod
    def start(signals: Signals, sides: Iterable[Side], sets: Sets, prior: Floats | None = None) -> Belief:
        """What the findings alone say; `prior` is the design's where none is given."""
        found = [sets.finding(name, value) for name, value in sorted(findings_of(signals).items())]
        total = np.sum(found, axis=0) if found else np.zeros(len(sets.sets))
        return Belief(sets, frozenset(sides), sets.prior if prior is None else prior, total, np.zeros_like(total), {})

    def after(self, trial: Trial) -> Belief:
        """The belief once a trial is seen; what it could not measure changes nothing."""
        seen = {key: dict(counts) for key, counts in self.seen.items()}
        for side, response in trial.responses.items():
            if response in self.responses(trial.move, side):
                counts = seen.setdefault((trial.move, side), {})
                counts[response] = counts.get(response, 0) + 1
        return replace(self, seen=seen, trials=self._likelihood(seen))

    def responses(self, move: Move, side: Side) -> dict[Response, Floats]:
        """Probability of each response of a side of this case to a move, under each set."""
        return self.sets.responses(move, side, failed=side in self.sides)

    def with_prior(self, prior: Floats) -> Belief:
        """The same evidence seen from another prior."""
        return replace(self, prior=prior)

    @property
    def likelihood(self) -> Floats:
        """Tempered log likelihood of everything seen, under each set."""
        temper = self.sets.rates.temper
        return temper.findings * self.findings + temper.trials * self.trials

    def _likelihood(self, seen: Mapping[tuple[Move, Side], Mapping[Response, int]]) -> Floats:
        """Draws of one move on one case: a Dirichlet-multinomial around the rates of each set."""
        spread = self.sets.rates.temper.spread
        total = np.zeros(len(self.sets.sets))
        for (move, side), counts in sorted(seen.items()):
            known = self.responses(move, side)
            for response, count in sorted(counts.items()):
                for i in range(count):
                    total += np.log(spread * known[response] + i)
            total -= sum(np.log(spread + i) for i in range(sum(counts.values())))
        return total

    @property
    def weights(self) -> Floats:
        """The posterior over `sets.sets`; sums to 1."""
        logs = np.log(self.prior) + self.likelihood
        found: Floats = np.exp(logs - logs.max())
        found /= found.sum()
        return found

    @property
    def posterior(self) -> dict[str, float]:
        """Name of each set (its causes joined with " + ") → probability, likeliest first."""
        weights = self.weights
        return {_name(self.sets.sets[i]): float(weights[i]) for i in np.argsort(-weights, kind="stable")}

    @property
    def best(self) -> tuple[Causes, float]:
        """The likeliest set and its probability."""
        weights = self.weights
        at = int(np.argmax(weights))
        return self.sets.sets[at], float(weights[at])

    @property
    def sure(self) -> bool:
        """Whether nothing more needs to be tried."""
        return self.best[1] >= SURE


def verdict(belief: Belief) -> Causes:
    """The causes to name: the likeliest set, or `UNDETERMINED` where it is as likely wrong as right."""
    causes, chance = belief.best
    return causes if chance >= LEAST else (Cause.UNDETERMINED,)


def next_move(belief: Belief, possible: Iterable[Move], left: float) -> Move | None:
    """The move that tells most about the causes for its price; each is one of the `left` generations.

    None where the belief is sure enough, no generation is left, or no move would tell enough to be worth it.
    """
    if belief.sure or left < 1:
        return None
    gains = {move: information(belief, move) / COSTS.get(move, 1.0) for move in possible if move is not Move.PROBE}
    best = max(sorted(gains), key=lambda move: gains[move], default=None)
    return best if best is not None and gains[best] >= WORTH else None


def information(belief: Belief, move: Move) -> float:
    """Mutual information, in nats, between the causes and the responses of every failed side to one draw of `move`."""
    spread = belief.sets.rates.temper.spread
    joint = np.ones((1, len(belief.sets.sets)))
    for side in sorted(belief.sides):
        known = belief.responses(move, side)
        counts = belief.seen.get((move, side), {})
        drawn = spread + sum(counts.values())
        chances = np.array([(spread * p + counts.get(response, 0)) / drawn for response, p in known.items()])
        chances /= chances.sum(axis=0)
        joint = (joint[:, None, :] * chances[None, :, :]).reshape(-1, joint.shape[1])
    weights = belief.weights
    mixed = joint @ weights
    return float((joint * np.log(joint)).sum(axis=0) @ weights - mixed @ np.log(mixed))


# --- clusters ---------------------------------------------------------------------------------------------

POOL = 2.0
"""Cases that the design's prior counts as beside the cases of a cluster."""


def pooled(beliefs: Sequence[Belief], rounds: int = 8) -> list[Belief]:
    """Every case seen from the shares of the others in its cluster, until these settle (mean field, leave one out).

    The prior of a case is the design's, as so many cases as `POOL`, and what is believed of every other case.
    """
    if not beliefs:
        return []
    base = POOL * beliefs[0].sets.prior
    evidence = np.stack([belief.likelihood for belief in beliefs])
    weights = np.stack([belief.weights for belief in beliefs])
    for _ in range(rounds):
        priors = base + weights.sum(axis=0) - weights
        priors /= priors.sum(axis=1, keepdims=True)
        logs = np.log(priors) + evidence
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
    return [belief.with_prior(prior) for belief, prior in zip(beliefs, priors, strict=True)]


def _name(causes: Causes) -> str:
    return " + ".join(cause.value for cause in causes)
