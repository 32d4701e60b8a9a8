"""What a recipe takes for the model it names, where nobody chose otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from knowhow.types import Context, Recipe, Wording


@dataclass(frozen=True, slots=True)
class Suits:
    """Fields that suit a model: `reading` where a recipe shows documents, `searching` where it searches them."""

    reading: Mapping[str, Any]
    searching: Mapping[str, Any]

    def fields(self, recipe: Recipe) -> dict[str, Any]:
        """Those that hold for `recipe`."""
        if recipe.context is Context.NONE:
            return {}
        return {**self.reading, **(self.searching if recipe.context is Context.RETRIEVED else {})}


FITTED: Mapping[str, Suits] = {
    "local:starter": Suits({"wording": Wording.SHORT}, {"k": 3, "budget": 900}),
}
"""By model (docs/results/evaluate.md): so small a model loses the answer among six passages and the question among long
instructions."""


@dataclass(frozen=True, slots=True)
class Written:
    """A recipe as it is written, and the fields that somebody chose: a table, an option, the built-in recipe itself."""

    recipe: Recipe
    chosen: frozenset[str]

    def changed(self, changes: Mapping[str, Any]) -> Written:
        """With other values, which count as chosen."""
        return Written(replace(self.recipe, **changes), self.chosen | changes.keys())

    def suited(self) -> dict[str, Any]:
        """The fields that nobody chose and that are what suits the model, with their values."""
        suits = FITTED.get(self.recipe.model)
        values = suits.fields(self.recipe) if suits else {}
        return {name: value for name, value in values.items() if name not in self.chosen}

    def fitted(self) -> Recipe:
        """As it is asked with."""
        return replace(self.recipe, **self.suited())


def written(recipe: Recipe) -> Written:
    """A recipe given whole: what differs from the defaults counts as chosen."""
    default = Recipe()
    names = (field.name for field in fields(Recipe))
    return Written(recipe, frozenset(name for name in names if getattr(recipe, name) != getattr(default, name)))
