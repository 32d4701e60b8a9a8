"""Metadata at the top of a text file, between `---` (YAML) or `+++` (TOML) lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

_BLOCK = re.compile(r"\s*^(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_LIMIT = 64_000
_KEY = re.compile(r"^[\w\"'-][^\n]*?[:=]", re.M)


def take(text: str) -> tuple[dict[str, str], str, str]:
    """(metadata, the rest of the text, a warning or empty).

    Values are strings as written, so that dates and versions such as 1.10 stay what they are; lists become
    `a, b`, nested tables dotted keys. A block that does not parse stays in the text, with a warning.
    """
    match = _BLOCK.match(text, 0, _LIMIT)
    if not match or match.start(1) > 200 or not _KEY.search(match[2]):
        return {}, text, ""
    try:
        tree = tomllib.loads(match[2]) if match[1] == "+++" else _yaml(match[2])
    except (ValueError, RecursionError):
        return {}, text, "the front matter is not valid and was kept as text"
    if not isinstance(tree, dict):
        return {}, text, ""
    return dict(_flat(tree, "", 0)), text[match.end() :], ""


def _yaml(block: str) -> object:
    """The tree with every scalar as its string. BaseLoader builds no objects and resolves no types."""
    import yaml

    if re.search(r"(?:^|[\s\[,])[*&]\w", block):
        raise ValueError("aliases can expand without limit")
    try:
        return yaml.load(block, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _flat(tree: dict[object, object], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{prefix}{key}".strip()
        if isinstance(value, dict) and depth < 3:
            yield from _flat(value, f"{name}.", depth + 1)
        elif isinstance(value, list):
            yield name, ", ".join(str(item) for item in value if not isinstance(item, dict | list))
        elif value is not None and not isinstance(value, dict):
            yield name, str(value).lower() if isinstance(value, bool) else str(value)
