"""Markdown as its author wrote it, with the heading path, tables and code blocks known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.ingest.readers import front_matter
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.types import Extract

if TYPE_CHECKING:
    from markdown_it.token import Token

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_CODE_OR_COMMENT = re.compile(r"(`+)(?!`)[^\n]{0,2000}?(?<!`)\1(?!`)|" + _COMMENT.pattern, re.S)
_DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]{64,}")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_MARKUP = re.compile(r"[*_]{1,3}(?=\S)(.+?)(?<=\S)[*_]{1,3}(?!\w)|`+([^`]+)`+|<[^>]+>")
_ANCHOR = re.compile(r"\s*\{[#.][^}]*\}\s*$")
_CELL_EDGE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines `start:end` that are no running text. `level` is set for headings."""

    start: int
    end: int
    kind: str
    level: int = 0
    title: str = ""


def read(name: str, data: bytes, depth: int) -> Extract:
    """Markdown text; front matter becomes metadata, comments are left out."""
    decoded = decode(data)
    draft = Draft(depth=depth)
    if decoded.warning:
        draft.warn(decoded.warning)
    metadata, body, warning = front_matter.take(draft.clean(decoded.text))
    for key, value in metadata.items():
        draft.meta(key, value)
    if warning:
        draft.warn(warning)
    draft.title = metadata.get("title", "")
    add_markdown(draft, body)
    return draft.extract("text/markdown", PurePosixPath(name).stem)


def add_markdown(draft: Draft, body: str) -> None:
    """Appends Markdown to `draft`, block by block."""
    body, cut = _DATA_URI.subn("data:", body)
    if cut:
        draft.warn(f"{cut} embedded images left out")
    lines = body.split("\n")
    at = 0
    for block in _blocks(body):
        if block.start < at:
            continue
        _add_text(draft, lines[at : block.start])
        part = lines[block.start : block.end]
        at = block.end
        if block.kind == "heading":
            title = heading_text(_COMMENT.sub("", block.title))
            draft.heading(block.level, title, _visible(draft, "\n".join(part).strip("\n")))
        elif block.kind == "table":
            rows = [table_cells(line) for i, line in enumerate(part) if i != 1 and line.strip()]
            draft.table(rows, rows[0])
        else:
            draft.add("\n".join(part).strip("\n"), "code")
    _add_text(draft, lines[at:])


def _blocks(body: str) -> list[_Block]:
    """Headings, tables and code at the outermost level, in order."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    tokens = parser.parse(body)
    return [
        block for i, token in enumerate(tokens) if token.level == 0 and (block := _block(token, tokens[i + 1 :][:1]))
    ]


def _block(token: Token, following: list[Token]) -> _Block | None:
    if token.map is None:
        return None
    start, end = token.map
    if token.type == "heading_open":
        return _Block(start, end, "heading", int(token.tag[1]), following[0].content if following else "")
    if token.type == "table_open":
        return _Block(start, end, "table")
    if token.type in {"fence", "code_block"}:
        return _Block(start, end, "code")
    return None


def _add_text(draft: Draft, lines: list[str]) -> None:
    draft.add(_visible(draft, "\n".join(lines)).strip("\n"))


def _visible(draft: Draft, text: str) -> str:
    """The text without comments; one quoted in backticks is what the text is about and stays."""
    if "<!--" not in text:
        return text
    draft.warn("HTML comments left out")
    return _CODE_OR_COMMENT.sub(lambda match: "" if match[0].startswith("<!--") else match[0], text)


def heading_text(source: str) -> str:
    """A heading's words without links, emphasis, code marks and `{#anchor}`."""
    text = _LINK.sub(r"\1", _ANCHOR.sub("", source))
    return _MARKUP.sub(lambda m: m[1] or m[2] or "", text).replace("\\", "")


def table_cells(line: str) -> list[str]:
    """The cells of a pipe table's row, unescaped."""
    line = line.strip()
    if line.startswith("|"):
        line = line[1:]
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_EDGE.split(line)]
