"""Text on a PDF page that nobody sees: off the paper, never painted, covered, or of the colour of its ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowhow.ingest.readers.pdf_chars import Fragment, PageText, has_images, untwist

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_SLACK = 2.0
"""Points by which text may overhang the page."""
_PIXELS = 1_500
"""Longest side of the picture that text is looked for in; below that a point is a pixel."""
_CONTRAST = 8
"""Of 255: a smaller difference of shade is no letter."""
_LAYER = 0.8
"""Share of a page's characters that are not seen from which they are the text layer of a scan."""
_FEW = 0.2
"""Share of a page's characters up to which text in another than the Latin alphabet that leaves no trace in the picture
is believed to be hidden; more of it is a font that this machine does not have. Latin letters it can always draw."""


def drop_hidden(page: PdfPage, found: PageText) -> list[Fragment]:
    """Takes what is not seen out of `found.fragments` and returns it.

    What is seen is told from a picture of the page. Where pictures stand on the page, text that lies under one is
    told by drawing the page once more without its text. The text layer of a scan is never seen and is kept;
    `found.layer` says so.
    """
    off = [f for f in found.fragments if _outside(f, found)]
    inside = [f for f in found.fragments if not _outside(f, found)]
    if not inside:
        return _drop(found, off)
    unseen = [f for f in inside if not f.drawn]
    pictures = has_images(page)
    rest = [f for f in inside if f.drawn]
    blank = _blank(page, found, rest, pictures) if rest else []
    if pictures and _letters(unseen) + _letters(blank) >= _LAYER * _letters(inside):
        found.layer = True
        return _drop(found, off)
    few = _letters(blank) <= _FEW * _letters(inside)
    return _drop(found, [*off, *unseen, *(f for f in blank if few or f.pale or _is_latin(f.text))])


def _is_latin(text: str) -> bool:
    letters = [char for char in text if char.isalnum()]
    return sum(char.isascii() for char in letters) * 2 > len(letters)


def _drop(found: PageText, hidden: list[Fragment]) -> list[Fragment]:
    gone = {id(f) for f in hidden}
    found.fragments = [f for f in found.fragments if id(f) not in gone]
    return hidden


def _letters(fragments: list[Fragment]) -> int:
    return sum(len(f.text) for f in fragments)


def _outside(fragment: Fragment, page: PageText) -> bool:
    x, y = (fragment.x0 + fragment.x1) / 2, fragment.middle
    return not (-_SLACK <= x <= page.width + _SLACK and -_SLACK <= y <= page.height + _SLACK)


def _blank(page: PdfPage, found: PageText, fragments: list[Fragment], pictures: bool) -> list[Fragment]:
    """Those whose place in the picture is of one shade, or looks the same without the page's text."""
    width, height = page.get_size()
    scale = min(1.0, _PIXELS / max(width, height, 1.0))
    whole = _picture(page, scale)
    without = _picture_without_text(page, scale) if pictures else None
    blank = []
    for fragment in fragments:
        x0, y0, x1, y1 = untwist((fragment.x0, fragment.y0, fragment.x1, fragment.y1), found)
        rows, columns = (slice(max(0, int(a * scale)), int(b * scale) + 1) for a, b in ((y0, y1), (x0, x1)))
        area = whole[rows, columns]
        plain = not area.size or int(area.max()) - int(area.min()) < _CONTRAST
        if plain or (without is not None and np.abs(area - without[rows, columns]).max() < _CONTRAST):
            blank.append(fragment)
    return blank


def _picture(page: PdfPage, scale: float) -> NDArray[np.int16]:
    return np.array(page.render(scale=scale, grayscale=True, may_draw_forms=False).to_numpy(), np.int16).squeeze()


def _picture_without_text(page: PdfPage, scale: float) -> NDArray[np.int16]:
    from pypdfium2 import raw

    texts = list(page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=15))
    for text in texts:
        raw.FPDFPageObj_SetIsActive(text, False)
    picture = _picture(page, scale)
    for text in texts:
        raw.FPDFPageObj_SetIsActive(text, True)
    return picture
