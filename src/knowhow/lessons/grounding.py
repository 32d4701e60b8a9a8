"""Grounding lessons: the same questions over evidence among distractors, and over distractors alone, to be declined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from knowhow.answer.decline import NOT_STATED
from knowhow.errors import UsageProblem
from knowhow.evaluate.ranking import overlap
from knowhow.ports import Embedder, Store
from knowhow.search.search import search
from knowhow.types import Expect, Filter, Lesson, Lessons, Mark, Origin, Range, Recipe, Split, fingerprint

WITHOUT = 0.2
"""Share of the lessons that are shown no evidence and decline (as Zhang et al. 2024, arXiv:2403.10131, leave it out of
part of their examples so that a model learns to read rather than to remember)."""
DISTRACTORS = 3
_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Grounding:
    """How many passages stand beside the evidence, and what share of lessons has none."""

    distractors: int = DISTRACTORS
    without: float = WITHOUT
    seed: int = 0


def grounded(
    lessons: Lessons, recipe: Recipe, store: Store, embedder: Embedder, how: Grounding | None = None
) -> Lessons:
    """Every lesson with a context of its own, shown among what search brings up for its question; a share of them,
    drawn by a hash, without it and with a decline as the reply.

    Where the evidence stands among the passages is drawn too, so that its place teaches nothing. Lessons without a
    context stay as they are. Passages are searched for with the tags of the lesson, by id, so nothing is copied.
    Raises `UsageProblem` for a share outside 0..1.
    """
    how = how or Grounding()
    if not 0 <= how.without <= 1:
        raise UsageProblem(f"the share without evidence must be between 0 and 1, not {how.without}")
    made = [_grounded(one, recipe, store, embedder, how) for one in lessons.lessons]
    bare = sum(one.target == NOT_STATED and one.origin is Origin.MADE for one in made)
    note = f"{bare} of {len(made)} lessons are shown no evidence and decline"
    return Lessons(lessons.name, tuple(made), (*lessons.notes, note))


def _grounded(lesson: Lesson, recipe: Recipe, store: Store, embedder: Embedder, how: Grounding) -> Lesson:
    if not lesson.context or lesson.mark is not Mark.GOOD or lesson.split is Split.TEST:
        return lesson
    others = _others(lesson, recipe, store, embedder, how.distractors)
    draw = int(fingerprint([how.seed, lesson.id], 8), 16)
    declines = draw % _PARTS < how.without * _PARTS and bool(others)
    if declines:
        context, target, expect = others, NOT_STATED, Expect(abstain=True)
    else:
        at = draw // _PARTS % (len(others) + 1)
        context, target, expect = (*others[:at], *lesson.context, *others[at:]), lesson.target, lesson.expect
    return replace(
        lesson,
        target=target,
        expect=expect,
        context=tuple(context),
        origin=Origin.MADE,
        rejected=lesson.target if declines else lesson.rejected,
        uris=frozenset(place.uri for place in context) | lesson.uris,
    )


def _others(lesson: Lesson, recipe: Recipe, store: Store, embedder: Embedder, count: int) -> tuple[Range, ...]:
    """The best passages for the question that share nothing with the evidence."""
    wanted = replace(recipe, k=count + 2 * len(lesson.context), relevance=0.0)
    found = search(store, embedder, lesson.question, wanted, Filter(access=lesson.access))
    places: Sequence[Range] = [Range(hit.uri, hit.version, hit.start, hit.end) for hit in found.hits]
    free = [place for place in places if not any(overlap(place, own) for own in lesson.context)]
    return tuple(free[:count])
