"""What a Word document's styles and numbering say about a paragraph: heading level, code, list label."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowhow.ingest.readers.archive import attr, local

if TYPE_CHECKING:
    from lxml.etree import _Element

_HEADING = re.compile(r"heading\s*(\d)$", re.I)
_CODE = re.compile(r"code|preformatted|source|listing|verbatim", re.I)
_WRAPPERS = {"sdt", "sdtContent", "ins", "moveTo", "customXml"}


def child(parent: _Element | None, name: str) -> _Element | None:
    """The first child of that local name."""
    return next((node for node in parent if local(node) == name), None) if parent is not None else None


def children(parent: _Element, name: str) -> list[_Element]:
    """Children of that local name, also those inside content controls and tracked insertions."""
    found: list[_Element] = []
    for node in parent:
        if local(node) == name:
            found.append(node)
        elif local(node) in _WRAPPERS:
            found += children(node, name)
    return found


def switch(properties: _Element | None, name: str) -> bool:
    """Whether an on/off property is on."""
    node = child(properties, name)
    return node is not None and attr(node, "val").lower() not in {"0", "false", "off", "none"}


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph style means. `heading` 0 is the document's title."""

    heading: int | None = None
    code: bool = False
    number: tuple[str, int] | None = None
    """Numbering id and level."""


def read_styles(root: _Element | None) -> dict[str, Style]:
    """Style id → meaning, inherited along `basedOn`; the empty id is the default paragraph."""
    nodes = {attr(n, "styleId"): n for n in root if local(n) == "style"} if root is not None else {}
    styles: dict[str, Style] = {"": Style()}
    for key in nodes:
        chain: list[_Element] = []
        at: str | None = key
        while at in nodes and nodes[at] not in chain:
            chain.append(nodes[at])
            base = child(nodes[at], "basedOn")
            at = attr(base, "val") if base is not None else None
        styles[key] = _meaning(chain)
    return styles


def _meaning(chain: list[_Element]) -> Style:
    heading, code, number = None, False, None
    for node in chain:
        name = child(node, "name")
        label = attr(name, "val") if name is not None else attr(node, "styleId")
        properties = child(node, "pPr")
        outline = child(properties, "outlineLvl")
        if heading is None:
            if match := _HEADING.match(label):
                heading = int(match[1])
            elif label.lower() == "title":
                heading = 0
            elif outline is not None and attr(outline, "val").isdigit() and int(attr(outline, "val")) < 9:
                heading = int(attr(outline, "val")) + 1
        code = code or (bool(_CODE.search(label)) and attr(node, "type") == "paragraph")
        if number is None:
            number = number_of(child(properties, "numPr"))
    return Style(heading, code, number)


def number_of(properties: _Element | None) -> tuple[str, int] | None:
    """Numbering id and level of a `numPr`; an id of 0 takes numbering off."""
    if properties is None:
        return None
    number, level = child(properties, "numId"), child(properties, "ilvl")
    depth = attr(level, "val") if level is not None else "0"
    return (attr(number, "val") if number is not None else "", int(depth) if depth.isdigit() else 0)


@dataclass(frozen=True, slots=True)
class _Level:
    format: str
    text: str
    start: int


class Numbering:
    """Counts numbered paragraphs and writes their labels as Word does."""

    def __init__(self, root: _Element | None) -> None:
        self._abstract: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, str] = {}
        self._counts: dict[str, list[int]] = {}
        for node in root if root is not None else ():
            if local(node) == "abstractNum":
                levels = [n for n in node if local(n) == "lvl"]
                self._abstract[attr(node, "abstractNumId")] = {int(attr(n, "ilvl") or 0): _level(n) for n in levels}
            elif local(node) == "num":
                target = child(node, "abstractNumId")
                self._lists[attr(node, "numId")] = attr(target, "val") if target is not None else ""

    def label(self, properties: _Element | None, style: Style) -> tuple[str, int]:
        """(label, nesting level) of a paragraph, e.g. `("3.2", 1)` or `("-", 0)`; empty when not in a list."""
        stated = number_of(properties)
        number = stated or style.number
        if stated and not stated[0] and style.number:
            number = (style.number[0], stated[1])
        if number is None or number[0] in {"", "0"}:
            return "", 0
        key, depth = self._lists.get(number[0], ""), min(number[1], 8)
        levels = self._abstract.get(key, {})
        level = levels.get(depth, _Level("bullet", "", 1))
        if level.format == "bullet":
            return "-", depth
        if level.format == "none":
            return "", depth
        counts = self._counts.setdefault(key, [])
        while len(counts) <= depth:
            # A level that is skipped counts as begun: after 2.1.1 without a 2.1 comes 2.2.
            begun = len(counts) < depth
            counts.append(levels[len(counts)].start - (not begun) if len(counts) in levels else int(begun))
        counts[depth] += 1
        del counts[depth + 1 :]

        def shown(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            count = max(counts[at], 1) if at < len(counts) else 1
            return _count(count, levels[at].format if at in levels else "decimal")

        return re.sub(r"%([1-9])", shown, level.text), depth


def _level(node: _Element) -> _Level:
    def value(name: str, default: str) -> str:
        found = child(node, name)
        return attr(found, "val") if found is not None else default

    start = value("start", "1")
    return _Level(value("numFmt", "decimal"), value("lvlText", ""), int(start) if start.isdigit() else 1)


def _count(number: int, format: str) -> str:
    if format in {"lowerLetter", "upperLetter"}:
        text = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 20)
    elif format in {"lowerRoman", "upperRoman"}:
        text = roman(number)
    elif format == "decimalZero":
        text = f"{number:02d}"
    else:
        text = str(number)
    return text.upper() if format.startswith("upper") else text


def roman(number: int) -> str:
    """Lower-case Roman numeral of 1..3999, else the decimal number."""
    if not 0 < number < 4000:
        return str(number)
    values = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
              (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
    parts = []
    for value, digits in values:
        parts.append(digits * (number // value))
        number %= value
    return "".join(parts)
