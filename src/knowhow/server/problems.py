"""Errors over HTTP: problem+json (RFC 9457) under the same names as the CLI's, for every way a request can fail."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from knowhow.errors import (
    BudgetExceeded,
    ConfigProblem,
    GateFailed,
    KnowhowError,
    NotFound,
    PartlyDone,
    ProviderKind,
    ProviderProblem,
    UnreadableFile,
    UsageProblem,
)
from knowhow.server.links import login_link

MEDIA_TYPE = "application/problem+json"
_STATUS: dict[type[KnowhowError], int] = {
    UsageProblem: 400,
    BudgetExceeded: 402,
    NotFound: 404,
    GateFailed: 422,
    PartlyDone: 422,
    UnreadableFile: 422,
    ConfigProblem: 503,
}
_PROVIDER_STATUS = {
    ProviderKind.CONTEXT_TOO_LONG: 400,
    ProviderKind.RATE_LIMIT: 503,
    ProviderKind.TIMEOUT: 504,
}
"""Of a model or embedder that failed; the other kinds are 502."""
_NAMES = {400: "usage-problem", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed"}
_MOST_NAMED = 20
"""Wrong fields named in one reply."""
EXAMPLE = {
    "type": "urn:knowhow:not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "no document a.md that you may see; `knowhow documents` lists them",
    "name": "not-found",
    "request_id": "5f1d0c2ab3e94c77",
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "name"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened with the value, and what to do."},
        "name": {"type": "string", "description": "The same name that `--json` of the CLI gives."},
        "request_id": {"type": "string"},
        "fields": {"type": "array", "items": {"type": "object"}, "description": "Which fields of a request are wrong."},
        "error": {"type": "object", "description": "The same once more, where OpenAI clients look; under /v1 only."},
    },
}


class Problem(HTTPException):
    """A refusal that only HTTP knows: `status`, the machine name, and what to do in words."""

    def __init__(self, status: int, name: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.name = name


def status_of(error: KnowhowError) -> int:
    """The HTTP status for one of our errors."""
    if isinstance(error, ProviderProblem):
        return _PROVIDER_STATUS.get(error.kind, 502)
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def problem_json(status: int, name: str, detail: str, request_id: str = "", path: str = "") -> dict[str, Any]:
    """The body of a problem; under /v1 it says the same once more where OpenAI's clients look for it."""
    body: dict[str, Any] = {
        "type": f"urn:knowhow:{name}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": " ".join(detail.split()),
        "name": name,
        "request_id": request_id,
    }
    if path.startswith("/v1/"):
        body["error"] = {"message": body["detail"], "type": name, "param": None, "code": name}
    return body


def problem_of(error: Exception) -> tuple[int, str, str, Mapping[str, str]]:
    """Status, name, detail and headers of any error; what was not meant to happen says nothing of itself."""
    if isinstance(error, KnowhowError):
        return status_of(error), error.name, str(error), {}
    if isinstance(error, Problem):
        return error.status_code, error.name, error.detail, error.headers or {}
    if isinstance(error, HTTPException):
        name = _NAMES.get(error.status_code, "usage-problem")
        return error.status_code, name, str(error.detail), error.headers or {}
    return 500, "unexpected", "unexpected error; the server's log has it under this request id", {}


def add_handlers(app: FastAPI) -> None:
    """Every error that leaves a route becomes a problem; a person without a session is sent to log in."""

    async def on_error(request: Request, error: Exception) -> Response:
        return answer_problem(request, error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _invalid(request, error)

    for kind in (KnowhowError, HTTPException):
        app.add_exception_handler(kind, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)


def answer_problem(request: Request, error: Exception) -> Response:
    """The response for an error."""
    status, name, detail, headers = problem_of(error)
    path = request.url.path
    if status == 401 and request.method == "GET" and _wants_page(request):
        return RedirectResponse(login_link(path, request.url.query), 303)
    body = problem_json(status, name, detail, request.scope.get("knowhow.request_id", ""), path)
    return JSONResponse(body, status, dict(headers), MEDIA_TYPE)


def _invalid(request: Request, error: RequestValidationError) -> Response:
    """Names the wrong fields; never repeats their values, which may be secrets."""
    fields = [
        {"field": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in error.errors()[:_MOST_NAMED]
    ]
    told = "; ".join(f"{item['field']}: {item['message']}" for item in fields) or "the request cannot be read"
    path = request.url.path
    body = problem_json(422, "usage-problem", told, request.scope.get("knowhow.request_id", ""), path)
    return JSONResponse({**body, "fields": fields}, 422, media_type=MEDIA_TYPE)


def _wants_page(request: Request) -> bool:
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/api/", "/v1/"))
