"""What repeats on the pages of a PDF: running headers and footers, and the page numbers printed in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from knowhow.ingest.readers.draft import squeeze
from knowhow.ingest.readers.pdf_chars import Fragment, PageText

_ZONE = 0.11
"""Share of the page's height, at top and bottom, in which headers and footers stand."""
_ROWS = 3
"""Lines from the edge that can be furniture."""
_SHARE = 0.4
"""Share of the pages on which a line must return; left and right pages may differ, hence under a half."""
_NUMBER = re.compile(
    r"(?:page|seite|página|pagina|p\.)?\s*[-–—|]?\s*(\d{1,4}|[ivxlc]{1,7}|[A-Z]-\d{1,3})\s*(?:[-–—|]|(?:of|/|von|de|sur)\s*\d{1,4})?$",
    re.I,
)


@dataclass(slots=True)
class Furniture:
    """Fragments to leave out, by page, what they say, and the page numbers printed in them."""

    dropped: list[set[int]]
    """`id`s of fragments, one set a page."""
    texts: list[str] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    """Page index → printed number."""


def find_furniture(pages: Sequence[PageText]) -> Furniture:
    """Lines near the edges that return, digits aside, on at least three pages and two in five."""
    found = Furniture([set() for _ in pages])
    edges = [_edges(page) for page in pages]
    counts: Counter[tuple[str, str]] = Counter()
    for page_edges in edges:
        counts.update({(zone, _key(f.text)) for zone, f in page_edges})
    needed = max(3, _SHARE * len(pages))
    texts: dict[str, None] = {}
    printed: dict[int, str] = {}
    for index, page_edges in enumerate(edges):
        for zone, fragment in page_edges:
            if counts[zone, _key(fragment.text)] >= needed:
                found.dropped[index].add(id(fragment))
                if match := _NUMBER.match(squeeze(fragment.text)):
                    printed.setdefault(index, match[1])
                else:
                    texts[squeeze(fragment.text)] = None
    dropped = sum(len(f.text) for i, page in enumerate(pages) for f in page.fragments if id(f) in found.dropped[i])
    if dropped * 2 > sum(len(f.text) for page in pages for f in page.fragments):
        return Furniture([set() for _ in pages])  # pages that are all alike are no pages with furniture
    found.texts = _distinct(list(texts))
    found.labels = _labels(printed)
    return found


def _edges(page: PageText) -> list[tuple[str, Fragment]]:
    top = sorted((f for f in page.fragments if f.middle < _ZONE * page.height), key=lambda f: f.middle)
    bottom = sorted((f for f in page.fragments if f.middle > (1 - _ZONE) * page.height), key=lambda f: -f.middle)
    return [("top", f) for f in _outer(top)] + [("bottom", f) for f in _outer(bottom)]


def _outer(ordered: list[Fragment]) -> list[Fragment]:
    """The first lines' fragments."""
    kept: list[Fragment] = []
    lines = 0
    for fragment in ordered:
        if not kept or abs(fragment.middle - kept[-1].middle) > 0.6 * fragment.size:
            lines += 1
        if lines > _ROWS:
            break
        kept.append(fragment)
    return kept


def _key(text: str) -> str:
    """A line without its digits, so that page 4 and page 5 are one; Roman numbers alone too."""
    text = squeeze(text).lower()
    return "#" if re.fullmatch(r"[ivxlc]{1,7}", text) else re.sub(r"\d+", "#", text)


def _labels(printed: dict[int, str]) -> dict[int, str]:
    """Numbers that grow with the page: the most common offset wins, Roman ones are taken as they are."""
    arabic = {index: int(text) for index, text in printed.items() if text.isdigit()}
    offsets = Counter(number - index for index, number in arabic.items())
    best = offsets.most_common(1)[0] if offsets else (0, 0)
    labels = {index: str(number) for index, number in arabic.items() if number - index == best[0] and best[1] >= 2}
    labels.update({index: text for index, text in printed.items() if not text.isdigit()})
    return labels


def _distinct(texts: list[str]) -> list[str]:
    """One of each kind: `Chapter 1` and `Chapter 2` say the same about the furniture."""
    kinds: dict[str, str] = {}
    for text in texts:
        kinds.setdefault(_key(text), text)
    return list(kinds.values())
