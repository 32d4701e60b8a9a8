"""Whether a claim follows from a text, judged by a small cross-encoder trained on entailment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knowhow.backends.embed_st import BATCH, load
from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem
from knowhow.ports import Floats

_WINDOW = 1500
"""Characters of context judged at once: with a claim within the 512 tokens these models read."""
_STEP = 1200


class NliVerifier:
    """`st:NAME_OR_PATH` of a cross-encoder that has a label "entailment". A long context is judged in windows and the
    best counts, since the model would cut it without a word."""

    def __init__(self, model: str, options: ConnectOptions) -> None:
        self._model = load("CrossEncoder", model, options)
        self.name = f"st:{model}"
        labels = {str(label).lower(): int(i) for i, label in self._model.config.id2label.items()}
        if "entailment" not in labels:
            raise ConfigProblem(
                f"{self.name} has the labels {', '.join(labels)} and no entailment; name a cross-encoder trained on NLI"
            )
        self._entailment = labels["entailment"]

    def support(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        found = np.zeros(len(pairs), dtype=np.float32)
        windows = [
            (i, context[start : start + _WINDOW], claim)
            for i, (claim, context) in enumerate(pairs)
            for start in range(0, max(1, len(context) - (_WINDOW - _STEP)), _STEP)
        ]
        if windows:
            scores = self._model.predict(
                [(context, claim) for _, context, claim in windows],
                batch_size=BATCH,
                apply_softmax=True,
                show_progress_bar=False,
            )[:, self._entailment]
            np.maximum.at(found, [i for i, _, _ in windows], scores)
        return found
