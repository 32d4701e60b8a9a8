"""Regular expressions written by users, matched with a time limit."""

from __future__ import annotations

from dataclasses import dataclass

import regex  # type: ignore[import-untyped]

SECONDS = 1.0
"""Longest time one pattern may take on one text; a sound pattern takes less than a millisecond."""


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a pattern was found; `problem` says why that could not be told."""

    matched: bool
    problem: str = ""


def found(pattern: str, text: str) -> Match:
    """Whether `pattern` matches anywhere in `text`. Python's syntax; `^` and `$` are the ends of the text."""
    try:
        return Match(regex.search(pattern, text, timeout=SECONDS) is not None)
    except TimeoutError:
        return Match(False, f'the pattern "{pattern}" took longer than {SECONDS:g} s; it backtracks without end')
    except regex.error as error:
        return Match(False, f'"{pattern}" is no regular expression: {error}')
