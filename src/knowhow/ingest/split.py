"""Cut a document's text into passages: exact ranges that stay within one place a person would look."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from zlib import crc32

from semantic_text_splitter import TextSplitter

from knowhow.store.analyze import searchable
from knowhow.types import Place, Span, SplitSpec

_LEAD = 400
"""Characters of a lead that are kept, so that a table of 200 columns does not drown its rows."""
_TINY = 6
"""A piece under a sixth of the target is a scrap: it joins its neighbour up to the limit."""
_WINDOW = 30_000
"""Characters the splitter sees at once: without line breaks its time grows with the square (3 MB took 95 s)."""
_PARAGRAPH = re.compile(r"\n\s*\n")
_ROW = re.compile("\n")
_ANCHOR = 32
"""Characters of a paragraph or row that decide whether cutting begins anew there."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One passage to be: `text[start:end]`, and the `lead` that is searchable with it (title, heading path, header)."""

    start: int
    end: int
    lead: str


def split(text: str, spans: Sequence[Span], title: str, spec: SplitSpec) -> list[Piece]:
    """The passages of `text` in order; together they hold every character that is not white space.

    A passage never reaches across a change of page, slide, sheet, part or heading, and depends on nothing but its
    own section, so that an edit elsewhere leaves it as it is. A heading goes with what follows it, a table is cut
    between rows, and scraps join their neighbours. `spans` are sorted, disjoint and cover the text (none = one
    place). Only a single word or line without any boundary is cut inside.
    """
    pieces: list[Piece] = []
    for section in _sections(text, spans):
        place = next((span.place for span in section if span.kind != "heading"), section[-1].place)
        cuts = _join(list(_cuts(text, section, spec)), spec)
        for cut in _overlap(text, cuts, spec.overlap):
            start, end = _trim(text, cut.start, cut.end)
            pieces.append(Piece(start, end, _lead(title, place, cut.header, text[start:end])))
    return pieces


def embed_text(lead: str, text: str) -> str:
    """What is embedded for a passage; the keyword index counts the same."""
    return searchable(lead, text)


