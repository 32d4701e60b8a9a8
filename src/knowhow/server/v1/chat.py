"""Chat completions: the recipe is the model, the answer is checked, and its citations come with it.

A stream carries checked text only. A sentence that the check takes back, or a decline, can only be told from the whole
reply, and an OpenAI client cannot take back what it has shown; so the stream begins when the answer is checked.
`/api/ask/stream` shows drafts to clients that can.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from knowhow.answer.asked import CONTEXT_URI
from knowhow.errors import UsageProblem
from knowhow.server.asking import Asked, answer_to
from knowhow.server.fields import AsOf, Body, LongText, Turn, Where, Word, seconds
from knowhow.server.identity import AskRole
from knowhow.server.links import source_link
from knowhow.server.sse import EventStream, event
from knowhow.server.state import Server, server_of
from knowhow.types import Answer, Json, Message, Recipe
from knowhow.workspace import answer_json
from knowhow.workspace.serving import instructed

router = APIRouter(prefix="/v1", tags=["openai"])
TRACE_HEADER = "x-knowhow-trace"
_SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s)|\n+|\Z)\s*", re.S)


class Part(BaseModel):
    """A piece of a message; only text is read."""

    model_config = ConfigDict(extra="allow")

    type: Word
    text: Turn | None = None


class ChatMessage(BaseModel):
    """One turn of the conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: Turn | Annotated[list[Part], Field(max_length=100)] | None = None

    def plain(self) -> str:
        """Its text. Raises `UsageProblem` for a part that is not text."""
        if isinstance(self.content, list):
            other = next((part.type for part in self.content if part.type not in ("text", "refusal")), None)
            if other is not None:
                raise UsageProblem(f"a message holds a part of type {other!r}; only text is answered")
            return "\n".join(part.text or "" for part in self.content)
        return self.content or ""


class More(Body):
    """What only Knowhow knows, as `extra_body={"knowhow": {…}}`."""

    where: Where = Field(default_factory=dict)
    as_of: AsOf = None
    context: LongText = ""


class JsonSchema(BaseModel):
    """A named JSON schema."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class ResponseFormat(BaseModel):
    """Which form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: bool | None = None


class ChatCompletion(BaseModel):
    """A request as OpenAI's clients send it. What cannot be honoured and would change the answer is refused."""

    model_config = ConfigDict(extra="allow")

    model: Word
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=500)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    seed: Annotated[int | None, Field(ge=-(2**31), lt=2**31)] = None
    stop: Word | Annotated[list[Word], Field(max_length=4)] | None = None
    response_format: ResponseFormat | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    tools: Annotated[list[Any] | None, Field(max_length=0)] = None
    functions: Annotated[list[Any] | None, Field(max_length=0)] = None
    presence_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    frequency_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    knowhow: More | None = None


@router.post("/chat/completions", response_model=None, responses={200: {"content": {"text/event-stream": {}}}})
async def chat_completions(request: Request, body: ChatCompletion, asker: AskRole) -> Response:
    """Answer the last message of a conversation, with citations as annotations and in full under `knowhow`."""
    server = server_of(request)
    answer = await answer_to(request, server, read_chat(server, body, asker.access))
    headers = {TRACE_HEADER: answer.trace_id}
    base = str(request.base_url).rstrip("/")
    if not body.stream:
        return JSONResponse(completion(answer, body.model, base), headers=headers)
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return EventStream(_chunks(answer, body.model, base, usage), headers=headers)


def read_chat(server: Server, body: ChatCompletion, access: frozenset[str]) -> Asked:
    """The question in a chat request. Raises `NotFound` for an unknown recipe, `UsageProblem` without a question."""
    *before, last = body.messages
    if last.role != "user" or not last.plain().strip():
        raise UsageProblem("the last message must be the user's question, with a text")
    recipe = _sampled(server.workspace.recipe(body.model), body)
    system = "\n".join(turn.plain() for turn in before if turn.role in ("system", "developer"))
    more = body.knowhow or More()
    return Asked(
        question=last.plain(),
        recipe=instructed(recipe, system) if system.strip() else recipe,
        access=access,
        history=[
            Message(turn.role, turn.plain())
            for turn in before
            if turn.role in ("user", "assistant") and turn.plain().strip()
        ],
        where=more.where,
        as_of=seconds(more.as_of),
        context=more.context,
    )


def _sampled(recipe: Recipe, body: ChatCompletion) -> Recipe:
    """The recipe with what the request says about sampling and form; a length only ever lowers the recipe's own."""
    own = recipe.sampling
    most = [size for size in (body.max_tokens, body.max_completion_tokens) if size is not None]
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    sampling = replace(
        own,
        temperature=own.temperature if body.temperature is None else body.temperature,
        top_p=own.top_p if body.top_p is None else body.top_p,
        max_tokens=min([own.max_tokens, *most]),
        seed=own.seed if body.seed is None else body.seed,
        stop=(*own.stop, *stop),
    )
    form = body.response_format
    if form is None or form.type == "text":
        return replace(recipe, sampling=sampling)
    schema = form.json_schema.schema_ if form.json_schema else None
    return replace(recipe, sampling=sampling, schema=schema or {"type": "object"})


def completion(answer: Answer, model: str, base: str) -> Json:
    """The answer as OpenAI's clients read it."""
    message = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": url_citations(answer, base),
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {
        **_head(answer, model, "chat.completion"),
        "choices": [choice],
        "usage": _usage(answer),
        "knowhow": answer_json(answer),
    }


def url_citations(answer: Answer, base: str) -> list[Json]:
    """The citations as url citations, each over the sentence it bears out, leading to the passage in the console."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.sentence[0],
                "end_index": citation.sentence[1],
                "title": citation.uri,
                "url": base + source_link(citation.uri, citation.version, citation.start, citation.end),
            },
        }
        for citation in answer.citations
        if citation.uri != CONTEXT_URI
    ]


def _chunks(answer: Answer, model: str, base: str, usage: bool) -> Iterator[bytes]:
    """The checked answer sentence by sentence, then what belongs to it."""
    head = _head(answer, model, "chat.completion.chunk")

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}

    yield event(chunk({"role": "assistant", "content": ""}))
    for sentence in _SENTENCE.findall(answer.text):
        yield event(chunk({"content": sentence}))
    last = chunk({"annotations": url_citations(answer, base)}, "stop")
    yield event({**last, "knowhow": answer_json(answer)})
    if usage:
        yield event({**head, "choices": [], "usage": _usage(answer)})
    yield b"data: [DONE]\n\n"


def _head(answer: Answer, model: str, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{answer.trace_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": None,
        "service_tier": None,
    }


def _usage(answer: Answer) -> Json:
    used = answer.usage
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }
