"""How texts, spans and places lie in the file, and what makes two contents the same."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from hashlib import blake2b

from knowhow.ports import IndexedPassage
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.types import Place, Span

PART_CHARS = 16_384
"""A stretch is read by decompressing one or two parts of this size: 70 microseconds each (docs/store.md)."""
_LEVEL = 4


def text_parts(text: str) -> list[bytes]:
    """`text` as compressed parts."""
    return [
        zlib.compress(text[at : at + PART_CHARS].encode("utf-8", "surrogatepass"), _LEVEL)
        for at in range(0, len(text), PART_CHARS)
    ]


def read_text(connection: Connection, body: int) -> str:
    """The whole text of a body."""
    rows = fetch(connection, "select data from text where body = ? order by part", (body,))
    return "".join(_inflate(data) for (data,) in rows)


class Slices:
    """Stretches of texts, each compressed part inflated once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held: dict[tuple[int, int], str] = {}

    def cut(self, body: int, start: int, end: int) -> str:
        """`text[start:end]` of `body`."""
        if end <= start:
            return ""
        first, last = start // PART_CHARS, (end - 1) // PART_CHARS
        joined = "".join(self._part(body, part) for part in range(first, last + 1))
        return joined[start - first * PART_CHARS : end - first * PART_CHARS]

    def _part(self, body: int, part: int) -> str:
        held = self._held.get((body, part))
        if held is None:
            data = fetch_one(self._connection, "select data from text where body = ? and part = ?", (body, part))
            held = self._held[body, part] = _inflate(data) if data is not None else ""
        return held


def pack_spans(spans: Sequence[Span]) -> bytes:
    """Spans as compressed JSON."""
    rows = [_row(span) for span in spans]
    return zlib.compress(json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode(), _LEVEL)


def unpack_spans(data: bytes) -> tuple[Span, ...]:
    """The inverse of `pack_spans`."""
    rows = json.loads(zlib.decompress(data))
    return tuple(Span(start, end, _unplace(place), *more) for start, end, place, *more in rows)


def _row(span: Span) -> list[object]:
    row = [span.start, span.end, _place(span.place), span.kind, span.header]
    return [*row, span.layout] if span.layout else row


def place_text(place: Place) -> str:
    """A place as JSON of what is set; empty when nothing is."""
    known = _place(place)
    return json.dumps(known, separators=(",", ":")) if known else ""


def read_place(text: str) -> Place:
    """The inverse of `place_text`."""
    return _unplace(json.loads(text)) if text else Place()


def content_digest(text: str, spans: bytes) -> str:
    """32 hex digits; equal digests mean equal text and places."""
    return blake2b(text.encode("utf-8", "surrogatepass") + b"\0" + spans, digest_size=16).hexdigest()


def cut_digest(passages: Sequence[IndexedPassage]) -> str:
    """32 hex digits; equal digests mean the same passages with the same vectors."""
    rows = [[passage.start, passage.end, passage.lead, passage.embed_hash] for passage in passages]
    return blake2b(json.dumps(rows, ensure_ascii=True).encode(), digest_size=16).hexdigest()


def _inflate(data: bytes) -> str:
    return zlib.decompress(data).decode("utf-8", "surrogatepass")


_FIELDS = ("page", "page_label", "heading", "sheet", "row", "slide", "symbol", "line", "part")


def _place(place: Place) -> dict[str, object]:
    values = ((name, getattr(place, name)) for name in _FIELDS)
    return {name: value for name, value in values if value not in (None, "", ())}


def _unplace(known: dict[str, object]) -> Place:
    heading = known.pop("heading", ())
    return Place(heading=tuple(heading), **known)  # type: ignore[arg-type]
