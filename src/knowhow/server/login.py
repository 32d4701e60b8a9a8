"""A person gives a key once and has a session; the page with the form belongs to the console."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse

from knowhow.server.links import LOGIN, local_path
from knowhow.server.problems import Problem
from knowhow.server.sessions import COOKIE, SECONDS
from knowhow.server.state import server_of

router = APIRouter(tags=["server"])


@router.post("/session", status_code=303, response_class=RedirectResponse)
def start(
    request: Request, key: Annotated[str, Form(max_length=200)], next: Annotated[str, Form(max_length=2000)] = "/"
) -> RedirectResponse:
    """Starts a session for the holder of `key` and leads to `next`."""
    server = server_of(request)
    client = request.client.host if request.client else ""
    if server.meter.wait(f"login {client}", 30):
        raise Problem(429, "rate-limited", "too many attempts; wait a minute", {"retry-after": "60"})
    found = server.keys.holder(key.strip())
    if found is None:
        raise Problem(401, "unauthorized", "this key is unknown or revoked; `knowhow keys list` shows those in force")
    reply = RedirectResponse(local_path(next), 303)
    reply.set_cookie(
        COOKIE,
        server.sessions.start(found),
        max_age=SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return reply


@router.post("/session/end", status_code=303, response_class=RedirectResponse)
def end(request: Request) -> RedirectResponse:
    """Ends the session."""
    if cookie := request.cookies.get(COOKIE):
        server_of(request).sessions.end(cookie)
    reply = RedirectResponse(LOGIN, 303)
    reply.delete_cookie(COOKIE)
    return reply
