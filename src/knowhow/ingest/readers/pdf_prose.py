"""Blocks of a page as paragraphs, headings, tables and code of a draft; words broken at a line's end whole again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from knowhow.ingest.readers.draft import Draft, heading_line, row_line
from knowhow.ingest.readers.pdf_chars import SOFT_HYPHEN, PageText
from knowhow.ingest.readers.pdf_headings import Headings
from knowhow.ingest.readers.pdf_layout import Block
from knowhow.ingest.readers.pdf_words import printed_lines

WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_UNSPACED = re.compile("[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Chinese and Japanese, whose lines join without a blank."""


def vocabulary(pages: Iterable[PageText]) -> Counter[str]:
    """How often each word occurs, in small letters: what tells whether a hyphen belongs to a word."""
    return Counter(word.lower() for page in pages for f in page.fragments for word in WORD.findall(f.text))


def add_block(draft: Draft, block: Block, page: PageText, headings: Headings | None, words: Counter[str]) -> None:
    """Adds one block of `page` with the places of its words; without `headings` every paragraph is running text."""
    if block.table:
        rows = [row_line(row) for row in block.rows]
        text = draft.clean("\n".join(rows))
        header = " / ".join(rows[i] for i in block.header)
        draft.add(text, "table", header=header, lines=printed_lines(text, block.lines, page))
        return
    if block.code:
        text = draft.clean(_code(block))
        draft.add(text, "code", lines=printed_lines(text, block.lines, page))
        return
    text = draft.clean(_prose(block, words))
    level = headings.level(text, block) if headings else 0
    if level:
        text = heading_line(text)
        draft.heading(level, text, lines=printed_lines(text, block.lines, page))
    else:
        draft.add(text, lines=printed_lines(text, block.lines, page))


def _prose(block: Block, words: Counter[str]) -> str:
    """Lines as one paragraph, words that were broken at the line's end whole again."""
    text = ""
    for line in block.lines:
        piece = "  ".join(f.text for f in line).replace(f"{SOFT_HYPHEN} ", "-")
        if not text:
            text = piece
        elif text.endswith((SOFT_HYPHEN, "-", "\u2010", "\u00ad")) and piece[:1].islower():
            text = _mend(text, piece, words)
        elif _UNSPACED.match(text[-1:]) and _UNSPACED.match(piece[:1]):
            text += piece
        else:
            text = f"{text} {piece}"
    return text.replace(SOFT_HYPHEN, "-")


def _code(block: Block) -> str:
    """Lines as they are, indented by where they start."""
    left = min(line[0].x0 for line in block.lines)
    lines = []
    for line in block.lines:
        width = max((line[0].x1 - line[0].x0) / max(1, len(line[0].text)), 1.0)
        lines.append(" " * round((line[0].x0 - left) / width) + "  ".join(f.text for f in line))
    return "\n".join(lines).replace(SOFT_HYPHEN, "-")


def _mend(text: str, piece: str, words: Counter[str]) -> str:
    """`exam-` + `ple` is example, `well-` + `known` stays well-known: the rest of the document knows better."""
    body = text[:-1]
    head, tail = WORD.findall(body[-40:]), WORD.match(piece)
    if head and tail:
        joined, hyphened = (head[-1] + tail[0]).lower(), f"{head[-1]}-{tail[0]}".lower()
        if words[hyphened] > words[joined] or "-" in head[-1]:
            return f"{body}-{piece}"
    return body + piece
