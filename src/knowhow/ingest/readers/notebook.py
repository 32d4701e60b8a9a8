"""Jupyter notebooks: Markdown cells as Markdown, code cells as code, short text outputs below them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.markdown import add_markdown
from knowhow.types import Extract

_OUTPUT = 2_000
"""Characters of a cell's output that are kept; the rest is logs and dumps."""


def read(name: str, data: bytes, depth: int) -> Extract:
    """Cells in order; the cell number is the place."""
    draft = Draft(depth=depth)
    try:
        book = json.loads(decode(data).text)
        cells = book["cells"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnreadableFile(ReadProblem.DAMAGED, "not a notebook of format 4: re-save it with Jupyter") from None
    for number, cell in enumerate(cells, start=1):
        draft.place = replace(draft.place, symbol=f"cell {number}")
        source = draft.clean(_text(cell.get("source"))).strip("\n")
        if cell.get("cell_type") == "markdown":
            add_markdown(draft, source)
        else:
            draft.add(source, "code")
            for output in cell.get("outputs") or []:
                shown = _text(output.get("text") or (output.get("data") or {}).get("text/plain")).strip("\n")
                draft.add(shown[:_OUTPUT])
                if len(shown) > _OUTPUT:
                    draft.warn(f"outputs over {_OUTPUT:,} characters cut")
    return draft.extract("application/x-ipynb+json", PurePosixPath(name).stem)


def _text(value: Any) -> str:
    return "".join(str(part) for part in value) if isinstance(value, list) else str(value or "")
