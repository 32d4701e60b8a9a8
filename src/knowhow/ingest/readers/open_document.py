"""OpenDocument text, presentations and spreadsheets (odt, odp, ods), from their content.xml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.archive import Archive, attr, local
from knowhow.ingest.readers.draft import Draft, squeeze
from knowhow.ingest.readers.tables import add_grid, add_table
from knowhow.types import Extract

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA = "application/vnd.oasis.opendocument."
_KEYS = {
    "title": "title",
    "initial-creator": "author",
    "creation-date": "created",
    "date": "modified",
    "language": "language",
}
_SKIPPED = {"annotation", "annotation-end", "tracked-changes", "note-citation", "forms", "sequence-decls", "settings",
            "header", "footer", "desc", "event-listeners", "table-of-content", "alphabetical-index"}  # fmt: skip
_WIDE = 1_024
"""Columns; what is repeated further is the empty rest of the sheet."""
_TALL = 1_048_576


def read(name: str, data: bytes, depth: int) -> Extract:
    """Paragraphs, headings, lists and tables; slides and sheets by number and name."""
    archive = Archive(data)
    if "META-INF/manifest.xml" in archive and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise UnreadableFile(ReadProblem.ENCRYPTED, "the document needs a password; save a copy without one")
    draft = Draft(depth=depth)
    if "meta.xml" in archive:
        for node in archive.xml("meta.xml").iter():
            if local(node) in _KEYS:
                draft.meta(_KEYS[local(node)], node.text or "")
    draft.title = str(draft.metadata.get("title", ""))
    body = next((node for node in archive.xml("content.xml").iter() if local(node) == "body"), None)
    content = next(iter(body), None) if body is not None else None
    if content is None:
        raise UnreadableFile(ReadProblem.DAMAGED, "content.xml has no body")
    kind = local(content)
    _Reader(draft).blocks(content)
    return draft.extract(
        _MEDIA + (kind if kind in {"text", "presentation", "spreadsheet"} else "text"), PurePosixPath(name).stem
    )


class _Reader:
    """Walks the body and appends its blocks."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.slides = 0

    def blocks(self, parent: _Element, indent: int = -1) -> None:
        """Appends what is in `parent`; `indent` is the nesting of the list it is in, -1 outside of lists."""
        for node in parent:
            name = local(node)
            if name == "h":
                level = attr(node, "outline-level")
                self.draft.heading(int(level) if level.isdigit() else 1, text_of(node))
            elif name == "p":
                text = text_of(node)
                if text.strip():
                    self.draft.add(
                        f"{'  ' * indent}- {text}" if indent >= 0 else text, gap="\n" if indent >= 0 else "\n\n"
                    )
                self._frames(node)
            elif name == "list":
                self.blocks(node, indent + 1)
            elif name == "table":
                self._table(node)
            elif name == "page":
                self._slide(node)
            elif name == "notes":
                notes = squeeze(" ".join(text_of(p) for p in node.iter() if local(p) == "p"))
                self.draft.add(f"Notes: {notes}" if notes else "")
            elif name not in _SKIPPED:
                self.blocks(node, indent)

    def _frames(self, paragraph: _Element) -> None:
        for box in (node for node in paragraph.iter() if local(node) == "text-box"):
            self.blocks(box)

    def _slide(self, page: _Element) -> None:
        self.slides += 1
        self.draft.headings, self.draft.place = [], replace(self.draft.place, slide=self.slides)
        title = next((frame for frame in page if attr(frame, "class") == "title"), None)
        if title is not None:
            text = squeeze(" ".join(text_of(p) for p in title.iter() if local(p) in {"p", "h"}))
            if text:
                self.draft.heading(1, text)
            page.remove(title)
        self.blocks(page)

    def _table(self, table: _Element) -> None:
        parent = table.getparent()
        spreadsheet = parent is not None and local(parent) == "spreadsheet"
        rows = _rows(table)
        if spreadsheet:
            if attr(table, "display") == "false":
                self.draft.warn(f"hidden sheet {attr(table, 'name')} left out")
                return
            self.draft.headings, self.draft.place = [], replace(self.draft.place, sheet=attr(table, "name"), row=None)
            add_grid(self.draft, rows, 1)
            return
        add_table(self.draft, rows, marked=any(local(node) == "table-header-rows" for node in table))


def text_of(paragraph: _Element) -> str:
    """The text of a paragraph, without notes' marks, comments and text boxes (which are blocks of their own)."""
    parts: list[str] = []
    todo: list[_Element | str] = [paragraph]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            parts.append(node)
            continue
        name = local(node)
        if name in _SKIPPED or name == "text-box":
            continue
        if name == "s":
            count = attr(node, "c")
            parts.append(" " * (min(int(count), 100) if count.isdigit() else 1))
        elif name in {"tab", "line-break"}:
            parts.append("\t" if name == "tab" else "\n")
        if name == "note":
            parts.append(" [")
            todo.append("] ")
        parts.append(node.text or "")
        for child in reversed(node):
            todo.append(child.tail or "")
            todo.append(child)
    return "".join(parts).strip("\n")


def _rows(table: _Element) -> list[list[str]]:
    rows: list[list[str]] = []
    for tr in (node for node in table.iter() if local(node) == "table-row"):
        owner = next((a for a in tr.iterancestors() if local(a) == "table"), None)
        if owner is not table:
            continue
        row = _row(tr, rows[-1] if rows else [])
        while row and not row[-1]:
            row.pop()
        repeat = min(_count(attr(tr, "number-rows-repeated")), _TALL - len(rows))
        rows += [row] * (repeat if row else min(repeat, _TALL))
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _row(tr: _Element, above: list[str]) -> list[str]:
    """The cells of a row; one covered by a merged cell repeats its text."""
    row: list[str] = []
    across = 0
    for cell in tr:
        if local(cell) == "table-cell":
            text, across = _cell(cell), _count(attr(cell, "number-columns-spanned")) - 1
        elif local(cell) == "covered-table-cell":
            text = row[-1] if across > 0 and row else above[len(row)] if len(row) < len(above) else ""
            across -= 1
        else:
            continue
        row += [text] * min(_count(attr(cell, "number-columns-repeated")), _WIDE - len(row))
    return row


def _cell(cell: _Element) -> str:
    date = attr(cell, "date-value")
    if attr(cell, "value-type") == "date" and date:
        return date.replace("T00:00:00", "").replace("T", " ")
    return squeeze(" ".join(text_of(p) for p in cell.iter() if local(p) in {"p", "h"}))


def _count(value: str) -> int:
    return max(1, int(value)) if value.isdigit() and len(value) < 9 else 1
