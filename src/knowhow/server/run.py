"""Runs an application until it is told to stop: requests at hand are finished, streams end, jobs are laid down."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from knowhow.errors import ConfigProblem
from knowhow.server.guard import LOOPBACK
from knowhow.server.keys import Keys
from knowhow.server.state import Server

BACKLOG = 1024
"""Connections that may wait to be taken."""
GRACE = 20
"""Seconds that requests at hand have after a signal to stop."""


class _Uvicorn(uvicorn.Server):
    """Stopping is how a server ends well: no signal is raised again behind it, and endless streams, which would hold
    it up, are told."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn calls it
        server: Server = self.config.loaded_app.state.server
        server.stopping.set()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def refuse_open(keys: Keys, host: str) -> None:
    """Raises `ConfigProblem` for an address that others reach while no key is in force."""
    if host not in LOOPBACK and not any(key.revoked is None for key in keys.all()):
        raise ConfigProblem(
            f"{host} can be reached by others, and no API key is in force; make one: knowhow keys add NAME --role ask. "
            "Without keys the server listens on 127.0.0.1 only"
        )


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on; who connects from now on waits until the application is up.

    Raises `ConfigProblem` where it is taken or may not be used.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise ConfigProblem(f"cannot listen on {host} port {port}: {error.strerror or error}; try --port") from None
    return listening


def run(app: FastAPI, listening: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("knowhow").setLevel(logging.INFO)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # its lines hold queries, which may quote documents; ours do not
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    config.load()
    _Uvicorn(config).run([listening])
