"""The characters of a PDF page with their boxes, gathered into fragments: stretches of one line without a wide gap."""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from array import array
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

Area = tuple[float, float, float, float]
"""x0, y0, x1, y1 in points from the upper left corner of the page as it is shown."""

SOFT_HYPHEN = "\x02"
"""What pdfium writes for a hyphen at the end of a line."""
WIDE_GAP = 1.15
"""Gap between characters, in font sizes, that parts cells; justified prose stays under one."""
PALE = 235
"""Of 255: a shade from which nothing can be read on white paper."""
_SHIFT = 29
_GLYPHS = {
    135: 0x2022,
    171: 0x2026,
    172: 32,
    177: 0x2013,
    178: 0x2014,
    179: 0x201C,
    180: 0x201D,
    181: 0x2018,
    182: 0x2019,
}
"""Punctuation beyond ASCII in the standard order of Macintosh glyphs (Apple TrueType Reference, 'post' table)."""
_SAMPLE = 5
"""Pages from which the shift is told."""
_BLANKS = {0, 9, 10, 13, 32, 160}
_SYMBOL = re.compile("[\x80-\x9f\uf000-\uf0ff](?: |$)")
"""A symbol font's bullet."""
_TINY = 1.5
"""Points; text this small is not there to be read by people."""


@dataclass(slots=True)
class Fragment:
    """A piece of one line."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool = False
    fixed: bool = False
    """Whether the font has one width for all characters, as code is set in."""
    pale: bool = False
    """Whether it is set in white or nearly so, or transparent."""
    edges: array[float] = field(default_factory=lambda: array("f"))
    """Where each character of `text` starts and ends: x0, x1, x0, x1, …"""
    drawn: bool = True
    """Whether it is painted at all; the text layer of a scan is not."""

    @property
    def middle(self) -> float:
        """Height of the line's middle."""
        return (self.y0 + self.y1) / 2


@dataclass(slots=True)
class PageText:
    """A page's fragments in the order of the file, and what was seen on the way."""

    width: float
    height: float
    fragments: list[Fragment]
    sideways: list[str] = field(default_factory=list)
    """Lines that run in another direction than the page, such as a stamp in the margin."""
    turned: int = 0
    """Degrees by which the page was turned to have most of its text run from left to right."""
    characters: int = 0
    unmapped: int = 0
    tiny: int = 0
    layer: bool = False
    """Whether the text is the layer that recognition laid over or under a scan."""


def glyph_shift(pdf: PdfDocument) -> int:
    """What to add to the codes of fonts that do not say which letters they draw; 0 to leave them.

    Such text comes out as glyph numbers. TrueType fonts mostly begin with .notdef, .null, a return and then ASCII
    from the blank on, so glyph 3 is the blank and 29 turns numbers into letters. Believed only where the result has
    the blanks and vowels of a written language.
    """
    from pypdfium2 import raw

    letters: list[str] = []
    for index in range(min(len(pdf), _SAMPLE)):
        textpage = pdf[index].get_textpage()
        handle = textpage.raw
        for i in range(raw.FPDFText_CountChars(handle)):
            if raw.FPDFText_HasUnicodeMapError(handle, i) == 1:
                code = raw.FPDFText_GetUnicode(handle, i)
                letters.append(chr(code + _SHIFT).lower() if 3 <= code < 98 else "?")
        textpage.close()
    vowels = sum(c in "aeiouy" for c in letters)
    blanks = letters.count(" ")
    words = sum(c.isalpha() for c in letters)
    plausible = len(letters) >= 50 and blanks * 12 >= len(letters) and 0.25 <= vowels / max(1, words) <= 0.55
    return _SHIFT if plausible else 0


def page_text(page: PdfPage, *, shift: int = 0) -> PageText:
    """Fragments of one page; coordinates as the page is shown, rotation undone. `shift` as `glyph_shift` says."""
    from pypdfium2 import raw

    left, bottom, right, top = page.get_bbox()
    rotation = page.get_rotation()
    width, height = (right - left, top - bottom) if rotation % 180 == 0 else (top - bottom, right - left)
    result = PageText(width, height, [])
    textpage = page.get_textpage()
    handle = textpage.raw
    directions = {angle: _Gather(result) for angle in (0, 90, 180, 270)}
    gather, angle = directions[0], 0
    rect = raw.FS_RECTF()
    pointer = ctypes.byref(rect)
    for i in range(raw.FPDFText_CountChars(handle)):
        code = raw.FPDFText_GetUnicode(handle, i)
        if shift and raw.FPDFText_HasUnicodeMapError(handle, i) == 1:
            code = _GLYPHS.get(code, code + shift if code < 98 else code)
        elif code in (0, 10, 13, 0xFFFE, 0xFFFF):
            gather.end()
            continue
        if not raw.FPDFText_GetLooseCharBox(handle, i, pointer):
            continue
        if code not in _BLANKS:
            # pdfium measures clockwise, as /Rotate turns.
            angle = (-round(math.degrees(raw.FPDFText_GetCharAngle(handle, i)) / 90) * 90 - rotation) % 360
            if directions[angle] is not gather:
                gather.end()
                gather = directions[angle]
        box = (rect.left - left, top - rect.top, rect.right - left, top - rect.bottom)
        shown = turn(box, rotation, right - left, top - bottom)
        gather.add(code, turn(shown, angle, width, height), handle, i, raw)
    gather.end()
    textpage.close()
    _choose_direction(result, directions)
    return result


def has_images(page: PdfPage) -> bool:
    """Whether pictures stand on the page; with no text that makes it a scan."""
    from pypdfium2 import raw

    return any(True for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))


