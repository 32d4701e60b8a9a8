"""How well a ranked list serves a need: recall, nDCG and reciprocal rank over evidence ranges."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from knowhow.types import Located, Range

COVERED = 0.5
"""Share of a quote's characters that must be held for it to count as reached; a passage border may cut a quote."""


def overlap(left: Range, right: Range) -> int:
    """Characters that two ranges share; none between different documents or versions."""
    if (left.uri, left.version) != (right.uri, right.version):
        return 0
    return max(min(left.end, right.end) - max(left.start, right.start), 0)


def reached(item: Located, held: Sequence[Range]) -> bool:
    """Whether `held` together hold at least half of one place of the evidence; for a whole document, any of it."""
    return any(_covered(place, held) >= (COVERED if item.evidence.quote else 1e-12) for place in item.ranges)


def _covered(place: Range, held: Sequence[Range]) -> float:
    """Share of the characters of `place` that any of `held` has."""
    return common([place], held) / max(place.end - place.start, 1)


def common(ranges: Sequence[Range], held: Sequence[Range]) -> int:
    """Characters that are in any of `ranges` and in any of `held`, each counted once."""
    spots: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for one in ranges:
        for other in held:
            if overlap(one, other):
                spot = (max(one.start, other.start), min(one.end, other.end))
                spots.setdefault((one.uri, one.version), []).append(spot)
    total = 0
    for found in spots.values():
        at = 0
        for start, end in sorted(found):
            total += max(end - max(start, at), 0)
            at = max(at, end)
    return total


def gains(evidence: Sequence[Located], ranked: Sequence[Range]) -> list[float]:
    """The relevance that each rank newly reaches; a second passage of the same evidence gains nothing.

    A passage that reaches several pieces at once gains the most relevant one at its rank and the others at the
    ranks that follow, so that no list scores above the best possible one.
    """
    arriving: dict[int, list[float]] = {}
    for item in evidence:
        rank = _first_reached(item, ranked)
        if rank is not None:
            arriving.setdefault(rank, []).append(float(item.evidence.relevance))
    waiting: list[float] = []
    found = []
    for rank in range(len(ranked)):
        waiting = sorted(waiting + arriving.get(rank, []))
        found.append(waiting.pop() if waiting else 0.0)
    return found + waiting[::-1]


def _first_reached(item: Located, ranked: Sequence[Range]) -> int | None:
    """The first rank with which the evidence is reached, counted from 0."""
    held: list[Range] = []
    for rank, place in enumerate(ranked):
        if any(overlap(place, spot) for spot in item.ranges):
            held.append(place)
            if reached(item, held):
                return rank
    return None


def recall(evidence: Sequence[Located], ranked: Sequence[Range], k: int) -> float:
    """Share of the evidence that the first `k` ranks reach; needs at least one piece of evidence."""
    return sum(reached(item, ranked[:k]) for item in evidence) / len(evidence)


def ndcg(found: Sequence[float], relevances: Sequence[float], k: int) -> float:
    """Normalised discounted cumulative gain at `k`: Σ gainᵢ / log₂(i+1) over that of the best possible order.

    `found` are the gains in rank order, `relevances` those of everything relevant. Järvelin & Kekäläinen (2002),
    ACM TOIS 20(4):422-446, with linear gain as trec_eval computes it.
    """

    def dcg(values: Sequence[float]) -> float:
        return sum(value / log2(rank + 2) for rank, value in enumerate(values[:k]))

    return dcg(found) / dcg(sorted(relevances, reverse=True))


def reciprocal_rank(found: Sequence[float]) -> float:
    """1 / the rank of the first gain, 0 without one (Voorhees 1999, TREC-8 question answering track)."""
    return next((1 / (rank + 1) for rank, value in enumerate(found) if value > 0), 0.0)
