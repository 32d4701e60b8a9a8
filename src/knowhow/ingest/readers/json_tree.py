"""JSON and JSON Lines as `key: value` lines, each stretch under the dotted path of the object it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.types import Extract

_MAX_DEPTH = 100
_PLAIN_KEY = re.compile(r"[\w-]+$")
_TITLES = ("title", "name", "question", "subject", "heading")


def read(name: str, data: bytes, depth: int) -> Extract:
    """The tree in document order; what does not parse is kept as text, with a warning."""
    decoded = decode(data)
    draft = Draft(depth=depth)
    if decoded.warning:
        draft.warn(decoded.warning)
    text = draft.clean(decoded.text)
    stem = PurePosixPath(name).stem
    if name.lower().endswith((".jsonl", ".ndjson")):
        _lines(draft, text)
        return draft.extract("application/x-ndjson", stem)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _lines(Draft(), text) == 0 and text.count("\n") > 0:
            _lines(draft, text)
        else:
            draft.warn(f"not valid JSON, kept as text ({str(error)[:100]})")
            draft.add(text)
        return draft.extract("application/json", stem)
    if isinstance(tree, dict):
        draft.title = next((tree[key] for key in _TITLES[:2] if isinstance(tree.get(key), str)), "")
    _walk(draft, tree, "", 0)
    return draft.extract("application/json", stem)


def _lines(draft: Draft, text: str) -> int:
    """One record a line; returns how many lines did not parse (they are kept as they are)."""
    broken = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        draft.place = replace(draft.place, line=number)
        try:
            _walk(draft, json.loads(line), "", 0)
        except (ValueError, RecursionError):
            broken += 1
            draft.place = replace(draft.place, symbol="")
            draft.add(line)
    if broken:
        draft.warn(f"{broken} lines are not valid JSON and were kept as text")
    return broken


def _walk(draft: Draft, value: Any, path: str, depth: int) -> None:
    """Appends the scalars of a node under its path, then its objects and lists each under theirs."""
    if depth > _MAX_DEPTH:
        raise RecursionError
    if not isinstance(value, dict | list):
        draft.place = replace(draft.place, symbol=path)
        draft.add(_scalar(value))
        return
    inline: list[str] = []
    nested: list[tuple[str, Any]] = []
    for key, item in _items(value):
        if isinstance(item, dict) or (isinstance(item, list) and any(isinstance(x, dict | list) for x in item)):
            nested.append((_join(path, key), item))
        elif isinstance(item, list):
            inline.append(_line(key, ", ".join(_scalar(x) for x in item)))
        else:
            inline.append(_line(key, _scalar(item)))
    if inline:
        draft.place = replace(draft.place, symbol=path)
        draft.add("\n".join(inline))
    for inner, item in nested:
        _walk(draft, item, inner, depth + 1)


def _items(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else iter(enumerate(value))


def _line(key: str | int, value: str) -> str:
    return value if isinstance(key, int) else f"{key}: {value}"


def _join(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    step = key if _PLAIN_KEY.match(key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{step}" if path else step


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
