"""One training from its rows to its result, telling what happens; it goes on from the newest whole checkpoint."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from knowhow.backends import train_checkpoints as kept
from knowhow.backends.train_base import Base, Machine, choose, find_base, hash_of, load_model, load_tokenizer
from knowhow.backends.train_fit import Course, build, course, in_order
from knowhow.backends.train_rows import Tokens, check_enough, tokenize
from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem
from knowhow.types import (
    Began,
    Counted,
    Saved,
    Step,
    Stopped,
    Trained,
    TrainEvent,
    TrainPlan,
    TrainRow,
    Validated,
)

_LEAST_FREE = 64 << 20
"""Free bytes below which a failed write is laid to a full disk."""


class Listener(Protocol):
    """Whoever started the training: is told what happens and may ask to stop."""

    stopping: bool

    def tell(self, event: TrainEvent) -> None:
        """Takes one event."""
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything a training starts from."""

    plan: TrainPlan
    base: Base
    machine: Machine
    model: Any
    tokenizer: Any
    rows: list[Tokens]
    counted: Counted
    validation: list[Tokens]
    validation_counted: Counted | None
    way: Course


def ready(plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> Ready:
    """Checks and counts the rows before the model is loaded. Raises `UsageProblem`, `ConfigProblem`."""
    base = find_base(plan.base)
    machine = choose(plan)
    _pin_threads(machine)
    tokenizer = load_tokenizer(base)
    kept_rows, counted = tokenize(rows, plan, tokenizer)
    check_enough(kept_rows, counted, plan)
    looks, looks_counted = tokenize(validation, plan, tokenizer) if validation else ([], None)
    way = course(len(kept_rows), plan)
    model = load_model(base, machine)
    return Ready(plan, base, machine, model, tokenizer, kept_rows, counted, looks, looks_counted, way)


def train(start: Ready, folder: Path, listener: Listener) -> Trained | None:
    """Trains to the end and makes the result; None where the listener asked to stop, with a checkpoint left behind.

    Raises `ConfigProblem` for a full disk; the newest whole checkpoint is still there then.
    """
    kept.clear_partial(folder)
    resume = kept.newest(folder)
    watch = _Watch(start, folder, listener, resume)
    built = build(
        start.plan,
        start.machine,
        start.model,
        start.tokenizer,
        in_order(start.rows, start.plan, start.way.steps),
        start.validation,
        start.way,
        folder,
        _callback(watch),
    )
    try:
        built.train(resume_from_checkpoint=str(resume.folder) if resume else None)
        steps = kept.checkpoints(folder)
        if listener.stopping and built.state.global_step < start.way.steps:
            return None
        return kept.finish(folder, _trained(start, built.state.log_history, steps, watch.seconds), start.base)
    except KnowhowError:
        raise
    except Exception as problem:
        if _disk_is_full(problem, folder):
            raise _full(folder) from problem
        raise


def chosen(folder: Path, step: int, trained: Trained, base: Base) -> Trained:
    """Makes the checkpoint at `step` the result instead. Raises `UsageProblem` for a step without one."""
    steps = [one.step for one in kept.checkpoints(folder)]
    if step not in steps:
        raise UsageProblem(f"there is no checkpoint at step {step}; there are {', '.join(map(str, steps))}")
    looks = dict(trained.validation_losses)
    other = replace(trained, step=step, stopped=Stopped.CHOSEN, validation_loss=looks.get(step))
    return kept.finish(folder, other, base)


def _pin_threads(machine: Machine) -> None:
    import torch

    torch.set_num_threads(machine.threads)


class _Watch:
    """Looks on while transformers trains: it tells the listener, stops early, and seals checkpoints."""

    def __init__(self, start: Ready, folder: Path, listener: Listener, resume: kept.Checkpoint | None) -> None:
        self._start = start
        self._folder = folder
        self._listener = listener
        self._before = resume.seconds if resume else 0.0
        counted = start.counted
        self._tokens_a_step = start.plan.batch * (counted.prompt_tokens + counted.target_tokens) / counted.rows

    @property
    def seconds(self) -> float:
        """Time spent training, over all attempts."""
        return self._before + time.monotonic() - self._began

    def begins(self, state: Any) -> None:
        self._began, self._first = time.monotonic(), state.global_step
        start, machine = self._start, self._start.machine
        counts = (start.way.steps, start.counted, start.validation_counted, state.global_step)
        self._listener.tell(Began(machine.device, machine.precision, machine.threads, *counts))

    def stepped(self, control: Any) -> None:
        if self._listener.stopping:
            control.should_save = control.should_training_stop = True

    def logged(self, state: Any, logs: dict[str, float]) -> None:
        if "loss" not in logs:
            return
        spent, taken, steps = time.monotonic() - self._began, state.global_step - self._first, self._start.way.steps
        self._listener.tell(
            Step(
                step=state.global_step,
                steps=steps,
                epoch=state.global_step * self._start.plan.batch / self._start.counted.rows,
                loss=float(logs["loss"]),
                learning_rate=float(logs.get("learning_rate", 0.0)),
                tokens_per_s=taken * self._tokens_a_step / max(spent, 1e-9),
                seconds_left=spent / taken * (steps - state.global_step),
            )
        )

    def looked(self, state: Any, control: Any) -> None:
        looks = _looks(state.log_history)
        best = min(range(len(looks)), key=lambda i: looks[i][1])
        self._listener.tell(Validated(state.global_step, looks[-1][1], best == len(looks) - 1))
        if self._start.plan.patience and len(looks) - 1 - best >= self._start.plan.patience:
            control.should_training_stop = control.should_save = True

    def saved(self, state: Any) -> None:
        path = self._folder / f"checkpoint-{state.global_step}"
        kept.seal(path, state.global_step, self.seconds)
        self._listener.tell(Saved(state.global_step, str(path)))


def _callback(watch: _Watch) -> Any:
    """The watch as a callback of transformers, which has a method for every event there is."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):  # type: ignore[misc]
        on_train_begin = staticmethod(lambda _args, state, _control, **_: watch.begins(state))
        on_step_end = staticmethod(lambda _args, _state, control, **_: watch.stepped(control))
        on_log = staticmethod(lambda _args, state, _control, logs, **_: watch.logged(state, logs))
        on_evaluate = staticmethod(lambda _args, state, control, **_: watch.looked(state, control))
        on_save = staticmethod(lambda _args, state, _control, **_: watch.saved(state))

    return Callback()


def _trained(start: Ready, history: list[dict[str, Any]], steps: list[kept.Checkpoint], seconds: float) -> Trained:
    """The record of a finished training; its step is the one with the lowest validation loss, or the last."""
    losses = [(int(row["step"]), float(row["loss"])) for row in history if "loss" in row]
    looks = _looks(history)
    last = steps[-1].step
    step, lowest = min(looks, key=lambda look: look[1]) if looks else (last, None)
    rows_done = min(last * start.plan.batch, round(start.counted.rows * start.plan.epochs))
    return Trained(
        folder="",
        step=step,
        steps=start.way.steps,
        stopped=Stopped.DONE if last >= start.way.steps else Stopped.EARLY,
        loss=dict(losses)[step],
        validation_loss=lowest,
        counted=start.counted,
        validation=start.validation_counted,
        trained_tokens=round(rows_done * start.counted.target_tokens / start.counted.rows),
        seconds=seconds,
        device=start.machine.device,
        precision=start.machine.precision,
        threads=start.machine.threads,
        base_hash=hash_of(start.base),
        versions={name: version(name) for name in ("torch", "transformers", "peft", "trl")},
        losses=tuple(losses),
        validation_losses=tuple(looks),
    )


def _looks(history: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(int(row["step"]), float(row["eval_loss"])) for row in history if "eval_loss" in row]


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def _disk_is_full(problem: BaseException, folder: Path) -> bool:
    """Whether a write failed for want of space; torch and safetensors do not always say so themselves."""
    said = any(
        (isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(one)
        for one in _chain(problem)
    )
    return said or shutil.disk_usage(folder).free < _LEAST_FREE


def _full(folder: Path) -> ConfigProblem:
    kept.clear_partial(folder)
    newest = kept.newest(folder)
    whole = f"the checkpoint at step {newest.step} is whole" if newest else "there was none before"
    return ConfigProblem(
        f"the disk that holds {folder} is full, and a checkpoint could not be written; {whole}: free some space and "
        "run the same command again, it goes on from there"
    )
