"""How answers came about and how they fare: traces, feedback, live quality, and the failures in it."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from knowhow.answer.feedback import Verdict
from knowhow.server.fields import Body, Text
from knowhow.server.idempotency import Idempotent
from knowhow.server.identity import EditRole, FeedbackRole
from knowhow.server.pages import Cursor, Limit, page, read_time_cursor
from knowhow.server.state import server_of
from knowhow.types import Json
from knowhow.workspace.live import DAY

router = APIRouter(prefix="/api", tags=["traces"], route_class=Idempotent)
TraceId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
Days = Annotated[int, Query(ge=1, le=3650)]


class Judged(Body):
    """What a person says about an answer."""

    trace_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    verdict: Verdict
    text: Annotated[Text, Field(max_length=20_000, description="The right answer for `correct`, else a remark.")] = ""
    by: Annotated[Text, Field(max_length=200, description="Who says so; else the name of the key.")] = ""


@router.get("/traces")
def traces(
    request: Request,
    asker: EditRole,
    outcome: Annotated[Text, Query(max_length=50, description="answered, unsupported, or why it declined.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Json:
    """Questions that people asked, newest first."""
    live = server_of(request).workspace.serving.live
    found = live.traces(asker.access, before=read_time_cursor(cursor), limit=limit + 1, outcome=outcome)
    last = found[:limit][-1:]
    return page(found, limit, [last[0]["at_s"], last[0]["trace_id"]] if last else [])


@router.get("/traces/{id}")
def trace(request: Request, id: TraceId, asker: FeedbackRole) -> Json:
    """Everything kept about one answer, with the feedback on it."""
    return server_of(request).workspace.trace(id, access=asker.access)


@router.post("/feedback", status_code=201)
def feedback(request: Request, body: Judged, asker: FeedbackRole) -> Json:
    """Keep what a person says about an answer; suites and lessons are made from it."""
    workspace = server_of(request).workspace
    by = body.by or asker.name
    return workspace.feedback(body.trace_id, body.verdict, text=body.text, by=by, access=asker.access).to_json()


@router.get("/feedback")
def feedbacks(request: Request, asker: EditRole, limit: Limit = 50, cursor: Cursor = None) -> Json:
    """What people said about answers, newest first."""
    live = server_of(request).workspace.serving.live
    found = live.feedback(asker.access, before=read_time_cursor(cursor), limit=limit + 1)
    last = found[:limit][-1:]
    return page(found, limit, [last[0]["at"], last[0]["id"]] if last else [])


@router.get("/quality")
def quality(request: Request, asker: EditRole, days: Days = 30) -> Json:
    """Declines, doubtful answers, feedback and latency, day by day."""
    live = server_of(request).workspace.serving.live
    return {"days": live.days(asker.access, time.time() - days * DAY)}


@router.get("/failures")
def failures(request: Request, asker: EditRole, days: Days = 7) -> Json:
    """What went wrong in use, in clusters, the largest first; each names its traces."""
    clusters = server_of(request).workspace.drafting.failures(since=time.time() - days * DAY, access=asker.access)
    return {"clusters": [cluster.to_json() for cluster in clusters]}
