"""A reply that goes in circles is cut where it begins again: small models repeat themselves until they are stopped."""

from __future__ import annotations

from knowhow.answer.sentences import sentences

_WORDS = 4
"""Fewer words may well stand twice in a reply ("See above.")."""


def begins_again(text: str) -> int | None:
    """Where the first sentence starts that `text` has said before word for word; None while every one is new.

    A last sentence that is not finished is left out: it may still go on differently.
    """
    said: set[str] = set()
    for unit in sentences(text):
        words = text[unit.start : unit.end].casefold().split()
        finished = unit.end < len(text.rstrip()) or text[unit.end - 1] in ".!?"
        if unit.kind != "sentence" or len(words) < _WORDS or not finished:
            continue
        plain = " ".join(words)
        if plain in said:
            return _line_start(text, unit.start)
        said.add(plain)
    return None


def _line_start(text: str, at: int) -> int:
    """`at`, or before the list marker and the headings that lead to it and to nothing else now."""
    while True:
        line = text.rfind("\n", 0, at) + 1
        lead = text[line:at].strip()
        if any(c.isalpha() for c in lead) and not lead.startswith("#"):
            return at
        if line == 0:
            return 0
        at = line - 1 if not lead or lead.startswith("#") else line
