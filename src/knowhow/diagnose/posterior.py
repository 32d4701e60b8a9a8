"""The belief about one failed case: over sets of causes, moved by findings and trials, and what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from knowhow.diagnose.expected import ASKED, COMPOUND, HEALTHY, PAIRS, SINGLE, expected_response
from knowhow.diagnose.rates import Rates, findings_of, telling
from knowhow.types import Cause, Move, Response, Side, Signals, Trial

Floats = NDArray[np.float64]
Causes = tuple[Cause, ...]

UNSEEN = 0.25
"""Chance that a cause comes about in a way that no planted fault had, where some were learned."""
IMPOSSIBLE = 1e-6
"""Prior of a set that holds a cause the example cannot have."""
SURE = 0.97
"""Posterior of a set of causes at which no more is tried."""
LEAST = 0.5
"""Posterior below which no cause is named: as likely wrong as right."""
WORTH = 0.01
"""Information, in nats for the price of a generation, below which a move is not worth making."""
COSTS: Mapping[Move, float] = {Move.NO_CONTEXT: 0.7, Move.STRONGER: 4.0, Move.WIDE: 1.5}
"""Price of a move beside that of a generation: a prompt without context is short, a wide one long, a stronger model
dear."""


Way = tuple[tuple[Cause, str], ...]
"""One way in which a set of causes comes about: the kind of fault of each, "" = a kind that was never seen."""


class Sets:
    """Every set of causes that is considered, and what `rates` say each shows.

    A set can come about in several ways, one per choice of kinds; arrays run over all ways of all sets, and `of` sums
    them up per set.
    """

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.sets: tuple[Causes, ...] = (*((cause,) for cause in SINGLE), *PAIRS)
        self._kinds = {cause: rates.kinds_of(cause) for cause in SINGLE}
        ways = [list(product(*(self._each(cause) for cause in causes))) for causes in self.sets]
        self.ways: tuple[Way, ...] = tuple(way for of_set in ways for way in of_set)
        self._starts = np.cumsum([0, *(len(of_set) for of_set in ways[:-1])])
        self.sizes = np.array([len(of_set) for of_set in ways])
        self.within: Floats = np.array([np.prod([self._share(*one) for one in way]) for way in self.ways])
        self._findings: dict[tuple[str, str], Floats] = {}
        self._responses: dict[tuple[Move, Side, bool], dict[Response, Floats]] = {}

    def prior(self, asks: str | None = None) -> Floats:
        """The design's prior over `sets`; what the example does not expect, by its finding `asks`, cannot have failed.

        `COMPOUND` goes to the pairs that are possible, the rest to the single causes, in equal shares.
        """
        wanted = set(ASKED.values()) if asks is None else set(asks.split("+"))
        possible = np.array([all(ASKED.get(cause, "") in {"", *wanted} for cause in causes) for causes in self.sets])
        pairs = np.array([len(causes) > 1 for causes in self.sets])
        both = COMPOUND if (possible & pairs).any() else 0.0
        found = np.where(pairs, both / max((possible & pairs).sum(), 1), (1 - both) / (possible & ~pairs).sum())
        found = np.where(possible, found, IMPOSSIBLE)
        found /= found.sum()
        return found

    def of(self, ways: Floats) -> Floats:
        """Sums over the ways of each set, along the last axis."""
        found: Floats = np.add.reduceat(ways, self._starts, axis=-1)
        return found

    def finding(self, name: str, value: str) -> Floats:
        """Log probability of a finding under each way; nothing is known of one that was never expected or seen."""
        key = (name, value)
        if key not in self._findings:
            self._findings[key] = self._finding(name, value)
        return self._findings[key]

    def responses(self, move: Move, side: Side, *, failed: bool) -> dict[Response, Floats]:
        """Probability of each response of a side to a move under each way; `failed` says whether it had failed before
        or was not looked at."""
        key = (move, side, failed)
        if key not in self._responses:
            parts = {
                (cause, kind): (self.rates.response(cause, kind, move, side), self.rates.breaks(cause, kind, side))
                for cause, kinds in self._kinds.items()
                for kind in kinds
            }
            rows = [_together([parts[one] for one in way], move, failed=failed) for way in self.ways]
            names = sorted({response for row in rows for response in row})
            self._responses[key] = {name: np.array([row.get(name, 1e-3) for row in rows]) for name in names}
        return self._responses[key]

    def _each(self, cause: Cause) -> list[tuple[Cause, str]]:
        return [(cause, kind) for kind in self._kinds[cause]]

    def _share(self, cause: Cause, kind: str) -> float:
        known = len(self._kinds[cause]) - 1
        return UNSEEN if known and not kind else 1.0 if not known else (1 - UNSEEN) / known

    def _finding(self, name: str, value: str) -> Floats:
        """A cause moves a finding away from what it is in a healthy case; two causes move it by both their ratios."""
        healthy = self.rates.finding(HEALTHY, "", name)
        if value not in healthy:
            return np.zeros(len(self.ways))
        values = list(healthy)
        base = np.array([healthy[one] for one in values])
        ratios = {}
        for cause, kinds in self._kinds.items():
            for kind in kinds:
                found = self.rates.finding(cause, kind, name)
                ratios[cause, kind] = np.array([found[one] for one in values]) / base
        weights = base * np.array([np.prod([ratios[one] for one in way], axis=0) for way in self.ways])
        logs: Floats = np.log(weights[:, values.index(value)] / weights.sum(axis=1))
        return logs


def _together(
    parts: Sequence[tuple[Mapping[Response, float], float]], move: Move, *, failed: bool
) -> Mapping[Response, float]:
    """How a side responds that several causes may have broken: it passes only when the move mends each that did
    (noisy-and). `parts` are each cause's own responses and how often it breaks this side.

    Which of the causes broke it is not known: every choice counts by its probability, none only where it had not
    failed.
    """
    if len(parts) == 1 and failed:
        return parts[0][0]
    whole = expected_response(HEALTHY, move)
    names = {name for own, _ in parts for name in own} - {Response.FAIL}
    found: dict[Response, float] = dict.fromkeys(names, 0.0)
    total = 0.0
    for broke in product((True, False), repeat=len(parts)):
        if failed and not any(broke):
            continue
        weight = prod(p if did else 1 - p for (_, p), did in zip(parts, broke, strict=True))
        total += weight
        for name in names:
            healthy = max(whole.get(name, 0.02), 0.02)
            mended = [
                min(1.0, own.get(name, 0.01) / healthy) for (own, _), did in zip(parts, broke, strict=True) if did
            ]
            found[name] += weight * healthy * prod(mended)
    responses = {name: p / total for name, p in found.items()}
    return {**responses, Response.FAIL: max(1 - sum(responses.values()), 0.01)}


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely each set of causes is for one case. Adding trials gives a new belief; their order does not matter."""

    sets: Sets
    sides: frozenset[Side]
    design: Floats
    """The design's prior for this example over `sets.sets`; sums to 1."""
    prior: Floats
    """The prior in use: the design's, or what a cluster makes of it."""
    findings: Floats
    """Log likelihood of the findings under each way."""
    trials: Floats
    """Log likelihood of the trials under each way."""
    seen: Mapping[tuple[Move, Side], Mapping[Response, int]]

    @staticmethod
    def start(signals: Signals, sides: Iterable[Side], sets: Sets) -> Belief:
        """What the findings alone say."""
        found = [sets.finding(name, value) for name, value in sorted(findings_of(signals).items())]
        total = np.sum(found, axis=0) if found else np.zeros(len(sets.ways))
        prior = sets.prior(signals.findings.get("asks"))
        return Belief(sets, frozenset(sides), prior, prior, total, np.zeros_like(total), {})

    def after(self, trial: Trial) -> Belief:
        """The belief once a trial is seen; what it could not measure changes nothing."""
        seen = {key: dict(counts) for key, counts in self.seen.items()}
        for side, response in telling(trial).items():
            if response in self.responses(trial.move, side):
                counts = seen.setdefault((trial.move, side), {})
                counts[response] = counts.get(response, 0) + 1
        return replace(self, seen=seen, trials=self._likelihood(seen))

    def responses(self, move: Move, side: Side) -> dict[Response, Floats]:
        """Probability of each response of a side of this case to a move, under each way."""
        return self.sets.responses(move, side, failed=side in self.sides)

    def with_prior(self, prior: Floats) -> Belief:
        """The same evidence seen from another prior."""
        return replace(self, prior=prior)

    @property
    def ways(self) -> Floats:
        """The posterior over `sets.ways`, evidence tempered; sums to 1."""
        sets, temper = self.sets, self.sets.rates.temper
        logs = temper.findings * self.findings + temper.trials * self.trials
        found: Floats = np.repeat(self.prior, sets.sizes) * sets.within * np.exp(logs - logs.max())
        found /= found.sum()
        return found

    def _likelihood(self, seen: Mapping[tuple[Move, Side], Mapping[Response, int]]) -> Floats:
        """Draws of one move on one case: a Dirichlet-multinomial around the rates of each set."""
        spread = self.sets.rates.temper.spread
        total = np.zeros(len(self.sets.ways))
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
        return self.sets.of(self.ways)

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
    """Mutual information, in nats, between the set of causes and the responses to one draw of `move`."""
    sets, spread = belief.sets, belief.sets.rates.temper.spread
    joint = np.ones((1, len(sets.ways)))
    for side in sorted(belief.sides if move is not Move.SWAPPED else belief.sides & {Side.KNOWLEDGE}):
        known = belief.responses(move, side)
        counts = belief.seen.get((move, side), {})
        drawn = spread + sum(counts.values())
        chances = np.array([(spread * p + counts.get(response, 0)) / drawn for response, p in known.items()])
        chances /= chances.sum(axis=0)
        joint = (joint[:, None, :] * chances[None, :, :]).reshape(-1, joint.shape[1])
    both = sets.of(joint * belief.ways)
    weights, outcomes = both.sum(axis=0), both.sum(axis=1)
    return float(np.sum(both * np.log(both / (outcomes[:, None] * weights[None, :]))))


