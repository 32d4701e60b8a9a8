"""Failed cases in a small shop, for the tests of diagnose: a model that reads, and one fault at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from answer_world import OPEN, World, shop
from knowhow.backends.fake import FakeChat, Script
from knowhow.diagnose.case import Case, Lab, open_case
from knowhow.evaluate.single import Asking, Setup, ask_one
from knowhow.ports import Overlay
from knowhow.store.analyze import query_terms
from knowhow.suites import locate_evidence
from knowhow.suites.parse import parse_example
from knowhow.types import ChatRequest, Example, Filter, Recipe, Suite

FILLER = (
    "The canteen serves soup on Mondays and cake on Fridays, and the garden behind the hall is open to all in summer."
)
PARKING = "Visitors park behind the north gate. The barrier opens with the code from the reception desk each morning."
QUESTION = "How long can a laptop be returned?"


def example(id: str = "returns", question: str = QUESTION, **expect: Any) -> Example:
    split = expect.pop("split", None)
    body = {"id": id, "question": question, "expect": expect}
    made, problems = parse_example(body | ({"split": split} if split else {}))
    assert made is not None, problems
    return made


RETURNS = example(
    facts=["45 business days"],
    evidence=[{"source": "policies/returns.md", "quote": "Laptops can be returned within 45 business days"}],
)


def reader(request: ChatRequest) -> str:
    """Copies the sentence of the passages that shares most words with the question, with its mark."""
    asked = set(query_terms(request.question))
    said = [
        (len(asked & set(query_terms(sentence))), -mark, f"{sentence} [{mark}]")
        for mark, text in enumerate(request.passages, 1)
        for sentence in re.split(r"(?<=[.!?])\s+", text)
    ]
    best = max(said, default=(0, 0, ""))
    return best[2] if best[0] else "The documents do not say."


@dataclass
class Bench:
    """The shop with filler documents, a model, and ways to make a case fail."""

    world: World
    model: FakeChat
    suite: Suite
    sources: Mapping[str, str]

    def lab(self) -> Lab:
        setup = Setup(self.world.store, self.world.records, self.world.embedder, self.model)
        return Lab(self.suite, setup, self.sources)

    def case(
        self, one: Example = RETURNS, recipe: Recipe = OPEN, *, overlay: Overlay | None = None, draws: int = 1
    ) -> tuple[Case, Lab]:
        """Asks the example as an evaluation would, and opens what came of it as a case."""
        lab = self.lab()
        evidence = locate_evidence(
            [one], lambda uri, as_of: self.world.store.document(uri, Filter(frozenset({"*"}), as_of=as_of))
        )[one.id]
        fitted = lab.fitted(recipe, one)
        rows = [
            ask_one(lab.setup, Asking(one, fitted, evidence, draw, True, overlay=overlay))[0] for draw in range(draws)
        ]
        return open_case(one, recipe, rows, lab, overlay=overlay), lab


def bench(
    folder: Path, script: Script = reader, *, suite: Suite | None = None, sources: Mapping[str, str] | None = None
) -> Bench:
    folder.mkdir(exist_ok=True)
    world = shop(folder)
    world.put("house/canteen.md", FILLER)
    world.put("house/parking.md", PARKING)
    return Bench(world, FakeChat(script), suite or Suite("shop", (RETURNS,)), sources or {})


def without(one: Example, **changes: Any) -> Example:
    """`one` with other expectations."""
    return replace(one, expect=replace(one.expect, **changes))
