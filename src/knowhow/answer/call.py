"""One call of the model: streamed, cut where it goes in circles, and remembered by content where a draw is named."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from time import perf_counter
from typing import Any

from knowhow.answer.circles import begins_again
from knowhow.ports import ChatModel, Record, Records
from knowhow.types import ChatReply, ChatRequest, TokenLogprob, fingerprint, flat

KIND = "call"


def call(
    model: ChatModel,
    request: ChatRequest,
    records: Records | None,
    *,
    draw: int | None,
    access: frozenset[str],
    uris: frozenset[str],
) -> Generator[str, None, tuple[ChatReply, bool]]:
    """Yields the text as it comes; returns the reply and whether it was remembered rather than made.

    With a `draw` number the reply is remembered under model, request and draw, readable by those who may see all
    documents in the prompt. Without one the model is always asked anew.
    """
    key = "" if draw is None else fingerprint([model.name, request, draw], 32)
    known = records.get(KIND, key, access) if records and key else None
    if known is not None:
        reply = _reply(known.body)
        yield reply.text
        return reply, True
    reply = yield from _streamed(model, request)
    if records and key:
        records.put(
            [
                Record(
                    KIND,
                    key,
                    {**flat(reply), "logprobs": [flat(item) for item in reply.logprobs]},
                    access=access,
                    uris=uris,
                )
            ]
        )
    return reply, False


def _streamed(model: ChatModel, request: ChatRequest) -> Generator[str, None, ChatReply]:
    """The reply as it is written, up to where it repeats itself; constrained output is left to its schema.

    A reply cut while it was written never reports its counts: its pieces, which are tokens or more, are counted then.
    """
    started = perf_counter()
    first: float | None = None
    pieces: list[str] = []
    writing = model.stream(request)
    try:
        while True:
            piece = next(writing)
            first = first if first is not None else (perf_counter() - started) * 1000
            pieces.append(piece)
            yield piece
            if request.schema is None and any(c in piece for c in ".!?\n"):
                text = "".join(pieces)
                cut = begins_again(text)
                if cut is not None:
                    writing.close()
                    prompt = model.count(request.messages)
                    ms = (perf_counter() - started) * 1000
                    return ChatReply(text[:cut].rstrip(), prompt, len(pieces), ms=ms, ms_first=first)
    except StopIteration as done:
        reply: ChatReply = done.value
        cut = begins_again(reply.text) if request.schema is None else None
        return reply if cut is None else replace(reply, text=reply.text[:cut].rstrip())


def _reply(body: dict[str, Any]) -> ChatReply:
    logprobs = tuple(
        TokenLogprob(item["token"], item["logprob"], tuple((token, p) for token, p in item["top"]))
        for item in body["logprobs"]
    )
    return ChatReply(**{**body, "logprobs": logprobs})
