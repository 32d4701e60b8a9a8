"""Spreadsheets of every generation (xlsx, xlsm, xlsb, xls, ods): cached values, real row numbers, merged cells."""

from __future__ import annotations

import datetime as dt
import io
import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.archive import Archive, core_properties
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.tables import add_grid
from knowhow.types import Extract

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_MEDIA = {
    "xls": "application/vnd.ms-excel",
    "xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MAX_CELLS = 50_000_000
"""A sheet's bounding box; one stray cell at XFD1048576 would ask for 17 billion."""
_UNCACHED = re.compile(rb"<f(?:\s[^>]*)?>[^<]*</f>\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_EPOCHS = (dt.date(1899, 12, 30), dt.date(1899, 12, 31), dt.date(1904, 1, 1))


def read(name: str, data: bytes, depth: int) -> Extract:
    """Every visible sheet as tables. Formulas give the value that the program stored with them."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

    draft = Draft(depth=depth)
    if data.startswith(b"PK"):
        _check_container(draft, data)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        hidden = [m.name for m in book.sheets_metadata if m.visible != SheetVisibleEnum.Visible]
        for meta in book.sheets_metadata:
            if meta.typ == SheetTypeEnum.WorkSheet and meta.name not in hidden:
                _add_sheet(draft, book.get_sheet_by_name(meta.name))
    except PasswordError:
        raise UnreadableFile(ReadProblem.ENCRYPTED, "the workbook needs a password; save a copy without one") from None
    except CalamineError as error:
        raise UnreadableFile(ReadProblem.DAMAGED, f"not readable as a workbook ({str(error)[:200]})") from None
    if hidden:
        draft.warn(f"{len(hidden)} hidden sheets left out: {', '.join(hidden)[:200]}")
    suffix = PurePosixPath(name.lower()).suffix.lstrip(".")
    return draft.extract(_MEDIA.get(suffix, _XLSX), PurePosixPath(name).stem)


def _check_container(draft: Draft, data: bytes) -> None:
    """Unpacks every part once under the limits, before a library unpacks them without; takes the properties."""
    archive = Archive(data)
    uncached = comments = 0
    for part in sorted(archive.names):
        if part.lower().endswith((".xml", ".rels", ".bin")):
            content = archive.read(part)
            if part.lower().startswith("xl/worksheets/"):
                uncached += len(_UNCACHED.findall(content))
            comments += content.count(b"</comment>") if "/comments" in part.lower() else 0
    if uncached:
        draft.warn(f"{uncached} formulas have no stored value: open and save the file in the program it is from")
    if comments:
        draft.warn(f"{comments} cell comments left out")
    for key, value in core_properties(archive).items():
        draft.meta(key, value)
    draft.title = str(draft.metadata.get("title", ""))


def _add_sheet(draft: Draft, sheet: CalamineSheet) -> None:
    draft.headings, draft.place = [], replace(draft.place, sheet=sheet.name, row=None)
    if sheet.total_height * sheet.total_width > _MAX_CELLS:
        raise UnreadableFile(ReadProblem.TOO_LARGE, f"sheet {sheet.name} spans more than {_MAX_CELLS:,} cells")
    top, left = sheet.start or (0, 0)
    grid = [[cell_text(value) for value in row] for row in sheet.to_python(skip_empty_area=True)]
    for (row, column), (last_row, last_column) in sheet.merged_cell_ranges or []:
        _fill(grid, row - top, column - left, last_row - top, last_column - left)
    add_grid(draft, grid, top + 1)


def _fill(grid: list[list[str]], row: int, column: int, last_row: int, last_column: int) -> None:
    """Repeats a merged cell's value in every row and column it covers, but not in a title across the whole sheet."""
    if not (0 <= row < len(grid) and 0 <= column < len(grid[row])):
        return
    value = grid[row][column]
    others = any(cell for i, cell in enumerate(grid[row]) if not column <= i <= last_column)
    for r in range(row, min(last_row + 1, len(grid))):
        for c in range(column, min(last_column + 1, len(grid[r]))):
            if (others or c == column) and not grid[r][c]:
                grid[r][c] = value


def cell_text(value: Any) -> str:
    """A cell as a person reads it: whole numbers without a point, dates as ISO, times without a date."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # Excel stores 15 significant digits; more is binary noise (0.1 + 0.2).
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
    if isinstance(value, dt.datetime):
        if value.date() in _EPOCHS:
            return value.time().isoformat("seconds")
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return value.isoformat("seconds")
    return str(value)
