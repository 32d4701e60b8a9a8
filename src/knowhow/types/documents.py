"""Documents, their places, passages and the index that holds them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Literal

from knowhow.types.core import MetaValue, fingerprint
from knowhow.types.layout import Box, boxes_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person looks for a stretch of text. Only what the format has is set."""

    page: int | None = None
    """Physical page, counted from 1."""
    page_label: str = ""
    """The page number as printed, where it differs from `page` (e.g. "iv")."""
    heading: tuple[str, ...] = ()
    """Heading path from the outermost heading inwards."""
    sheet: str = ""
    row: int | None = None
    """Row, counted from 1 as the spreadsheet does; of a stretch the first, and every line of it is one row."""
    slide: int | None = None
    symbol: str = ""
    """Function or class for source code, dotted path for JSON."""
    line: int | None = None
    part: str = ""
    """A file inside this one, e.g. the attachment of an email."""

    def label(self) -> str:
        """The place in words, e.g. "page iv, Returns > Laptops"; empty when nothing is known."""
        words = []
        if self.part:
            words.append(self.part)
        if self.page is not None:
            words.append(f"page {self.page_label or self.page}")
        if self.slide is not None:
            words.append(f"slide {self.slide}")
        if self.sheet:
            words.append(f"sheet {self.sheet}")
        if self.row is not None:
            words.append(f"row {self.row}")
        if self.symbol:
            words.append(self.symbol)
        if self.line is not None:
            words.append(f"line {self.line}")
        if self.heading:
            words.append(" > ".join(self.heading))
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch `text[start:end]` of a document with its place. A document's spans are sorted, disjoint and
    cover the text; a new span starts wherever the place changes, so splitting never crosses a page unseen."""

    start: int
    end: int
    place: Place
    kind: Literal["text", "table", "code", "heading"] = "text"
    header: str = ""
    """For a table stretch: the header row as text, so that a passage cut from the middle keeps it."""
    layout: str = ""
    """Where its words stand on their page (`knowhow.types.layout`); empty where the format has no pages."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What a reader makes of one file: text with places. Nothing about versions or sources yet."""

    text: str
    media_type: str
    title: str = ""
    spans: tuple[Span, ...] = ()
    metadata: Mapping[str, MetaValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """What was left out or repaired, in words, e.g. "3 of 12 pages have no text layer"."""
    unread_scans: int = 0
    """Pages and pictures that only an `Ocr` could have read, where there was none."""


@dataclass(frozen=True, slots=True)
class Document:
    """One source text at one version. `version` counts from 1 per uri; 0 = not stored yet."""

    uri: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    source: str = ""
    spans: tuple[Span, ...] = ()
    metadata: Mapping[str, MetaValue] = field(default_factory=dict)
    access: frozenset[str] = frozenset()
    """Tags an asker must hold, all of them; empty = everyone."""
    content_hash: str = ""
    """Hash of the bytes read and of the reader's version: equal hash means nothing to do."""
    effective_at: float | None = None
    """When the content took effect (UTC seconds), from front matter, metadata or file name; else None."""
    supersedes: str = ""
    """uri of the document this one replaces, where the document says so."""
    version: int = 0
    valid_from: float = 0.0
    valid_to: float | None = None

    def place_at(self, offset: int) -> Place:
        """The place of the character at `offset`; inside a stretch of rows or code, the row or line it is in."""
        i = bisect_right(self.spans, offset, key=lambda span: span.start) - 1
        if i < 0:
            return Place()
        span = self.spans[i]
        if span.place.row is not None:
            return replace(span.place, row=span.place.row + self.text.count("\n", span.start, offset))
        if span.place.line is not None and span.kind == "code":
            return replace(span.place, line=span.place.line + self.text.count("\n", span.start, offset))
        return span.place

    def boxes(self, start: int, end: int) -> tuple[Box, ...]:
        """Where `text[start:end]` stands on its pages: a box a line, whole words; empty for formats without pages."""
        found: list[Box] = []
        first = max(0, bisect_right(self.spans, start, key=lambda span: span.start) - 1)
        for span in self.spans[first:]:
            if span.start >= end:
                break
            if span.layout and span.place.page is not None:
                stretch = self.text[span.start : span.end]
                found += boxes_of(stretch, span.layout, span.place.page, start - span.start, end - span.start)
        return tuple(found)


class DocumentState(StrEnum):
    """What `documents` shows for a uri."""

    READY = "ready"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """One row of `documents`: a uri and how it stands now, without its text."""

    uri: str
    title: str
    version: int
    state: DocumentState
    reason: str
    detail: str
    source: str
    media_type: str
    passages: int
    access: frozenset[str]
    updated: float
    metadata: Mapping[str, MetaValue] = field(default_factory=dict)
    effective_at: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """`document.text[start:end]` of one document version, as one index cut it.

    `lead` is what is searchable with the passage but not part of its text: title, heading path, and the
    header row of a table cut in the middle.
    """

    id: int
    uri: str
    version: int
    start: int
    end: int
    text: str
    title: str = ""
    lead: str = ""
    place: Place = field(default_factory=Place)
    metadata: Mapping[str, MetaValue] = field(default_factory=dict)
    effective_at: float | None = None
    valid_from: float = 0.0


@dataclass(frozen=True, slots=True)
class Range:
    """Evidence: characters `start:end` of version `version` of `uri`."""

    uri: str
    version: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """How documents are cut. `target` and `limit` are in characters; `overlap` repeats that many."""

    target: int = 900
    limit: int = 1400
    overlap: int = 0
    revision: int = 1
    """Raised when the splitter's output changes, so that old indexes are recognised."""


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """What makes one index: a split and an embedder. Two equal specs are the same index."""

    split: SplitSpec
    embedder: str
    dims: int

    @property
    def id(self) -> str:
        """12 hex digits naming this index."""
        return fingerprint([asdict(self.split), self.embedder, self.dims], 12)
