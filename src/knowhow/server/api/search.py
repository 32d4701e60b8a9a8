"""Search over HTTP: passages, no model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from knowhow.errors import UsageProblem
from knowhow.server.fields import AsOf, Body, Question, Where, seconds
from knowhow.server.identity import AskRole
from knowhow.server.state import server_of
from knowhow.types import Json, SearchMode
from knowhow.workspace import search_json

router = APIRouter(prefix="/api/search", tags=["questions"])


class Search(Body):
    """What to look for."""

    query: Question
    k: Annotated[int, Field(ge=1, le=200)] = 10
    mode: SearchMode = SearchMode.HYBRID
    where: Where = Field(default_factory=dict)
    as_of: AsOf = None
    newest_first: bool = False


@router.post("")
def search(request: Request, body: Search, asker: AskRole) -> Json:
    """The best passages, as `knowhow search --json` prints them."""
    if not body.query.strip():
        raise UsageProblem("the query is empty; say what to look for")
    found = server_of(request).workspace.search(
        body.query,
        k=body.k,
        mode=body.mode,
        where=body.where,
        as_of=seconds(body.as_of),
        newest_first=body.newest_first,
        access=asker.access,
    )
    return search_json(found)
