"""Citation marks in a reply, and the exact ranges of the shown passages that bear out each of its sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from knowhow.answer.guard import trusted, untrusted
from knowhow.answer.sentences import Unit, sentences
from knowhow.answer.values import values
from knowhow.answer.verify import Finding, Rarity, check, claim_terms, missing_values, probabilities
from knowhow.ports import Verifier
from knowhow.store.analyze import query_terms, terms
from knowhow.types import Shown, Support

_NUMBERS = r"\d{1,3}(?:\s*(?:,|;|–|-|and|und|&)\s*\^?\d{1,3})*"
_MARK = re.compile(
    rf"\[\^?\s*(?:(?:documents?|docs?|sources?|passages?|refs?|dokumente?|quellen?)\s*#?)?(?P<square>{_NUMBERS})\s*\]"
    rf"|【(?P<lens>{_NUMBERS})[^】\n]{{0,30}}】|［(?P<wide>{_NUMBERS})］",
    re.I,
)
_ROUND = re.compile(r"(?<=[\w\"'”’%)]) \((?P<round>\d{1,2})\)(?=\s*(?:[.,;:!?]|$))", re.M)
_CODE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)|`[^`\n]+`", re.S | re.M)
_WIDEN = 0.15
"""Coverage a neighbouring sentence must add before the range grows over it."""
_LONGEST = 3
"""Sentences a range may span."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark the model wrote: which passages it names and where it stood in the text without marks."""

    numbers: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A reply without its marks. `dropped` are numbers that point at nothing shown."""

    text: str
    marks: tuple[Mark, ...]
    dropped: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of one shown passage: `shown[index].text[start:end]`, with what the check made of it."""

    index: int
    start: int
    end: int
    finding: Finding


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence `text[start:end]` of the reply, the ranges it rests on, and how they were found."""

    start: int
    end: int
    marked: tuple[int, ...]
    """Indices of the passages the model named."""
    stretches: tuple[Stretch, ...]
    support: Support
    moved: bool = False
    """The model's mark did not hold, another shown passage does."""
    nearest: Stretch | None = None
    """For a sentence that rests on nothing: the range that comes closest, and what it lacks."""


def parse_marks(reply: str, shown: int) -> Parsed:
    """Takes the marks out of `reply`.

    `[1]`, `[1, 2]`, `[1-3]`, `【1】`, `[^1]` and `[Document 1]` are marks, but not in code; `(1)` is one only where no
    bracketed mark is written and it closes a clause.
    """
    code = [match.span() for match in _CODE.finditer(reply)]
    found = [m for m in _MARK.finditer(reply) if not any(a <= m.start() < b for a, b in code)]
    if not found:
        found = [
            m
            for m in _ROUND.finditer(reply)
            if 1 <= int(m.group("round")) <= shown and not any(a <= m.start() < b for a, b in code)
        ]
    pieces: list[str] = []
    marks: list[Mark] = []
    dropped: list[int] = []
    at = length = 0
    for match in found:
        piece = reply[at : match.start()]
        if match.end() == len(reply) or reply[match.end()] in " \n.,;:!?[":
            piece = piece.rstrip(" ")  # the space before a mark belongs to it
        pieces.append(piece)
        length += len(piece)
        at = match.end()
        if not reply[reply.rfind("\n", 0, match.start()) + 1 : match.start()].strip():
            at += len(reply[at:]) - len(reply[at:].lstrip(" :"))  # "[1] Laptops", "[1]: Laptops"
        numbers = _numbers(next(group for group in match.groups() if group))
        dropped += [n for n in numbers if not 1 <= n <= shown]
        kept = tuple(n for n in numbers if 1 <= n <= shown)
        if kept:
            marks.append(Mark(kept, length))
    text = "".join([*pieces, reply[at:]])
    lead = len(text) - len(text.lstrip())
    text = text.strip()
    moved = tuple(replace(mark, at=min(max(mark.at - lead, 0), len(text))) for mark in marks)
    return Parsed(text, moved, tuple(dropped))


def _numbers(text: str) -> list[int]:
    """The numbers of "1, 3-5"; a range of more than ten is taken at its ends."""
    found: list[int] = []
    for part in re.split(r"\s*(?:,|;|and|und|&)\s*", text):
        ends = [int(n) for n in re.findall(r"\d+", part)]
        span = range(ends[0], ends[-1] + 1) if len(ends) == 2 and 0 <= ends[1] - ends[0] <= 10 else ends
        found += span
    return list(dict.fromkeys(found))


def marked_units(parsed: Parsed) -> list[tuple[Unit, tuple[int, ...]]]:
    """The reply's units, each with the indices its marks name: those that stand in it, close it or open its line."""
    units = sentences(parsed.text)
    named: list[list[int]] = [[] for _ in units]
    for mark in parsed.marks:
        line = parsed.text.rfind("\n", 0, mark.at) + 1
        opens = not parsed.text[line : mark.at].strip(" \t-*•>") and parsed.text[mark.at : mark.at + 2].strip() != ""
        before = [i for i, unit in enumerate(units) if unit.start < mark.at]
        after = [i for i, unit in enumerate(units) if unit.end > mark.at]
        chosen = after[0] if after and (opens or not before) else before[-1] if before else None
        if chosen is not None:
            named[chosen] += [n - 1 for n in mark.numbers]
    return [(unit, tuple(dict.fromkeys(indices))) for unit, indices in zip(units, named, strict=True)]


