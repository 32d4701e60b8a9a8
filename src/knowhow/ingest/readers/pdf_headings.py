"""Which paragraphs of a PDF are headings: those its bookmarks name, else those set larger or bold."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from knowhow.ingest.readers.draft import MAX_HEADING, Draft, squeeze
from knowhow.ingest.readers.pdf_chars import PageText
from knowhow.ingest.readers.pdf_layout import Block

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_MAX_BOOKMARKS = 5_000
_LARGER = 1.13
"""A heading's font over the body's."""
_SHARE = 0.25
"""What is set larger is a heading only while it stays under this share of the text."""
_LEVELS = 4
_LONGEST = 150
_BOLD_LONGEST = 90
_KEY = re.compile(r"[\W_]+")
_LETTERS = re.compile(r"[^\W\d_]{2}")


class Headings:
    """Judges paragraphs of one document."""

    def __init__(self, pdf: PdfDocument, pages: list[PageText]) -> None:
        self._marks: dict[int, list[tuple[int, str]]] = defaultdict(list)
        count = 0
        for mark in pdf.get_toc(max_depth=6):
            title = squeeze(mark.get_title())
            target = mark.get_dest()
            index = target.get_index() if target is not None else None
            if title and index is not None and count < _MAX_BOOKMARKS:
                self._marks[index].append((mark.level + 1, title))
                count += 1
        self._has_marks = count >= 2
        sizes: Counter[float] = Counter()
        bold = 0
        for page in pages:
            for f in page.fragments:
                sizes[round(f.size * 2) / 2] += len(f.text)
                bold += len(f.text) if f.bold else 0
        self._body = sizes.most_common(1)[0][0] if sizes else 0.0
        self._bold_tells = bold * 4 < sum(sizes.values())
        larger, share = [], 0.0
        for size in sorted(sizes, reverse=True):
            share += sizes[size] / sum(sizes.values())
            if size >= self._body * _LARGER and share <= _SHARE:
                larger.append(size)
        self._ranks = {size: min(rank, _LEVELS) for rank, size in enumerate(larger, start=1)}
        self._open: list[tuple[str, int]] = []

    def turn_page(self, draft: Draft, index: int, page: PageText) -> None:
        """Opens the sections that bookmarks start on this page but whose titles stand nowhere on it."""
        self._open = []
        written = _key("".join(f.text for f in page.fragments)) if index in self._marks else ""
        for level, title in self._marks.get(index, []):
            if _key(title) in written:
                self._open.append((_key(title), level))
            elif self._has_marks:
                draft.enter(level, title)

    def level(self, text: str, block: Block) -> int:
        """The heading level of a paragraph, 0 for running text."""
        if len(text) > MAX_HEADING or not _LETTERS.search(text):
            return 0
        if self._has_marks:
            key = _key(text)
            for at, (wanted, level) in enumerate(self._open):
                if wanted and (key == wanted or (key.endswith(wanted) and len(key) - len(wanted) <= 12)):
                    del self._open[at]
                    return level
            return 0
        size = round(block.size * 2) / 2
        if size in self._ranks and len(text) <= _LONGEST and len(block.lines) <= 3:
            return self._ranks[size]
        short = len(text) <= _BOLD_LONGEST and not text.rstrip().endswith((".", ",", ";"))
        if block.bold and self._bold_tells and short and len(block.lines) == 1 and size >= self._body * 0.95:
            return min(len(set(self._ranks.values())), _LEVELS) + 1
        return 0


def _key(text: str) -> str:
    return _KEY.sub("", text).lower()
