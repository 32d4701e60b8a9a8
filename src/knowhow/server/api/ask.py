"""Ask over HTTP: a checked answer at once, or with the draft in sight while it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse

from knowhow.server.asking import Asked, answer_to, drafted
from knowhow.server.fields import AsOf, Body, LongText, Question, RecipeName, Turn, Where, seconds
from knowhow.server.identity import AskRole
from knowhow.server.problems import problem_json, problem_of
from knowhow.server.sse import EventStream, event
from knowhow.server.state import Server, server_of
from knowhow.server.v1.chat import TRACE_HEADER
from knowhow.types import Answer, Message
from knowhow.workspace import answer_json

router = APIRouter(prefix="/api/ask", tags=["questions"])


class Said(Body):
    """An earlier turn."""

    role: Literal["user", "assistant"]
    content: Turn


class Ask(Body):
    """A question."""

    question: Question
    recipe: RecipeName = None
    history: Annotated[list[Said], Field(max_length=500)] = Field(default_factory=list)
    where: Where = Field(default_factory=dict)
    as_of: AsOf = None
    context: Annotated[LongText, Field(description="Text that belongs to this question.")] = ""

    def asked(self, server: Server, access: frozenset[str]) -> Asked:
        """The question for an asker with these tags. Raises `NotFound` for an unknown recipe."""
        return Asked(
            question=self.question,
            recipe=server.workspace.recipe(self.recipe),
            access=access,
            history=[Message(turn.role, turn.content) for turn in self.history],
            where=self.where,
            as_of=seconds(self.as_of),
            context=self.context,
        )


@router.post("", response_model=None)
async def ask(request: Request, body: Ask, asker: AskRole) -> JSONResponse:
    """An answer with checked citations, or a reasoned decline, as `knowhow ask --json` prints it."""
    server = server_of(request)
    answer = await answer_to(request, server, body.asked(server, asker.access))
    return JSONResponse(answer_json(answer), headers={TRACE_HEADER: answer.trace_id})


@router.post("/stream", response_class=EventStream)
async def ask_stream(request: Request, body: Ask, asker: AskRole) -> EventStream:
    """Events `draft` with pieces of the reply as it is written, which nobody has checked, then one `answer` that takes
    their place, or one `problem`."""
    server = server_of(request)
    return EventStream(_told(request, server, body.asked(server, asker.access)))


async def _told(request: Request, server: Server, asked: Asked) -> AsyncIterator[bytes]:
    try:
        async for piece in drafted(request, server, asked):
            if isinstance(piece, Answer):
                yield event(answer_json(piece), "answer", piece.trace_id)
            else:
                yield event(piece, "draft")
    except Exception as error:  # the reply has begun: what went wrong can only be told in it
        status, name, detail, _ = problem_of(error)
        yield event(problem_json(status, name, detail, request.scope.get("knowhow.request_id", "")), "problem")
        if status == 500:
            raise
