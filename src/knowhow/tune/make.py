"""One adapter from rows: trained, kept under its own name, and held against what serves it."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.ports import Trainer
from knowhow.tune.registry import GGUF, Registry, taught_as
from knowhow.types import Adapter, Lessons, Recipe, TrainEvent, TrainPlan, TrainRow


@dataclass(frozen=True, slots=True)
class Course:
    """What is to be learned: lessons, and the rows that `recipe` makes of them (`knowhow.lessons.prompts`).

    `validation` rows are never trained on; they decide when training stops, and parity is measured on them.
    """

    recipe: Recipe
    lessons: Lessons
    rows: tuple[TrainRow, ...]
    validation: tuple[TrainRow, ...] = ()


def make(
    course: Course, plan: TrainPlan, trainer: Trainer, registry: Registry, work: Path
) -> Generator[TrainEvent, None, Adapter]:
    """Trains below `work`, going on where an earlier attempt stopped, and returns the adapter with its parity (None
    for a base that llama.cpp cannot load).

    Closing the generator leaves a checkpoint; the same call goes on from it. The training's folder is removed when
    the adapter is kept. Errors are those of `Trainer.train` and `Registry.add`.
    """
    folder = work / trainer.key(plan, course.rows, course.validation)
    trained = yield from trainer.train(plan, course.rows, course.validation, str(folder))
    rows = {row.id for row in course.rows}
    lessons = [lesson for lesson in course.lessons.lessons if lesson.id in rows]
    adapter = registry.add(
        Adapter(
            id="",
            base=plan.base,
            base_hash=trained.base_hash,
            recipe=replace(course.recipe, adapter=""),
            plan=plan,
            lessons=course.lessons.name,
            lessons_hash=course.lessons.hash,
            taught=frozenset(taught_as(lesson.question) for lesson in lessons),
            trained=trained,
            folder=trained.folder,
            made=time.time(),
            origins=Counter(lesson.origin for lesson in lessons),
            uris=frozenset[str]().union(*(lesson.uris for lesson in lessons)),
        )
    )
    if adapter.parity is None and (Path(adapter.folder) / GGUF).is_file():
        parity = trainer.parity(plan.base, adapter.folder, _shown(course))
        adapter = replace(adapter, parity=parity)
        registry.update(adapter)
    shutil.rmtree(folder, ignore_errors=True)
    return adapter


def _shown(course: Course) -> Sequence[TrainRow]:
    return course.validation or course.rows
