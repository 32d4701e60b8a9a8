"""CSV and its relatives: the delimiter is found from the data, every record becomes one line with its row number."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from pathlib import PurePosixPath

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.tables import add_grid
from knowhow.types import Extract

_DELIMITERS = ",;\t|"
_SAMPLE = 50
_MAX_CELL = 10_000_000


def read(name: str, data: bytes, depth: int) -> Extract:
    """The records as a table."""
    decoded = decode(data)
    draft = Draft(depth=depth)
    if decoded.warning:
        draft.warn(decoded.warning)
    text = decoded.text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        # Excel's own way to say it; the line still counts as row 1.
        delimiter, text, start = first.strip()[-1], rest, 2
    else:
        delimiter, start = _delimiter(text, name), 1
    csv.field_size_limit(_MAX_CELL)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise UnreadableFile(ReadProblem.DAMAGED, f"not readable as delimited text ({error})") from None
    widths = Counter(len(row) for row in rows if any(row))
    if len(widths) > 1:
        draft.warn(f"rows have {min(widths)} to {max(widths)} columns")
    add_grid(draft, rows, start)
    media_type = "text/tab-separated-values" if delimiter == "\t" else "text/csv"
    return draft.extract(media_type, PurePosixPath(name).stem)


def _delimiter(text: str, name: str) -> str:
    """The delimiter under which the first records agree most on having several columns."""

    def agreement(delimiter: str) -> tuple[float, int]:
        try:
            sample = list(itertools.islice(csv.reader(io.StringIO(text), delimiter=delimiter), _SAMPLE))
        except csv.Error:
            return 0.0, 0
        widths = Counter(len(row) for row in sample if row)
        if not widths:
            return 0.0, 0
        width, count = widths.most_common(1)[0]
        return (count / sum(widths.values()) if width > 1 else 0.0), width

    order = "\t,;|" if name.lower().endswith((".tsv", ".tab")) else _DELIMITERS
    return max(order, key=lambda delimiter: (round(agreement(delimiter)[0], 2), agreement(delimiter)[1] > 1))
