"""Reads settings from flags, the environment, `.env`, `knowhow.toml` and defaults, in that order of strength."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from knowhow.errors import ConfigProblem, NotFound
from knowhow.settings.fields import Origin, Price, Settings
from knowhow.settings.fitted import Written
from knowhow.settings.recipes import read_recipes
from knowhow.types import Recipe

FILE_NAME = "knowhow.toml"
PREFIX = "KNOWHOW_"
NOT_SETTINGS = {"WORKSPACE", "DEBUG"}
WRITTEN_PASSWORD = re.compile(r"://[^/@]*:(?!\$\{\w+\}@)[^/]*@")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
FIELDS = {f.name: f for f in fields(Settings)}
DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the origin of every value, the workspace's recipes, and the variables `.env` adds."""

    settings: Settings
    origins: tuple[Origin, ...]
    written: Mapping[str, Written]
    variables: Mapping[str, str]

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Every recipe as it is asked with."""
        return {name: one.fitted() for name, one in self.written.items()}

    def recipe(self, name: str, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe called `name` with `changes` to its fields, as it is asked with: what neither a table nor a change
        says is what suits the model. Raises `NotFound` with the nearest names."""
        if name in self.written:
            return self.written[name].changed(changes or {}).fitted()
        raise NotFound(f'no recipe "{name}"{nearest(name, self.written)}; a recipe is a table in {FILE_NAME}')


def find_workspace(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds `knowhow.toml`. Raises `ConfigProblem`."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise ConfigProblem(f"no {FILE_NAME} in {start} or above it; run `knowhow init` there, or name a workspace with -w")


def load(folder: Path, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """The settings of the workspace in `folder`. Raises `ConfigProblem` naming key, value, origin and fix."""
    environ = os.environ if environ is None else environ
    table = _read_toml(folder / FILE_NAME)
    recipes = read_recipes(table.pop("recipes", {}), FILE_NAME)
    dotenv = _read_dotenv(folder / ".env")
    values: dict[str, Any] = {}
    origins = []
    _refuse_unknown(table, FILE_NAME)
    _refuse_unknown(flags or {}, "flags")
    for key in FIELDS:
        variable = PREFIX + key.upper()
        if flags and flags.get(key) is not None:
            value, where = flags[key], "flag"
        elif variable in environ:
            value, where = environ[variable], variable
        elif variable in dotenv:
            value, where = dotenv[variable], f"{variable} in .env"
        elif key in table:
            value, where = table[key], FILE_NAME
        else:
            value, where = getattr(DEFAULTS, key), "default"
        values[key] = value if where == "default" else _convert(key, value, where)
        origins.append(Origin(key, values[key], where))
    settings = Settings(**values)
    if settings.split_target > settings.split_limit:
        raise ConfigProblem(
            f"split_target = {settings.split_target} is above split_limit = {settings.split_limit}; "
            f"lower split_target or raise split_limit"
        )
    if settings.recipe not in recipes:
        where = next(o.where for o in origins if o.key == "recipe")
        raise ConfigProblem(
            f'recipe = "{settings.recipe}" ({where}) names no recipe{nearest(settings.recipe, recipes)}; '
            f"add [recipes.{settings.recipe}] to {FILE_NAME} or name another"
        )
    return Loaded(settings, tuple(origins), recipes, {**dotenv, **environ})


def stray_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """KNOWHOW_ variables that set nothing, each with the nearest right name."""
    known = {key.upper() for key in FIELDS} | NOT_SETTINGS
    found = sorted(os.environ if environ is None else environ)
    words = [name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)]
    return [PREFIX + word + nearest(word, sorted(known)) for word in words if word not in known]


def nearest(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """'; did you mean "…"?' with the closest known names, or every name where they are few; else ''."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=2, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(f'"{name}"' for name in close) + "?"
    return f"; known are {', '.join(sorted(known))}" if 0 < len(known) <= 8 else ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigProblem(f"cannot read {path}: {error.strerror}; mend its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"{path} is not valid TOML: {error}; mend that line") from None


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def _refuse_unknown(table: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in FIELDS:
            raise ConfigProblem(f'"{key}" in {where} is not a setting{nearest(key, [*FIELDS, "recipes"])}')


def _convert(key: str, value: Any, where: str) -> Any:
    """`value` in the type of setting `key`; text (from variables) is parsed, everything else must already fit."""
    default = getattr(DEFAULTS, key)
    if key == "prices":
        return {model: _price(model, price, where) for model, price in _mapping(key, value, where).items()}
    if key == "keys":
        return {**default, **_mapping(key, value, where)}
    if isinstance(default, tuple):
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise _wrong(key, value, where, "a list of texts")
        return tuple(part.strip() for part in parts if part.strip())
    if isinstance(default, bool):
        return _boolean(key, value, where)
    if isinstance(default, str):
        if not isinstance(value, str) or not (value or not default):
            raise _wrong(key, value, where, "a text")
        if key == "store" and WRITTEN_PASSWORD.search(value):
            raise ConfigProblem(
                f"store ({where}) holds a password; put it into an environment variable and name that: "
                "postgresql://USER:${VARIABLE}@HOST/DATABASE"
            )
        return value
    return _number(key, value, where, type(default))


def _boolean(key: str, value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE | FALSE:
        return word in TRUE
    raise _wrong(key, value, where, "true or false")


def _number(key: str, value: Any, where: str, kind: type) -> int | float:
    words = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise _wrong(key, value, where, words)
    try:
        number: int | float = kind(value)
    except (TypeError, ValueError):
        raise _wrong(key, value, where, words) from None
    minimum = FIELDS[key].metadata["minimum"]
    if not (minimum <= number < float("inf")):
        raise _wrong(key, value, where, f"{words} of at least {minimum}")
    return number


def _mapping(key: str, value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(key, value, where, "a table")
    return value


def _price(model: str, value: Any, where: str) -> Price:
    parts = value if isinstance(value, Mapping) else {}
    numbers = [parts.get(name) for name in ("prompt", "completion")]
    if len(parts) != 2 or not all(isinstance(n, int | float) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise _wrong(f"prices.{model}", value, where, "{prompt = DOLLARS, completion = DOLLARS} per million tokens")
    return Price(float(parts["prompt"]), float(parts["completion"]))


def _wrong(key: str, value: Any, where: str, wanted: str) -> ConfigProblem:
    return ConfigProblem(f"{key} = {value!r} ({where}) must be {wanted}; change it there")
