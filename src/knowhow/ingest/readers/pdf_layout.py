"""From fragments on a page to blocks in reading order: columns, rows, tables, paragraphs."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median

from knowhow.ingest.readers.pdf_chars import SOFT_HYPHEN, WIDE_GAP, Fragment

_MIN_LINES = 4
"""Lines that each side must have before a gap down the page is a gap between columns."""
_MIN_WORDS = 3.5
"""Median words a line: prose in columns has five and more, cells of tables have one to three."""
_SPREAD_WORDS = 2.5
_LONG_LABEL = 14
"""Words; a longer line inside a table is prose unless it stays left of the last column."""
_REACH = 8
"""Rows above a table in which its column names are looked for."""
_MAX_HEADER = 4
"""Rows that column names may take."""
_STEP = 3.0
"""Points between the places where a gutter is looked for."""
_LABEL = re.compile(
    r"(?:[•▪◦●○■□☐☒❑❖–—*·‣⁃➢✓o-]|\(?[0-9]{1,3}[.)]|\(?[a-zA-Z][.)]|\(?[ivxIVX]{1,5}[.)]|[0-9]{1,2}(?:\.[0-9]{1,2}){1,3}\.?)$"
)
_ITEM = re.compile(r"(?:[•▪◦●○■□☐☒❑❖‣⁃➢✓]|\(?(?:[0-9]{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]\s|[-–—]\s)")
_AMOUNT = re.compile(r"[\s$€£¥%()+\-−–—.,]*(?:\d[\d.,]*(?:\s?[a-zA-Z]{1,6})?)?[\s%)]*$")
_YEAR = re.compile(r"\(?(?:19|20)\d\d\)?$")
_LEADS = {"$", "€", "£", "¥", "(", "$(", "US$", "$ ("}
_TRAILS = re.compile(r"(?:\)?%|\)|\)\s?%|†|\*+)$")


@dataclass(slots=True)
class Block:
    """A paragraph (`lines` joined later) or a table (`rows`)."""

    lines: list[list[Fragment]]
    table: bool = False
    header: list[int] = field(default_factory=list)
    """Rows of a table that name its columns."""
    size: float = 0.0
    bold: bool = False
    code: bool = False
    rows: list[list[str]] = field(default_factory=list)


def blocks(fragments: Sequence[Fragment]) -> list[Block]:
    """The page's blocks in reading order."""
    found: list[Block] = []
    labelled = [f for row in _rows(list(fragments), _with_label) for f in row]
    for region in _regions(labelled, 0):
        found += _blocks_of(_rows(region, _tidy))
    return found


# --- columns ---------------------------------------------------------------------------------------------


def _regions(fragments: list[Fragment], depth: int) -> list[list[Fragment]]:
    """Parts of the page to read one after the other; each is read across, from the top."""
    gutter = _gutter(fragments) if depth < 4 and len(fragments) >= 2 * _MIN_LINES else None
    if gutter is None:
        return [fragments] if fragments else []
    crossing = sorted((f for f in fragments if f.x0 < gutter < f.x1), key=lambda f: f.y0)
    rest = [f for f in fragments if not f.x0 < gutter < f.x1]
    edges = [f.middle for f in crossing]
    regions: list[list[Fragment]] = []
    plain: list[Fragment] = []
    for top, bottom in pairwise([-1e9, *edges, 1e9]):
        band = [f for f in rest if top <= f.middle < bottom]
        left, right = [f for f in band if f.x1 <= gutter], [f for f in band if f.x0 >= gutter]
        if (_is_column(left, 2) and _is_column(right, 2)) or _is_spread(left, right, _width(fragments)):
            regions += [plain] if plain else []
            plain = []
            regions += _regions(left, depth + 1) + _regions(right, depth + 1)
        else:
            plain += band
        plain += [f for f in crossing if f.middle == bottom]
    return [*regions, plain] if plain else regions


def _gutter(fragments: list[Fragment]) -> float | None:
    """The x that fewest lines cross while running prose stands on both sides; None when there is none."""
    x0, x1 = min(f.x0 for f in fragments), max(f.x1 for f in fragments)
    best: tuple[int, float, float] | None = None
    x = x0 + (x1 - x0) * 0.2
    while x < x0 + (x1 - x0) * 0.8:
        crossing = sum(1 for f in fragments if f.x0 - 1 < x < f.x1 + 1)
        if crossing * 3 <= len(fragments) and (best is None or (crossing, abs(x - (x0 + x1) / 2)) < best[:2]):
            left, right = [f for f in fragments if f.x1 <= x], [f for f in fragments if f.x0 >= x]
            prose = _is_column(left, _MIN_LINES) and _is_column(right, _MIN_LINES)
            if prose or _is_spread(left, right, x1 - x0):
                best = (crossing, abs(x - (x0 + x1) / 2), x)
        x += _STEP
    return best[2] if best else None


