"""Holds llama.cpp against the training stack, place by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowhow.backends.chat_llama import gguf_file
from knowhow.backends.llama_engine import Engine, EngineSpec
from knowhow.backends.train_logits import SAID, WHOLE
from knowhow.errors import ConfigProblem
from knowhow.types import ParityReport, Precision

SEEN = 1000
"""Likeliest tokens of llama.cpp that are compared one by one; all others are compared as one. Lumping can only lower a
divergence, and what is lumped weighs little: the starter's 1,000 likeliest hold 98% on average."""
_NAME = "adapter"


def compare(said: Path, adapter: Path) -> ParityReport:
    """Asks llama.cpp at the places that `train_logits.write_said` wrote to the folder `said`."""
    with np.load(said / SAID) as held:
        lengths, ids, adapted, without = (held[name] for name in ("lengths", "ids", "adapted", "without"))
    if not len(lengths):
        raise ConfigProblem("there is no reply to measure parity on; name lessons with targets")
    window = int(lengths.max()) + 8
    files = ((_NAME, gguf_file(adapter)),)
    engine = Engine(EngineSpec(gguf_file(said / WHOLE), files, window, threads=1, parallel=1))
    agreed: list[bool] = []
    divergence: list[float] = []
    ends = np.cumsum(lengths)
    for end, length, theirs in zip(ends, lengths, adapted, strict=True):
        numbers, logs = engine.next_tokens([int(one) for one in ids[end - length : end]], _NAME, SEEN)
        agreed.append(int(numbers[0]) == int(theirs.argmax()))
        divergence.append(lumped_kl(theirs, numbers, logs))
    return ParityReport(
        positions=len(agreed),
        agreement=float(np.mean(agreed)),
        kl=float(np.mean(divergence)),
        precision=Precision.FLOAT32,
        adapter_agreement=float(np.mean(adapted.argmax(-1) == without)),
    )


def lumped_kl(p: NDArray[np.float32], numbers: NDArray[np.int64], logs: NDArray[np.float64]) -> float:
    """KL(p ‖ q) in nats, where p holds log probabilities of all tokens and q those of `numbers` only; every other
    token counts as one outcome on both sides."""
    here = p[numbers].astype(np.float64)
    rest_p = max(0.0, 1.0 - float(np.exp(here).sum()))
    rest_q = max(1e-9, 1.0 - float(np.exp(logs).sum()))
    kl = float((np.exp(here) * (here - logs)).sum())
    return kl + (rest_p * np.log(rest_p / rest_q) if rest_p > 0 else 0.0)
