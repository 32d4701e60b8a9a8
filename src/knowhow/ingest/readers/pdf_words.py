"""Where the words of a block stand on the page, so that a citation can be drawn there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from knowhow.ingest.readers.draft import clean
from knowhow.ingest.readers.pdf_chars import SOFT_HYPHEN, Area, Fragment, PageText, untwist
from knowhow.types import PrintedLine

_RUN = re.compile(r"\S+")
_HYPHENS = "-\u2010\u00ad"
_BETWEEN = re.compile(r"[\s|" + _HYPHENS + "]*")
"""What may stand in a block's text between two words of the page: blanks, cell bars, a hyphen that was kept."""


def printed_lines(text: str, lines: Sequence[Sequence[Fragment]], page: PageText) -> list[PrintedLine]:
    """The words of `lines` found again in the block's clean `text`, whose words are these, in this order.

    A word that is not found has no box; it ends its line, since boxes and words are told by counting.
    """
    found: list[PrintedLine] = []
    at = 0
    for line in lines:
        for fragment in line:
            words: list[Area] = []
            start = at
            for word, box in _words(fragment):
                place = _place(text, word, at)
                if place is None:
                    found += [PrintedLine(start, tuple(words))] if words else []
                    words = []
                    continue
                start = start if words else place[0]
                words.append(untwist(box, page))
                at = place[1]
            found += [PrintedLine(start, tuple(words))] if words else []
    return found


def _words(fragment: Fragment) -> Iterator[tuple[str, Area]]:
    edges = fragment.edges
    if len(edges) != 2 * len(fragment.text):
        return
    for run in _RUN.finditer(fragment.text):
        xs = edges[2 * run.start() : 2 * run.end()]
        yield run.group().replace(SOFT_HYPHEN, "-"), (min(xs), fragment.y0, max(xs), fragment.y1)


def _place(text: str, word: str, at: int) -> tuple[int, int] | None:
    """(start, end) of `word` in `text` from `at` on; a hyphen at its end may have been mended away."""
    between = _BETWEEN.match(text, at)
    assert between is not None
    for wanted in (word, word.rstrip(_HYPHENS), clean(word)[0]):
        for start in range(at, between.end() + 1):
            if wanted and text.startswith(wanted, start):
                return start, start + len(wanted)
    return None
