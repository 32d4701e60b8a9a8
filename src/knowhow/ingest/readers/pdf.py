"""PDF: text in reading order with its page, printed page number and heading, each word with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import scans
from knowhow.ingest.readers.draft import Draft, squeeze
from knowhow.ingest.readers.pdf_chars import (
    Fragment,
    PageText,
    glyph_shift,
    has_images,
    image_share,
    page_text,
)
from knowhow.ingest.readers.pdf_furniture import find_furniture
from knowhow.ingest.readers.pdf_headings import Headings
from knowhow.ingest.readers.pdf_hidden import drop_hidden
from knowhow.ingest.readers.pdf_layout import blocks
from knowhow.ingest.readers.pdf_prose import WORD, add_block, vocabulary
from knowhow.types import Extract

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_MAX_PAGES = 20_000
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?")
_GARBLED = 0.3
"""Share of characters without a meaning from which a text layer is no use."""
_STAMP = 100
"""Characters up to which text on a picture of a page is a stamp or a page number."""
_FINEST = 300 / 72
"""Pixels a point; small pages are not drawn larger."""


def read(name: str, data: bytes, depth: int) -> Extract:
    """The text layer of every page. Raises `UnreadableFile`: encrypted, damaged or without a text layer."""
    pdf = _open(data)
    draft = Draft(depth=depth)
    try:
        _metadata(draft, pdf)
        pages = _pages(draft, pdf)
        furniture = find_furniture(pages)
        if furniture.texts:
            draft.warn(f"repeated headers and footers left out: {'; '.join(furniture.texts)[:300]}")
        for index, page in enumerate(pages):
            page.fragments = [f for f in page.fragments if id(f) not in furniture.dropped[index]]
        headings = Headings(pdf, pages)
        words = vocabulary(pages)
        for index, page in enumerate(pages):
            label = pdf.get_page_label(index) or furniture.labels.get(index, "")
            label = "" if label == str(index + 1) else label
            draft.place = replace(draft.place, page=index + 1, page_label=label)
            headings.turn_page(draft, index, page)
            for block in blocks(page.fragments):
                add_block(draft, block, page, headings, words)
            draft.add("\n".join(page.sideways))
            page.fragments = []
    finally:
        pdf.close()
    return draft.extract("application/pdf", PurePosixPath(name).stem)


def _open(data: bytes) -> PdfDocument:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            detail = "the PDF needs a password; save a copy without one (qpdf --decrypt --password=... IN OUT)"
            raise UnreadableFile(ReadProblem.ENCRYPTED, detail) from None
        if "security" in str(error).lower():
            raise UnreadableFile(ReadProblem.ENCRYPTED, "the PDF is protected by a security handler") from None
        raise UnreadableFile(ReadProblem.DAMAGED, f"not readable as PDF ({error})") from None


def _metadata(draft: Draft, pdf: PdfDocument) -> None:
    for key, name in (
        ("Author", "author"),
        ("Subject", "subject"),
        ("CreationDate", "created"),
        ("ModDate", "modified"),
    ):
        draft.meta(name, _date(pdf.get_metadata_value(key)) if key.endswith("Date") else pdf.get_metadata_value(key))
    title = squeeze(pdf.get_metadata_value("Title"))
    # Programs put the file they came from there: "Microsoft Word - policy_v3.doc".
    if not re.search(
        r"^Microsoft |\.(docx?|indd|tex|dvi|qxd|pptx?|xlsx?|pdf|rtf)$|^untitled", title, re.I
    ) and WORD.search(title):
        draft.title = title
    draft.meta("pages", len(pdf))


def _date(value: str) -> str:
    match = _DATE.match(value)
    if not match:
        return value
    date = "-".join(part for part in match.groups()[:3] if part)
    return f"{date}T{match[4]}:{match[5]}:{match[6] or '00'}" if match[4] else date


@dataclass(slots=True)
class _Pages:
    """All pages of a file, and what was met on the way."""

    found: list[PageText] = field(default_factory=list)
    hidden: list[list[Fragment]] = field(default_factory=list)
    scans: int = 0
    """Pages that are pictures alone and were not read."""
    recognised: int = 0
    """Pages that were read as pictures."""
    broken: int = 0


def _pages(draft: Draft, pdf: PdfDocument) -> list[PageText]:
    """Text of all pages. Raises when none has any; warns of those that have none."""
    if len(pdf) > _MAX_PAGES:
        raise UnreadableFile(ReadProblem.TOO_LARGE, f"{len(pdf):,} pages, over {_MAX_PAGES:,}; split the file")
    shift = glyph_shift(pdf)
    pages = _Pages()
    for index in range(len(pdf)):
        _read_page(pdf, index, shift, pages)
    _refuse(pages)
    _tell(draft, pages, shift)
    return pages.found


def _read_page(pdf: PdfDocument, index: int, shift: int, pages: _Pages) -> None:
    """The text layer of a page, without what is not seen; where there is none that is any use, the page's picture."""
    import pypdfium2

    try:
        page = pdf[index]
        found = page_text(page, shift=shift)
        hidden = drop_hidden(page, found)
        if _is_scan(page, found):
            read = scans.page_of(_picture(page), found.width, found.height)
            pages.recognised += bool(read.characters)
            pages.scans += not found.characters and not read.characters
            if read.characters > found.characters - found.unmapped:
                found, hidden = read, []
        page.close()
    except pypdfium2.PdfiumError:
        found, hidden = PageText(0, 0, []), []
        pages.broken += 1
    pages.found.append(found)
    pages.hidden.append(hidden)


