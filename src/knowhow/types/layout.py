"""Where the words of a printed page stand: packed into a short string beside the text, and read back as boxes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"\S+")
_UNITS = 2
"""Units a point, so that a place is exact to a quarter of a point."""
_TURNED = "v"
"""Marks a line whose words follow one another down the page."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points (1/72 inch) from the upper left corner of the page as it is shown."""

    page: int
    """Physical page, counted from 1."""
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line of text in a picture: `box` is (x0, y0, x1, y1) in pixels from the upper left corner.

    `angle` is the direction it runs in, degrees clockwise: 0 to the right, 90 downwards, 180 upside down, 270 upwards.
    """

    text: str
    box: tuple[float, float, float, float]
    angle: int = 0


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """Words on one line: `start` counts characters from the start of the stretch, `words` are in order of the text.

    Each word is (x0, y0, x1, y1); all have the same height, or on a line down the page the same width. The line ends
    where the next one starts.
    """

    start: int
    words: tuple[tuple[float, float, float, float], ...]


def pack_lines(lines: Iterable[PrintedLine]) -> str:
    """Lines as text of about five characters a word: one height for all, then gap and width of each."""
    return ";".join(_pack(line) for line in lines if line.words)


def _pack(line: PrintedLine) -> str:
    x0, y0, x1, y1 = (f([word[i] for word in line.words]) for i, f in enumerate((min, min, max, max)))
    turned = len({(word[1], word[3]) for word in line.words}) > 1
    along, low, high = (1, x0, x1) if turned else (0, y0, y1)
    numbers = [line.start, _units(low), _units(high)]
    at = 0
    for word in line.words:
        start, end = _units(word[along]), _units(word[along + 2])
        numbers += [start - at, end - start]
        at = end
    return (_TURNED if turned else "") + ",".join(map(str, numbers))


def _units(points: float) -> int:
    return round(points * _UNITS)


def unpack_lines(layout: str) -> list[PrintedLine]:
    """The inverse of `pack_lines`; every word has the height of its line."""
    return [_unpack(line) for line in layout.split(";") if line]


def _unpack(line: str) -> PrintedLine:
    turned = line.startswith(_TURNED)
    start, low, high, *steps = map(int, line.removeprefix(_TURNED).split(","))
    words = []
    at = 0
    for gap, width in zip(steps[::2], steps[1::2], strict=True):
        a, at = at + gap, at + gap + width
        box = (low, a, high, at) if turned else (a, low, at, high)
        words.append((box[0] / _UNITS, box[1] / _UNITS, box[2] / _UNITS, box[3] / _UNITS))
    return PrintedLine(start, tuple(words))


def boxes_of(text: str, layout: str, page: int, start: int, end: int) -> Iterator[Box]:
    """One box for each line of which words lie in `text[start:end]`; `text` is the stretch that `layout` is of."""
    lines = unpack_lines(layout)
    for number, line in enumerate(lines):
        stop = lines[number + 1].start if number + 1 < len(lines) else len(text)
        if stop <= start or line.start >= end:
            continue
        words = zip(_WORD.finditer(text, line.start, stop), line.words, strict=False)
        inside = [box for word, box in words if word.start() < end and word.end() > start]
        if inside:
            x0, y0, x1, y1 = zip(*inside, strict=True)
            yield Box(page, min(x0), min(y0), max(x1), max(y1))
