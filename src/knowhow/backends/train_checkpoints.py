"""The folder of one training: checkpoints that are whole or not there, and a result that appears all at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from knowhow.backends.export_gguf import CONFIG, WEIGHTS, shape_of, write_adapter
from knowhow.backends.train_base import Base, names_base
from knowhow.types import Trained
from knowhow.types.plain import from_plain, to_plain

ADAPTER_GGUF = "adapter.gguf"
_RESULT, _TRAINED, _WHOLE = "result", "trained.json", "whole.json"
_ONLY_TO_RESUME = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint and the seconds of training that led to it."""

    step: int
    folder: Path
    seconds: float


def checkpoints(folder: Path) -> list[Checkpoint]:
    """Whole checkpoints by step."""
    found = []
    for mark in folder.glob(f"checkpoint-*/{_WHOLE}"):
        body = json.loads(mark.read_text("utf-8"))
        found.append(Checkpoint(body["step"], mark.parent, body["seconds"]))
    return sorted(found, key=lambda one: one.step)


def newest(folder: Path) -> Checkpoint | None:
    """The checkpoint to go on from, None for a training that has none."""
    able = [one for one in checkpoints(folder) if (one.folder / _ONLY_TO_RESUME[0]).is_file()]
    return able[-1] if able else None


def clear_partial(folder: Path) -> None:
    """Removes what a killed process left half written."""
    whole = {one.folder for one in checkpoints(folder)}
    for path in [*folder.glob("checkpoint-*"), *folder.glob(f"{_RESULT}.new")]:
        if path not in whole:
            shutil.rmtree(path, ignore_errors=True)


def seal(path: Path, step: int, seconds: float) -> None:
    """Marks a checkpoint as whole once all of it is on the disk; older ones keep their adapter only."""
    _synced(path)
    mark = path / _WHOLE
    mark.write_text(json.dumps({"step": step, "seconds": seconds}), "utf-8")
    _synced(path)
    for older in checkpoints(path.parent):
        if older.step < step:
            for name in _ONLY_TO_RESUME:
                (older.folder / name).unlink(missing_ok=True)


def finish(folder: Path, trained: Trained, base: Base) -> Trained:
    """Makes the adapter of step `trained.step` the result: in PEFT's format and, for a GGUF base, in GGUF.

    It replaces a result that is there.
    """
    made, result = folder / f"{_RESULT}.new", folder / _RESULT
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    source = folder / f"checkpoint-{trained.step}"
    for name in (WEIGHTS, CONFIG):
        shutil.copyfile(source / name, made / name)
    names_base(made, base)
    if base.is_gguf:
        write_adapter(made, shape_of(base.path), made / ADAPTER_GGUF)
    (made / _TRAINED).write_text(json.dumps(to_plain(trained)), "utf-8")
    _synced(made)
    shutil.rmtree(result, ignore_errors=True)
    os.replace(made, result)
    _sync(folder)
    found = result_of(folder)
    assert found is not None
    return found


def result_of(folder: Path) -> Trained | None:
    """The finished training in `folder`, None while there is none."""
    path = folder / _RESULT / _TRAINED
    if not path.is_file():
        return None
    body = json.loads(path.read_text("utf-8"))
    return from_plain(Trained, body | {"folder": str(path.parent)})


def _synced(path: Path) -> None:
    for item in _files(path):
        _sync(item)
    _sync(path)
    _sync(path.parent)


def _files(path: Path) -> Iterator[Path]:
    return (item for item in sorted(path.rglob("*")) if item.is_file())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
