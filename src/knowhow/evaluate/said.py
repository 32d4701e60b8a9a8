"""What an answer says, without its citation marks, which are no words or numbers of it."""

from __future__ import annotations

from knowhow.answer.cite import parse_marks
from knowhow.types import Answer


def said(answer: Answer) -> str:
    """The answer's text as a reader takes it; as it is where nothing is cited, for then brackets are its own."""
    return unmarked(answer.text) if answer.citations else answer.text


def unmarked(sentence: str) -> str:
    """A sentence of a cited answer without its marks."""
    return parse_marks(sentence, 0).text
