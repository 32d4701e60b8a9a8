"""One call of the model: streamed or whole, and remembered by content where a draw is named."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

from knowhow.ports import ChatModel, Record, Records
from knowhow.types import ChatReply, ChatRequest, TokenLogprob, fingerprint

KIND = "call"


def call(
    model: ChatModel,
    request: ChatRequest,
    records: Records | None,
    *,
    live: bool,
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
    if live:
        reply = yield from model.stream(request)
    else:
        reply = model.chat(request)
    if records and key:
        records.put([Record(KIND, key, asdict(reply), access=access, uris=uris)])
    return reply, False


def _reply(body: dict[str, Any]) -> ChatReply:
    logprobs = tuple(
        TokenLogprob(item["token"], item["logprob"], tuple((token, p) for token, p in item["top"]))
        for item in body["logprobs"]
    )
    return ChatReply(**{**body, "logprobs": logprobs})