# --- clusters ---------------------------------------------------------------------------------------------

POOL = 6.0
"""Cases that the design's prior counts as beside the cases of a cluster."""


def pooled(beliefs: Sequence[Belief], rounds: int = 8) -> list[Belief]:
    """Every case seen from the shares of the others in its cluster, until these settle (mean field, leave one out).

    The prior of a case is the design's, as so many cases as `POOL`, and what is believed of every other case on which
    something was tried: findings alone repeat themselves from case to case and would talk each other into anything.
    """
    if not any(belief.seen for belief in beliefs):
        return list(beliefs)
    tried = np.array([bool(belief.seen) for belief in beliefs])[:, None]
    design = np.stack([belief.design for belief in beliefs])
    weights = np.stack([belief.weights for belief in beliefs])
    evidence = weights / np.stack([belief.prior for belief in beliefs])
    for _ in range(rounds):
        heard = weights * tried
        priors = POOL * design + np.where(design > 2 * IMPOSSIBLE, heard.sum(axis=0) - heard, 0.0)
        priors /= priors.sum(axis=1, keepdims=True)
        weights = priors * evidence
        weights /= weights.sum(axis=1, keepdims=True)
    return [belief.with_prior(prior) for belief, prior in zip(beliefs, priors, strict=True)]


def _name(causes: Causes) -> str:
    return " + ".join(cause.value for cause in causes)
