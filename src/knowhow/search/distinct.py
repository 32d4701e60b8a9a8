"""Hits that each say something new: repeated passages once, neighbours in one document as one stretch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from knowhow.ports import Overlay, Store
from knowhow.search.judge import Judged
from knowhow.types import Fate, Filter, Passage

_SHINGLE = 3
"""Terms in a row that are compared."""
_TELLING = 20
"""Terms from which a text speaks for itself; a shorter one ("Not applicable.") is another one under another title."""
_LONGEST = 3000
"""Characters a merged stretch may reach, about three passages: more would let one document fill the context."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Passages shown as one hit, the best first; `text == document.text[start:end]`."""

    members: tuple[Judged, ...]
    start: int
    end: int
    text: str

    @property
    def best(self) -> Judged:
        """The passage that earned the stretch its rank."""
        return self.members[0]


def unrepeated(ranked: Sequence[Judged]) -> tuple[list[Judged], dict[int, Fate]]:
    """`ranked` without passages whose every word sequence stands in another one, and the fate of those left out.

    Nothing is lost by leaving them out: of a passage and a longer one that contains it the longer stays, of two that
    say the same the one that took effect later, else the better; it takes the better rank of the two. Passages that
    differ in a single word, number or "not" both stay, because that is how sources contradict each other.
    """
    kept: list[Judged] = []
    held: list[_Sequences] = []
    fates: dict[int, Fate] = {}
    for one in ranked:
        mine = _Sequences(one)
        twin = next((i for i, other in enumerate(held) if mine.are_in(other) or other.are_in(mine)), None)
        if twin is None:
            kept.append(one)
            held.append(mine)
        elif not mine.are_in(held[twin]) or (held[twin].are_in(mine) and _later(one.passage, kept[twin].passage)):
            fates[kept[twin].passage.id] = Fate.DUPLICATE
            kept[twin], held[twin] = one, mine
        else:
            fates[one.passage.id] = Fate.DUPLICATE
    return kept, fates


class _Sequences:
    """The word sequences of a passage, worked out only once another passage has all of its words."""

    def __init__(self, one: Judged) -> None:
        self._told = one.body if len(one.body) >= _TELLING else [*one.lead, *one.body, one.passage.text]
        self._words = frozenset(self._told)

    @cached_property
    def _shingles(self) -> frozenset[tuple[str, ...]]:
        runs = zip(*(self._told[i:] for i in range(_SHINGLE)), strict=False)
        return frozenset(runs) or frozenset([tuple(self._told)])

    def are_in(self, other: _Sequences) -> bool:
        """Whether all of them stand in `other`."""
        return self._words <= other._words and self._shingles <= other._shingles


def _later(a: Passage, b: Passage) -> bool:
    return a.effective_at is not None and b.effective_at is not None and a.effective_at > b.effective_at


def stretches(
    ranked: Sequence[Judged], size: int, store: Store, filter: Filter, overlay: Overlay | None
) -> tuple[list[Stretch], dict[int, Fate]]:
    """The first `size` stretches of `ranked`, and the fate of passages that are not the best of one.

    Passages are taken in order until there are `size` stretches. One that continues or overlaps a stretch of the
    same document version is merged into it; the stretch keeps the better rank and at most `_LONGEST` characters.
    """
    found: list[Stretch] = []
    fates: dict[int, Fate] = {}
    texts = _Texts(store, filter, overlay)
    for one in ranked:
        if len(found) == size:
            fates[one.passage.id] = Fate.BELOW_K
            continue
        new, at = Stretch((one,), one.passage.start, one.passage.end, one.passage.text), len(found)
        for i in reversed(range(len(found))):
            merged = _merged(found[i], new, texts)
            if merged is not None:
                new, at = merged, i
                del found[i]
        found.insert(at, new)
        fates |= {member.passage.id: Fate.MERGED for member in new.members[1:]}
    return found, fates


class _Texts:
    """Document texts for merging, each read at most once and only through `filter`."""

    def __init__(self, store: Store, filter: Filter, overlay: Overlay | None) -> None:
        self._store = store
        self._filter = filter
        self._known: dict[tuple[str, int], str] = {}
        self._added = {put.document.uri: put.document.text for put in overlay.add} if overlay else {}

    def of(self, passage: Passage) -> str:
        """The passage's document version; "" when it may no longer be seen."""
        if passage.id < 0:
            return self._added[passage.uri]
        key = (passage.uri, passage.version)
        if key not in self._known:
            document = self._store.document(passage.uri, self._filter, version=passage.version)
            self._known[key] = document.text if document else ""
        return self._known[key]


def _merged(better: Stretch, other: Stretch, texts: _Texts) -> Stretch | None:
    """Both as one stretch, or None when they do not touch."""
    one, two = better.best.passage, other.best.passage
    start, end = min(better.start, other.start), max(better.end, other.end)
    if (one.uri, one.version) != (two.uri, two.version) or end - start > _LONGEST:
        return None
    text = texts.of(one)
    gap = text[min(better.end, other.end) : max(better.start, other.start)]
    if gap.strip() or end > len(text):
        return None
    return Stretch(better.members + other.members, start, end, text[start:end])
