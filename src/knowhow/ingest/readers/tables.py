"""Grids of cells to table stretches: blank rows part them, titles and headers are told from data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from knowhow.ingest.readers.draft import Draft, row_line, squeeze

_NUMERIC = re.compile(r"[\s$€£¥%()+\-−.,:/\dTZeE]*\d[\s$€£¥%()+\-−.,:/\dTZeE]*$")
_YEAR = re.compile(r"(?:19|20)\d\d$")
_MAX_HEADER_CELL = 120
_LEADS = {"$", "€", "£", "¥", "(", "$(", "($"}
_TRAILS = {")", "%", ")%"}
_STRETCH = 64
"""Rows a span may hold, so that the row of a character is found by counting few lines."""

Grid = Sequence[Sequence[str]]


def add_grid(draft: Draft, grid: Grid, first_row: int) -> None:
    """Appends a sheet; `first_row` is the number of `grid[0]` as the spreadsheet counts.

    Within a stretch line i is row `place.row + i`: rows without any text end the stretch.
    """
    sheet = draft.place
    carried: Sequence[str] | None = None
    start = 0
    while start < len(grid):
        if not _filled(grid[start]):
            start += 1
            continue
        end = start
        while end < len(grid) and _filled(grid[end]):
            end += 1
        carried = _add_stretch(draft, grid[start:end], first_row + start, carried)
        draft.place = sheet
        start = end


def _add_stretch(draft: Draft, rows: Grid, number: int, carried: Sequence[str] | None) -> Sequence[str] | None:
    """Appends rows without a gap: lines of a single cell above the table are its title. Returns the header in force."""
    at = 0
    while at < len(rows) and len(_filled(rows[at])) == 1 and at + 1 < len(rows) and len(_filled(rows[at + 1])) > 1:
        draft.place = replace(draft.place, row=number + at)
        draft.add(squeeze(_filled(rows[at])[0]))
        at += 1
    body = rows[at:]
    header = find_header(body)
    if header is None and carried is not None and len(carried) == len(body[0]):
        header = carried  # an empty row inside one table
    draft.place = replace(draft.place, row=number + at)
    if max(len(_filled(row)) for row in body) == 1 and header is None:
        draft.add("\n".join(row_line(row).strip(" |") for row in body))
        return carried
    for start in range(0, len(body), _STRETCH):
        draft.place = replace(draft.place, row=number + at + start)
        draft.table(body[start : start + _STRETCH], header, gap="\n" if start + _STRETCH < len(body) else "\n\n")
    return header


def add_table(draft: Draft, grid: Grid, *, marked: bool = False) -> None:
    """Appends a table of a document: lone cells on top are its title; `marked` says that the next row names columns."""
    rows = [row for row in grid if _filled(row)]
    while len(rows) > 1 and len(_filled(rows[0])) == 1 and max(map(len, rows)) > 1:
        draft.add(squeeze(_filled(rows.pop(0))[0]))
    if rows and max(map(len, rows)) == 1:
        draft.add("\n".join(squeeze(row[0]) for row in rows))
    elif rows:
        draft.table(rows, rows[0] if marked else find_header(rows))


def find_header(rows: Grid) -> Sequence[str] | None:
    """The first row when it names columns: words in most cells, and something below it to name."""
    if not rows or len(rows) < 2:
        return None
    filled = _filled(rows[0])
    words = [
        cell for cell in filled if (not _NUMERIC.match(cell) or _YEAR.match(cell)) and len(cell) <= _MAX_HEADER_CELL
    ]
    wide = max(len(_filled(row)) for row in rows[:20])
    if wide < 2 or len(filled) * 2 <= wide or len(words) * 2 < len(filled):
        return None
    return rows[0]


def compact(grid: Grid) -> list[list[str]]:
    """The grid without what only lays it out: signs and brackets join their number, empty rows and columns go."""
    rows = [list(row) for row in grid if _filled(row)]
    for row in rows:
        for i in range(len(row) - 1):
            if row[i].strip() in _LEADS and row[i + 1].strip():
                row[i], row[i + 1] = "", row[i].strip() + row[i + 1]
            if row[i].strip() and row[i + 1].strip() in _TRAILS:
                row[i], row[i + 1] = row[i] + row[i + 1].strip(), ""
    width = max(map(len, rows), default=0)
    used = [any(i < len(row) and row[i].strip() for row in rows) for i in range(width)]
    return [[cell for i, cell in enumerate(row) if used[i]] for row in rows]


def _filled(row: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in row if cell and not cell.isspace()]
