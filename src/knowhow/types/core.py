"""Values every other noun is made of: tags, metadata, JSON and a stable fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import is_dataclass
from typing import Any

EVERYTHING = "*"
"""The tag an administrator holds: it opens every document. No document can carry it."""

MetaValue = str | int | float | bool
Json = dict[str, Any]


def flat(value: Any) -> Json:
    """The fields of a dataclass by name, their values as they are.

    `dataclasses.asdict` copies whatever is inside as well, which took a third of the time beside a model.
    """
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def fingerprint(value: Any, size: int = 16) -> str:
    """A stable hash (`size` hex digits, BLAKE2b) of a JSON-like value, a dataclass, or nested ones.

    Equal values give equal fingerprints in every process and on every machine.
    """

    def plain(item: Any) -> Any:
        if is_dataclass(item) and not isinstance(item, type):
            return flat(item)
        if isinstance(item, frozenset | set):
            return sorted(item)
        if isinstance(item, bytes):
            return item.hex()
        raise TypeError(f"cannot fingerprint a {type(item).__name__}")

    text = json.dumps(value, default=plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=size // 2).hexdigest()
