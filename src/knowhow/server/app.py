"""Makes the application: one workspace behind FastAPI, guarded, with every route; the console is added by its own
package."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import Route

from knowhow.errors import ConfigProblem
from knowhow.jobs import Jobs
from knowhow.server import health, login
from knowhow.server.api import ask, documents, jobs, runs, search, suites, traces
from knowhow.server.guard import Guard
from knowhow.server.keys import Keys
from knowhow.server.problems import MEDIA_TYPE, SCHEMA, add_handlers
from knowhow.server.sessions import Sessions
from knowhow.server.state import Options, Server
from knowhow.server.v1 import chat, embeddings, models, stores
from knowhow.workspace import Workspace

if TYPE_CHECKING:
    from knowhow.server.mcp import McpRoute
    from knowhow.server.telemetry import Telemetry

THREADS = 64
"""Threads for everything but questions, which have their own."""
SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own telemetry would hold addresses and messages; ours says what it sends (docs/serve.md)."""
ROUTERS = (
    *(health.router, login.router),
    *(chat.router, models.router, embeddings.router, stores.router),
    *(ask.router, search.router, documents.router, traces.router, suites.router, runs.router, jobs.router),
)


def create_app(workspace: Workspace, options: Options | None = None) -> FastAPI:
    """The application for `workspace`, which the caller opens and closes.

    Jobs are taken up when the application starts and laid down, to be gone on with later, when it ends.
    """
    options = options or Options()
    records = workspace.serving.records
    keys = Keys(records)
    server = Server(workspace, options, keys, Sessions(records, keys), _jobs(workspace))

    server.telemetry = _telemetry() if options.otel else None
    tools = _tools(workspace) if options.mcp else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        server.jobs.open()
        try:
            async with tools.server.session_manager.run() if tools else nullcontext():
                yield
        finally:
            await anyio.to_thread.run_sync(server.jobs.close)
            if server.telemetry:
                await anyio.to_thread.run_sync(server.telemetry.close)

    app = FastAPI(
        title="Knowhow",
        version=version("knowhow-ai"),
        summary="Answers from your documents that show where it says so.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry=SILENT,
        responses={"4XX": {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": SCHEMA}}}},
    )
    app.state.server = server
    app.add_middleware(Guard, hosts=options.hosts, max_body=options.max_body, seconds=options.seconds)
    add_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    if tools:
        app.router.routes.append(Route("/mcp", tools))
    return app


def _telemetry() -> Telemetry:
    """Spans to a collector. Raises `ConfigProblem` without the extra."""
    try:
        from knowhow.server.telemetry import Telemetry

        return Telemetry.to_collector()
    except ImportError:
        raise ConfigProblem("OpenTelemetry needs an extra: pip install 'knowhow-ai[otel]'") from None


def _tools(workspace: Workspace) -> McpRoute:
    """The tools for agents. Raises `ConfigProblem` without the extra."""
    try:
        from knowhow.server.mcp import McpRoute, make_mcp
    except ImportError:
        raise ConfigProblem("tools for agents need an extra: pip install 'knowhow-ai[mcp]'") from None
    return McpRoute(make_mcp(workspace))


def _jobs(workspace: Workspace) -> Jobs:
    """Jobs that run the command line's verbs on this workspace."""
    serving = workspace.serving
    return Jobs(serving.records, serving.folder("jobs"), [sys.executable, "-m", "knowhow.cli.job"], workspace.folder)
