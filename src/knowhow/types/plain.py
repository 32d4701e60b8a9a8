"""Dataclasses as JSON and back, read by their own type hints, for what is kept or sent between processes."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """`value` as JSON has it: dataclasses and mappings as objects, tuples and sets as lists, enums by value."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], body: Mapping[str, Any]) -> T:
    """The dataclass that `to_plain` gave. A field that is not there takes its default, one of a later version is left
    out; raises `TypeError` or `ValueError` for what cannot be one."""
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]
    return kind(**{name: _read(hints[name], item) for name, item in body.items() if name in hints})


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _read(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(next(one for one in inner if one is not type(None)), value)
    if origin is tuple:
        every = len(inner) == 2 and inner[1] is Ellipsis
        return tuple(_read(inner[0] if every else inner[i], item) for i, item in enumerate(value))
    if origin is frozenset:
        return frozenset(_read(inner[0], item) for item in value)
    if origin is not None and origin is not Literal and isinstance(value, Mapping):
        return {_read(inner[0], key): _read(inner[1], item) for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return from_plain(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return float(value) if hint is float else value
