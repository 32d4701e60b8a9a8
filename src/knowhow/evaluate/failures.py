"""What goes wrong in real use: declines, unsupported sentences, thumbs-down and repeated questions, in clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from knowhow.ports import Embedder
from knowhow.types import Json

ALIKE = 0.6
"""Cosine from which two questions belong to one cluster."""
BAD = frozenset({"down", "correct", "should-decline", "wrong-source"})


class Trouble(StrEnum):
    """Why a trace counts as a failure."""

    DECLINED = "declined"
    UNSUPPORTED = "unsupported"
    DISLIKED = "disliked"
    REPEATED = "repeated"
    """The same question came up again within the period: the first answer did not settle it."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failures about the same thing. `earlier` and `later` count those of the period's halves."""

    question: str
    """The one most like the others."""
    count: int
    kinds: Mapping[str, int]
    earlier: int
    later: int
    traces: tuple[str, ...]
    """Newest first."""
    examples: tuple[str, ...]

    @property
    def trend(self) -> str:
        """rising, falling or steady: by a factor of two between the halves, and at least two more or fewer."""
        if self.later >= max(2 * self.earlier, self.earlier + 2):
            return "rising"
        return "falling" if self.earlier >= max(2 * self.later, self.later + 2) else "steady"

    def to_json(self) -> Json:
        """As `traces failures --json` prints it."""
        return {**asdict(self), "trend": self.trend}


def failures(
    traces: Sequence[Json], feedback: Mapping[str, Sequence[Json]], embedder: Embedder, *, since: float, until: float
) -> list[Cluster]:
    """Clusters of what failed between the times, the largest first.

    `traces` are bodies as the journal keeps them, newest first. A trace counts once, however many troubles it has.
    """
    troubles = _troubles(traces, feedback)
    failed = [trace for trace in traces if troubles.get(trace["id"])]
    if not failed:
        return []
    vectors = embedder.documents([trace["question"] for trace in failed])
    middle = (since + until) / 2
    found = []
    for members in _groups(vectors):
        centre = vectors[members].mean(axis=0)
        typical = members[int(np.argmax(vectors[members] @ centre))]
        rows = [failed[i] for i in members]
        kinds = Counter(kind.value for row in rows for kind in troubles[row["id"]])
        later = sum(1 for row in rows if row["at"] >= middle)
        questions = tuple(dict.fromkeys(row["question"] for row in rows))
        ids = tuple(row["id"] for row in rows)
        asked = failed[typical]["question"]
        found.append(Cluster(asked, len(rows), dict(kinds.most_common()), len(rows) - later, later, ids, questions[:5]))
    return sorted(found, key=lambda cluster: (-cluster.count, cluster.question))


def _troubles(traces: Sequence[Json], feedback: Mapping[str, Sequence[Json]]) -> dict[str, set[Trouble]]:
    asked = Counter(_plain(trace["question"]) for trace in traces)
    found: dict[str, set[Trouble]] = {}
    for trace in traces:
        kinds = set()
        if trace["abstained"]:
            kinds.add(Trouble.DECLINED)
        elif any(check["support"] == "no" for check in trace["checks"]):
            kinds.add(Trouble.UNSUPPORTED)
        if any(said["verdict"] in BAD for said in feedback.get(trace["id"], ())):
            kinds.add(Trouble.DISLIKED)
        if asked[_plain(trace["question"])] > 1:
            kinds.add(Trouble.REPEATED)
        found[trace["id"]] = kinds
    return found


def _plain(question: str) -> str:
    return " ".join(question.casefold().split()).rstrip("?!. ")


def _groups(vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> list[list[int]]:
    """Greedy: each question joins the first cluster whose leader it is like, else leads one of its own."""
    leaders: list[int] = []
    groups: list[list[int]] = []
    for i in range(len(vectors)):
        near = vectors[leaders] @ vectors[i] if leaders else np.zeros(0)
        best = int(np.argmax(near)) if len(near) else -1
        if best >= 0 and near[best] >= ALIKE:
            groups[best].append(i)
        else:
            leaders.append(i)
            groups.append([i])
    return groups
