"""Word documents (docx, docm; strict and transitional): headings, numbered lists, tables, notes, text boxes."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.archive import Archive, attr, core_properties, local
from knowhow.ingest.readers.charts import add_chart
from knowhow.ingest.readers.draft import Draft, raised, squeeze
from knowhow.ingest.readers.office_math import math_text
from knowhow.ingest.readers.tables import add_table
from knowhow.ingest.readers.word_styles import Numbering, Style, child, children, read_styles, switch
from knowhow.types import Extract

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_DROPPED = {
    "del",
    "moveFrom",
    "instrText",
    "delText",
    "delInstrText",
    "Fallback",
    "rPr",
    "pPr",
    "sdtPr",
    "tblPr",
    "fldChar",
}
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


def read(name: str, data: bytes, depth: int) -> Extract:
    """The body in order; headers, footers and comments are named in the warnings."""
    archive = Archive(data)
    relations = archive.relations("")
    main = next((target for kind, target in relations.values() if kind == "officeDocument"), "word/document.xml")
    draft = Draft(depth=depth)
    draft.pictures = any("/media/" in name for name in archive.names)
    for key, value in core_properties(archive).items():
        draft.meta(key, value)
    document = archive.xml(main)
    body = next((node for node in document.iter() if local(node) == "body"), None)
    if body is None:
        raise UnreadableFile(ReadProblem.DAMAGED, f"{main} has no body")
    reader = _Reader(draft, archive, main)
    reader.blocks(body)
    reader.finish()
    draft.title = reader.title or str(draft.metadata.get("title", ""))
    return draft.extract(_MEDIA, PurePosixPath(name).stem)


class _Reader:
    """Walks the body; knows the styles, the numbering and the notes."""

    def __init__(self, draft: Draft, archive: Archive, main: str) -> None:
        self.draft = draft
        self.archive = archive
        self.targets = archive.relations(main)
        self.styles = read_styles(self._part("styles"))
        self.numbering = Numbering(self._part("numbering"))
        self.notes: dict[tuple[str, str], _Element] = {}
        for kind in ("footnote", "endnote"):
            root = self._part(f"{kind}s")
            for note in root if root is not None else ():
                if attr(note, "type") in {"", "normal"}:
                    self.notes[kind, attr(note, "id")] = note
        self.title = ""
        self.hidden = 0
        self.boxes: list[_Element] = []
        self.cited: list[tuple[str, str]] = []
        self.code: list[str] = []

    def _part(self, kind: str) -> _Element | None:
        target = next((target for k, target in self.targets.values() if k == kind), None)
        return self.archive.xml(target) if target and target in self.archive else None

    def finish(self) -> None:
        """Reports what was left out."""
        self._flush_code()
        for kind in ("header", "footer"):
            texts = [
                squeeze(self.text(self.archive.xml(t)))
                for k, t in self.targets.values()
                if k == kind and t in self.archive
            ]
            for text in sorted({text for text in texts if text}):
                self.draft.warn(f"page {kind} left out: {text[:100]}")
        comments = self._part("comments")
        if comments is not None and len(comments):
            self.draft.warn(f"{len(comments)} review comments left out")
        if self.hidden:
            self.draft.warn(f"{self.hidden} characters of hidden text left out")

    def blocks(self, parent: _Element, *, in_table: bool = False) -> None:
        """Appends the paragraphs and tables in `parent`."""
        for node in parent:
            name = local(node)
            if name == "p":
                self._paragraph(node, in_table)
            elif name == "tbl":
                self._flush_code()
                self._table(node)
            elif name in {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "AlternateContent", "Choice"}:
                self.blocks(node, in_table=in_table)
            elif name == "altChunk":
                self.draft.warn("an embedded file (altChunk) left out")

    def _style(self, paragraph: _Element) -> tuple[Style, _Element | None]:
        properties = child(paragraph, "pPr")
        named = child(properties, "pStyle")
        style = self.styles.get(attr(named, "val") if named is not None else "", self.styles[""])
        return style, properties

    def _paragraph(self, paragraph: _Element, in_table: bool) -> None:
        style, properties = self._style(paragraph)
        text = self.text(paragraph, in_table).strip("\n")
        if style.code and text:
            self.code.append(text)
            return
        self._flush_code()
        if text.strip():
            label, level = self.numbering.label(child(properties, "numPr"), style)
            outline = child(properties, "outlineLvl")
            heading = int(attr(outline, "val") or 9) + 1 if outline is not None else style.heading
            if heading is not None and heading <= 9 and not in_table:
                title = f"{label} {squeeze(text)}".strip()
                self.title = self.title or (title if heading == 0 else "")
                self.draft.heading(heading, title)
            elif label:
                self.draft.add(f"{'  ' * level}{label} {text}", gap="\n")
            else:
                self.draft.add(text)
        self._asides()

    def _flush_code(self) -> None:
        if self.code:
            self.draft.add("\n".join(self.code), "code")
            self.code = []

    def _asides(self) -> None:
        """Text boxes and notes that the paragraph before anchors."""
        boxes, self.boxes = self.boxes, []
        for box in boxes:
            self.blocks(box)
        cited, self.cited = self.cited, []
        for key in cited:
            note = self.notes.get(key)
            if note is not None and (text := squeeze(self.text(note))):
                self.draft.add(f"[{key[0]} {key[1]}] {text}")

    def text(self, parent: _Element, in_table: bool = False) -> str:
        """The visible text in `parent`: paragraphs as lines, charts and text boxes handed on."""
        parts: list[str] = []
        todo: list[_Element | str] = [parent]
        while todo:
            node = todo.pop()
            if isinstance(node, str):
                parts.append(node)
                continue
            name = local(node)
            if name == "t":
                parts.append(node.text or "")
            elif name in _BREAKS:
                parts.append(_BREAKS[name])
            elif name == "txbxContent":
                self.boxes.append(node)
            elif name in {"footnoteReference", "endnoteReference"}:
                key = (name.removesuffix("Reference"), attr(node, "id"))
                self.cited.append(key)
                parts.append(f"[{key[1]}]")
            elif name == "chart" and attr(node, "id") in self.targets:
                self._chart(attr(node, "id"))
            elif name == "oMath":
                parts.append(math_text(node))
            elif name not in _DROPPED and not (name == "r" and self._is_hidden(node, in_table)):
                if name == "p" and node is not parent:
                    todo.append("\n")
                if name == "r" and _is_raised(node):
                    parts.append(raised("".join(parts[-2:]), "".join(t.text or "" for t in node if local(t) == "t")))
                todo.extend(reversed(node))
        return "".join(parts)

    def _chart(self, relation: str) -> None:
        target = self.targets[relation][1]
        if target in self.archive:
            add_chart(self.draft, self.archive.xml(target))

    def _is_hidden(self, run: _Element, in_table: bool) -> bool:
        """Whether a run is set hidden, or white on the page. In tables a style may lay a dark ground under white."""
        properties = child(run, "rPr")
        if properties is None:
            return False
        white = False
        color = child(properties, "color")
        if color is not None and not in_table:
            shaded = any(child(p, "shd") is not None for p in (properties, child(run.getparent(), "pPr")))
            boxed = next((a for a in run.iterancestors() if local(a) == "txbxContent"), None)
            white = attr(color, "val").upper() == "FFFFFF" and not shaded and boxed is None
        if white or switch(properties, "vanish"):
            self.hidden += sum(len(t.text or "") for t in run.iter() if local(t) == "t")
            return True
        return False

    def _table(self, table: _Element) -> None:
        rows: list[list[str]] = []
        marked = False
        for tr in children(table, "tr"):
            properties = child(tr, "trPr")
            marked = marked or (not rows and switch(properties, "tblHeader"))
            cells = children(tr, "tc")
            if len(rows) == 0 and len(cells) == 1 and len(children(table, "tr")) == 1:
                self.blocks(cells[0], in_table=True)  # a frame around text
                return
            rows.append(self._row(cells, rows[-1] if rows else []))
        add_table(self.draft, rows, marked=marked)
        self._asides()

    def _row(self, cells: list[_Element], above: list[str]) -> list[str]:
        row: list[str] = []
        for cell in cells:
            properties = child(cell, "tcPr")
            span, merge = child(properties, "gridSpan"), child(properties, "vMerge")
            text = squeeze(self.text(cell, in_table=True))
            if merge is not None and attr(merge, "val") != "restart" and len(row) < len(above):
                text = text or above[len(row)]
            width = attr(span, "val") if span is not None else "1"
            # A lone cell across the whole row is a title, not a value of every column.
            row += [text] * (min(int(width), 100) if width.isdigit() and len(cells) > 1 else 1)
        return row


def _is_raised(run: _Element) -> bool:
    align = child(child(run, "rPr"), "vertAlign")
    return align is not None and attr(align, "val") == "superscript"
