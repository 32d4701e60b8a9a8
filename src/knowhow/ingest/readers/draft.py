"""A document in the making: readers add blocks, places and warnings, and get an `Extract` whose spans fit its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.types import Extract, MetaValue, Place, PrintedLine, Span, pack_lines, unpack_lines

Kind = Literal["text", "table", "code", "heading"]

MAX_TEXT = 64_000_000
"""Characters of text one file may give."""
MAX_HEADING = 200
"""Characters of one step of a heading path; longer ones are prose set as a heading."""
MAX_META = 1_000
_EXPONENT = re.compile(r"[+\-−–]?[0-9A-Za-z]{1,4}$")
_ORDINALS = set("st nd rd th tm r o a e er re ème ter".split())

# Zero-width and formatting characters, bidirectional overrides, tag characters and the variation selectors of the
# supplement: a person sees none of them, a model reads them all.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Joiners shape Persian, Indic and emoji; between ASCII characters they only hide something.
_ASCII_JOINER = re.compile("(?<![\u0080-\U0010ffff])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0080-\U0010ffff])")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NEWLINE = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SUSPECT = re.compile(
    "[^\n\t\x20-\x7e\xa0-\xac\xae-\u034e\u0350-\u061b\u061d-\u115e\u1161-\u17b3\u17b6-\u180d\u180f-\u200a\u2010-\u2027"
    "\u202f-\u205f\u2070-\u3163\u3165-\ud7ff\ue000-\ufefe\uff00-\uff9f\uffa1-\ufff8\ufffc\ufffd\U00010000-\U0001d172"
    "\U0001d17b-\U000dffff\U000e1000-\U0010ffff]"
)


def clean(text: str) -> tuple[str, int]:
    """Text with `\\n` line ends and without control or invisible characters, and how many invisible ones went."""
    if not _SUSPECT.search(text):
        return text, 0
    text = _CONTROL.sub("", _NEWLINE.sub("\n", text))
    # A byte order mark left in the stream and soft hyphens are common and harmless: gone, but not worth a warning.
    text = text.replace("\ufeff", "").replace("\u00ad", "")
    text, first = _INVISIBLE.subn("", text)
    text, second = _ASCII_JOINER.subn("", text)
    return text, first + second


def squeeze(text: str) -> str:
    """Text on one line, whitespace runs as one blank."""
    return " ".join(text.split())


def heading_line(text: str) -> str:
    """A heading as it stands in a path: clean, on one line, not too long."""
    return squeeze(clean(text)[0])[:MAX_HEADING]


def raised(before: str, text: str) -> str:
    """The mark `^` where raised `text` would else run into what stands before it: 10^6, but 1st and TM as they are."""
    joins = before[-1:].isalnum() or before[-1:] == ")"
    return "^" if joins and _EXPONENT.match(text) and text.lower() not in _ORDINALS else ""


class Draft:
    """Collects blocks in reading order. Every block ends a span; what separates blocks belongs to the earlier one."""

    def __init__(self, place: Place | None = None, depth: int = 0) -> None:
        self.place = place or Place()
        """Where the next block is; the heading path is added to it."""
        self.depth = depth
        """How many files this one lies in (an attachment of an attachment: 2)."""
        self.title = ""
        self.pictures = False
        """Whether the file holds pictures, which explains why it has no text."""
        self.unread_scans = 0
        """Pages and pictures that only an `Ocr` could have read."""
        self.metadata: dict[str, MetaValue] = {}
        self.headings: list[tuple[int, str]] = []
        self._parts: list[str] = []
        self._spans: list[Span] = []
        self._lines: list[list[PrintedLine]] = []
        """Where the words of each span stand; parallel to `_spans`."""
        self._length = 0
        self._gap = ""
        self._warnings: dict[str, None] = {}
        self._invisible = 0

    def clean(self, text: str) -> str:
        """`clean`, with what is removed counted for the warnings."""
        text, invisible = clean(text)
        self._invisible += invisible
        return text

    def add(
        self,
        text: str,
        kind: Kind = "text",
        *,
        header: str = "",
        gap: str = "\n\n",
        lines: Sequence[PrintedLine] = (),
    ) -> None:
        """Appends a block at the current place; `gap` separates it from what follows; `lines` count clean text."""
        text = self.clean(text)
        if not text or (text.isspace() and not self._parts):
            return
        if self._length + len(text) > MAX_TEXT:
            raise UnreadableFile(ReadProblem.TOO_LARGE, f"more than {MAX_TEXT:,} characters of text; split the file")
        if self._gap and self._spans:
            self._parts.append(self._gap)
            self._length += len(self._gap)
            self._spans[-1] = replace(self._spans[-1], end=self._length)
        place = replace(self.place, heading=tuple(title for _, title in self.headings))
        start, self._length = self._length, self._length + len(text)
        self._parts.append(text)
        self._gap = gap
        last = self._spans[-1] if self._spans else None
        if last and kind == last.kind == "text" and last.place == place:
            self._spans[-1] = replace(last, end=self._length)
        else:
            self._spans.append(Span(start, self._length, place, kind, header))
            self._lines.append([])
        offset = start - self._spans[-1].start
        self._lines[-1] += [replace(line, start=line.start + offset) for line in lines]

    def heading(
        self, level: int, title: str, text: str | None = None, *, gap: str = "\n\n", lines: Sequence[PrintedLine] = ()
    ) -> None:
        """Opens a section: `title` joins the heading path, `text` (default: the title) becomes its own block."""
        title = heading_line(title)
        self.enter(level, title)
        self.add(title if text is None else text, "heading" if title else "text", gap=gap, lines=lines)

    def enter(self, level: int, title: str) -> None:
        """Opens a section without a block of its own."""
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        if title:
            self.headings.append((level, title))

    def table(self, rows: Sequence[Sequence[str]], header: Sequence[str] | None = None, *, gap: str = "\n\n") -> None:
        """Appends a table, one row a line; `header` are the cells that a passage from the middle keeps."""
        lines = [row_line(row) for row in rows]
        self.add("\n".join(lines), "table", header=clean(row_line(header))[0] if header else "", gap=gap)

    def meta(self, key: str, value: MetaValue | None) -> None:
        """Records a metadata value unless it is empty; the first one given for a key stays."""
        if isinstance(value, str):
            value = squeeze(clean(value)[0])[:MAX_META]
        if value is not None and value != "":
            self.metadata.setdefault(key, value)

    def warn(self, message: str) -> None:
        """Records what was left out or repaired, once."""
        self._warnings[message] = None

    def copy(self, extract: Extract, part: str) -> None:
        """Appends the blocks of a file inside this one, under the name `part`."""
        for span in extract.spans:
            inner = f"{part}/{span.place.part}" if span.place.part else part
            self.place, self.headings = replace(span.place, part=inner), list(enumerate(span.place.heading))
            text = extract.text[span.start : span.end].rstrip("\n")
            self.add(text, span.kind, header=span.header, lines=unpack_lines(span.layout))
        self.unread_scans += extract.unread_scans
        for warning in extract.warnings:
            self.warn(f"{part}: {warning}")

    def extract(self, media_type: str, name: str) -> Extract:
        """The finished value; without a title the first heading, else the file name, is taken.

        Raises `UnreadableFile` (empty, or without a text layer) when no block holds a visible character.
        """
        text = "".join(self._parts)
        if not text.strip() and self.pictures:
            raise UnreadableFile(ReadProblem.NO_TEXT, "the file holds pictures and no text")
        if not text.strip():
            raise UnreadableFile(ReadProblem.EMPTY, "the file has no text")
        if self._invisible:
            self.warn(f"{self._invisible} invisible characters removed")
        first = next((s.place.heading[-1] for s in self._spans if s.kind == "heading" and s.place.heading), "")
        title = heading_line(self.title) or first or name
        laid = tuple(
            replace(span, layout=pack_lines(lines)) if lines else span
            for span, lines in zip(self._spans, self._lines, strict=True)
        )
        warnings = tuple(self._warnings)
        return Extract(text, media_type, title, laid, self.metadata, warnings, self.unread_scans)


def row_line(cells: Sequence[str]) -> str:
    """One table row as a line, `a | b | c`; empty cells at its end are dropped."""
    return " | ".join(squeeze(cell) for cell in cells).rstrip(" |")
