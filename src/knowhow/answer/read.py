"""Reads a reply: takes out its marks, ties each sentence to ranges, checks it, writes back the marks that hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from knowhow.answer.cite import Claim, Grounds, Stretch, marked_units, parse_marks
from knowhow.answer.links import harmless
from knowhow.answer.sentences import Unit
from knowhow.answer.values import values
from knowhow.answer.verify import claim_terms
from knowhow.ports import Verifier
from knowhow.types import Citation, Json, Recipe, Shown, Support


@dataclass(frozen=True, slots=True)
class Reading:
    """A reply as it may be shown: the text with its marks, what each sentence rests on, what nothing bears out."""

    text: str
    plain: str
    """The text without any marks."""
    citations: tuple[Citation, ...] = ()
    unsupported: tuple[tuple[int, int], ...] = ()
    supported: int = 0
    """Sentences that at least one range bears out."""
    dropped: tuple[int, ...] = ()
    checks: tuple[Json, ...] = ()


_LEAF = re.compile(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_CLOSING = ".!?…。！？|\"'”’)"


def read(raw: str, question: str, shown: Sequence[Shown], recipe: Recipe, verifier: Verifier | None) -> Reading:
    """`raw` read against what was shown. Nothing is checked where nothing was shown or the recipe cites nothing."""
    if recipe.schema is not None:
        return _read_json(raw, question, shown, recipe, verifier)
    sources = [passage.text for passage in shown]
    parsed = parse_marks(harmless(raw, [*sources, question]), len(shown))
    if not shown or not recipe.cite:
        return Reading(parsed.text, parsed.text, dropped=parsed.dropped)
    grounds = Grounds(shown, question, verifier)
    claims = [
        grounds.judge(parsed.text, unit, marked) for unit, marked in marked_units(parsed) if unit.kind != "heading"
    ]
    claims = [_yes_or_no(claim, parsed.text, question, grounds) for claim in claims]
    return _written(parsed.text, claims, shown, parsed.dropped)


def _yes_or_no(claim: Claim, text: str, question: str, grounds: Grounds) -> Claim:
    """A bare "Yes." is tied to what the question is about, though no words of it can be checked."""
    said = text[claim.start : claim.end]
    if (
        claim.support is not Support.UNCHECKED
        or claim_terms(said)
        or values(said)
        or not re.match(r"\W*(?:yes|no|ja|nein)\b", said, re.I)
    ):
        return claim
    asked = grounds.judge(question.rstrip(" ?"), Unit(0, len(question.rstrip(" ?"))), claim.marked)
    return Claim(claim.start, claim.end, claim.marked, asked.stretches, Support.UNCHECKED)


def _written(text: str, claims: Sequence[Claim], shown: Sequence[Shown], dropped: tuple[int, ...]) -> Reading:
    """The text with `[n]` after every sentence that rests on a range, and all offsets counted in that text."""
    pieces: list[str] = []
    citations: list[Citation] = []
    unsupported: list[tuple[int, int]] = []
    checks: list[Json] = []
    at = length = 0
    for claim in claims:
        marks = "".join(f"[{shown[i].mark}]" for i in dict.fromkeys(s.index for s in claim.stretches))
        end = _closing(text, claim) if marks else claim.end
        mark = f" {marks}" if marks else ""
        whole = f"{text[at:end]}{mark}{text[end : claim.end]}"
        start = length + claim.start - at
        pieces.append(whole)
        length += len(whole)
        at = claim.end
        citations += _citations(claim, (start, length), shown)
        if claim.support is Support.NO:
            unsupported.append((start, length))
        checks.append(_check(claim, text, shown))
    return Reading(
        "".join([*pieces, text[at:]]),
        text,
        tuple(citations),
        tuple(unsupported),
        sum(claim.support is Support.YES for claim in claims),
        dropped,
        tuple(checks),
    )


def _closing(text: str, claim: Claim) -> int:
    """Where a mark goes: before the closing punctuation, and inside a table row."""
    end = claim.end
    while end > claim.start and text[end - 1] in _CLOSING:
        end -= 1
    while end > claim.start and text[end - 1] == " ":
        end -= 1
    return end if end > claim.start else claim.end


def _citations(claim: Claim, sentence: tuple[int, int], shown: Sequence[Shown]) -> list[Citation]:
    found = []
    for stretch in claim.stretches:
        hit = shown[stretch.index].hit
        support = claim.support if claim.support is Support.UNCHECKED else stretch.finding.support
        found.append(
            Citation(
                mark=shown[stretch.index].mark,
                uri=hit.uri,
                version=hit.version,
                start=hit.start + stretch.start,
                end=hit.start + stretch.end,
                quote=shown[stretch.index].text[stretch.start : stretch.end],
                supported=support,
                place=hit.place,
                sentence=sentence,
                by="model" if stretch.index in claim.marked else "attributed",
                reason="; ".join(stretch.finding.reasons) if support is Support.NO else "",
            )
        )
    return found


def _check(claim: Claim, text: str, shown: Sequence[Shown]) -> Json:
    return {
        "sentence": text[claim.start : claim.end],
        "support": claim.support.value,
        "marked": [shown[i].mark for i in claim.marked],
        "moved": claim.moved,
        "ranges": [_range(stretch, shown) for stretch in claim.stretches],
        "nearest": _range(claim.nearest, shown) if claim.nearest else None,
    }


def _range(stretch: Stretch, shown: Sequence[Shown]) -> Json:
    passage = shown[stretch.index]
    return {
        "mark": passage.mark,
        "start": passage.hit.start + stretch.start,
        "end": passage.hit.start + stretch.end,
        "score": round(stretch.finding.score, 3),
        "support": stretch.finding.support.value,
        "reasons": list(stretch.finding.reasons),
    }


def _read_json(raw: str, question: str, shown: Sequence[Shown], recipe: Recipe, verifier: Verifier | None) -> Reading:
    """A reply in JSON stays as it is; each value that a shown passage holds is cited, the others are not."""
    text = raw.strip()
    if not shown or not recipe.cite:
        return Reading(text, text)
    grounds = Grounds(shown, question, verifier)
    citations: list[Citation] = []
    checks: list[Json] = []
    for leaf in _LEAF.finditer(text):
        quoted = leaf.group().startswith('"')
        start, end = leaf.start() + quoted, leaf.end() - quoted
        if leaf.group("key") or not text[start:end].strip():
            continue
        claim = grounds.judge(text, Unit(start, end), ())
        if claim.support is Support.YES and all(s.finding.score == 1.0 for s in claim.stretches):
            citations += _citations(claim, (start, end), shown)
        checks.append(_check(claim, text, shown))
    return Reading(text, text, tuple(citations), supported=len(citations), checks=tuple(checks))
