"""Questions on threads: answered while the client waits, given up when it leaves, drafted in sight where wanted."""

from __future__ import annotations

import threading
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


async def answer_to(request: Request, server: Server, asked: Asked) -> Answer:
    """The checked answer. When the client leaves or the time is up, the model is stopped at its next word."""
    left = threading.Event()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_watch, request, left)
            found = await anyio.to_thread.run_sync(
                _finish, server.workspace, asked, left, limiter=server.asking, abandon_on_cancel=True
            )
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    finally:
        left.set()
    return found


async def drafted(request: Request, server: Server, asked: Asked) -> AsyncGenerator[str | Answer, None]:
    """The reply as it is written, unchecked, and last of all the checked answer, which is the one that counts."""
    left = threading.Event()
    send, receive = anyio.create_memory_object_stream[str | Answer](100)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_watch, request, left)
            group.start_soon(_drafting, server, asked, left, send)
            async with receive:
                async for piece in receive:
                    yield piece
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    finally:
        left.set()


async def _drafting(
    server: Server, asked: Asked, left: threading.Event, send: MemoryObjectSendStream[str | Answer]
) -> None:
    async with send:
        await anyio.to_thread.run_sync(
            _tell, server.workspace, asked, left, send, limiter=server.asking, abandon_on_cancel=True
        )


async def _watch(request: Request, left: threading.Event) -> None:
    while not await request.is_disconnected():
        await anyio.sleep(LOOK)
    left.set()


def _finish(workspace: Workspace, asked: Asked, left: threading.Event) -> Answer:
    for piece in _pieces(workspace, asked, left):
        if isinstance(piece, Answer):
            return piece
    raise Problem(499, "client-gone", "the client left before the answer was ready")


def _tell(
    workspace: Workspace, asked: Asked, left: threading.Event, send: MemoryObjectSendStream[str | Answer]
) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        for piece in _pieces(workspace, asked, left):
            anyio.from_thread.run(send.send, piece)


def _pieces(workspace: Workspace, asked: Asked, left: threading.Event) -> Generator[str | Answer, None, None]:
    """Every piece and then the answer, unless the client leaves meanwhile."""
    steps = asked.steps(workspace)
    try:
        while not left.is_set():
            yield next(steps)
    except StopIteration as done:
        yield done.value
    finally:
        steps.close()
