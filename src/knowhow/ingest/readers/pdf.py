"""PDF: text in reading order with its page, printed page number and heading; boxes of a quote on its page."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.draft import Draft, row_line, squeeze
from knowhow.ingest.readers.pdf_chars import (
    SOFT_HYPHEN,
    Box,
    Fragment,
    PageText,
    glyph_shift,
    has_images,
    page_text,
    untwist,
)
from knowhow.ingest.readers.pdf_furniture import find_furniture
from knowhow.ingest.readers.pdf_headings import Headings
from knowhow.ingest.readers.pdf_hidden import drop_hidden
from knowhow.ingest.readers.pdf_layout import Block, blocks
from knowhow.types import Extract

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_MAX_PAGES = 20_000
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_UNSPACED = re.compile("[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Chinese and Japanese, whose lines join without a blank."""
_OCR = "it is a scan; pip install 'knowhow-ai[ocr]' reads those"
_GARBLED = 0.3
"""Share of characters without a meaning from which a text layer is no use."""


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
        words = _vocabulary(pages)
        for index, page in enumerate(pages):
            label = pdf.get_page_label(index) or furniture.labels.get(index, "")
            label = "" if label == str(index + 1) else label
            draft.place = replace(draft.place, page=index + 1, page_label=label)
            headings.turn_page(draft, index, page)
            for block in blocks(page.fragments):
                _add(draft, block, headings, words)
            draft.add("\n".join(page.sideways))
            page.fragments = []
    finally:
        pdf.close()
    return draft.extract("application/pdf", PurePosixPath(name).stem)


def boxes(path: Path, page: int, quote: str) -> list[Box]:
    """Where `quote` stands on `page` (counted from 1): one box a line, in points from the upper left corner.

    Blanks, hyphens and cell bars are not compared. Empty when the page does not hold the quote.
    """
    pdf = _open(path.read_bytes())
    try:
        if not 1 <= page <= len(pdf):
            return []
        found = page_text(pdf[page - 1], shift=glyph_shift(pdf), boxes=True)
        ordered = [f for block in blocks(found.fragments) for line in block.lines for f in line]
    finally:
        pdf.close()
    chars = [(c, box) for f in ordered for c, box in zip(f.text, f.boxes, strict=False) if _counts(c)]
    wanted = "".join(c for c in quote if _counts(c))
    at = "".join(c for c, _ in chars).find(wanted) if wanted else -1
    lines = _by_line([box for _, box in chars[at : at + len(wanted)]]) if at >= 0 else []
    return [untwist(box, found) for box in lines]


def _counts(char: str) -> bool:
    return not char.isspace() and char not in "-|\u00ad" + SOFT_HYPHEN


def _by_line(found: list[Box]) -> list[Box]:
    """Character boxes united while they stay on one line."""
    lines: list[Box] = []
    for box in found:
        if lines:
            x0, y0, x1, y1 = lines[-1]
            height = max(y1 - y0, box[3] - box[1])
            if min(y1, box[3]) - max(y0, box[1]) > 0.5 * min(y1 - y0, box[3] - box[1]) and box[0] - x1 < 3 * height:
                lines[-1] = (min(x0, box[0]), min(y0, box[1]), max(x1, box[2]), max(y1, box[3]))
                continue
        lines.append(box)
    return lines


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
    ) and _WORD.search(title):
        draft.title = title
    draft.meta("pages", len(pdf))


def _date(value: str) -> str:
    match = _DATE.match(value)
    if not match:
        return value
    date = "-".join(part for part in match.groups()[:3] if part)
    return f"{date}T{match[4]}:{match[5]}:{match[6] or '00'}" if match[4] else date


