"""RTF: text and tables through striprtf, title and dates from its info group."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.tables import add_table
from knowhow.types import Extract

_INFO = re.compile(r"\{\\(title|author|subject)\s+([^{}\\]{1,500})\}")
_TIME = re.compile(r"\{\\(creatim|revtim)\\yr(\d{4})\\mo(\d{1,2})\\dy(\d{1,2})")
_HIDDEN = re.compile(r"\{\\v(?:\s[^{}]*|\\[^{}]*)\}|\\v(?=[\\ ])[^{}]*?\\v0")
_OBJECT = re.compile(r"\{\\\*?\\?(?:objdata|pict|blipuid|datastore|themedata|colorschememapping)[^{}]*\}")
_HYPERLINK = re.compile(r"\[([^\]]*)\]\((?:https?|mailto)[^)]*\)")


def read(name: str, data: bytes, depth: int) -> Extract:
    """Paragraphs and tables; RTF names no headings that striprtf would keep."""
    from striprtf.striprtf import rtf_to_text

    draft = Draft(depth=depth)
    source = data.decode("latin-1")
    for key, value in _INFO.findall(source):
        draft.meta(key, value)
    for key, year, month, day in _TIME.findall(source):
        draft.meta("created" if key == "creatim" else "modified", f"{year}-{int(month):02d}-{int(day):02d}")
    draft.title = str(draft.metadata.get("title", ""))
    source, hidden = _HIDDEN.subn("", _OBJECT.sub("", source))
    if hidden:
        draft.warn(f"{hidden} stretches of hidden text left out")
    try:
        text: str = rtf_to_text(source, encoding="cp1252", errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, LookupError, IndexError, TypeError) as error:
        raise UnreadableFile(ReadProblem.DAMAGED, f"not readable as RTF ({error})") from None
    _add(draft, _HYPERLINK.sub(r"\1", text))
    return draft.extract("application/rtf", PurePosixPath(name).stem)


def _add(draft: Draft, text: str) -> None:
    """striprtf writes a table row as a line of cells that each end in a bar."""
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if line.rstrip().endswith("|") and line.count("|") > 1:
            rows.append([cell.strip() for cell in line.rstrip().rstrip("|").split("|")])
            continue
        if rows:
            add_table(draft, rows)
            rows = []
        if line.strip():
            draft.add(line.rstrip())
