"""XML without a reader of its own (feeds, DITA, DocBook, exports): its text, one line for each lowest element."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import UnreadableFile
from knowhow.ingest.readers.archive import local, parse_xml
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft, squeeze
from knowhow.types import Extract

if TYPE_CHECKING:
    from lxml.etree import _Element

_INLINE = set("a b i em strong code span emphasis link xref ph uicontrol literal sub sup tt u ulink".split())
_TITLES = {"title", "name", "headline"}


def read(name: str, data: bytes, depth: int) -> Extract:
    """Element text in document order; the place is the element's path. Broken XML is kept as text."""
    draft = Draft(depth=depth)
    stem = PurePosixPath(name).stem
    try:
        root = parse_xml(data, name)
    except UnreadableFile as problem:
        decoded = decode(data)
        draft.warn(f"kept as text: {problem.detail}")
        draft.add(decoded.text)
        return draft.extract("text/plain", stem)
    titles = [node for node in root.iter() if local(node) in _TITLES and (node.text or "").strip()]
    draft.title = (titles[0].text or "") if titles else ""
    todo: list[tuple[_Element, str, int]] = [(root, local(root), 1)]
    while todo:
        node, path, level = todo.pop()
        parts = [child for child in node if local(child)]
        draft.place = replace(draft.place, symbol=path)
        if all(local(child) in _INLINE for child in parts):
            draft.add(squeeze("".join(map(str, node.itertext()))), gap="\n")
            continue
        draft.add(squeeze(node.text or ""), gap="\n")
        todo += [(child, f"{path}.{local(child)}", level + 1) for child in reversed(parts)]
    return draft.extract("application/xml", stem)