def _pages(draft: Draft, pdf: PdfDocument) -> list[PageText]:
    """Text of all pages. Raises when none has any; warns of those that have none."""
    import pypdfium2

    if len(pdf) > _MAX_PAGES:
        raise UnreadableFile(ReadProblem.TOO_LARGE, f"{len(pdf):,} pages, over {_MAX_PAGES:,}; split the file")
    shift = glyph_shift(pdf)
    pages: list[PageText] = []
    hidden: list[list[Fragment]] = []
    broken = scans = 0
    for index in range(len(pdf)):
        try:
            page = pdf[index]
            found = page_text(page, shift=shift)
            scans += not found.characters and has_images(page)
            hidden.append(drop_hidden(page, found))
            page.close()
        except pypdfium2.PdfiumError:
            found = PageText(0, 0, [])
            hidden.append([])
            broken += 1
        pages.append(found)
    characters, unmapped = sum(p.characters for p in pages), sum(p.unmapped for p in pages)
    if broken == len(pages):
        raise UnreadableFile(ReadProblem.DAMAGED, "none of the pages can be loaded")
    if not characters:
        raise UnreadableFile(ReadProblem.NO_TEXT, f"{len(pages)} pages without a text layer: {_OCR}")
    if unmapped > _GARBLED * characters:
        raise UnreadableFile(ReadProblem.NO_TEXT, f"the fonts do not say which letters they draw: {_OCR}")
    if shift:
        draft.warn("a font without letters was read by its usual order; check what matters against the page")
    if scans:
        draft.warn(f"{scans} of {len(pages)} pages have no text layer: pip install 'knowhow-ai[ocr]' reads those")
    if broken:
        draft.warn(f"{broken} of {len(pages)} pages cannot be loaded")
    unseen = sum(p.tiny for p in pages) + sum(len(f.text) for fragments in hidden for f in fragments)
    if not any(p.fragments for p in pages):
        # Nothing but text off the page, as converters of pictures leave it: better than no document.
        for page_found, fragments in zip(pages, hidden, strict=True):
            page_found.fragments = fragments
    elif unseen:
        draft.warn(f"{unseen} characters that cannot be seen on the page left out")
    return pages


def _vocabulary(pages: list[PageText]) -> Counter[str]:
    return Counter(word.lower() for page in pages for f in page.fragments for word in _WORD.findall(f.text))


def _add(draft: Draft, block: Block, headings: Headings, words: Counter[str]) -> None:
    if block.table:
        lines = [row_line(row) for row in block.rows]
        draft.add("\n".join(lines), "table", header=" / ".join(lines[i] for i in block.header))
        return
    if block.code:
        draft.add(_code(block), "code")
        return
    text = _prose(block, words)
    level = headings.level(text, block)
    if level:
        draft.heading(level, text)
    else:
        draft.add(text)


def _prose(block: Block, words: Counter[str]) -> str:
    """Lines as one paragraph, words that were broken at the line's end whole again."""
    text = ""
    for line in block.lines:
        piece = "  ".join(f.text for f in line).replace(f"{SOFT_HYPHEN} ", "-")
        if not text:
            text = piece
        elif text.endswith((SOFT_HYPHEN, "-", "\u2010", "\u00ad")) and piece[:1].islower():
            text = _mend(text, piece, words)
        elif _UNSPACED.match(text[-1:]) and _UNSPACED.match(piece[:1]):
            text += piece
        else:
            text = f"{text} {piece}"
    return text.replace(SOFT_HYPHEN, "-")


def _code(block: Block) -> str:
    """Lines as they are, indented by where they start."""
    left = min(line[0].x0 for line in block.lines)
    lines = []
    for line in block.lines:
        width = max((line[0].x1 - line[0].x0) / max(1, len(line[0].text)), 1.0)
        lines.append(" " * round((line[0].x0 - left) / width) + "  ".join(f.text for f in line))
    return "\n".join(lines).replace(SOFT_HYPHEN, "-")


def _mend(text: str, piece: str, words: Counter[str]) -> str:
    """`exam-` + `ple` is example, `well-` + `known` stays well-known: the rest of the document knows better."""
    body = text[:-1]
    head, tail = _WORD.findall(body[-40:]), _WORD.match(piece)
    if head and tail:
        joined, hyphened = (head[-1] + tail[0]).lower(), f"{head[-1]}-{tail[0]}".lower()
        if words[hyphened] > words[joined] or "-" in head[-1]:
            return f"{body}-{piece}"
    return body + piece
