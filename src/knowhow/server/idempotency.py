"""Writes that may be sent twice: under the same `Idempotency-Key` the second gets the reply of the first."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Coroutine
from itertools import takewhile
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from knowhow.ports import Record, Records
from knowhow.server.identity import Asker, identify_once
from knowhow.server.problems import Problem
from knowhow.server.state import server_of
from knowhow.types import EVERYTHING

KIND = "idempotency"
HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
SECONDS = 24 * 3600.0
"""How long a reply is remembered."""
_ALL = frozenset({EVERYTHING})
_WRITES = frozenset({"POST", "PUT", "DELETE", "PATCH"})
_MOST = 200
_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": _MOST},
    "description": "Sent again under the same key within a day, the request is not done again.",
}


class Idempotent(APIRoute):
    """A route whose writes are done once per `Idempotency-Key`, asker and path.

    A reply is remembered once the write is done. A server that is killed in between does it again when asked again:
    documents and suites come out the same, feedback and jobs may then be there twice.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        if set(settings.get("methods") or ()) & _WRITES:
            settings["openapi_extra"] = {"parameters": [_PARAMETER], **(settings.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, which asks first whether the request was answered before."""
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER, "")
            if not key or request.method not in _WRITES:
                return await handle(request)
            if len(key) > _MOST:
                raise Problem(400, "usage-problem", f"an Idempotency-Key has at most {_MOST} characters")
            return await _once(request, key, handle)

        return once


async def _once(request: Request, key: str, handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    server = server_of(request)
    asker = await run_in_threadpool(identify_once, request)
    slot, body = _slot(request, asker, key), _body_hash(request, await request.body())
    if slot in server.underway:
        told = "the same request is being answered; send it again in a moment"
        raise Problem(409, "conflict", told, {"retry-after": "1"})
    server.underway.add(slot)
    try:
        records = server.workspace.serving.records
        before = await run_in_threadpool(records.get, KIND, slot, _ALL)
        if before is not None and before.at > time.time() - SECONDS:
            return _replayed(before, body)
        response = await handle(request)
        if response.status_code < 300:
            await run_in_threadpool(_remember, records, slot, body, response)
        return response
    finally:
        server.underway.discard(slot)


def _slot(request: Request, asker: Asker, key: str) -> str:
    """Names the request by who sends it with which tags: a reply is never told to somebody it was not for."""
    who = [asker.key, asker.role.value, sorted(asker.access)]
    parts = [*who, request.method, request.url.path, request.url.query, key]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _body_hash(request: Request, body: bytes) -> str:
    # The same form is sent with another boundary each time, so that only its length says something.
    form = request.headers.get("content-type", "").startswith("multipart/")
    return str(len(body)) if form else hashlib.sha256(body).hexdigest()


def _replayed(before: Record, body: str) -> Response:
    if before.body["body"] != body:
        raise Problem(422, "usage-problem", "this Idempotency-Key came with another request before; take a new one")
    kept = before.body
    return Response(kept["content"], kept["status"], {REPLAYED: "true"}, kept["type"])


def _remember(records: Records, slot: str, body: str, response: Response) -> None:
    kept = {
        "body": body,
        "status": response.status_code,
        "type": response.headers.get("content-type", "application/json"),
        "content": bytes(response.body).decode(),
    }
    records.put([Record(KIND, slot, kept, access=_ALL)])
    limit = time.time() - SECONDS
    old = takewhile(lambda record: record.at < limit, records.select(KIND, _ALL, oldest_first=True, limit=100))
    if gone := [record.id for record in old]:
        records.erase(KIND, gone)
