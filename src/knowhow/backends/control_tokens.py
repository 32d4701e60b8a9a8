"""Breaks up text that a model would read as its own control tokens, for asking and for training alike."""

from __future__ import annotations

import re
from typing import Protocol

_CONTROL = re.compile(r"[<\[][^\s<>\[\]]{1,40}[>\]]")


class Vocabulary(Protocol):
    """What a model's tokenizer takes for control tokens, such as `<|im_end|>`."""

    def has_control_tokens(self, text: str) -> bool:
        """Whether any part of `text` is read as one."""
        ...

    def is_control_token(self, piece: str) -> bool:
        """Whether `piece`, a few characters long, is or holds one."""
        ...


def broken_up(text: str, vocabulary: Vocabulary) -> str:
    """`text` with a space in each control token, so that a document cannot open a turn of its own."""
    if not _CONTROL.search(text) or not vocabulary.has_control_tokens(text):
        return text
    return _CONTROL.sub(lambda match: _broken(match.group(), vocabulary), text)


def _broken(piece: str, vocabulary: Vocabulary) -> str:
    return f"{piece[0]} {piece[1:]}" if vocabulary.is_control_token(piece) else piece
