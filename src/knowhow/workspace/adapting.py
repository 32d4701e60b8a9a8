"""Adapters of a workspace: trained, listed, promoted, rolled back, and exported for other servers."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from enum import StrEnum
from pathlib import Path

from knowhow.errors import ConfigProblem, UsageProblem
from knowhow.lessons.prompts import Prompter
from knowhow.ports import Trainer
from knowhow.tune.make import Course, make
from knowhow.tune.registry import CONFIG, GGUF, WEIGHTS, Placed, Registry
from knowhow.types import (
    Adapter,
    Json,
    Lesson,
    Lessons,
    Recipe,
    Slot,
    Split,
    Suite,
    TrainEvent,
    TrainPlan,
)
from knowhow.types.plain import to_plain
from knowhow.workspace.parts import Parts
from knowhow.workspace.shapes import timestamp

TRAINING = "training"
"""Folder beside the databases in which trainings go on where they stopped."""


class ExportFormat(StrEnum):
    """What other servers load: PEFT's folder (vLLM, transformers) or one GGUF file (llama.cpp, Ollama)."""

    PEFT = "peft"
    GGUF = "gguf"


class Adapters:
    """The adapting side of a workspace, as `Workspace.adapters`."""

    def __init__(self, parts: Parts, data: Path) -> None:
        self._parts = parts
        self.work = data / TRAINING
        self.registry: Registry = parts.adapters

    def trainer(self) -> Trainer:
        """Raises `ConfigProblem` with the command where the extra `train` is not installed."""
        from knowhow.backends.train_lora import LoraTrainer

        return LoraTrainer()

    def course(self, lessons: Lessons, recipe: Recipe, suite: Suite | None = None) -> Course:
        """Lessons as `recipe` asks them; those of the split `dev` validate. `suite` gives worked examples, if the
        recipe shows any. Lessons whose context is gone are left out with a note."""
        prompter = Prompter(
            recipe,
            suite or Suite(lessons.name, ()),
            store=self._parts.store,
            embedder=self._parts.embedder(),
            model=self._parts.chat(recipe.model),
        )
        taught = prompter(_of(lessons, Split.TRAIN))
        looks = prompter(_of(lessons, Split.DEV))
        gone = (*taught.left_out, *looks.left_out)
        notes = tuple(f"{one.id} is left out: {one.reason}" for one in gone)
        kept = Lessons(lessons.name, lessons.lessons, (*lessons.notes, *notes))
        return Course(recipe, kept, taught.rows, looks.rows)

    def train(self, course: Course, plan: TrainPlan) -> Generator[TrainEvent, None, Adapter]:
        """An adapter from a course, with its parity; see `knowhow.tune.make`."""
        return make(course, plan, self.trainer(), self.registry, self.work)

    def all(self) -> Sequence[Placed]:
        """Every adapter with what it is in which slot, newest first."""
        return self.registry.placed()

    def get(self, id: str) -> Placed:
        """The adapter with this id, or the only one whose id starts so. Raises `NotFound`, `UsageProblem`."""
        adapter = self.registry.get(id)
        return next(one for one in self.registry.placed() if one.adapter.id == adapter.id)

    def promote(self, id: str, name: str = "", *, model: str = "", without_gates: bool = False) -> Slot:
        """See `Registry.promote`."""
        return self.registry.promote(id, name, model=model, without_gates=without_gates)

    def rollback(self, name: str, model: str = "") -> Slot:
        """See `Registry.rollback`."""
        return self.registry.rollback(name, model)

    def remove(self, id: str) -> Adapter:
        """See `Registry.remove`."""
        return self.registry.remove(id)

    def export(self, id: str, to: Path, format: ExportFormat) -> list[Path]:
        """Copies an adapter's files to the new or empty folder `to`, under its id; returns the files.

        Raises `UsageProblem` where something is there, `ConfigProblem` where it has no file of this format.
        """
        adapter = self.registry.get(id)
        source = self.registry.files(adapter)
        wanted = {ExportFormat.PEFT: (WEIGHTS, CONFIG), ExportFormat.GGUF: (GGUF,)}[format]
        if not all((source / name).is_file() for name in wanted):
            raise ConfigProblem(f"adapter {adapter.id} has no {format} files: its base {adapter.base} is no GGUF model")
        home = to / adapter.id if format is ExportFormat.PEFT else to
        targets = [home / (name if format is ExportFormat.PEFT else f"{adapter.id}.gguf") for name in wanted]
        there = [path for path in targets if path.exists()]
        if there:
            raise UsageProblem(f"{there[0]} exists already; name another folder")
        try:
            home.mkdir(parents=True, exist_ok=True)
            for name, target in zip(wanted, targets, strict=True):
                shutil.copyfile(source / name, target)
        except OSError as error:
            raise ConfigProblem(f"cannot write to {home}: {error.strerror}; choose another folder") from error
        return targets


def _of(lessons: Lessons, split: Split) -> list[Lesson]:
    return [lesson for lesson in lessons.lessons if lesson.split is split]


def placed_json(one: Placed) -> Json:
    """One row of `knowhow adapters --json`."""
    adapter = one.adapter
    return {
        "id": adapter.id,
        "base": adapter.base,
        "recipe": adapter.recipe.name,
        "lessons": adapter.lessons,
        "rows": adapter.trained.counted.rows,
        "made": timestamp(adapter.made),
        "slots": [{"name": slot.name, "model": slot.model, "standing": standing} for slot, standing in one.standing],
        "gates": _gates(adapter),
        "parity": None if adapter.parity is None else {**to_plain(adapter.parity), "passed": adapter.parity.passed},
    }


def adapter_json(one: Placed) -> Json:
    """What `knowhow adapters show --json` prints."""
    adapter = one.adapter
    trained = to_plain(adapter.trained)
    return {
        **placed_json(one),
        "folder": adapter.folder,
        "base_hash": adapter.base_hash,
        "lessons_hash": adapter.lessons_hash,
        "origins": to_plain(adapter.origins),
        "documents": sorted(adapter.uris),
        "plan": to_plain(adapter.plan),
        "trained": {name: value for name, value in trained.items() if name != "folder"},
        "report": to_plain(adapter.report),
    }


def slot_json(slot: Slot) -> Json:
    """What `knowhow adapters promote --json` and `rollback --json` print."""
    return {
        "slot": slot.name,
        "model": slot.model,
        "current": slot.current or None,
        "previous": slot.previous or None,
        "changed": timestamp(slot.changed),
    }


def _gates(adapter: Adapter) -> str:
    if not adapter.report.gates:
        return "unmeasured"
    return "passed" if adapter.report.passed else "failed"
