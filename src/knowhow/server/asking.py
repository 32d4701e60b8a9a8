"""Questions on threads: answered while the client waits, given up when it leaves, drafted in sight where wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream
from fastapi import Request

from knowhow.server.problems import Problem
from knowhow.server.state import Server
from knowhow.types import Answer, Message, MetaValue, Recipe
from knowhow.workspace import Workspace

LOOK = 0.5
"""Seconds between looks at whether the client is still there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as a client put it."""

    question: str
    recipe: Recipe
    access: frozenset[str]
    history: Sequence[Message] = ()
    where: Mapping[str, MetaValue] = field(default_factory=dict)
    as_of: float | None = None
    context: str = ""

    def steps(self, workspace: Workspace) -> Generator[str, None, Answer]:
        """The flow of answering it; to be run on a thread, since the first question of a model loads it."""
        return workspace.ask_stream(
            self.question,
            self.recipe,
            history=self.history,
            access=self.access,
            where=self.where,
            as_of=self.as_of,
            context=self.context,
        )


@dataclass(frozen=True, slots=True)
class _Flow:
    """One question on its way. `parent` are the headers that name the client's own span."""

    server: Server
    asked: Asked
    parent: Mapping[str, str]
    left: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits any more."""

    @classmethod
    def of(cls, request: Request, server: Server, asked: Asked) -> _Flow:
        given = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
        return cls(server, asked, given)

    async def watch(self, request: Request) -> None:
        while not await request.is_disconnected():
            await anyio.sleep(LOOK)
        self.left.set()

    def finish(self) -> Answer:
        for piece in self.pieces():
            if isinstance(piece, Answer):
                return piece
        raise Problem(408, "client-gone", "the client left before the answer was ready")

    def tell(self, send: MemoryObjectSendStream[str | Answer]) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            for piece in self.pieces():
                anyio.from_thread.run(send.send, piece)

    def pieces(self) -> Generator[str | Answer, None, None]:
        """Every piece and then the answer, unless the client leaves meanwhile."""
        started = time.time_ns()
        steps = self.asked.steps(self.server.workspace)
        try:
            while not self.left.is_set():
                yield next(steps)
        except StopIteration as done:
            if self.server.telemetry:
                self.server.telemetry.answered(done.value, self.asked.recipe, started, self.parent)
            yield done.value
        finally:
            steps.close()


async def answer_to(request: Request, server: Server, asked: Asked) -> Answer:
    """The checked answer. When the client leaves or the time is up, the model is stopped at its next word."""
    flow = _Flow.of(request, server, asked)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(flow.watch, request)
            found = await anyio.to_thread.run_sync(flow.finish, limiter=server.asking, abandon_on_cancel=True)
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    finally:
        flow.left.set()
    return found


async def drafted(request: Request, server: Server, asked: Asked) -> AsyncGenerator[str | Answer, None]:
    """The reply as it is written, unchecked, and last of all the checked answer, which is the one that counts."""
    flow = _Flow.of(request, server, asked)
    send, receive = anyio.create_memory_object_stream[str | Answer](100)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(flow.watch, request)
            group.start_soon(_drafting, flow, send)
            async with receive:
                async for piece in receive:
                    yield piece
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    finally:
        flow.left.set()


async def _drafting(flow: _Flow, send: MemoryObjectSendStream[str | Answer]) -> None:
    async with send:
        await anyio.to_thread.run_sync(flow.tell, send, limiter=flow.server.asking, abandon_on_cancel=True)