def embed_hash(lead: str, text: str) -> str:
    """32 hex digits over `embed_text`: equal hash, equal vector."""
    return hashlib.blake2b(embed_text(lead, text).encode(errors="surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Cut:
    """A stretch on its way to become a piece; `header` is the table header that its text does not hold itself."""

    start: int
    end: int
    header: str = ""


def _sections(text: str, spans: Sequence[Span]) -> list[list[Span]]:
    """Runs of spans that passages may join: one container, one heading; headings with what follows them."""
    filled = [span for span in spans or [Span(0, len(text), Place())] if text[span.start : span.end].strip()]
    sections: list[list[Span]] = []
    for _, container in groupby(filled, key=_container):
        waiting: list[Span] = []
        first = len(sections)
        for _, run in groupby(container, key=lambda span: span.place.heading):
            section = waiting + list(run)
            waiting = []
            if all(span.kind == "heading" for span in section):
                waiting = section
            else:
                sections.append(section)
        if waiting and len(sections) > first:
            sections[-1] += waiting
        elif waiting:
            sections.append(waiting)
    return sections


def _container(span: Span) -> tuple[object, ...]:
    place = span.place
    return place.part, place.page, place.sheet, place.slide


def _cuts(text: str, section: list[Span], spec: SplitSpec) -> Iterator[_Cut]:
    """The section cut where its kind changes, then each part to size."""
    for _, run in groupby(section, key=lambda span: (span.kind == "table", span.header)):
        part = list(run)
        start, end = _trim(text, part[0].start, part[-1].end)
        if part[0].kind == "table":
            yield from _rows(text, start, end, part[0].header, spec)
        else:
            yield from _prose(text, start, end, spec)


def _prose(text: str, start: int, end: int, spec: SplitSpec) -> Iterator[_Cut]:
    splitter = TextSplitter((spec.target, spec.limit))
    for at, stop in _windows(text, start, end, _PARAGRAPH, 16):
        if stop - at <= spec.target:
            yield _Cut(at, stop)
        else:
            for offset, chunk in splitter.chunk_indices(text[at:stop]):
                yield _Cut(at + offset, at + offset + len(chunk))


def _windows(text: str, start: int, end: int, mark: re.Pattern[str], every: int) -> Iterator[tuple[int, int]]:
    """`start:end` in stretches that are cut on their own, so that an edit moves no cut beyond the next stretch.

    A stretch begins after one in `every` of the `mark`s, chosen by a hash of what follows it and so by nothing
    before it. It ends at the latest after `_WINDOW` characters, at a paragraph, line or word where there is one.
    """
    anchors = [at.end() for at in mark.finditer(text, start, end) if _hash(text, at.end()) % every == 0]
    for stop in [*anchors, end]:
        while stop - start > _WINDOW:
            ends = (text.rfind(mark, start + 1, start + _WINDOW) for mark in ("\n\n", "\n", " "))
            early = next((at for at in ends if at > 0), start + _WINDOW)
            yield from _filled(text, start, early)
            start = early
        yield from _filled(text, start, stop)
        start = stop


def _hash(text: str, at: int) -> int:
    return crc32(text[at : at + _ANCHOR].encode(errors="surrogatepass"))


def _filled(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    start, end = _trim(text, start, end)
    if start < end:
        yield start, end


def _rows(text: str, start: int, end: int, header: str, spec: SplitSpec) -> Iterator[_Cut]:
    """Whole lines up to the target; a row over the limit is cut like prose."""
    for at, last in _windows(text, start, end, _ROW, 64):
        while at < last:
            stop = _last_line_end(text, at, last, spec.target)
            lines = _trim(text, at, stop)
            for cut in _prose(text, *lines, spec) if lines[1] - lines[0] > spec.limit else [_Cut(*lines)]:
                yield replace(cut, header="" if header in text[cut.start : cut.end] else header)
            at = stop + 1


def _last_line_end(text: str, start: int, end: int, size: int) -> int:
    """Where the last line ends that fits `size` from `start`; at least one line, white space before it not counted."""
    start, _ = _trim(text, start, end)
    if end - start <= size:
        return end
    stop = text.rfind("\n", start, start + size + 1)
    if stop < 0:
        stop = text.find("\n", start, end)
    return end if stop < 0 else stop


def _join(cuts: list[_Cut], spec: SplitSpec) -> list[_Cut]:
    """Neighbours joined while they fit the target, scraps while they fit the limit."""
    joined: list[_Cut] = []
    for cut in cuts:
        if joined:
            before = joined[-1]
            size = cut.end - before.start
            scrap = min(before.end - before.start, cut.end - cut.start) * _TINY < spec.target
            if size <= spec.target or (scrap and size <= spec.limit):
                joined[-1] = _Cut(before.start, cut.end, before.header or cut.header)
                continue
        joined.append(cut)
    return joined


def _overlap(text: str, cuts: list[_Cut], overlap: int) -> list[_Cut]:
    """Each cut but the first begins up to `overlap` characters earlier, at the start of a word."""
    if not overlap:
        return cuts
    wider = cuts[:1]
    for before, cut in pairwise(cuts):
        start = max(before.start + 1, cut.start - overlap)
        while start < cut.start and not text[start - 1].isspace():
            start += 1
        wider.append(replace(cut, start=start))
    return wider


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _lead(title: str, place: Place, header: str, text: str) -> str:
    """Title, place names and heading path, one a line, without what the text opens with or the line before says."""
    path = " > ".join(place.heading[1:] if place.heading[:1] == (title,) else place.heading)
    lines: list[str] = []
    for line in (title, place.part, place.sheet, path, place.symbol, header):
        line = " ".join(line.split())
        if line and line not in lines and not text.startswith(line):
            lines.append(line)
    return "\n".join(lines)[:_LEAD]
