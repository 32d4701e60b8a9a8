"""A reply in OpenAI's form, whole or in chunks, as a `ChatReply`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from knowhow.errors import ProviderKind, ProviderProblem
from knowhow.types import ChatReply, Json, TokenLogprob


class Said:
    """A reply as it grows. A whole completion is taken as a single chunk. `name` is the model, for errors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.perf_counter()
        self._pieces: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish = ""
        self._usage: Mapping[str, Any] = {}
        self._ms_first: float | None = None

    def take(self, chunk: Json) -> str:
        """Adds one chunk and returns its text. Raises `ProviderProblem` for one that is no chunk of a reply."""
        self._usage = chunk.get("usage") or self._usage
        choices = chunk.get("choices")
        if not choices:
            if choices is None:
                raise self._bad(f"sent no choices but {str(chunk)[:120]!r}")
            return ""
        choice = choices[0]
        self._finish = choice.get("finish_reason") or self._finish
        self._logprobs += _logprobs(choice.get("logprobs"))
        part = choice.get("delta") or choice.get("message") or {}
        piece = part.get("content") or part.get("refusal") or ""
        if not isinstance(piece, str):
            raise self._bad(f"sent a {type(piece).__name__} where its text should be")
        if piece:
            self._pieces.append(piece)
            self._ms_first = self._ms_first or self._ms()
        return piece

    def reply(self, *, streamed: bool, prompt_tokens: int) -> ChatReply:
        """All that was taken; `prompt_tokens` stands in where the provider sent no usage, chunks for its tokens.

        Raises `ProviderProblem` for a reply that broke off or was withheld by a content filter.
        """
        if not self._finish:
            raise self._bad("broke off in the middle of its reply; ask again")
        if self._finish == "content_filter":
            raise self._bad("withheld its reply (content filter); reword the question or use another model")
        return ChatReply(
            text="".join(self._pieces),
            prompt_tokens=self._counted("prompt_tokens", prompt_tokens),
            completion_tokens=self._counted("completion_tokens", len(self._pieces)),
            finish="length" if self._finish == "length" else "stop",
            cached_tokens=(self._usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            ms=self._ms(),
            ms_first=self._ms_first if streamed else None,
            logprobs=tuple(self._logprobs),
        )

    def _counted(self, what: str, otherwise: int) -> int:
        count = self._usage.get(what)
        return count if isinstance(count, int) else otherwise

    def _ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000

    def _bad(self, what: str) -> ProviderProblem:
        return ProviderProblem(f"{self._name} {what}", ProviderKind.BAD_REPLY)


def _logprobs(found: Mapping[str, Any] | None) -> list[TokenLogprob]:
    return [
        TokenLogprob(
            token["token"],
            token["logprob"],
            tuple((other["token"], other["logprob"]) for other in token.get("top_logprobs") or ()),
        )
        for token in (found or {}).get("content") or ()
    ]
