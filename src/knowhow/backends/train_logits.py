"""What the training stack says with an adapter, position by position, for holding it against llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowhow.backends.export_gguf import write_whole
from knowhow.backends.train_base import Base, Machine, load_model, load_tokenizer
from knowhow.backends.train_rows import Tokens, tokenize
from knowhow.types import Device, Precision, TrainPlan, TrainRow

WHOLE, SAID = "whole.gguf", "said.npz"


@dataclass(frozen=True, slots=True)
class Place:
    """One position: the tokens before it, of which the next is asked."""

    row: int
    before: int


def write_said(base: Base, adapter: Path, rows: Sequence[TrainRow], positions: int, threads: int, folder: Path) -> None:
    """Writes to `folder` the base model in float32 as GGUF, and for up to `positions` places in the replies of `rows`
    the token ids before each, float32 log probabilities [places, vocabulary] with the adapter, and the likeliest
    token without it."""
    import torch
    from peft import PeftModel

    torch.set_num_threads(threads)
    # Only where replies are learned does the adapter have to be right; prompts are the model's input.
    tokens, _ = tokenize(rows, TrainPlan(base=base.name), load_tokenizer(base))
    places = _places(tokens, positions)
    bare = load_model(base, Machine(Device.CPU, Precision.FLOAT32, threads))
    model = PeftModel.from_pretrained(bare, adapter)
    model.eval()
    adapted = _log_probabilities(model, tokens, places)
    with model.disable_adapter():
        without = _log_probabilities(model, tokens, places).argmax(-1)
    before = [(tokens[one.row].prompt + tokens[one.row].target)[: one.before] for one in places]
    lengths = np.array([len(ids) for ids in before])
    flat = np.array([number for ids in before for number in ids], dtype=np.int64)
    np.savez(folder / SAID, lengths=lengths, ids=flat, adapted=adapted, without=without)
    write_whole(base.path, folder / WHOLE)


def _places(tokens: Sequence[Tokens], positions: int) -> list[Place]:
    """The first token of each reply, then the second of each, and so on; sorted so that prompts are read once."""
    longest = max((len(one.target) for one in tokens), default=0)
    drawn = (
        Place(i, len(one.prompt) + offset)
        for offset in range(longest)
        for i, one in enumerate(tokens)
        if offset < len(one.target)
    )
    chosen = [place for place, _ in zip(drawn, range(positions), strict=False)]
    return sorted(chosen, key=lambda place: (place.row, place.before))


def _log_probabilities(model: Any, tokens: Sequence[Tokens], places: Sequence[Place]) -> NDArray[np.float32]:
    import torch

    found: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for i in sorted({place.row for place in places}):
            wanted = [place.before - 1 for place in places if place.row == i]
            ids = torch.tensor([tokens[i].prompt + tokens[i].target])
            logits = model(ids).logits[0, wanted].float()
            found.append(torch.log_softmax(logits, dim=-1).numpy())
    return np.concatenate(found)
