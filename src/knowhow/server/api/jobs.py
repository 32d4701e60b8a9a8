"""Jobs over HTTP: start a long verb, follow it, cancel it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Request

from knowhow.errors import NotFound
from knowhow.jobs import TICK, Job
from knowhow.server.idempotency import Idempotent
from knowhow.server.identity import Asker, EditRole
from knowhow.server.pages import Cursor, Limit, page, read_time_cursor
from knowhow.server.problems import Problem
from knowhow.server.sse import KEEP_ALIVE, KEEP_ALIVE_SECONDS, EventStream, event
from knowhow.server.state import Server, server_of
from knowhow.server.verbs import Start, Sync, arguments_of, sync_arguments
from knowhow.types import Json

router = APIRouter(prefix="/api/jobs", tags=["jobs"], route_class=Idempotent)
JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


@router.post("", status_code=202)
def start(request: Request, verb: Start, asker: EditRole) -> Json:
    """Start a long verb; it goes on whatever becomes of this connection or of the server."""
    return job_json(start_job(server_of(request), asker, verb), asker)


@router.get("")
def jobs(request: Request, asker: EditRole, limit: Limit = 50, cursor: Cursor = None) -> Json:
    """Jobs, newest first."""
    found = list(server_of(request).jobs.all(before=read_time_cursor(cursor), limit=limit + 1))
    last = found[:limit][-1:] or []
    return page([job_json(job, asker) for job in found], limit, [last[0].made, last[0].id] if last else [])


@router.get("/{id}")
def job(request: Request, id: JobId, asker: EditRole) -> Json:
    """One job with its progress, and its result once it has one."""
    return job_json(server_of(request).jobs.get(id), asker)


@router.get("/{id}/events", response_class=EventStream)
async def events(request: Request, id: JobId, asker: EditRole) -> EventStream:
    """The job as it goes: an event `job` at every change, the last one when it has ended."""
    server = server_of(request)
    await anyio.to_thread.run_sync(server.jobs.get, id)
    return EventStream(_told(server, id, asker))


@router.post("/{id}/cancel", status_code=202)
def cancel(request: Request, id: JobId, asker: EditRole) -> Json:
    """Stop a job; what it finished is kept, and the same verb started again goes on from there."""
    return job_json(server_of(request).jobs.cancel(id), asker)


def start_job(server: Server, asker: Asker, verb: Start) -> Job:
    """Starts `verb` for `asker`. Raises `NotFound` for an unknown source or suite, `Problem` for one with tags that the
    asker does not hold: what is measured would tell of what is hidden."""
    if isinstance(verb, Sync):
        source = next((one for one in server.workspace.serving.sources() if one.name == verb.source), None)
        if source is None or not source.root:
            raise NotFound(f"no source {verb.source} that can be read again; `knowhow ingest FOLDER` makes one")
        return server.jobs.start("ingest", sync_arguments(source.name, source.root, source.kind, verb.yes), asker.name)
    suite = server.workspace.serving.suites.get(verb.suite)
    tags = frozenset[str]().union(*(example.access for example in suite.examples))
    if not asker.holds(tags):
        raise Problem(
            403, "forbidden", f"the suite {verb.suite} asks with tags that the key {asker.name} does not hold"
        )
    for recipe in [verb.recipe] if verb.verb == "evaluate" else verb.recipes:
        server.workspace.recipe(recipe)
    return server.jobs.start(verb.verb, arguments_of(verb), asker.name)


def job_json(job: Job, asker: Asker) -> Json:
    """A job as its asker may see it: what names documents is left out for those who may not see them all."""
    body = {**job.to_json(), "arguments": list(job.arguments), "state": job.state.value}
    if not asker.sees_all:
        del body["arguments"]
        if body["progress"]:
            body["progress"] = {**body["progress"], "note": ""}
        if body["error"]:
            body["error"] = {**body["error"], "message": "it failed; who holds every tag can read why"}
        if job.verb == "ingest" and isinstance(body["result"], dict):
            body["result"] = {key: len(v) if isinstance(v, list) else v for key, v in body["result"].items()}
    return body


async def _told(server: Server, id: str, asker: Asker) -> AsyncIterator[bytes]:
    last, quiet = "", 0.0
    while True:
        job = await anyio.to_thread.run_sync(server.jobs.get, id)
        body = job_json(job, asker)
        now = json.dumps(body, sort_keys=True)
        if now != last:
            yield event(body, "job")
            last, quiet = now, 0.0
        elif quiet >= KEEP_ALIVE_SECONDS:
            yield KEEP_ALIVE
            quiet = 0.0
        if job.state.ended or server.stopping.is_set():
            return
        await anyio.sleep(TICK)
        quiet += TICK
