"""A lesson as the trainer takes it: the very prompt that `ask` would send for it, and the reply to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from knowhow.answer import prompt
from knowhow.answer.gather import excerpt, given
from knowhow.answer.pack import pack, room
from knowhow.evaluate.fit import Fit
from knowhow.ports import ChatModel, Embedder, Store
from knowhow.types import (
    Context,
    Example,
    Filter,
    Hit,
    LeftOut,
    Lesson,
    Message,
    Recipe,
    Suite,
    TrainRow,
)


@dataclass(frozen=True, slots=True)
class Prompted:
    """Rows to train on, and the lessons that give none, with the reason."""

    rows: tuple[TrainRow, ...]
    left_out: tuple[LeftOut, ...] = ()


class Prompter:
    """Makes rows of lessons as `recipe` asks them, reading contexts from the documents at the versions named."""

    def __init__(self, recipe: Recipe, suite: Suite, *, store: Store, embedder: Embedder, model: ChatModel) -> None:
        """`suite` is where worked examples come from, if the recipe shows any; `model` counts tokens for packing."""
        self._recipe = replace(recipe, adapter="")
        self._fit = Fit(self._recipe, suite, embedder)
        self._store = store
        self._model = model

    def __call__(self, lessons: Sequence[Lesson]) -> Prompted:
        """Rows in the order of the lessons. A lesson whose context is gone (purged, or hidden from who asked) is left
        out: without it the reply would be learnt as a fact."""
        rows, left = [], []
        for lesson in lessons:
            hits = self._context(lesson)
            if hits is None:
                left.append(LeftOut(lesson.id, "a document of its context is gone", self._tokens(lesson.target)))
                continue
            rows.append(self._row(lesson, hits))
        return Prompted(tuple(rows), tuple(left))

    def _row(self, lesson: Lesson, hits: Sequence[Hit]) -> TrainRow:
        recipe = self._recipe
        if lesson.system:
            recipe = replace(recipe, instructions=lesson.system)
        fitted = self._fit(example_of(lesson)) if recipe is self._recipe else recipe
        left = room(self._model, fitted, lesson.question, lesson.history)
        own = [given(lesson.attached)] if lesson.attached.strip() else []
        shown = pack([*own, *hits], self._model, left.tokens).shown
        messages = prompt.messages(lesson.question, shown, fitted, left.history)
        return TrainRow(lesson.id, messages, lesson.target, lesson.rejected, lesson.mark)

    def _context(self, lesson: Lesson) -> list[Hit] | None:
        """What the lesson shows, as excerpts of the stored versions; None where one of them cannot be read."""
        if self._recipe.context is Context.NONE:
            return []
        hits = []
        for rank, place in enumerate(lesson.context, 1):
            document = self._store.document(place.uri, Filter(access=lesson.access), version=place.version)
            if document is None:
                return None
            hits.append(excerpt(document, place.start, place.end, rank))
        return hits

    def _tokens(self, text: str) -> int:
        return self._model.count([Message("assistant", text)])


def example_of(lesson: Lesson) -> Example:
    """The lesson as an example of a suite: what a recipe is fitted to, and what a model is asked to see if it knows."""
    return Example(
        id=lesson.id,
        expect=lesson.expect,
        question=lesson.question,
        context=lesson.attached,
        access=lesson.access,
        group=lesson.group or lesson.id,
        split=lesson.split,
    )
