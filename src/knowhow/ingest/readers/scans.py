"""Scanned pages and pictures as text: what the process reads them with, and what they give as page text."""

from __future__ import annotations

import importlib.util
from array import array
from collections import Counter
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from knowhow.ingest.readers.pdf_chars import Fragment, PageText, turn
from knowhow.ports import Ocr
from knowhow.types import OcrLine

HOW = "pip install 'knowhow-ai[ocr]'"
"""What to do where nothing reads scans."""
LONGEST = 2_000
"""Pixels of a picture's longer side; more cost time and memory and gave no more words (docs/formats.md)."""

_UNEVEN = 1.35
"""Height over the usual height up to which two lines are set in one size."""

_MARGIN = 0.15
"""Of a line's height: how far its box reaches beyond its first and last letter."""

_ocr: Ocr | None = None


def installed() -> bool:
    """Whether the `ocr` extra is there."""
    return importlib.util.find_spec("rapidocr") is not None


def use(ocr: Ocr | None) -> None:
    """What reads scans in this process from now on; None, as at its start: nothing does."""
    global _ocr
    _ocr = ocr


def reader() -> Ocr | None:
    """What reads scans in this process."""
    return _ocr


def page_of(picture: NDArray[np.uint8], width: float, height: float) -> PageText:
    """The text of `picture` (uint8[h, w, 3]) as a page of `width` × `height` (points, or pixels of a picture).

    Nothing where the process has no `Ocr`. A page that lies on its side is read as one that stands.
    """
    page = PageText(width, height, [])
    lines = _ocr.lines(picture) if _ocr is not None else []
    if not lines:
        return page
    letters: Counter[int] = Counter()
    for line in lines:
        letters[line.angle] += len(line.text)
    main = letters.most_common(1)[0][0]
    page.turned = -main % 360
    scale = width / picture.shape[1]
    page.sideways = [line.text for line in lines if line.angle != main]
    page.fragments = [_fragment(line, picture.shape, scale, page.turned) for line in lines if line.angle == main]
    _even(page.fragments)
    page.characters = sum(len(line.text) for line in lines)
    if page.turned in (90, 270):
        page.width, page.height = height, width
    return page


def _fragment(line: OcrLine, shape: Sequence[int], scale: float, turned: int) -> Fragment:
    """A line as text of the upright page; where in it each character stands is told by counting them."""
    x0, y0, x1, y1 = turn(line.box, turned, shape[1], shape[0])
    x0, y0, x1, y1 = x0 * scale, y0 * scale, x1 * scale, y1 * scale
    margin = min(_MARGIN * (y1 - y0), (x1 - x0) / 4)
    x0, x1 = x0 + margin, x1 - margin
    step = (x1 - x0) / max(1, len(line.text))
    edges = array("f", [x0 + step * (i + side) for i in range(len(line.text)) for side in (0, 1)])
    return Fragment(line.text, x0, y0, x1, y1, y1 - y0, edges=edges)


def _even(fragments: list[Fragment]) -> None:
    """Lines of nearly the usual height get that one: boxes reach as far as the letters in them happen to."""
    usual = median(f.size for f in fragments)
    for fragment in fragments:
        if usual / _UNEVEN < fragment.size < usual * _UNEVEN:
            fragment.size = usual
