"""Suites over HTTP: what there is, their examples, whole suites put, and drafts from real questions."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from knowhow.errors import UsageProblem
from knowhow.server.fields import Body
from knowhow.server.idempotency import Idempotent
from knowhow.server.identity import Asker, EditRole
from knowhow.server.pages import Cursor, Limit, page, read_name_cursor
from knowhow.server.problems import Problem
from knowhow.server.state import server_of
from knowhow.suites.jsonl import example_json
from knowhow.types import Json, Suite
from knowhow.workspace.live import DAY

router = APIRouter(prefix="/api/suites", tags=["suites"], route_class=Idempotent)


class Put(Body):
    """A whole suite, as docs/suites.md describes it."""

    examples: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100_000)]


class Draft(Body):
    """Which real questions become drafts of examples."""

    traces: Annotated[list[Annotated[str, Field(pattern="^[0-9a-f]{16}$")]], Field(max_length=1000)] = Field(
        default_factory=list, description="These; none: all that were asked."
    )
    days: Annotated[int, Field(ge=1, le=3650)] = 30
    judged_only: Annotated[bool, Field(description="Only those that somebody gave feedback on.")] = False


@router.get("")
def suites(request: Request, asker: EditRole) -> Json:
    """The suites of the workspace, with how many of their examples you may see."""
    serving = server_of(request).workspace.serving
    return {"items": [_summary(serving.suites.get(name), asker) for name in serving.suites.names()]}


@router.get("/{name}")
def suite(request: Request, name: str, asker: EditRole, limit: Limit = 100, cursor: Cursor = None) -> Json:
    """The examples of a suite in their order."""
    found = server_of(request).workspace.serving.suites.get(name)
    seen = [example for example in found.examples if asker.holds(example.access)]
    after = read_name_cursor(cursor)
    start = next((i + 1 for i, example in enumerate(seen) if example.id == after), 0)
    part = seen[start : start + limit + 1]
    listed = page([example_json(example) for example in part], limit, [one.id for one in part[:limit]][-1:])
    return {**_summary(found, asker), **listed}


@router.put("/{name}")
def put(request: Request, name: str, body: Put, asker: EditRole) -> Json:
    """Write a suite anew. Raises a problem that names each wrong example, with nothing changed."""
    serving = server_of(request).workspace.serving
    if name in serving.suites.names():
        _refuse_hidden(serving.suites.get(name), asker)
    written = serving.suites.put(name, body.examples)
    return _summary(written, asker)


@router.post("/{name}/drafts", status_code=201)
def drafts(request: Request, name: str, body: Draft, asker: EditRole) -> Json:
    """Add drafts from real questions to a suite; a person keeps them before they count."""
    workspace = server_of(request).workspace
    found = workspace.drafting.from_traces(
        since=None if body.traces else time.time() - body.days * DAY,
        traces=body.traces,
        judged_only=body.judged_only,
        access=asker.access,
    )
    if not found:
        raise UsageProblem("no question to draft from; ask some first, or leave out judged_only")
    added, suite = workspace.serving.suites.add(name, found)
    return {**_summary(suite, asker), "added": [example.id for example in added]}


def _refuse_hidden(suite: Suite, asker: Asker) -> None:
    if not all(asker.holds(example.access) for example in suite.examples):
        raise Problem(403, "forbidden", f"the suite {suite.name} holds examples that this key may not see")


def _summary(suite: Suite, asker: Asker) -> Json:
    seen = [example for example in suite.examples if asker.holds(example.access)]
    return {"name": suite.name, "examples": len(seen), "drafts": sum(1 for example in seen if example.draft)}