class Grounds:
    """The shown passages cut into sentences, ready to be asked which of them bears out a claim.

    Sentences that read as orders to the model are never evidence.
    """

    def __init__(self, shown: Sequence[Shown], question: str = "", verifier: Verifier | None = None) -> None:
        self._shown = shown
        self._question = query_terms(question) if question else []
        self._verifier = verifier
        self._units = [_usable(passage.text) for passage in shown]
        self._terms = [
            [terms(p.text[u.start : u.end]) for u in units] for p, units in zip(shown, self._units, strict=True)
        ]
        self.rarity = Rarity(
            p.text[u.start : u.end] for p, units in zip(shown, self._units, strict=True) for u in units
        )

    def judge(self, text: str, unit: Unit, marked: Sequence[int]) -> Claim:
        """Ties `text[unit]` to ranges: first where the model pointed, else wherever a shown passage supports it."""
        claim = text[unit.start : unit.end]
        mine = [stretch for stretch in (self.best(claim, index) for index in marked) if stretch]
        if any(stretch.finding.support is Support.YES for stretch in mine):
            kept = tuple(stretch for stretch in mine if stretch.finding.support is Support.YES)
            return Claim(unit.start, unit.end, tuple(marked), kept, Support.YES)
        if len(mine) > 1 and (joint := self._joint(claim, mine)):
            return Claim(unit.start, unit.end, tuple(marked), joint, Support.YES)
        others = [
            stretch for stretch in (self.best(claim, i) for i in range(len(self._shown)) if i not in marked) if stretch
        ]
        good = [stretch for stretch in others if stretch.finding.support is Support.YES]
        if good:
            best = max(good, key=lambda stretch: (self._fit(claim, stretch), -stretch.index))
            return Claim(unit.start, unit.end, tuple(marked), (best,), Support.YES, moved=bool(marked))
        every = mine or others
        checked = any(stretch.finding.support is Support.NO for stretch in every) or not every
        support = Support.NO if checked and _says_something(claim) else Support.UNCHECKED
        nearest = max(every, key=lambda stretch: self._fit(claim, stretch)) if every and not mine else None
        return Claim(unit.start, unit.end, tuple(marked), tuple(mine), support, nearest=nearest)

    def best(self, claim: str, index: int) -> Stretch | None:
        """The sentence, or up to three in a row, of one passage that bears the claim out best, if it has any."""
        units, shown = self._units[index], self._shown[index]
        if not units:
            return None
        ranked = sorted(range(len(units)), key=lambda i: (-self._score(claim, shown.text, index, i, i), i))
        stretch = self._place(claim, index, *self._widen(claim, index, ranked[0]))
        for i in ranked[1:3]:
            if stretch.finding.support is Support.YES:
                break
            other = self._place(claim, index, *self._widen(claim, index, i))
            stretch = other if other.finding.support is Support.YES else stretch
        return stretch

    def _score(self, claim: str, text: str, index: int, first: int, last: int) -> float:
        """Coverage of the claim's words, less the share of figures missing; the question's words break ties."""
        held = [term for i in range(first, last + 1) for term in self._terms[index][i]]
        units = self._units[index]
        stretch = text[units[first].start : units[last].end]
        figures = values(claim)
        lost = len(missing_values(claim, stretch)) / len(figures) if figures else 0.0
        return self.rarity.share(claim_terms(claim), held) - lost + 0.2 * self.rarity.share(self._question, held)

    def _widen(self, claim: str, index: int, at: int) -> tuple[int, int]:
        text, first, last = self._shown[index].text, at, at
        score = self._score(claim, text, index, first, last)
        while last - first + 1 < _LONGEST:
            sides = [
                (a, b) for a, b in ((first - 1, last), (first, last + 1)) if a >= 0 and b < len(self._units[index])
            ]
            grown = max(((self._score(claim, text, index, a, b), a, b) for a, b in sides), default=(0.0, 0, 0))
            if grown[0] < score + _WIDEN:
                break
            score, first, last = grown
        return first, last

    def _place(self, claim: str, index: int, first: int, last: int) -> Stretch:
        units, shown = self._units[index], self._shown[index]
        start, end = units[first].start, units[last].end
        before = shown.text[units[max(first - 2, 0)].start : start]
        around = trusted(f"{shown.hit.title}\n{shown.hit.lead}\n{before}")
        entailed = probabilities(self._verifier, [(claim, f"{around}\n{shown.text[start:end]}")])[0]
        finding = check(claim, shown.text[start:end], around=around, rarity=self.rarity, entailed=entailed)
        return Stretch(index, start, end, finding)

    def _joint(self, claim: str, stretches: Sequence[Stretch]) -> tuple[Stretch, ...] | None:
        """The stretches together, where none alone but all of them in one bear the claim out."""
        text = "\n".join(self._shown[stretch.index].text[stretch.start : stretch.end] for stretch in stretches)
        around = "\n".join(
            f"{self._shown[stretch.index].hit.title}\n{self._shown[stretch.index].hit.lead}" for stretch in stretches
        )
        finding = check(claim, text, around=trusted(around), rarity=self.rarity)
        if finding.support is not Support.YES:
            return None
        return tuple(replace(stretch, finding=finding) for stretch in stretches)

    def _fit(self, claim: str, stretch: Stretch) -> float:
        held = terms(self._shown[stretch.index].text[stretch.start : stretch.end])
        return (
            stretch.finding.score
            + self.rarity.share(self._question, held)
            + 0.001 * self.rarity.share(claim_terms(claim), held)
        )


def _usable(text: str) -> list[Unit]:
    withheld = untrusted(text)
    return [unit for unit in sentences(text) if not any(a < unit.end and b > unit.start for a, b in withheld)]


def _says_something(claim: str) -> bool:
    """Whether the sentence states anything: not a question, not a lead-in such as "Here is what to do:"."""
    return not claim.rstrip("\"'”’*_ ").endswith(("?", ":")) or bool(values(claim))
