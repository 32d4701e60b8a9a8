"""Reads one JSON object field by field and remembers everything that is wrong with it, in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from knowhow.types import Scalar

T = TypeVar("T")
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


def kind(value: object) -> str:
    """What a JSON value is, in words, e.g. "text" or "a list"."""
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


class Fields:
    """The fields of one object. A field that is absent or null reads as its default; a wrong one too, with a problem.

    `problems` is shared by nested objects; `path` is how messages name this object, e.g. `expect.style`.
    """

    def __init__(self, body: object, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self.read: set[str] = set()
        self.body: Mapping[str, Any] = {}
        if isinstance(body, dict):
            self.body = body
        else:
            problems.append(f"{path or 'the line'} must be an object, not {kind(body)}")

    def name(self, key: str) -> str:
        """How messages name a field of this object."""
        return f"`{self.path}.{key}`" if self.path else f"`{key}`"

    def wrong(self, key: str, message: str) -> None:
        """Remembers that `key` is wrong: `message` follows the field's name."""
        self.problems.append(f"{self.name(key)} {message}")

    def take(self, key: str) -> Any:
        """The raw value, None where absent."""
        self.read.add(key)
        return self.body.get(key)

    def _typed(self, key: str, default: T, fits: Callable[[Any], bool], wanted: str) -> T:
        value = self.take(key)
        if value is None:
            return default
        if not fits(value):
            self.wrong(key, f"must be {wanted}, not {kind(value)}")
            return default
        return value  # type: ignore[no-any-return]  # `fits` has just said so

    def text(self, key: str, default: str = "") -> str:
        return self._typed(key, default, lambda value: isinstance(value, str), "text")

    def flag(self, key: str) -> bool | None:
        return self._typed(key, None, lambda value: isinstance(value, bool), "true or false")

    def number(self, key: str) -> float | None:
        return self._typed(key, None, _is_number, "a number")

    def whole(self, key: str, least: int) -> int | None:
        """A whole number from `least` up."""
        return self._typed(key, None, lambda value: type(value) is int and value >= least, f"a whole number ≥ {least}")

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        value: list[Any] = self._typed(key, [], lambda value: isinstance(value, list), "a list of texts")
        if not all(isinstance(item, str) and item.strip() for item in value):
            self.wrong(key, "must be a list of texts, none of them empty")
            return ()
        return tuple(value)

    def items(self, key: str) -> Sequence[Any]:
        """Any list."""
        return self._typed(key, [], lambda value: isinstance(value, list), "a list")

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Any object."""
        return self._typed(key, {}, lambda value: isinstance(value, dict), "an object")

    def scalars(self, key: str) -> dict[str, Scalar]:
        """An object whose values are text, numbers, true, false or null."""
        value = self.mapping(key)
        for name, item in value.items():
            if isinstance(item, dict | list):
                self.wrong(key, f'must hold plain values; "{name}" is {kind(item)}')
                return {}
        return dict(value)

    def one_of(self, key: str, choices: Sequence[str], default: str) -> str:
        value = self.text(key, default)
        if value != default and value not in choices:
            self.wrong(key, f'must be one of {", ".join(choices)}, not "{value}"')
            return default
        return value

    def patterns(self, key: str) -> tuple[str, ...]:
        """A list of regular expressions that compile."""
        found = self.texts(key)
        for pattern in found:
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                self.wrong(key, f'holds "{pattern}", which is no regular expression: {error}')
        return found

    def nested(self, key: str) -> Fields | None:
        """The object under `key`; None where absent."""
        value = self.take(key)
        return None if value is None else Fields(value, self.name(key).strip("`"), self.problems)

    def end(self) -> None:
        """Every field that nobody asked for is a problem, with the nearest known name. Call it last."""
        for key in self.body:
            if key not in self.read:
                near = get_close_matches(key, self.read, n=1)
                hint = f"; did you mean `{near[0]}`?" if near else f"; known are {', '.join(sorted(self.read))}"
                self.problems.append(f"{self.name(key)} is unknown{hint}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