def image_share(page: PdfPage) -> float:
    """Share of the page that its largest picture covers."""
    from pypdfium2 import raw

    width, height = page.get_size()
    found = (image.get_bounds() for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
    largest: float = max(((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in found), default=0.0)
    area: float = max(width * height, 1.0)
    return largest / area


def turn(box: Area, rotation: int, width: float, height: float) -> Area:
    """A box of the unrotated page (upper-left origin) where the shown page has it."""
    x0, y0, x1, y1 = box
    if rotation == 90:
        return height - y1, x0, height - y0, x1
    if rotation == 180:
        return width - x1, height - y1, width - x0, height - y0
    if rotation == 270:
        return y0, width - x1, y1, width - x0
    return box


class _Gather:
    """Turns a stream of characters into fragments."""

    def __init__(self, page: PageText) -> None:
        self.page = page
        self.found: list[Fragment] = []
        self.chars: list[str] = []
        self.boxes: list[Area] = []
        self.last: Area | None = None
        self.bold = self.fixed = self.pale = False
        self.drawn = True
        self.painted = 0
        """The object that the last character belongs to."""

    def add(self, code: int, box: Area, handle: Any, index: int, raw: Any) -> None:
        char = chr(code) if code < 0x110000 else "\ufffd"
        if char.isspace():
            # Blanks are often made up by pdfium and have no true box.
            if self.chars and self.chars[-1] != " ":
                self.chars.append(" ")
                self.boxes.append((self.boxes[-1][2], self.boxes[-1][1], self.boxes[-1][2], self.boxes[-1][3]))
            return
        height = box[3] - box[1]
        self.page.characters += 1
        if char == "\ufffd" or "\ue000" <= char <= "\uf8ff":
            self.page.unmapped += 1
        if height < _TINY and box[2] - box[0] < _TINY:
            self.page.tiny += 1
            return
        if self.last is not None and self._apart(box, char):
            self.end()
        self._look(handle, index, raw)
        self.chars.append(char)
        self.boxes.append(box)
        self.last = box

    def _look(self, handle: Any, index: int, raw: Any) -> None:
        """How this character is painted, asked once an object; what is seen and what is not never share a fragment."""
        found = raw.FPDFText_GetTextObject(handle, index)
        address = ctypes.addressof(found.contents) if found else 0
        if self.chars and address == self.painted:
            return
        self.painted = address
        pale, drawn = _is_pale(handle, index, raw), _is_drawn(found, raw)
        if (pale, drawn) != (self.pale, self.drawn):
            self.end()
        if not self.chars:
            self.bold, self.fixed = _font(handle, index, raw)
            self.pale, self.drawn = pale, drawn

    def _apart(self, box: Area, char: str) -> bool:
        """Whether this character starts a new fragment."""
        last = self.last
        assert last is not None
        size = max(last[3] - last[1], box[3] - box[1], 1.0)
        if abs((last[1] + last[3]) - (box[1] + box[3])) > size * 1.2:
            return box[0] >= last[2] - size or box[1] > last[3] or box[3] < last[1]
        gap = box[0] - last[2]
        if gap < -size / 2 and unicodedata.bidirectional(char) not in {"L", "EN"}:
            gap = last[0] - box[2]
        return gap > size * WIDE_GAP * 0.8 or gap < -size * 2

    def end(self) -> None:
        """Closes the fragment at hand."""
        while self.chars and self.chars[-1] == " ":
            self.chars.pop()
            self.boxes.pop()
        if self.chars:
            text = "".join(self.chars).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            if _SYMBOL.match(text):
                text = "•" + text[1:]
            solid = [box for char, box in zip(self.chars, self.boxes, strict=True) if char != " "]
            # Two halves of a character beyond 16 bits are one in `text`.
            whole = [box for char, box in zip(self.chars, self.boxes, strict=True) if not "\udc00" <= char <= "\udfff"]
            self.found.append(
                Fragment(
                    text,
                    min(b[0] for b in solid), min(b[1] for b in solid),
                    max(b[2] for b in solid), max(b[3] for b in solid),
                    median(b[3] - b[1] for b in solid),
                    self.bold, self.fixed, self.pale,
                    array("f", [x for box in whole for x in (box[0], box[2])]), self.drawn,
                )
            )  # fmt: skip
        self.chars, self.boxes, self.last = [], [], None


def _font(handle: Any, index: int, raw: Any) -> tuple[bool, bool]:
    """Whether a character's font is bold, and whether it has one width; flags as in ISO 32000-1, table 123."""
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    length = raw.FPDFText_GetFontInfo(handle, index, buffer, 128, ctypes.byref(flags))
    name = buffer.raw[: max(0, min(length, 128) - 1)].lower()
    bold = b"bold" in name or b"black" in name or b"heavy" in name or bool(flags.value & 1 << 18)
    return bold, b"mono" in name or b"courier" in name or b"consol" in name or bool(flags.value & 1)


def _is_pale(handle: Any, index: int, raw: Any) -> bool:
    channels = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFText_GetFillColor(handle, index, *map(ctypes.byref, channels)):
        return False
    *color, alpha = (channel.value for channel in channels)
    return min(color) >= PALE or alpha < 255 - PALE


def _is_drawn(found: Any, raw: Any) -> bool:
    """Text render modes 3 and 7 paint nothing (ISO 32000-1, table 106)."""
    return not found or raw.FPDFTextObj_GetTextRenderMode(found) not in (3, 7)


def _choose_direction(page: PageText, directions: dict[int, _Gather]) -> None:
    """Takes the direction in which most of the page runs; what runs otherwise is kept as single lines."""
    main = max(directions, key=lambda angle: sum(len(f.text) for f in directions[angle].found))
    page.fragments = directions[main].found
    page.sideways = [f.text for angle, gather in directions.items() if angle != main for f in gather.found]
    page.turned = main
    if main in (90, 270):
        page.width, page.height = page.height, page.width


def untwist(box: Area, page: PageText) -> Area:
    """A box of a page whose text runs sideways, back in the page as it is shown."""
    return turn(box, (360 - page.turned) % 360, page.width, page.height)
