"""What every request passes first: its id and time limit, who it may be for, how large it is; and what every reply says
to browsers."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from knowhow.server.problems import Problem, answer_problem

log = logging.getLogger("knowhow.server")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SECURE = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""Said with every reply, unless the reply says otherwise itself."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BODY_SECONDS = 30.0
"""How long the next piece of a request's body may take."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Guard:
    """ASGI middleware around the whole application.

    `hosts` are the names this server answers to (empty: any), which stops a page that makes its own name point here
    (DNS rebinding). A browser's request from another site may read nothing and change nothing: it is told by
    `Sec-Fetch-Site`, else by `Origin`, which a page cannot forge (web.dev/fetch-metadata).
    """

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], max_body: int, seconds: float) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._max_body = max_body
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        scope["knowhow.request_id"] = given if _ID.fullmatch(given) else secrets.token_hex(8)
        reply = _Reply(scope, send)
        try:
            problem = self._refusal(request)
            if problem is not None:
                await answer_problem(request, problem)(scope, receive, reply)
            else:
                await self._answer(scope, _Body(receive, self._max_body), reply, request)
        finally:
            # Neither query nor body: both may quote documents or hold secrets.
            ms = (time.perf_counter() - started) * 1000
            log.info(
                "%s %s %s %.1f ms id=%s key=%s",
                scope["method"],
                scope["path"].encode("unicode_escape").decode(),
                reply.status or "gone",
                ms,
                scope["knowhow.request_id"],
                scope.get("knowhow.asker", "-"),
            )

    async def _answer(self, scope: Scope, receive: Receive, reply: _Reply, request: Request) -> None:
        """Runs the application until its reply has begun, at most so many seconds; a stream may then go on."""
        try:
            with anyio.move_on_after(self._seconds) as limit:
                reply.limit = limit
                await self._app(scope, receive, reply)
        except Exception as error:
            log.exception("%s %s failed, id=%s", request.method, request.url.path, scope["knowhow.request_id"])
            if not reply.status:
                await answer_problem(request, error)(scope, receive, reply)
            return
        if limit.cancelled_caught:
            told = f"not answered within {self._seconds:g} s; ask for less, or raise --seconds"
            await answer_problem(request, Problem(504, "timed-out", told))(scope, receive, reply)

    def _refusal(self, request: Request) -> Problem | None:
        headers = request.headers
        host = _host(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            told = f"this server does not answer to the name {host[:100]!r}; start it with --host-name to add one"
            return Problem(421, "host-refused", told)
        if request.method not in _SAFE and _is_from_elsewhere(headers):
            return Problem(403, "cross-site", "a page of another site may change nothing here")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_body:
            return too_large(self._max_body)
        return None


def too_large(most: int) -> Problem:
    """The refusal of a body with more than `most` bytes."""
    return Problem(413, "too-large", f"a request may have at most {most:,} bytes; send less, or raise --max-body")


def is_forwarded(headers: Headers) -> bool:
    """Whether a proxy says that it asks for somebody else."""
    return any(name in headers for name in _FORWARDED)


def _host(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _is_from_elsewhere(headers: Headers) -> bool:
    if "authorization" in headers:
        return False  # no browser adds it by itself
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


class _Body:
    """Counts a request's body while it is read, and does not wait for ever."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._read = 0
        self._ended = False

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        try:
            with anyio.fail_after(BODY_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise Problem(408, "timed-out", f"the request's body stopped for {BODY_SECONDS:g} s") from None
        self._read += len(message.get("body", b""))
        if self._read > self._most:
            raise too_large(self._most)
        self._ended = not message.get("more_body", False)
        return message


class _Reply:
    """Adds what every reply says, and lets go of the time limit once the reply has begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status = 0
        self.limit: anyio.CancelScope | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.limit is not None:
                self.limit.deadline = float("inf")
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers["x-request-id"] = self._scope["knowhow.request_id"]
            for name, value in SECURE.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        await self._send(message)
