"""Plain text and the light markups that are read as they stand: reStructuredText, Org, AsciiDoc, LaTeX, captions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from knowhow.ingest.readers import front_matter
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.markdown import table_cells
from knowhow.types import Extract

_MEDIA = {
    "rst": "text/x-rst", "rest": "text/x-rst", "org": "text/org", "adoc": "text/asciidoc", "asciidoc": "text/asciidoc",
    "asc": "text/asciidoc", "tex": "application/x-tex", "vtt": "text/vtt", "srt": "application/x-subrip",
}  # fmt: skip
_ORG = re.compile(r"(\*+)\s+(?:(?:TODO|DONE|WAITING|NEXT)\s+)?(.+?)(?:\s+:[\w@:]+:)?\s*$")
_ORG_FIELD = re.compile(r"#\+(title|author|date):\s*(.+)", re.I)
_ASCIIDOC = re.compile(r"(={1,6}|#{1,6})\s+(\S.*?)(?:\s+\1)?\s*$")
_ASCIIDOC_FENCE = re.compile(r"(-{4,}|\.{4,}|={4,}|\+{4,}|/{4,}|`{3,})\s*$")
_TEX = re.compile(r"\s*\\(part|chapter|(?:sub){0,2}section|paragraph)\*?(?:\[[^\]]*\])?\{(.+?)\}\s*(?:%.*)?$")
_TEX_LEVELS = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}
_UNDERLINE = re.compile(r"([=\-`:.'\"~^_*+#<>])\1{2,}\s*$")
_ORG_RULE = re.compile(r"\|[-+]+\|?\s*$")
_CUE = re.compile(r"\s*((?:\d+:)?\d\d:\d\d)[.,]\d{3}\s+-->")
_CUE_VOICE = re.compile(r"<v(?:\.[\w.]+)?\s+([^>]+)>")
_CUE_TAG = re.compile(r"</?[^>]+>")

Heading = tuple[int, int, int, str]
"""First line, line after the last, level, title."""


def read(name: str, data: bytes, depth: int) -> Extract:
    """The text as it stands, with headings where its markup has them."""
    suffix = PurePosixPath(name.lower()).suffix.lstrip(".")
    media_type = _MEDIA.get(suffix, "text/plain")
    decoded = decode(data)
    draft = Draft(depth=depth)
    if decoded.warning:
        draft.warn(decoded.warning)
    metadata, body, _ = front_matter.take(draft.clean(decoded.text))
    for key, value in metadata.items():
        draft.meta(key, value)
    draft.title = metadata.get("title", "")
    if suffix in {"vtt", "srt"}:
        _captions(draft, body)
    else:
        lines = body.split("\n")
        _sections(draft, lines, _headings(draft, lines, media_type), tables=media_type in {"text/org", "text/asciidoc"})
    return draft.extract(media_type, PurePosixPath(name).stem)


def _headings(draft: Draft, lines: list[str], media_type: str) -> Iterator[Heading]:
    if media_type == "text/x-rst":
        yield from _rst(lines)
    elif media_type == "text/org":
        for i, line in enumerate(lines):
            if field := _ORG_FIELD.match(line):
                draft.meta(field[1].lower(), field[2])
                draft.title = draft.title or (field[2] if field[1].lower() == "title" else "")
            if match := _ORG.match(line):
                yield i, i + 1, len(match[1]), match[2]
    elif media_type == "text/asciidoc":
        yield from _asciidoc(lines)
    elif media_type == "application/x-tex":
        for i, line in enumerate(lines):
            if match := _TEX.match(line):
                yield i, i + 1, _TEX_LEVELS[match[1]], match[2]


def _rst(lines: list[str]) -> Iterator[Heading]:
    """Titles by their underline (and overline); levels in the order in which the styles first appear."""
    styles: list[tuple[str, bool]] = []
    for i in range(1, len(lines)):
        under, title = lines[i].rstrip(), lines[i - 1].strip()
        match = _UNDERLINE.match(under)
        if not match or not title or _UNDERLINE.match(title) or len(under) < len(title):
            continue
        over = i > 1 and lines[i - 2].rstrip() == under
        if not over and i > 1 and lines[i - 2].strip():
            continue
        style = (match[1], over)
        if style not in styles:
            styles.append(style)
        yield i - 2 if over else i - 1, i + 1, styles.index(style) + 1, title


def _asciidoc(lines: list[str]) -> Iterator[Heading]:
    fence = ""
    for i, line in enumerate(lines):
        delimiter = _ASCIIDOC_FENCE.match(line)
        if delimiter and fence in {"", delimiter[1]}:
            fence = "" if fence else delimiter[1]
        elif not fence and (match := _ASCIIDOC.match(line)):
            yield i, i + 1, len(match[1]), match[2]


def _sections(draft: Draft, lines: list[str], headings: Iterator[Heading], *, tables: bool) -> None:
    at = 0
    for start, end, level, title in headings:
        if start < at:
            continue
        _body(draft, lines[at:start], tables)
        draft.heading(level, title, "\n".join(lines[start:end]))
        at = end
    _body(draft, lines[at:], tables)


def _body(draft: Draft, lines: list[str], tables: bool) -> None:
    """Running text; runs of lines that open with a pipe are tables (Org and AsciiDoc)."""
    text: list[str] = []
    rows: list[list[str]] = []
    for line in [*lines, ""] if tables else []:
        if line.startswith("|") and not line.startswith("|==="):
            if not _ORG_RULE.match(line):
                rows.append(table_cells(line))
            continue
        if rows and not line.strip() and not line.startswith("|===") and len(rows) == 1:
            continue  # AsciiDoc sets the header row off by an empty line
        if rows:
            draft.add("\n".join(text).strip("\n"))
            draft.table(rows, rows[0])
            text, rows = [], []
        if not line.startswith("|==="):
            text.append(line)
    draft.add("\n".join(text if tables else lines).strip("\n"))


def _captions(draft: Draft, body: str) -> None:
    """What is said in each cue, with the speaker's name; the cue's start time is the place."""
    for cue in re.split(r"\n\s*\n", body):
        lines = cue.strip().split("\n")
        time = next((i for i, line in enumerate(lines) if _CUE.match(line)), None)
        if time is None:
            continue
        start = _CUE.match(lines[time])
        draft.place = replace(draft.place, symbol=start[1] if start else "")
        spoken = "\n".join(_CUE_VOICE.sub(r"\1: ", line) for line in lines[time + 1 :])
        draft.add(_CUE_TAG.sub("", spoken), gap="\n")
