"""Who asks: the holder of an API key, of a session, or, while there are no keys, whoever sits at this machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from knowhow.server.guard import LOOPBACK, is_forwarded
from knowhow.server.keys import PREFIX, Key, Role
from knowhow.server.problems import Problem
from knowhow.server.sessions import COOKIE
from knowhow.server.state import Server, server_of
from knowhow.types import EVERYTHING

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who a request is from. `key` is "" for the person at this machine, who needs none."""

    name: str
    role: Role
    access: frozenset[str]
    key: str = ""

    def holds(self, tags: frozenset[str]) -> bool:
        """Whether a document with these tags is open to this asker."""
        return EVERYTHING in self.access or tags <= self.access

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden from this asker, or the workspace's own files are theirs anyway."""
        return EVERYTHING in self.access or not self.key


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency: the asker, who has at least this role. Refuses with 401, 403 or 429."""

    role: Role

    def __call__(self, request: Request, bearer: Bearer) -> Asker:  # noqa: ARG002 - names the scheme in the OpenAPI
        found = identify_once(request)
        if not found.role.may(self.role):
            raise Problem(403, "forbidden", f"this needs the role {self.role}; the key {found.name} has {found.role}")
        return found


def identify_once(request: Request) -> Asker:
    """Who is behind a request, counted once however often it is asked. Raises `Problem`."""
    known = request.scope.get("knowhow.identity")
    if isinstance(known, Asker):
        return known
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = identify(server_of(request), request, token.strip() if scheme.lower() == "bearer" else "")
    request.scope["knowhow.identity"], request.scope["knowhow.asker"] = found, found.name
    return found


def identify(server: Server, request: Request, token: str) -> Asker:
    """Who is behind a request. Raises `Problem` for a wrong key, or none where one is needed, or too many requests."""
    if token.startswith(PREFIX) or (token and server.keys.any()):
        return _metered(server, server.keys.holder(token))
    if (cookie := request.cookies.get(COOKIE)) and (key := server.sessions.holder(cookie)) is not None:
        return _metered(server, key)
    if server.keys.any():
        raise _unauthorized("give an API key as `Authorization: Bearer kh_…`; `knowhow keys add` makes one")
    client = request.client.host if request.client else ""
    if client not in LOOPBACK or is_forwarded(request.headers):
        raise _unauthorized("only this machine may ask without a key, and no proxy for others: `knowhow keys add`")
    return Asker("local", Role.ADMIN, frozenset(server.workspace.settings.access))


def _metered(server: Server, key: Key | None) -> Asker:
    if key is None:
        raise _unauthorized("this key is unknown or revoked; `knowhow keys list` shows those in force")
    if wait := server.meter.wait(key.id, key.per_minute):
        told = f"the key {key.name} may make {key.per_minute} requests a minute; go on in {ceil(wait)} s"
        raise Problem(429, "rate-limited", told, {"retry-after": str(ceil(wait))})
    return Asker(key.name, key.role, key.access, key.id)


def _unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthorized", detail, {"www-authenticate": "Bearer"})


AskRole = Annotated[Asker, Depends(Needs(Role.ASK))]
FeedbackRole = Annotated[Asker, Depends(Needs(Role.FEEDBACK))]
EditRole = Annotated[Asker, Depends(Needs(Role.EDIT))]
AdminRole = Annotated[Asker, Depends(Needs(Role.ADMIN))]
