"""Where the sentences, list items, table rows and code blocks of a text begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "row", "code", "heading"]


@dataclass(frozen=True, slots=True)
class Unit:
    """`text[start:end]`, without the white space and list marker around it."""

    start: int
    end: int
    kind: Kind = "sentence"


_FENCE = re.compile(r"[ \t]*(```|~~~)")
_ITEM = re.compile(r"[ \t>]*(?:[-*+•–]|\d{1,3}[.)]|[a-zA-Z][.)]|\(\d{1,2}\))[ \t]+")
_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]+")
_RULE = re.compile(r"[\s|:+=_*-]*")
_ROW = re.compile(r"[ \t]*\||[^|\n]*\S[ \t]+\|[ \t]+\S[^|\n]*\||[^\t\n]+\t[^\t\n]+\t")
_END = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s)|[。！？]+[」』”）]*|\n")
_OPENS = re.compile(r"[\s\"'“‘„«(\[*_¿¡]*(?P<next>\S)")
_WORD_BEFORE = re.compile(r"(\S+)$")
_BEFORE_ITEM = ("", ":", ".", ";")
_MONTH = re.compile(r"Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember")
_INITIAL = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]\.")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st mt vs etc no nos nr fig figs eq sec ch pp p vol ed eds al ca cf approx est inc ltd co "
    "corp dept univ gen col lt sgt capt rev hon gov sen rep art arts abs bzw usw evtl ggf inkl exkl max min tel std "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun resp viz bros".split()
)


def sentences(text: str) -> list[Unit]:
    """The units of `text` in order; disjoint, none empty. A fenced code block is one unit, so is a table row."""
    return [unit for block in _blocks(text) for unit in _split(text, block)]


def _blocks(text: str) -> Iterator[Unit]:
    """Code blocks, rows and headings as they stand; prose as paragraphs and list items still to be split."""
    at, begin = 0, -1
    fence = ""
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        mark = _FENCE.match(line)
        if fence:
            if mark and mark.group(1) == fence:
                yield Unit(begin, at, "code")
                fence, begin = "", -1
            continue
        item = _ITEM.match(line)
        alone = bool(mark) or not line.strip() or bool(_HEADING.match(line)) or bool(_ROW.match(line))
        if begin >= 0 and (alone or item):
            yield Unit(begin, start)
            begin = -1
        if mark:
            fence, begin = mark.group(1), start
        elif _HEADING.match(line):
            yield Unit(start, at, "heading")
        elif _ROW.match(line):
            yield Unit(start, at, "row")
        elif item:
            begin = start + item.end()
        elif line.strip() and begin < 0:
            begin = start
    if begin >= 0:
        yield Unit(begin, len(text), "code" if fence else "sentence")


def _split(text: str, block: Unit) -> Iterator[Unit]:
    if block.kind != "sentence":
        if block.kind == "code" or not _RULE.fullmatch(text, block.start, block.end):
            yield from _trimmed(text, block.start, block.end, block.kind)
        return
    longest = max(map(len, text[block.start : block.end].splitlines()), default=0)
    start = block.start
    for end in _END.finditer(text, block.start, block.end):
        if _ends(text, start, end, block.end, longest):
            yield from _trimmed(text, start, end.end(), "sentence")
            start = end.end()
    yield from _trimmed(text, start, block.end, "sentence")


def _ends(text: str, start: int, end: re.Match[str], stop: int, longest: int) -> bool:
    """Whether the punctuation or line break at `end` closes a sentence, not an abbreviation or a wrapped line."""
    found = _OPENS.match(text, end.end(), stop)
    if not found:
        return True
    following = found.group("next")
    if end.group() == "\n":
        line = end.start() - max(text.rfind("\n", start, end.start()) + 1, start)
        return (line < 0.5 * longest and not following.islower()) or text[end.start() - 1] == ":"
    if end.group()[0] in "。！？":
        return True
    if end.group()[0] == "." and len(end.group()) == 1:
        before = _WORD_BEFORE.search(text, start, end.start())
        word = before.group(1).lstrip("\"'“‘„«([*_") if before else ""
        if word.casefold() in _ABBREVIATIONS:
            return False
        if word.isdigit() and len(word) <= 2 and _MONTH.match(text, found.start("next")):
            return False  # "am 3. März"
        if before and word.isdigit() and len(word) <= 2 and text[start : before.start()].rstrip()[-1:] in _BEFORE_ITEM:
            return False  # "Do this: 1. Open the lid. 2. Press the button."
        if _INITIAL.fullmatch(word + "."):
            return "." in word and following.isupper() and not _name_follows(text, found.start("next"))
    return not following.islower()


def _name_follows(text: str, at: int) -> bool:
    """Whether a short capitalised word stands at `at`, as after "U.S." in "U.S. Army"."""
    word = re.match(r"\w+", text[at:])
    return bool(word) and word.group().casefold() not in _STARTERS  # type: ignore[union-attr]


_STARTERS = frozenset("the a an it he she they we you i this that these those in on at for but and however if".split())


def _trimmed(text: str, start: int, end: int, kind: Kind) -> Iterator[Unit]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Unit(start, end, kind)
