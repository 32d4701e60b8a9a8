"""Text on a PDF page that no reader of the page sees: off the paper, or white where the paper is white."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knowhow.ingest.readers.pdf_chars import PALE, Fragment, PageText, untwist

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_SLACK = 2.0
"""Points by which text may overhang the page."""
_PIXELS = 1_500
"""Longest side of the picture that pale text is looked for in."""


def drop_hidden(page: PdfPage, found: PageText) -> list[Fragment]:
    """Takes what is not seen out of `found.fragments` and returns it.

    White text is looked up in a picture of the page, because on a dark ground it is what one reads. Text that lies
    under a picture is not found.
    """
    hidden = [f for f in found.fragments if _outside(f, found)]
    pale = [f for f in found.fragments if f.pale and f not in hidden]
    if pale:
        width, height = page.get_size()
        scale = min(1.0, _PIXELS / max(width, height, 1.0))
        picture = page.render(scale=scale, grayscale=True).to_numpy()
        for fragment in pale:
            x0, y0, x1, y1 = untwist((fragment.x0, fragment.y0, fragment.x1, fragment.y1), found)
            area = picture[max(0, int(y0 * scale)) : int(y1 * scale) + 1, max(0, int(x0 * scale)) : int(x1 * scale) + 1]
            if not area.size or area.min() >= PALE:
                hidden.append(fragment)
    gone = {id(f) for f in hidden}
    found.fragments = [f for f in found.fragments if id(f) not in gone]
    return hidden


def _outside(fragment: Fragment, page: PageText) -> bool:
    x, y = (fragment.x0 + fragment.x1) / 2, fragment.middle
    return not (-_SLACK <= x <= page.width + _SLACK and -_SLACK <= y <= page.height + _SLACK)
