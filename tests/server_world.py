"""A workspace behind the application, for the tests of the server: three documents, a model that quotes, no network."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from knowhow.server.app import create_app
from knowhow.server.keys import Keys, Role
from knowhow.server.state import Options
from knowhow.workspace import Workspace

RETURNS = "# Returns\n\nLaptops can be returned within 45 days of delivery. Opened software is not refundable.\n"
SHIPPING = "# Shipping\n\nOrders ship from Hamburg. Standard shipping takes 3 days.\n"
SALARY = "---\naccess: hr\n---\n# Salaries\n\nThe salary of the chief executive is 90000 euros.\n"
ASKED = "How many days do I have to return laptops?"
TOML = '[recipes.rag]\nmodel = "extractive"\n'


@dataclass
class Site:
    """A workspace, its application, and a client at this machine."""

    workspace: Workspace
    app: FastAPI
    client: TestClient
    docs: Path

    def key(self, name: str, role: str = "ask", access: str = "", per_minute: int = 600) -> dict[str, str]:
        """The header of a new key."""
        tags = frozenset(access.split(",")) if access else frozenset[str]()
        _, token = Keys(self.workspace.serving.records).add(name, Role(role), tags, per_minute)
        return {"authorization": f"Bearer {token}"}

    def ask(self, question: str = ASKED, **body: Any) -> Any:
        """What /api/ask says."""
        reply = self.client.post("/api/ask", json={"question": question, **body})
        assert reply.status_code == 200, reply.text
        return reply.json()


def start(folder: Path, toml: str = TOML, *, own: bool = False) -> tuple[Workspace, Path]:
    """A workspace with the three documents, and their folder; `own` documents may be changed."""
    docs = folder / "docs" if own else _made() / "docs"
    home = folder / "desk"
    if own:
        _write(docs)
        home.mkdir(parents=True)
    else:
        shutil.copytree(_made() / "desk", home)
    (home / "knowhow.toml").write_text(toml)
    workspace = Workspace.open(home)
    if own:
        workspace.ingest(docs)
    return workspace, docs


@cache
def _made() -> Path:
    """A workspace that is ingested once and copied for each test."""
    folder = Path(tempfile.mkdtemp(prefix="knowhow-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _write(folder / "docs")
    with Workspace.init(folder / "desk") as workspace:
        workspace.ingest(folder / "docs")
    return folder


def _write(docs: Path) -> None:
    docs.mkdir(parents=True)
    for name, text in (("returns.md", RETURNS), ("shipping.md", SHIPPING), ("salary.md", SALARY)):
        (docs / name).write_text(text)


@contextmanager
def serving(folder: Path, options: Options | None = None, *, own: bool = False) -> Iterator[Site]:
    """The application over such a workspace, started and stopped."""
    workspace, docs = start(folder, own=own)
    with workspace:
        app = create_app(workspace, options)
        client = TestClient(
            app, base_url="http://localhost", client=("127.0.0.1", 50_000), raise_server_exceptions=False
        )
        with client:
            yield Site(workspace, app, client, docs)


@contextmanager
def listening(app: FastAPI, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """The application on a free port of this machine; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan=lifespan))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
