"""Zip containers and XML from strangers, opened with limits: expansion, entities, depth, encryption."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_MEMBERS = 20_000
MAX_MEMBER = 256_000_000
"""Bytes one part may unpack to."""
MAX_TOTAL = 512_000_000
MAX_RATIO = 250
"""Unpacked over packed size; office text reaches 30, DEFLATE tops out at 1,032."""
RATIO_FROM = 10_000_000
"""Below this many unpacked bytes no ratio hurts."""


class Archive:
    """A zip file in memory whose parts can be read once it is known that they stay within the limits."""

    def __init__(self, data: bytes) -> None:
        """Raises `UnreadableFile`: damaged, encrypted or too large."""
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            infos = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError, UnicodeError) as error:
            raise UnreadableFile(ReadProblem.DAMAGED, f"the zip container cannot be opened ({error})") from None
        if len(infos) > MAX_MEMBERS:
            raise UnreadableFile(ReadProblem.TOO_LARGE, f"the container has {len(infos):,} parts, over {MAX_MEMBERS:,}")
        if any(info.flag_bits & 1 for info in infos):
            raise UnreadableFile(ReadProblem.ENCRYPTED, "the container is encrypted; save a copy without a password")
        self.names = frozenset(info.filename for info in infos)
        self._folded = {info.filename.lower().lstrip("/"): info for info in infos}
        self._spent = 0

    def __contains__(self, name: str) -> bool:
        return name.lower().lstrip("/") in self._folded

    def read(self, name: str) -> bytes:
        """The bytes of a part (names are matched without case, as office programs do).

        Sizes are counted while unpacking: what the directory says can lie.
        """
        info = self._folded.get(name.lower().lstrip("/"))
        if info is None:
            raise UnreadableFile(ReadProblem.DAMAGED, f"the container has no part {name}")
        limit = min(MAX_MEMBER, MAX_TOTAL - self._spent)
        if info.compress_size:
            limit = min(limit, max(RATIO_FROM, MAX_RATIO * info.compress_size))
        try:
            with self._zip.open(info) as stream:
                data = stream.read(limit + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            raise UnreadableFile(ReadProblem.DAMAGED, f"{name} cannot be unpacked ({error})") from None
        if len(data) > limit:
            detail = (
                f"{name} unpacks to more than {limit:,} bytes from {info.compress_size:,}; it looks like a zip bomb"
            )
            raise UnreadableFile(ReadProblem.TOO_LARGE, detail)
        self._spent += len(data)
        return data

    def xml(self, name: str) -> _Element:
        """The root of an XML part."""
        return parse_xml(self.read(name), name)

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """OOXML relationships of a part: id → (last word of the type, target part); external ones are left out."""
        folder, base = posixpath.split(name)
        path = posixpath.join(folder, "_rels", base + ".rels")
        if path not in self:
            return {}
        found = {}
        for node in self.xml(path):
            if node.get("TargetMode") != "External":
                target = node.get("Target") or ""
                full = (
                    target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
                )
                found[node.get("Id") or ""] = (posixpath.basename(node.get("Type") or ""), full)
        return found


def parse_xml(data: bytes, name: str) -> _Element:
    """The root element, without entities, DTDs, network or huge nodes; slightly broken XML is repaired.

    Raises `UnreadableFile` (damaged) for what is no XML or declares entities.
    """
    from lxml import etree

    if b"<!ENTITY" in data[:4096]:
        raise UnreadableFile(ReadProblem.DAMAGED, f"{name} declares XML entities, which office files never do")
    for recover in (False, True):
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=recover,
            remove_comments=True, remove_pis=True,
        )  # fmt: skip
        try:
            root = etree.fromstring(data, parser)
        except (etree.XMLSyntaxError, ValueError):
            continue
        if root is not None:
            return root
    raise UnreadableFile(ReadProblem.DAMAGED, f"{name} is not well-formed XML")


def local(node: _Element) -> str:
    """The element's name without its namespace; empty for entities and other non-elements."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attr(node: _Element, name: str) -> str:
    """The attribute by its name without namespace (OOXML's strict and transitional forms differ only in that)."""
    for key, value in node.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return ""


def core_properties(archive: Archive) -> dict[str, str]:
    """Title, author and dates of an OOXML file (docProps/core.xml), under the keys Knowhow uses."""
    keys = {
        "title": "title", "creator": "author", "created": "created", "modified": "modified", "subject": "subject",
        "keywords": "keywords", "language": "language",
    }  # fmt: skip
    if "docProps/core.xml" not in archive:
        return {}
    try:
        root = archive.xml("docProps/core.xml")
    except UnreadableFile:
        return {}
    return {
        keys[local(node)]: node.text.strip() for node in root if local(node) in keys and node.text and node.text.strip()
    }
