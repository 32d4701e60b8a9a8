"""Runs over HTTP: what was evaluated, and its rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from knowhow.evaluate.rows import row_json
from knowhow.server.identity import EditRole, Needs
from knowhow.server.keys import Role
from knowhow.server.pages import Cursor, Limit, page, read_name_cursor
from knowhow.server.state import server_of
from knowhow.types import Json, Outcome

router = APIRouter(prefix="/api/runs", tags=["runs"], dependencies=[Depends(Needs(Role.EDIT))])
RunId = Annotated[str, Path(pattern="^[0-9a-zA-Z_-]{1,64}$")]


@router.get("")
def runs(request: Request, limit: Limit = 50) -> Json:
    """Finished runs, newest first, with their figures."""
    return {"items": server_of(request).workspace.evaluations.runs(limit=limit), "next": None}


@router.get("/{id}")
def run(request: Request, id: RunId) -> Json:
    """The figures of one run."""
    return server_of(request).workspace.evaluations.run(id)


@router.get("/{id}/rows")
def rows(
    request: Request,
    id: RunId,
    asker: EditRole,
    failed: Annotated[bool, Query(description="Only rows with a failed check.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Json:
    """The rows of a run that you may see, by draw and id."""
    workspace = server_of(request).workspace
    found = workspace.serving.rows(workspace.evaluations.run(id)["run_id"], asker.access)
    if failed:
        found = [row for row in found if any(one.outcome is Outcome.FAIL for one in row.verdicts.values())]
    after = read_name_cursor(cursor)
    start = next((i + 1 for i, row in enumerate(found) if f"{row.draw}/{row.id}" == after), 0)
    part = found[start : start + limit + 1]
    return page([row_json(row) for row in part], limit, [f"{row.draw}/{row.id}" for row in part[:limit]][-1:])