def _is_scan(page: PdfPage, found: PageText) -> bool:
    """Whether the page says more as a picture: no text, a stamp on a picture of the page, or fonts without letters."""
    if found.unmapped > _GARBLED * found.characters:
        return True
    if found.characters >= _STAMP:
        return False
    return has_images(page) if not found.characters else image_share(page) > 0.5


def _picture(page: PdfPage) -> NDArray[np.uint8]:
    scale = min(scans.LONGEST / max(*page.get_size(), 1.0), _FINEST)
    drawn = page.render(scale=scale, rev_byteorder=True, may_draw_forms=False).to_numpy()
    return np.asarray(drawn[:, :, :3], np.uint8)


def _refuse(pages: _Pages) -> None:
    characters, unmapped = sum(p.characters for p in pages.found), sum(p.unmapped for p in pages.found)
    if pages.broken == len(pages.found):
        raise UnreadableFile(ReadProblem.DAMAGED, "none of the pages can be loaded")
    if not characters:
        why = "no letters in their pictures" if scans.reader() else f"it is a scan; {scans.HOW} reads those"
        raise UnreadableFile(ReadProblem.NO_TEXT, f"{len(pages.found)} pages without a text layer: {why}")
    if unmapped > _GARBLED * characters:
        what = f"the fonts do not say which letters they draw; {scans.HOW} reads the pages as pictures"
        raise UnreadableFile(ReadProblem.NO_TEXT, what)


def _tell(draft: Draft, pages: _Pages, shift: int) -> None:
    """The warnings; brings back text that is not seen where there is nothing else."""
    total = len(pages.found)
    draft.unread_scans += pages.scans if scans.reader() is None else 0
    if shift:
        draft.warn("a font without letters was read by its usual order; check what matters against the page")
    if pages.recognised:
        draft.warn(f"{pages.recognised} of {total} pages were read as pictures; check what matters against the page")
    if pages.scans:
        how = "no letters in their pictures" if scans.reader() else f"{scans.HOW} reads those"
        draft.warn(f"{pages.scans} of {total} pages have no text layer: {how}")
    if pages.broken:
        draft.warn(f"{pages.broken} of {total} pages cannot be loaded")
    layers = sum(page.layer for page in pages.found)
    if layers:
        draft.warn(f"{layers} of {total} pages are pictures with a text layer, which nobody sees and may say otherwise")
    unseen = sum(p.tiny for p in pages.found) + sum(len(f.text) for fragments in pages.hidden for f in fragments)
    if not any(p.fragments for p in pages.found):
        # Nothing but text off the page, as converters of pictures leave it: better than no document.
        for page, fragments in zip(pages.found, pages.hidden, strict=True):
            page.fragments = fragments
    elif unseen:
        draft.warn(f"{unseen} characters that cannot be seen on the page left out")
