"""Small tasks that any assistant meets, made up by rule: what a training must not cost, whatever it taught."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from knowhow.diagnose.swap import swap
from knowhow.types import Example, Expect, Split, Style, Suite

PROBES = 250
"""Tasks of each kind; fewer leave a margin of 5 points open more often."""
_NAMES = "Mira Tomas Ilse Raul Noor Petra Femi Greta Hugo Lina Osman Vera Kofi Anya Bruno Selma Dario Wanda".split()
_PLACES = "Harrow Kestrel Lindow Marden Penrith Quarry Selwick Thornby Upton Varley Wexham Yarrow".split()
_THINGS = "lamp kettle chair printer scarf bicycle ladder blanket mirror teapot jacket drill".split()
_COLOURS = "green blue red white black yellow purple orange".split()
_FACTS = (
    ("What colour is the sky on a clear day?", "blue"), ("How many days are in a week?", "7"),
    ("What is the capital of France?", "Paris"), ("What is frozen water called?", "ice"),
    ("How many legs does a spider have?", "8"), ("Which animal barks?", "dog"),
    ("What is the opposite of hot?", "cold"), ("What is the opposite of up?", "down"),
    ("What do bees make?", "honey"), ("How many months are in a year?", "12"),
    ("Which planet do we live on?", "Earth"), ("What is the capital of Italy?", "Rome"),
    ("What is the first month of the year?", "January"), ("What is the capital of Spain?", "Madrid"),
    ("What is the largest ocean?", "Pacific"), ("What is the opposite of left?", "right"),
)  # fmt: skip


def ability(n: int = PROBES, *, seed: int = 0) -> Suite:
    """Common knowledge, little sums, following a form: half of them a small model fails too, which pairing allows."""
    kinds: Sequence[Callable[[random.Random], Example]] = (_known, _sum, _upper, _json, _repeat, _choice)
    return _suite("ability", kinds, n, seed)


def reading(n: int = PROBES, *, seed: int = 0) -> Suite:
    """A text that comes with the question says something made up; the answer must say what it says."""
    return _suite("reading", (_weight, _colour, _lives), n, seed)


def declining(n: int = PROBES, *, seed: int = 0) -> Suite:
    """The text that comes with the question is about something else; the answer must say that it does not say."""
    return _suite("declining", (_elsewhere,), n, seed)


def counterfactual(examples: Sequence[Example], texts: dict[str, str]) -> list[Example]:
    """The product's own examples over a changed document: the fact in `texts` (example id → evidence) is swapped for
    another, which the answer must then give; examples whose fact cannot be swapped are left out."""
    made = []
    for one in examples:
        changed = (
            swap(one, [texts[one.id]], [other for other in examples if other.id != one.id]) if one.id in texts else None
        )
        if changed is None:
            continue
        expect = Expect(facts=((changed.false,),), forbidden=changed.alternatives, abstain=False)
        made.append(
            Example(
                f"{one.id}/changed",
                expect,
                question=one.asked,
                context=changed.texts[0],
                group=one.group,
                split=Split.TEST,
            )
        )
    return made


def _suite(name: str, kinds: Sequence[Callable[[random.Random], Example]], n: int, seed: int) -> Suite:
    """`n` different tasks, each a group of its own; those of a smaller `n` are the first of a larger one."""
    draw = random.Random(f"{name} {seed}")
    found: dict[str, Example] = {}
    tries = 0
    while len(found) < n and tries < 50 * n:
        example = kinds[tries % len(kinds)](draw)
        tries += 1
        found.setdefault(example.asked + example.context, example)
    tasks = (
        Example(
            f"{name}-{i}", one.expect, question=one.question, context=one.context, group=f"{name}-{i}", split=Split.TEST
        )
        for i, one in enumerate(found.values())
    )
    return Suite(name, tuple(tasks))


def _task(question: str, expect: Expect, context: str = "") -> Example:
    return Example("", expect, question=question, context=context)


def _says(question: str, fact: str, context: str = "") -> Example:
    return _task(question, Expect(facts=((fact,),), abstain=False), context)


def _known(draw: random.Random) -> Example:
    question, fact = draw.choice(_FACTS)
    asking = draw.choice(("{}", "{} Answer in one word.", "Tell me: {}", "Quick question. {}"))
    return _says(asking.format(question), fact)


def _sum(draw: random.Random) -> Example:
    a, b = draw.randint(1, 20), draw.randint(1, 20)
    return _says(draw.choice(("What is {} plus {}?", "How much is {} + {}?")).format(a, b), str(a + b))


def _upper(draw: random.Random) -> Example:
    words = " ".join(draw.sample(_THINGS, 2))
    style = Style(must_match=(words.upper(),), max_words=12)
    return _task(f"Write the words '{words}' in capital letters.", Expect(style=style))


def _json(draw: random.Random) -> Example:
    name, age = draw.choice(_NAMES), draw.randint(18, 80)
    schema = {"type": "object", "required": ["name", "age"]}
    question = f'Write a JSON object with "name" set to "{name}" and "age" set to {age}. Write nothing else.'
    return _task(question, Expect(schema=schema, fields={"name": name, "age": age}))


def _repeat(draw: random.Random) -> Example:
    thing = f"the {draw.choice(_COLOURS)} {draw.choice(_THINGS)} of {draw.choice(_NAMES)}"
    return _says(f"Repeat these words: {thing}", thing)


def _choice(draw: random.Random) -> Example:
    things = draw.sample(_THINGS, 3)
    return _says(f"Here is a list: {', '.join(things)}. Which word comes first in the list?", things[0])


def _weight(draw: random.Random) -> Example:
    name, thing, kilos = draw.choice(_NAMES), draw.choice(_THINGS), draw.randint(2, 60)
    text = f"{name} sends a {thing} from {draw.choice(_PLACES)}. The parcel weighs {kilos} kg. It is not insured."
    return _says(f"How much does the parcel of {name} weigh?", f"{kilos} kg", text)


def _colour(draw: random.Random) -> Example:
    name, thing, colour = draw.choice(_NAMES), draw.choice(_THINGS), draw.choice(_COLOURS)
    text = f"Last spring {name} bought a {colour} {thing} at the market in {draw.choice(_PLACES)}."
    return _says(f"Which colour has the {thing} that {name} bought?", colour, text)


def _lives(draw: random.Random) -> Example:
    name, place, years = draw.choice(_NAMES), draw.choice(_PLACES), draw.randint(2, 30)
    text = f"{name} has lived in {place} for {years} years and repairs {draw.choice(_THINGS)}s."
    return _says(f"Where does {name} live?", place, text)


def _elsewhere(draw: random.Random) -> Example:
    told = draw.choice((_weight, _colour, _lives))(draw)
    question = draw.choice(
        (
            f"What is the telephone number of the office in {draw.choice(_PLACES)}?",
            f"On which date was the bridge of {draw.choice(_PLACES)} opened?",
            f"How many people work at the mill in {draw.choice(_PLACES)}?",
            f"Who painted the portrait in the town hall of {draw.choice(_PLACES)}?",
        )
    )
    return _task(question, Expect(abstain=True), told.context)
