"""Rehearsal: the base model's own replies to general tasks, mixed in so that what is new does not push out what was.

A model that only sees its new task forgets others; replaying a share of old ones prevents most of it (Scialom et al.
2022, arXiv:2205.12393), and its own replies serve where the old data is not at hand (Yang et al. 2024,
arXiv:2402.13669). The tasks here are of other kinds than those the gates ask.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from knowhow.answer import prompt
from knowhow.types import Context, Example, Expect, Lesson, Lessons, Origin, Recipe, Row, Sampling, Split, Suite

SHARE = 0.25
"""Rehearsed rows for each lesson: a starting point, not yet measured (docs/results/tune.md)."""
_REPLY = 48
_PEOPLE = "Ada Boris Clara Dmitri Elena Farid Gunnar Hana Ivo Jonas Kira Leo Maya Nils Olga Pablo Rosa Stefan".split()
_JOBS = "baker teacher nurse plumber gardener pilot driver tailor cook painter clerk farmer".split()
_TOWNS = "Aldbury Brockham Coldwell Dunmore Eastleigh Farnley Grafton Hexby Ingham Jarrow".split()
_FOODS = "apples bread cheese rice soup pancakes olives dates walnuts pears".split()
_OBJECTS = "hammer spoon pillow window guitar candle bucket umbrella carpet pencil basket whistle".split()
_ANIMALS = "cat horse rabbit eagle salmon turtle goat fox owl bee".split()


def general_tasks(n: int, *, seed: int = 0) -> Suite:
    """`n` different tasks, a third of them with a text; the same for every training with this seed."""
    draw = random.Random(f"rehearsal {seed}")
    kinds: Sequence[Callable[[random.Random], tuple[str, str]]] = (_object, _animal, _told, _figures, _written, _told)
    found: dict[tuple[str, str], None] = {}
    tries = 0
    while len(found) < n and tries < 50 * n:
        found.setdefault(kinds[tries % len(kinds)](draw))
        tries += 1
    examples = (
        Example(f"rehearsal-{i}", Expect(), question=question, context=text, group=f"rehearsal-{i}", split=Split.TRAIN)
        for i, (question, text) in enumerate(found)
    )
    return Suite("rehearsal", tuple(examples))


def asked_with(recipe: Recipe, *, text: bool) -> Recipe:
    """How a general task is asked of the model of `recipe`: without documents, or over the text that comes with it."""
    context = Context.GOLD if text else Context.NONE
    return Recipe(
        name="rehearsal", model=recipe.model, context=context, cite=False, sampling=Sampling(max_tokens=_REPLY)
    )


def part(suite: Suite, *, text: bool) -> Suite:
    """The tasks with a text, or those without."""
    return replace(suite, examples=tuple(one for one in suite.examples if bool(one.context) is text))


def rehearsed(lessons: Lessons, suite: Suite, rows: Iterable[Row], recipe: Recipe) -> Lessons:
    """`lessons` with the base's replies to the tasks of `suite`; a task it gave no answer to is left out."""
    said = {row.id: row.answer for row in rows if not row.failure and row.answer.strip()}
    made = [
        Lesson(
            id=one.id,
            question=one.question,
            target=said[one.id],
            origin=Origin.MADE,
            source=one.id,
            system=prompt.instructions(asked_with(recipe, text=bool(one.context))),
            attached=one.context,
            group=one.id,
        )
        for one in suite.examples
        if one.id in said
    ]
    note = f"{len(made)} replies of the base to general tasks are rehearsed"
    return Lessons(lessons.name, (*lessons.lessons, *made), (*lessons.notes, note))


def _object(draw: random.Random) -> tuple[str, str]:
    thing = draw.choice(_OBJECTS)
    asked = (
        f"What is a {thing} used for?",
        f"Write one short sentence about a {thing}.",
        f"Is a {thing} heavier than a car?",
        f"What is a {thing} usually made of?",
        f"Where in a house do you find a {thing}?",
    )
    return draw.choice(asked), ""


def _animal(draw: random.Random) -> tuple[str, str]:
    animal = draw.choice(_ANIMALS)
    return draw.choice((
        f"Where does a {animal} live?", f"What does a {animal} eat?", f"Can a {animal} fly?",
        f"Name an animal that is bigger than a {animal}.",
    )), ""  # fmt: skip


def _figures(draw: random.Random) -> tuple[str, str]:
    a, b = draw.randint(5, 40), draw.randint(1, 9)
    return draw.choice((
        f"What is {a} minus {b}?", f"Which is larger, {a} or {a + b}?", f"What number comes after {a}?",
        f"Write the number {a} in words.",
    )), ""  # fmt: skip


def _written(draw: random.Random) -> tuple[str, str]:
    one, other, person = draw.choice(_OBJECTS), draw.choice(_FOODS), draw.choice(_PEOPLE)
    return draw.choice((
        f"Make a list of {one}, {other} and {draw.choice(_ANIMALS)}.",
        f'Write JSON with the key "{one}" and the value "{other}".',
        f"Write this in small letters: {person.upper()} LIKES {other.upper()}.",
        f"Say hello to {person} in one sentence.",
    )), ""  # fmt: skip


def _told(draw: random.Random) -> tuple[str, str]:
    person, job, town, food = (draw.choice(words) for words in (_PEOPLE, _JOBS, _TOWNS, _FOODS))
    text = f"{person} works as a {job} in {town}. On Sundays {person} eats {food}."
    return draw.choice((
        f"What does {person} work as?", f"What does {person} eat on Sundays?", f"In which town does {person} work?",
        f"How old is {person}?", f"What is the name of {person}'s brother?",
    )), text  # fmt: skip
