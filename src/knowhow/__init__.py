"""Knowhow: answers from your documents with checked citations, and the experiments that say how to improve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knowhow.errors import KnowhowError
    from knowhow.types import (
        Answer,
        Citation,
        Document,
        DocumentInfo,
        Hit,
        IngestReport,
        Message,
        Recipe,
        SearchMode,
        SearchResult,
    )
    from knowhow.workspace import Workspace

__all__ = [
    "Answer",
    "Citation",
    "Document",
    "DocumentInfo",
    "Hit",
    "IngestReport",
    "KnowhowError",
    "Message",
    "Recipe",
    "SearchMode",
    "SearchResult",
    "Workspace",
]
_HOMES = {"Workspace": "knowhow.workspace", "KnowhowError": "knowhow.errors"}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import knowhow` stays instant."""
    if name not in __all__:
        raise AttributeError(f"module 'knowhow' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "knowhow.types")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