def _is_column(side: list[Fragment], lines: int) -> bool:
    """Whether these lines look like prose that fills its column."""
    if len(side) < lines:
        return False
    width = _width(side)
    words = median(len(f.text.split()) for f in side)
    cjk = median(sum(1 for c in f.text if c > "\u2e7f") for f in side)
    return (words >= _MIN_WORDS or cjk >= 8) and median(f.x1 - f.x0 for f in side) >= 0.45 * width


def _is_spread(left: list[Fragment], right: list[Fragment], width: float) -> bool:
    """Whether two pages lie side by side: a gap far wider than between columns, several words a line on both sides."""
    if min(len(left), len(right)) < 2 * _MIN_LINES:
        return False
    gap = min(f.x0 for f in right) - max(f.x1 for f in left)
    words = min(fmean(len(f.text.split()) for f in side) for side in (left, right))
    return gap > 0.12 * width and words >= _SPREAD_WORDS


def _width(fragments: list[Fragment]) -> float:
    return max(f.x1 for f in fragments) - min(f.x0 for f in fragments)


# --- rows ------------------------------------------------------------------------------------------------


def _rows(fragments: list[Fragment], tidy: Callable[[list[Fragment]], list[Fragment]]) -> list[list[Fragment]]:
    """Fragments on one height as a row, from left to right, its parts joined by `tidy`."""
    rows: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=lambda f: (f.middle, f.x0)):
        row = next((r for r in reversed(rows[-4:]) if _same_row(r, fragment)), None)
        if row is None:
            rows.append([fragment])
        else:
            row.append(fragment)
    return [tidy(row) for row in sorted(rows, key=lambda r: min(f.middle for f in r))]


def _same_row(row: list[Fragment], fragment: Fragment) -> bool:
    anchor = max(row, key=lambda f: f.size)
    overlap = min(anchor.y1, fragment.y1) - max(anchor.y0, fragment.y0)
    return overlap > 0.55 * min(anchor.y1 - anchor.y0, fragment.y1 - fragment.y0) and all(
        fragment.x0 >= f.x1 - f.size or fragment.x1 <= f.x0 + f.size for f in row
    )


def _tidy(row: list[Fragment]) -> list[Fragment]:
    """Neighbours without a real gap joined; currency signs and brackets with their number."""
    right_to_left = sum(_is_rtl(f.text) for f in row) * 2 > len(row)
    ordered = sorted(row, key=lambda f: -f.x1 if right_to_left else f.x0)
    joined: list[Fragment] = []
    for fragment in ordered:
        if joined:
            last = joined[-1]
            gap = last.x0 - fragment.x1 if right_to_left else fragment.x0 - last.x1
            size = max(last.size, fragment.size)
            sign = last.text.strip() in _LEADS or bool(
                _TRAILS.match(fragment.text.strip()) and re.search(r"\d$", last.text)
            )
            label = len(joined) == 1 and bool(_LABEL.match(last.text.strip()))
            if gap < size * WIDE_GAP * 0.8 or sign or (label and gap < size * 5):
                turns = _is_rtl(last.text) != _is_rtl(fragment.text)  # a blank there has no width
                joined[-1] = _join(last, fragment, " " if turns or (gap >= size * 0.12 and not sign) else "")
                continue
        joined.append(fragment)
    return joined


def _with_label(row: list[Fragment]) -> list[Fragment]:
    """Bullets and numbers joined with the text they stand before, so that lists in columns look like prose."""
    joined: list[Fragment] = []
    for fragment in sorted(row, key=lambda f: f.x0):
        last = joined[-1] if joined else None
        if last and _LABEL.match(last.text.strip()) and 0 <= fragment.x0 - last.x1 < 4 * max(last.size, fragment.size):
            joined[-1] = _join(last, fragment, " ")
        else:
            joined.append(fragment)
    return joined


def _join(a: Fragment, b: Fragment, glue: str) -> Fragment:
    if a.text.endswith(SOFT_HYPHEN):
        a.text = a.text[:-1] + "-"
    edges = a.edges + array("f", [a.x1, a.x1] * len(glue)) + b.edges
    return Fragment(
        a.text + glue + b.text, min(a.x0, b.x0), min(a.y0, b.y0), max(a.x1, b.x1), max(a.y1, b.y1), max(a.size, b.size),
        a.bold and b.bold, a.fixed and b.fixed, a.pale and b.pale, edges, a.drawn or b.drawn,
    )  # fmt: skip


def _is_rtl(text: str) -> bool:
    strong = [unicodedata.bidirectional(c) for c in text]
    return sum(c in {"R", "AL"} for c in strong) > sum(c == "L" for c in strong)


# --- blocks ----------------------------------------------------------------------------------------------


