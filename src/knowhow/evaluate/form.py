"""The form of an answer that must be JSON: whether it is, whether it fits its schema, and how fields differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from knowhow.evaluate.patterns import found
from knowhow.evaluate.verdicts import short


def json_of(text: str) -> tuple[Any, str]:
    """The value that `text` is, with no message; or None with what keeps it from being JSON.

    The whole text must be one JSON value, as a program would read it: no code fence, no words around it, no NaN.
    """
    try:
        return json.loads(text, parse_constant=_refuse), ""
    except (ValueError, RecursionError) as error:
        if text.strip().startswith("```"):
            return None, "it is wrapped in a code fence"
        return None, f"it is no JSON: {getattr(error, 'msg', None) or error}"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def schema_problem(value: Any, schema: Mapping[str, Any]) -> str:
    """What in `value` does not fit `schema`, in words with its place; empty where it fits.

    References to other documents are refused, never fetched, and patterns have a time limit.
    """
    validator = _Validator(dict(schema), registry=Registry())
    try:
        error = next(
            iter(sorted(validator.iter_errors(value), key=lambda e: (list(map(str, e.path)), e.message))), None
        )
    except (Unresolvable, SchemaError, RecursionError) as problem:
        return f"the schema cannot be used: {problem}"
    if error is None:
        return ""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    return f"{place}: {error.message}" if place else str(error.message)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if isinstance(instance, str) and not found(pattern, instance).matched:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def missing_fields(wanted: Mapping[str, Any], value: Any) -> list[str]:
    """What of `wanted` is not there or of another type, in words. True is no number, and 1 and 1.0 are one type."""
    if not wanted:
        return []
    if not isinstance(value, dict):
        return [f"it must be an object with {', '.join(wanted)}"]
    wrong = [f"`{name}` is missing" for name in wanted if name not in value]
    for name, expected in wanted.items():
        if name in value and _type(value[name]) != _type(expected):
            wrong.append(f"`{name}` is {_type(value[name])}, must be {_type(expected)}")
    return wrong


def values_differ(wanted: Mapping[str, Any], value: Any) -> list[str]:
    """Fields of `wanted` without their value, in words: JSON equality, strings exactly, nested values whole."""
    if not wanted:
        return []
    if not isinstance(value, dict):
        return ["the fields cannot be read"]
    return [
        f"`{name}` is {_shown(value.get(name))}, must be {_shown(expected)}"
        for name, expected in wanted.items()
        if name not in value or not same_json(value[name], expected)
    ]


def fields_f1(wanted: Mapping[str, Any], value: Any) -> float:
    """Harmonic mean of precision and recall over the single values of all fields, 0..1; a list counts by its items.

    A value counts where its field, at any depth, holds an equal one. What cannot be read holds nothing.
    """
    right, given = Counter(_leaves(wanted)), Counter(_leaves(value if isinstance(value, dict) else {}))
    both = sum((right & given).values())
    return 2 * both / max(sum(right.values()) + sum(given.values()), 1)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, value as JSON) of everything in `value` that holds nothing else."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}/{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, f"{path}/*")
    else:
        yield path, json.dumps(value)


def _shown(value: Any) -> str:
    return short(json.dumps(value, ensure_ascii=False))


def same_json(left: Any, right: Any) -> bool:
    """JSON equality: 45 equals 45.0, but neither true equals 1 nor "45" equals 45, at any depth."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same_json(a, b) for a, b in zip(left, right, strict=True))
    return _type(left) == _type(right) and bool(left == right)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    names = ((bool, "true or false"), (int, "a number"), (float, "a number"), (str, "text"), (list, "a list"))
    return next((name for kind, name in names if isinstance(value, kind)), "an object")
