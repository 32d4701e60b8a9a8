"""Named recipes: the built-in ones, and those a workspace adds as `[recipes.NAME]` tables that extend another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any

from knowhow.errors import ConfigProblem
from knowhow.settings.fitted import Written, written
from knowhow.types import Context, FewShot, Form, Recipe, Sampling

SHOTS = 5
"""Worked examples that the built-in few-shot recipes draw."""

BUILT_IN: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="rag"),
        Recipe(name="closed-book", context=Context.NONE, cite=False),
        Recipe(name="prompt", context=Context.NONE, cite=False, form=Form.TOLD),
        Recipe(name="prompt+schema", context=Context.NONE, cite=False, form=Form.CONSTRAINED),
        Recipe(name="few-shot", context=Context.NONE, cite=False, form=Form.TOLD, shots=SHOTS),
        Recipe(name="long-context", context=Context.FULL, budget=100_000),
        Recipe(name="rag+few-shot", form=Form.TOLD, shots=SHOTS),
        Recipe(name="rag+schema", form=Form.CONSTRAINED),
        Recipe(name="gold", context=Context.GOLD),
        Recipe(name="classifier", model="classifier", context=Context.NONE, cite=False),
        Recipe(name="tuned", context=Context.NONE, cite=False, form=Form.TOLD, adapter="tuned"),
        Recipe(name="rag+tuned", form=Form.TOLD, adapter="rag+tuned"),
    )
}
DEFAULT = Recipe()
FIELDS = [f.name for f in fields(Recipe) if f.name != "name"]
SAMPLING = [f.name for f in fields(Sampling)]


def read_recipes(tables: Any, where: str) -> dict[str, Written]:
    """The built-in recipes and those of `tables`; a table may extend any other, itself excepted.

    A table named like a built-in recipe without `extends` changes that recipe. Raises `ConfigProblem`.
    """
    if not isinstance(tables, Mapping):
        raise ConfigProblem(f"recipes in {where} must be tables such as [recipes.careful]")
    done: dict[str, Written] = {}

    def build(name: str, path: tuple[str, ...]) -> Written:
        if name in done:
            return done[name]
        if name in path:
            raise ConfigProblem(f"recipes extend each other in a circle: {' > '.join([*path, name])} ({where})")
        table = tables[name]
        if not isinstance(table, Mapping):
            raise ConfigProblem(f"recipes.{name} = {table!r} ({where}) must be a table such as [recipes.{name}]")
        parent = table.get("extends", name if name in BUILT_IN else "rag")
        if parent == name and name in BUILT_IN:
            start = written(BUILT_IN[name])
        elif parent in tables:
            start = build(parent, (*path, name))
        elif parent in BUILT_IN:
            start = written(BUILT_IN[parent])
        else:
            near = _near(str(parent), [*BUILT_IN, *tables])
            raise ConfigProblem(f'recipes.{name}.extends = "{parent}" ({where}) names no recipe{near}')
        done[name] = _changed(start.changed({"name": name}), name, table, where)
        return done[name]

    built_in = {name: written(recipe) for name, recipe in BUILT_IN.items()}
    return built_in | {name: build(name, ()) for name in tables}


def _changed(start: Written, name: str, table: Mapping[str, Any], where: str) -> Written:
    changes = {}
    for key, value in table.items():
        if key == "extends":
            continue
        if key not in FIELDS:
            raise ConfigProblem(f"recipes.{name}.{key} ({where}) is not a recipe field{_near(key, FIELDS)}")
        changes[key] = _convert(
            f"recipes.{name}.{key}", getattr(start.recipe, key), getattr(DEFAULT, key), value, where
        )
    return start.changed(changes)


def _convert(key: str, current: Any, default: Any, value: Any, where: str) -> Any:
    """`value` in the type of the field's default; `sampling` keeps what the table does not name."""
    if isinstance(default, Sampling):
        return _sampling(key, current, value, where)
    if key.endswith(".examples"):
        return _examples(key, value, where)
    if key.endswith(".schema"):
        return _of(key, value, Mapping, where, "a JSON schema as a table")
    if isinstance(default, StrEnum):
        return _choice(key, type(default), value, where)
    if isinstance(default, bool):
        return _of(key, value, bool, where, "true or false")
    if isinstance(default, int):
        return _of(key, value, int, where, "a whole number of at least 0")
    if isinstance(default, float):
        return float(_of(key, value, int | float, where, "a number of at least 0"))
    return _of(key, value, str, where, "a text")


def _of(key: str, value: Any, kind: Any, where: str, wanted: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool) or (number and value < 0):
        raise ConfigProblem(f"{key} = {value!r} ({where}) must be {wanted}; change it there")
    return value


def _choice(key: str, kind: type[StrEnum], value: Any, where: str) -> StrEnum:
    names = [item.value for item in kind]
    if value not in names:
        raise ConfigProblem(f"{key} = {value!r} ({where}) must be one of {', '.join(names)}{_near(str(value), names)}")
    return kind(value)


def _sampling(key: str, current: Sampling, value: Any, where: str) -> Sampling:
    table = _of(key, value, Mapping, where, "a table")
    changes: dict[str, Any] = {}
    for name, item in table.items():
        if name not in SAMPLING:
            raise ConfigProblem(f"{key}.{name} ({where}) is not a sampling field{_near(name, SAMPLING)}")
        if name == "stop":
            changes[name] = tuple(_of(f"{key}.stop", item, list, where, "a list of texts"))
        elif name in ("max_tokens", "seed"):
            changes[name] = _of(f"{key}.{name}", item, int, where, "a whole number of at least 0")
        else:
            changes[name] = float(_of(f"{key}.{name}", item, int | float, where, "a number of at least 0"))
    return replace(current, **changes)


def _examples(key: str, value: Any, where: str) -> tuple[FewShot, ...]:
    rows = _of(key, value, list, where, "a list of {input, output}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or set(row) != {"input", "output"}:
            raise ConfigProblem(f"{key}, number {number} ({where}) must be {{input, output}}, not {row!r}")
    return tuple(FewShot(str(row["input"]), str(row["output"])) for row in rows)


def _near(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(known)}"