def _blocks_of(rows: list[list[Fragment]]) -> Iterator[Block]:
    """Runs of rows with several cells are tables, what lies between are paragraphs."""
    at = 0
    for start, end in _table_runs(rows):
        yield from _paragraphs(rows[at:start])
        yield _table(rows[start:end])
        at = end
    yield from _paragraphs(rows[at:])


def _table_runs(rows: list[list[Fragment]]) -> Iterator[tuple[int, int]]:
    """Runs that open and close with a row of several cells; single cells inside are labels and wrapped words."""
    start = done = 0
    while start < len(rows):
        if len(rows[start]) < 2:
            start += 1
            continue
        end, several, last = start + 1, 1, start
        edge = rows[start][-1].x0
        while end < len(rows) and end - last <= 3 and _near(rows[end - 1], rows[end], 2.2):
            if len(rows[end]) >= 2:
                several, last, edge = several + 1, end, min(edge, rows[end][-1].x0)
            elif len(rows[end][0].text.split()) > _LONG_LABEL and rows[end][0].x1 > edge:
                break
            end += 1
        if several >= 3 or (several == 2 and min(len(rows[start]), len(rows[last])) >= 3):
            yield _header_start(rows, start, last + 1, done), last + 1
            done = last + 1
        start = last + 1


def _header_start(rows: list[list[Fragment]], start: int, end: int, floor: int) -> int:
    """Where a table begins when column names stand apart above it, over its columns."""
    columns = [cell for row in rows[start:end] for cell in row[1:]]
    top = start
    for i in range(start - 1, max(floor, start - _REACH) - 1, -1):
        if not _near(rows[i], rows[i + 1], 4.0) or any(len(f.text.split()) > 8 for f in rows[i]):
            break
        if len(rows[i]) >= 2 and all(any(f.x0 < c.x1 and c.x0 < f.x1 for c in columns) for f in rows[i][-2:]):
            top = i
    return top


def _near(above: list[Fragment], below: list[Fragment], sizes: float) -> bool:
    size = max(f.size for f in above + below)
    return min(f.y0 for f in below) - max(f.y1 for f in above) < sizes * size


def _table(rows: list[list[Fragment]]) -> Block:
    cells = [[f.text.replace(SOFT_HYPHEN, "-") for f in row] for row in rows]
    amounts = [any(_AMOUNT.match(cell) and not _YEAR.match(cell) for cell in row) for row in cells]
    first = amounts.index(True) if True in amounts else 1
    middle = (min(f.x0 for row in rows for f in row) + max(f.x1 for row in rows for f in row)) / 2
    # Labels of the first column (ASSETS) may stand among the column names.
    header = [i for i in range(first) if len(rows[i]) > 1 or rows[i][0].x0 > middle]
    return Block(rows, table=True, header=header[:_MAX_HEADER], rows=cells)


def _paragraphs(rows: list[list[Fragment]]) -> Iterator[Block]:
    lines = [row for row in rows if row]
    if not lines:
        return
    left = [min(f.x0 for f in line) for line in lines]
    right = [max(f.x1 for f in line) for line in lines]
    width = max(right) - min(left)
    gaps = [min(f.middle for f in b) - min(f.middle for f in a) for a, b in pairwise(lines)]
    leading = median(gaps) if gaps else 0.0
    current = [lines[0]]
    for i in range(1, len(lines)):
        size, before = _size(lines[i]), _size(lines[i - 1])
        text, ended = lines[i][0].text, lines[i - 1][-1].text.rstrip().endswith((".", "!", "?", ":", ";"))
        short = right[i - 1] < max(right) - 0.12 * width
        new = (
            gaps[i - 1] > max(1.35 * min(leading, 2.2 * size), 1.15 * size + 2)
            or abs(size - before) > 0.15 * max(size, before)
            or lines[i][0].bold != lines[i - 1][-1].bold
            or bool(_ITEM.match(text) or _LABEL.match(text.split(" ")[0]))
            or (ended and short)
            or (left[i] > left[i - 1] + 0.8 * size and left[i] < left[i - 1] + 4 * size and ended)
            or _is_torn(lines[i])
            or _is_torn(lines[i - 1])
        )
        code = _is_code(lines[i])
        if code != _is_code(lines[i - 1]) or (new and not code):
            yield _paragraph(current)
            current = []
        current.append(lines[i])
    yield _paragraph(current)


def _paragraph(lines: list[list[Fragment]]) -> Block:
    bold = all(f.bold for line in lines for f in line)
    return Block(lines, size=_size(lines[0]), bold=bold, code=_is_code(lines[0]))


def _is_code(line: list[Fragment]) -> bool:
    return all(f.fixed for f in line)


def _is_torn(line: list[Fragment]) -> bool:
    """Whether a gap parts the line so far that it is no running text."""
    return any(b.x0 - a.x1 > 3 * max(a.size, b.size) for a, b in pairwise(line))


def _size(line: list[Fragment]) -> float:
    return max(line, key=lambda f: len(f.text)).size
