"""EPUB books: the chapters of the spine in order, through the HTML reader."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.archive import Archive, attr, local
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.html import add_html, parse_html
from knowhow.types import Extract

if TYPE_CHECKING:
    from lxml.etree import _Element

_KEYS = {"title": "title", "creator": "author", "date": "date", "language": "language", "publisher": "publisher"}
_PAGES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}


def read(name: str, data: bytes, depth: int) -> Extract:
    """The book's text; its own table of contents and cover are left out."""
    archive = Archive(data)
    if "META-INF/encryption.xml" in archive and b"EncryptedKey" in archive.read("META-INF/encryption.xml"):
        raise UnreadableFile(ReadProblem.ENCRYPTED, "the book is protected (DRM)")
    container = archive.xml("META-INF/container.xml")
    path = next((attr(node, "full-path") for node in container.iter() if local(node) == "rootfile"), "")
    package = archive.xml(path)
    draft = Draft(depth=depth)
    for node in package.iter():
        if local(node) in _KEYS and "purl.org/dc" in str(node.tag):
            draft.meta(_KEYS[local(node)], node.text or "")
    draft.title = str(draft.metadata.get("title", ""))
    for target in _spine(package, posixpath.dirname(path)):
        if target not in archive:
            draft.warn(f"chapter {target} is missing")
            continue
        draft.headings = []
        try:
            add_html(draft, parse_html(decode(archive.read(target)).text))
        except UnreadableFile as problem:
            if problem.reason != ReadProblem.EMPTY:
                draft.warn(f"chapter {target}: {problem}")
    return draft.extract("application/epub+zip", PurePosixPath(name).stem)


def _spine(package: _Element, folder: str) -> list[str]:
    """Parts in reading order, without the navigation document."""
    items = {attr(node, "id"): node for node in package.iter() if local(node) == "item"}
    order = [
        items[attr(node, "idref")]
        for node in package.iter()
        if local(node) == "itemref" and attr(node, "idref") in items
    ]
    pages = [item for item in order or items.values() if attr(item, "media-type") in _PAGES]
    kept = [item for item in pages if "nav" not in attr(item, "properties").split()]
    return [posixpath.normpath(posixpath.join(folder, unquote(attr(item, "href")))) for item in kept or pages]
