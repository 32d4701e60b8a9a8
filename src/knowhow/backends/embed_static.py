"""The default embedder: a mean of fixed token vectors, from WordLlama's wheel; no torch, no network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knowhow.backends.vectors import unit
from knowhow.errors import ConfigProblem
from knowhow.ports import Floats

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "static:1"
_BATCH = 256
"""Texts tokenized at once; keeps memory flat."""


class StaticEmbedder:
    """WordLlama `l2_supercat`, 256 dimensions. Thread-safe.

    Reads the two files of the wheel itself: the vectors are equal, without padding 3 times as fast and in half the
    memory (1,500 abstracts: 190 against 420 MB), and importing `wordllama` would set up logging for the whole process.
    """

    name = NAME

    def __init__(self, matrix: Floats, tokenizer: Tokenizer) -> None:
        self._matrix = matrix
        self._tokenizer = tokenizer
        self.dims = int(matrix.shape[1])

    def documents(self, texts: Sequence[str]) -> Floats:
        rows = np.zeros((len(texts), self.dims), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [text if text.strip() else "" for text in texts[start : start + _BATCH]]
            encodings = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for row, encoding in zip(rows[start:], encodings, strict=False):
                if encoding.ids:
                    np.mean(self._matrix[encoding.ids], axis=0, dtype=np.float32, out=row)
        return unit(rows)

    def query(self, text: str) -> Floats:
        row: Floats = self.documents([text])[0]
        return row


def load_static() -> StaticEmbedder:
    """The embedder from the installed wheel. Raises `ConfigProblem` when the wheel or its files are missing."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    found = find_spec("wordllama")
    folder = Path(found.origin).parent if found and found.origin else Path()
    weights = folder / "weights" / "l2_supercat_256.safetensors"
    words = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
    if not (weights.is_file() and words.is_file()):
        raise ConfigProblem("the static embedder's files are missing; run: pip install --force-reinstall wordllama")
    tokenizer = Tokenizer.from_file(str(words))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return StaticEmbedder(load_file(weights)["embedding.weight"].astype(np.float32), tokenizer)
