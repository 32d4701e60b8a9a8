"""Lists in pages: a cursor names the last item seen, so that what comes and goes meanwhile shifts nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

from knowhow.errors import UsageProblem
from knowhow.types import Json

Limit = Annotated[int, Query(ge=1, le=500, description="Items in a page.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]


def page(items: Sequence[Json], limit: int, last: Sequence[Any]) -> Json:
    """One page; `items` may hold one more than `limit`, and `last` names the last one shown where there are more."""
    more = len(items) > limit
    return {"items": list(items[:limit]), "next": write_cursor(last) if more else None}


def write_cursor(at: Sequence[Any]) -> str:
    """A cursor for these values."""
    return base64.urlsafe_b64encode(json.dumps(list(at)).encode()).decode().rstrip("=")


def read_time_cursor(cursor: str | None) -> tuple[float, str] | None:
    """The (time, id) in a cursor. Raises `UsageProblem` for one that no page gave."""
    if cursor is None:
        return None
    at, id = _read(cursor, 2)
    if not isinstance(at, int | float) or not isinstance(id, str):
        raise _foreign(cursor)
    return float(at), id


def read_name_cursor(cursor: str | None) -> str:
    """The name in a cursor, "" for the first page. Raises `UsageProblem` for one that no page gave."""
    if cursor is None:
        return ""
    (name,) = _read(cursor, 1)
    if not isinstance(name, str):
        raise _foreign(cursor)
    return name


def _read(cursor: str, size: int) -> list[Any]:
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _foreign(cursor) from None
    if not isinstance(found, list) or len(found) != size:
        raise _foreign(cursor)
    return found


def _foreign(cursor: str) -> UsageProblem:
    return UsageProblem(f"{cursor[:40]!r} is no cursor of this list; take `next` of the page before, or leave it out")
