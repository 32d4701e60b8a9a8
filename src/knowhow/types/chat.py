"""A conversation with a model: messages, sampling, request and reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model draws. `seed` None leaves it to the provider."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 400
    seed: int | None = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Everything that can change a reply; also the cache key of a model call."""

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    schema: Mapping[str, Any] | None = None
    """JSON schema the reply must satisfy (constrained decoding where the provider has it)."""
    adapter: str = ""
    logprobs: int = 0
    """How many alternatives per token to return; 0 = none."""
    question: str = ""
    """What the messages were built from, for models that read no prompt (`extractive`)."""
    passages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token with its log probability and its alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a model said, with counts. `ms_first` is the time to the first token where it was streamed."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length"] = "stop"
    cached_tokens: int = 0
    ms: float = 0.0
    ms_first: float | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
