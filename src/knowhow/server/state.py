"""What the routes of one server share: the workspace, its keys and sessions, rates, jobs and room for questions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, cast

import anyio
from fastapi import Request

from knowhow.jobs import Jobs
from knowhow.server.guard import LOOPBACK
from knowhow.server.keys import Keys
from knowhow.server.sessions import Sessions
from knowhow.workspace import Workspace

if TYPE_CHECKING:
    from knowhow.server.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Options:
    """How a server guards itself. `hosts` are the names it answers to; empty = any."""

    hosts: tuple[str, ...] = LOOPBACK
    max_body: int = 64 * 1024**2
    """Bytes of one request, uploads included."""
    seconds: float = 300.0
    """Until a reply must have begun."""
    asks: int = 64
    """Questions answered at once; further ones wait."""
    mcp: bool = False
    """Whether agents find tools at /mcp."""
    otel: bool = False
    """Whether spans are sent to an OpenTelemetry collector."""


class Meter:
    """A token bucket per asker: as many requests at once as fit a minute, refilled evenly. Thread-safe."""

    MOST = 10_000
    """Askers remembered; a bucket that is full again need not be."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def wait(self, asker: str, per_minute: int) -> float:
        """Counts one request; seconds until it would be allowed, 0 where it is."""
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(asker, (float(per_minute), now))
            left = min(float(per_minute), left + (now - at) * per_minute / 60)
            allowed = left >= 1
            self._left[asker] = (left - 1 if allowed else left, now)
            while len(self._left) > self.MOST:
                del self._left[next(iter(self._left))]
        return 0.0 if allowed else (1 - left) * 60 / per_minute


@dataclass(slots=True)
class Server:
    """One server's parts, as `app.state.server`."""

    workspace: Workspace
    options: Options
    keys: Keys
    sessions: Sessions
    jobs: Jobs
    telemetry: Telemetry | None = None
    meter: Meter = field(default_factory=Meter)
    underway: set[str] = field(default_factory=set)
    """Writes with an idempotency key that are being done."""
    stopping: Event = field(default_factory=Event)
    """Set when the server was told to stop: endless streams end then."""
    asking: anyio.CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.asking = anyio.CapacityLimiter(self.options.asks)


def server_of(request: Request) -> Server:
    """The server a request came to."""
    return cast("Server", request.app.state.server)
