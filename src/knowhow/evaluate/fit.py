"""Fits a recipe to one example: the form it asks for, and worked examples drawn from the train split only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from knowhow.answer import prompt
from knowhow.answer.decline import NOT_STATED
from knowhow.errors import UsageProblem
from knowhow.ports import Embedder
from knowhow.suites.rules import applying
from knowhow.types import Context, Example, Expect, FewShot, Form, Recipe, ShotsBy, Split, Style, Suite, fingerprint

_CHOOSE = "Choose the label that fits the text."


class Fit:
    """Makes of a recipe what one example of a suite is asked with; the recipe itself stays the one that is compared."""

    def __init__(self, recipe: Recipe, suite: Suite, embedder: Embedder) -> None:
        """Raises `UsageProblem` where the recipe draws worked examples and the suite has none to draw from."""
        self._recipe = recipe
        self._embedder = embedder
        self._pool = [(one, shown) for one in suite.examples for shown in _worked(one, recipe)] if recipe.shots else []
        if recipe.shots and not self._pool:
            raise UsageProblem(
                f"{recipe.name} shows worked examples of the train split, and {suite.name} has none there that says "
                f"what a right answer is; `knowhow suite split` assigns splits"
            )
        if recipe.shots and recipe.shots_by is ShotsBy.NEAREST:
            self._vectors = embedder.documents([one.asked for one, _ in self._pool])
        self._fixed = sorted(range(len(self._pool)), key=lambda i: fingerprint(self._pool[i][0].id))

    def __call__(self, example: Example) -> Recipe:
        """The recipe for `example`: never with a worked example of its own group."""
        recipe, expect = self._recipe, example.expect
        if not recipe.shots and recipe.form is Form.FREE:
            return recipe
        changes: dict[str, Any] = {}
        if recipe.form is Form.CONSTRAINED and recipe.schema is None:
            changes["schema"] = _schema(expect)
        told = "" if recipe.form is Form.FREE else _told(expect, enforced=bool(changes.get("schema")))
        if told:
            own = recipe.instructions or _standard(recipe, expect)
            changes["instructions"] = f"{own}\n{told}"
        elif recipe.form is not Form.FREE and expect.label and not recipe.instructions:
            changes["instructions"] = _standard(recipe, expect)
        if recipe.shots:
            changes["examples"] = (*recipe.examples, *self._shots(example))
        return replace(recipe, **changes)

    def _shots(self, example: Example) -> tuple[FewShot, ...]:
        """The nearest last, so that it stands next to the question; fixed ones in an order of their own."""
        order: Sequence[int] = self._fixed
        if self._recipe.shots_by is ShotsBy.NEAREST:
            near = self._vectors @ self._embedder.query(example.asked)
            order = [int(i) for i in np.argsort(-near, kind="stable")]
        others = (i for i in order if self._pool[i][0].group != example.group)
        chosen = [i for i, _ in zip(others, range(self._recipe.shots), strict=False)]
        return tuple(self._pool[i][1] for i in reversed(chosen))


def _worked(example: Example, recipe: Recipe) -> list[FewShot]:
    """The example as it is shown to the model; nothing where it may not be, or nobody said what is right."""
    if example.split is not Split.TRAIN or example.draft:
        return []
    right = right_answer(example.expect, as_json=recipe.form is Form.CONSTRAINED)
    return [FewShot(f"Question: {example.asked}", right)] if right else []


def right_answer(expect: Expect, *, as_json: bool = False) -> str:
    """What a right answer would say, as far as the example tells; empty where it does not."""
    if expect.label is not None:
        return json.dumps(expect.label, ensure_ascii=False) if as_json else expect.label
    if expect.fields:
        return json.dumps(dict(expect.fields), ensure_ascii=False)
    if expect.reasoning is not None:
        decided = {name: value for rule in applying(expect.reasoning) for name, value in rule.then.items()}
        return json.dumps(decided, ensure_ascii=False)
    if expect.abstain:
        return NOT_STATED
    return expect.reference or "; ".join(fact[0] for fact in expect.facts)


def _schema(expect: Expect) -> Mapping[str, Any] | None:
    """The schema that a right answer fits: the example's own, or one of its labels."""
    if expect.schema is not None:
        return expect.schema
    return {"type": "string", "enum": list(expect.labels)} if expect.labels else None


def _standard(recipe: Recipe, expect: Expect) -> str:
    alone = expect.label is not None and recipe.context is Context.NONE
    return _CHOOSE if alone else prompt.standard(recipe)


def _told(expect: Expect, *, enforced: bool) -> str:
    """The form in words. What is enforced is left out: the prompt shows the schema anyway."""
    parts = []
    if expect.labels and not enforced:
        parts.append(f"Reply with exactly one of these labels and nothing else: {', '.join(expect.labels)}")
    if expect.schema is not None and not enforced:
        parts.append(f"Reply with JSON only, valid for this schema: {json.dumps(expect.schema, ensure_ascii=False)}")
    return "\n".join([*parts, *_style(expect.style or Style())])


def _style(style: Style) -> list[str]:
    """Lengths only: a pattern is a test of the answer, and telling it would test nothing."""
    bounds = (
        (style.max_words, "Write at most {} words."),
        (style.min_words, "Write at least {} words."),
        (style.max_sentences, "Write at most {} sentences."),
        (style.min_sentences, "Write at least {} sentences."),
    )
    return [words.format(count) for count, words in bounds if count is not None]
