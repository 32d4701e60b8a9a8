"""What repeats on the pages of a PDF: running headers and footers, and the page numbers printed in them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from knowhow.ingest.readers.draft import squeeze
from knowhow.ingest.readers.pdf_chars import Fragment, PageText

_ZONE = 0.11
"""Share of the page's height, at top and bottom, in which three lines can be furniture; elsewhere only one."""
_ROWS = 3
_SHARE = 0.4
"""Share of the pages on which a line must return; left and right pages may differ, hence under a half."""
_PAGES = 3
_NUMBER = re.compile(r"(?<![\d.,])\d{1,4}(?![\d.,]*\d)")
_ROMAN = re.compile(r"\W*([ivxlc]{1,7})\W*$", re.I)
_WORD = re.compile(r"[^\W\d_]{2}")


@dataclass(slots=True)
class Furniture:
    """Fragments to leave out, by page, what they say, and the page numbers printed in them."""

    dropped: list[set[int]]
    """`id`s of fragments, one set a page."""
    texts: list[str] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    """Page index → printed number."""


def find_furniture(pages: Sequence[PageText]) -> Furniture:
    """Lines at the edges that return, digits aside, on at least three pages and two in five.

    A bare number is furniture only where it counts the pages: the last row of a table is full of numbers too.
    """
    found = Furniture([set() for _ in pages])
    edges = [_edges(page) for page in pages]
    counts = Counter(key for page_edges in edges for key in {_key(f.text) for f in page_edges})
    needed = max(_PAGES, _SHARE * len(pages))
    running = _running(edges)
    repeated = [
        [f for f in page_edges if counts[_key(f.text)] >= needed or (i, _key(f.text)) in running]
        for i, page_edges in enumerate(edges)
    ]
    found.labels = _labels(repeated)
    texts: dict[str, str] = {}
    for index, fragments in enumerate(repeated):
        for fragment in fragments:
            text = squeeze(fragment.text)
            if _WORD.search(text) and not _ROMAN.match(text):
                texts.setdefault(_key(text), text)
            elif found.labels.get(index, "-") not in text:
                continue
            found.dropped[index].add(id(fragment))
    dropped = sum(len(f.text) for i, page in enumerate(pages) for f in page.fragments if id(f) in found.dropped[i])
    if dropped * 2 > sum(len(f.text) for page in pages for f in page.fragments):
        return Furniture([set() for _ in pages])  # pages that are all alike are no pages with furniture
    found.texts = list(texts.values())
    return found


def _edges(page: PageText) -> list[Fragment]:
    """Fragments of the outermost lines at the top and at the bottom."""
    down = sorted(page.fragments, key=lambda f: f.middle)
    return _outer(down, 0, _ZONE * page.height) + _outer(down[::-1], (1 - _ZONE) * page.height, page.height)


def _outer(ordered: list[Fragment], start: float, end: float) -> list[Fragment]:
    kept: list[Fragment] = []
    lines = 0
    for fragment in ordered:
        if not kept or abs(fragment.middle - kept[-1].middle) > 0.6 * fragment.size:
            lines += 1
        if lines > _ROWS or (lines > 1 and not start <= fragment.middle <= end):
            break
        kept.append(fragment)
    return kept


def _running(edges: list[list[Fragment]]) -> set[tuple[int, str]]:
    """Chapter titles at the edge: the same line at the same height within two pages, on at least three pages."""
    places: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i, fragments in enumerate(edges):
        for f in fragments:
            others = [o for o in fragments if o is not f and abs(o.middle - f.middle) < f.size]
            if _WORD.search(f.text) and all(_NUMBER.fullmatch(o.text) or _ROMAN.match(o.text) for o in others):
                places[squeeze(f.text), round(f.middle / 3)].append(i)
    return {
        (i, _key(text))
        for (text, _), found in places.items()
        if len(set(found)) >= _PAGES
        for i in found
        if any(0 < abs(i - other) <= 2 for other in found)
    }


def _key(text: str) -> str:
    """A line without its numbers, so that page 4 and page 5 are one; a Roman number alone too."""
    text = squeeze(text).lower()
    return "#" if _ROMAN.match(text) else re.sub(r"\d+", "#", text)


def _labels(repeated: list[list[Fragment]]) -> dict[int, str]:
    """Printed page numbers: of all numbers in the furniture those that grow with the page."""
    numbers = {i: [int(n) for f in fragments for n in _NUMBER.findall(f.text)] for i, fragments in enumerate(repeated)}
    offsets = Counter(number - i for i, found in numbers.items() for number in set(found))
    best, pages = offsets.most_common(1)[0] if offsets else (0, 0)
    labels = {i: str(i + best) for i, found in numbers.items() if i + best in found} if pages >= _PAGES else {}
    for i, fragments in enumerate(repeated):
        roman = next((match[1] for f in fragments if (match := _ROMAN.match(f.text))), "")
        if roman and i not in labels:
            labels[i] = roman
    return labels
