"""PowerPoint presentations (pptx, pptm, ppsx): each slide's title, text in reading order, tables, charts, notes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.archive import Archive, attr, core_properties, local
from knowhow.ingest.readers.charts import add_chart
from knowhow.ingest.readers.draft import Draft, squeeze
from knowhow.ingest.readers.tables import add_table
from knowhow.types import Extract

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_TITLES = {"title", "ctrTitle"}
_FURNITURE = {"dt", "ftr", "sldNum", "hdr", "sldImg"}
_BAND = 200_000
"""English Metric Units (0.22 in) within which shapes stand in one row."""
_NUMBER = re.compile(r"(\d+)")

Spot = tuple[int, int]


def read(name: str, data: bytes, depth: int) -> Extract:
    """Slides in the order of the show; hidden ones are left out and counted."""
    archive = Archive(data)
    main = next((t for kind, t in archive.relations("").values() if kind == "officeDocument"), "ppt/presentation.xml")
    draft = Draft(depth=depth)
    draft.pictures = any("/media/" in name for name in archive.names)
    for key, value in core_properties(archive).items():
        draft.meta(key, value)
    hidden = 0
    for number, part in enumerate(_order(archive, main), start=1):
        slide = archive.xml(part)
        if attr(slide, "show") in {"0", "false"}:
            hidden += 1
            continue
        draft.headings, draft.place = [], replace(draft.place, slide=number)
        _Slide(draft, archive, part).add(slide)
    if hidden:
        draft.warn(f"{hidden} hidden slides left out")
    title = str(draft.metadata.get("title", ""))
    draft.title = "" if title.lower() in {"powerpoint presentation", "presentation"} else title
    return draft.extract(_MEDIA, PurePosixPath(name).stem)


def _order(archive: Archive, main: str) -> list[str]:
    """Slide parts as the presentation lists them; by their number where it lists none."""
    targets = archive.relations(main)
    if main in archive:
        ids = [attr_r(node) for node in archive.xml(main).iter() if local(node) == "sldId"]
        listed = [targets[i][1] for i in ids if i in targets and targets[i][1] in archive]
        if listed:
            return listed
    parts = [name for name in archive.names if re.fullmatch(r"ppt/slides/slide\d+\.xml", name)]
    if not parts:
        raise UnreadableFile(ReadProblem.DAMAGED, "the presentation has no slides")
    return sorted(parts, key=lambda name: int(_NUMBER.findall(name)[-1]))


def attr_r(node: _Element) -> str:
    """The relationship id: the `id` that carries a namespace (a slide has a plain `id` too)."""
    return next((str(v) for k, v in node.items() if str(k).endswith("}id")), "")


class _Slide:
    """One slide with its relationships and its layout's placeholder positions."""

    def __init__(self, draft: Draft, archive: Archive, part: str) -> None:
        self.draft = draft
        self.archive = archive
        self.targets = archive.relations(part)
        layout = self._target("slideLayout")
        self.spots: dict[str, Spot] = {}
        if layout is not None:
            for shape in layout.iter():
                mark, spot = placeholder(shape), position(shape)
                if mark is not None and spot is not None:
                    self.spots[attr(mark, "idx") or attr(mark, "type")] = spot

    def _target(self, kind: str) -> _Element | None:
        target = next((t for k, t in self.targets.values() if k == kind), None)
        return self.archive.xml(target) if target and target in self.archive else None

    def add(self, slide: _Element) -> None:
        tree = next((node for node in slide.iter() if local(node) == "spTree"), None)
        shapes = self._shapes(tree, None) if tree is not None else []
        titles = [shape for shape, _ in shapes if kind_of(shape) in _TITLES]
        for shape in titles:
            text = squeeze(" ".join(paragraphs(shape)))
            if text:
                self.draft.heading(1, text)
        rest = [(shape, spot) for shape, spot in shapes if shape not in titles and kind_of(shape) not in _FURNITURE]
        rest.sort(key=lambda item: (item[1][0] // _BAND, item[1][1]))
        for shape, _ in rest:
            self._shape(shape)
        if any(kind == "comments" for kind, _ in self.targets.values()):
            self.draft.warn("comments on slides left out")
        notes = self._target("notesSlide")
        if notes is not None:
            bodies = [shape for shape in notes.iter() if kind_of(shape) == "body"]
            text = "\n".join(line for shape in bodies for line in paragraphs(shape))
            if text.strip():
                self.draft.add(f"Notes: {text}")

    def _shapes(self, tree: _Element, group: Spot | None) -> list[tuple[_Element, Spot]]:
        """Leaf shapes with where they stand; members of a group stand where the group does, in their order."""
        found: list[tuple[_Element, Spot]] = []
        for shape in tree:
            name = local(shape)
            if name == "AlternateContent":
                choice = next((node for node in shape if local(node) == "Choice"), shape)
                found += self._shapes(choice, group)
            elif name == "grpSp":
                found += self._shapes(shape, group or position(shape) or (0, 0))
            elif name in {"sp", "graphicFrame", "cxnSp"}:
                mark = placeholder(shape)
                inherited = self.spots.get(attr(mark, "idx") or attr(mark, "type")) if mark is not None else None
                found.append((shape, group or position(shape) or inherited or (0, 0)))
        return found

    def _shape(self, shape: _Element) -> None:
        if local(shape) != "graphicFrame":
            self.draft.add("\n".join(paragraphs(shape)))
            return
        for node in shape.iter():
            if local(node) == "tbl":
                add_table(self.draft, table_rows(node), marked=_first_row(node))
                return
            if local(node) == "chart" and attr(node, "id") in self.targets:
                target = self.targets[attr(node, "id")][1]
                if target in self.archive:
                    add_chart(self.draft, self.archive.xml(target))
                return
            if local(node) == "relIds" and attr(node, "dm") in self.targets:
                diagram = self.targets[attr(node, "dm")][1]
                if diagram in self.archive:
                    self.draft.add("\n".join(paragraphs(self.archive.xml(diagram))))
                return


def placeholder(shape: _Element) -> _Element | None:
    """The placeholder mark of a shape."""
    if local(shape) not in {"sp", "graphicFrame"}:
        return None
    return next((node for node in shape.iter() if local(node) == "ph"), None)


def kind_of(shape: _Element) -> str:
    """The placeholder's type; `body` for one without a type, empty for other shapes."""
    mark = placeholder(shape)
    return "" if mark is None else attr(mark, "type") or "body"


def position(shape: _Element) -> Spot | None:
    """(top, left) in EMU, where the shape states it."""
    for node in shape.iter():
        if local(node) == "off":
            x, y = attr(node, "x"), attr(node, "y")
            return (int(y), int(x)) if y.lstrip("-").isdigit() and x.lstrip("-").isdigit() else None
        if local(node) == "txBody":
            break
    return None


def paragraphs(shape: _Element) -> list[str]:
    """The lines of a shape's text, indented by their level."""
    lines = []
    for paragraph in (node for node in shape.iter() if local(node) == "p"):
        parts: list[str] = []
        level = "0"
        for node in paragraph.iter():
            name = local(node)
            if name == "t" and node.text and attr_of_field(node) != "slidenum":
                parts.append(node.text)
            elif name == "br":
                parts.append("\n")
            elif name == "pPr":
                level = attr(node, "lvl") or "0"
        text = "".join(parts).strip()
        if text:
            indent = int(level) if level.isdigit() and len(level) == 1 else 0
            lines.append(f"{'  ' * indent}- {text}" if indent else text)
    return lines


def attr_of_field(text: _Element) -> str:
    """The type of the field a text element is in, empty when in none."""
    parent = text.getparent()
    return attr(parent, "type") if parent is not None and local(parent) == "fld" else ""


def _first_row(table: _Element) -> bool:
    return any(local(node) == "tblPr" and attr(node, "firstRow") in {"1", "true"} for node in table)


def table_rows(table: _Element) -> list[list[str]]:
    """Cells of a DrawingML table, merged ones repeated."""
    rows: list[list[str]] = []
    for tr in (node for node in table if local(node) == "tr"):
        row: list[str] = []
        for cell in (node for node in tr if local(node) == "tc"):
            text = squeeze(" ".join(paragraphs(cell)))
            if attr(cell, "hMerge") in {"1", "true"} and row:
                text = row[-1]
            elif attr(cell, "vMerge") in {"1", "true"} and rows and len(row) < len(rows[-1]):
                text = rows[-1][len(row)]
            row.append(text)
        if any(row):
            rows.append(row)
    return rows
