"""What a training will take, from a few timed steps of it on the rows it will really see."""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from knowhow.backends.train_fit import Course, build
from knowhow.backends.train_rows import Tokens
from knowhow.backends.train_run import Ready
from knowhow.types import Device, TrainPrice

TIMED = 3
"""Timed steps, after one on the longest rows that fills caches and shows the memory."""
_FORWARD_ONLY = 1 / 3
"""Share of a step that looking at a row takes: the way back costs about twice the way there."""


def price(start: Ready) -> TrainPrice:
    """Time and memory of `start`; takes four steps on a model that is thrown away."""
    rows = _probe(start)
    with tempfile.TemporaryDirectory() as scratch:
        clock = _Clock()
        plan = replace(start.plan, max_steps=TIMED + 1)
        folder = Path(scratch)
        way = Course(TIMED + 1, TIMED + 2)
        built = build(plan, start.machine, start.model, start.tokenizer, rows, [], way, folder, _callback(clock))
        built.args.save_strategy = "no"
        built.train()
    per_token = median(clock.seconds[1:]) / _mean_tokens(start.rows, start.plan.batch)
    epoch_tokens = _mean_tokens(start.rows, start.plan.batch) * start.way.steps
    looks = start.way.steps // start.way.every * sum(row.length for row in start.validation) * _FORWARD_ONLY
    return TrainPrice(
        device=start.machine.device,
        precision=start.machine.precision,
        threads=start.machine.threads,
        steps=start.way.steps,
        seconds=per_token * (epoch_tokens + looks),
        memory_bytes=_memory(start.machine.device),
        tokens_per_s=1 / per_token,
        measured_steps=TIMED,
        counted=start.counted,
        validation=start.validation_counted,
    )


def _probe(start: Ready) -> list[Tokens]:
    """The longest rows for the first step, then rows as they come."""
    batch = start.plan.batch
    longest = sorted(start.rows, key=lambda row: -row.length)[:batch]
    drawn = random.Random(start.plan.seed).choices(start.rows, k=TIMED * batch)
    return [*longest, *drawn]


def _mean_tokens(rows: list[Tokens], batch: int) -> float:
    """Tokens of a step on average, padding left out since rows of equal length come together."""
    return batch * sum(row.length for row in rows) / len(rows)


def _memory(device: Device) -> int:
    if device is Device.CUDA:
        import torch

        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class _Clock:
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def begins(self) -> None:
        self._began = time.perf_counter()

    def ends(self) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def _callback(clock: _Clock) -> Any:
    from transformers import TrainerCallback

    class Callback(TrainerCallback):  # type: ignore[misc]
        on_step_begin = staticmethod(lambda *_, **__: clock.begins())
        on_step_end = staticmethod(lambda *_, **__: clock.ends())

    return Callback()
