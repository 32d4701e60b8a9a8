"""Models whose behaviour is known exactly, for tests and demos."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from hashlib import blake2b

import numpy as np

from knowhow.errors import ProviderKind, ProviderProblem
from knowhow.ports import Floats
from knowhow.types import ChatReply, ChatRequest, Message

Script = Callable[[ChatRequest], str]

_WORD = re.compile(r"\S+\s*")
_TERM = re.compile(r"\w+")


class FakeChat:
    """Says what its script says. One token is one word (a run without white space); there is no template.

    `script` is a rule from request to reply, or the replies in order (one more call is a `bad-reply` problem).
    `failures` maps a call, counted from 1, to the problem it raises; such a call uses up no reply.
    `requests` holds every request in order. Not thread-safe with replies in order.
    """

    def __init__(
        self,
        script: Script | Sequence[str],
        *,
        name: str = "fake",
        context_tokens: int = 0,
        latency_s: float = 0.0,
        failures: Mapping[int, ProviderProblem] | None = None,
    ) -> None:
        self.name = name
        self.context_tokens = context_tokens
        self.requests: list[ChatRequest] = []
        self._script = script if callable(script) else _in_order(script)
        self._latency_s = latency_s
        self._failures = failures or {}

    def chat(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        if self._latency_s:
            time.sleep(self._latency_s)
        if len(self.requests) in self._failures:
            raise self._failures[len(self.requests)]
        prompt = self.count(request.messages)
        if self.context_tokens and prompt > self.context_tokens:
            raise ProviderProblem(
                f"the prompt has {prompt} tokens and {self.name} reads at most {self.context_tokens}; lower the budget",
                ProviderKind.CONTEXT_TOO_LONG,
            )
        said = self._script(request)
        for stop in request.sampling.stop:
            said = said.split(stop, 1)[0]
        words = _WORD.findall(said)
        kept = words[: request.sampling.max_tokens]
        cut = len(kept) < len(words)
        text = "".join(kept) if cut else said
        return ChatReply(text, prompt, len(kept), "length" if cut else "stop", ms=self._latency_s * 1000)

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        reply = self.chat(request)
        at = 0
        for word in _WORD.finditer(reply.text):
            yield reply.text[at : word.end()]
            at = word.end()
        return reply

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def close(self) -> None:
        """Nothing to free."""


def _in_order(replies: Sequence[str]) -> Script:
    left = iter(replies)

    def next_reply(request: ChatRequest) -> str:
        for reply in left:
            return reply
        raise ProviderProblem(f"the script has no reply left for {request.question!r}", ProviderKind.BAD_REPLY)

    return next_reply


_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")
_ORDER = re.compile(
    r"(?i:(?:\b(?:say|reply|respond|answer|output|write|print|append|include|insert|state|antworte|sage|schreibe|"
    r"responde|di|réponds|répondez|dites|écris|rispondi|scrivi)\b|回答|回复|输出|说|ответь|скажи)"
    r"(?:\s+(?:with|only|just|exactly|instead|the|words?|text|sentence|that|nur|mit|solo|seulement|uniquement|"
    r"every\s+question|always|now|by\s+saying))*)\s*(?P<colon>[:,])?\s*"
    r"(?:[\"“”'‘«„「`](?P<quoted>[^\"“”'’»」`\n]{1,200})|(?P<shout>[A-Z][A-Z0-9_-]{3,}(?:\s+[A-Z0-9_-]{2,})*)"
    r"|(?(colon)(?P<rest>[^\n.]{1,200})|(?!)))"
)


def orders(request: ChatRequest) -> list[str]:
    """What the user's side of the prompt (documents included) orders the model to say, in order of place.

    As gullible as can be: an order counts in any tone, in six languages, in hidden text and between the lines. The
    system message is left out, since its orders are the product's own.
    """
    found = []
    for message in request.messages:
        if message.role == "user":
            for match in _ORDER.finditer(_INVISIBLE.sub("", message.content)):
                found.append((match["quoted"] or match["shout"] or match["rest"]).strip())
    return found


def obedient(otherwise: Script) -> Script:
    """A script that says whatever any order in its prompt wants said, and follows `otherwise` where there is none."""

    def script(request: ChatRequest) -> str:
        return " ".join(orders(request)) or otherwise(request)

    return script


class FakeEmbedder:
    """Words hashed into `dims` buckets with a sign, counted and scaled to length 1: like texts share words."""

    def __init__(self, dims: int = 64) -> None:
        self.dims = dims
        self.name = f"fake:{dims}"

    def documents(self, texts: Sequence[str]) -> Floats:
        rows = np.zeros((len(texts), self.dims), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _TERM.findall(text.casefold()):
                digest = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
                row[digest // 2 % self.dims] += 1 if digest % 2 else -1
            length = np.linalg.norm(row)
            if length:
                row /= length
        return rows

    def query(self, text: str) -> Floats:
        row: Floats = self.documents([text])[0]
        return row


class FakeReranker:
    """Scores a text by the share of the query's distinct words it holds."""

    name = "fake"

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        return np.array([_share(query, text) for text in texts], dtype=np.float32)


class FakeVerifier:
    """Holds a claim true as far as its distinct words stand in the context: 1 when all do."""

    name = "fake"

    def support(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        return np.array([_share(claim, context) for claim, context in pairs], dtype=np.float32)


def _share(wanted: str, text: str) -> float:
    words = set(_TERM.findall(wanted.casefold()))
    return len(words & set(_TERM.findall(text.casefold()))) / len(words) if words else 0.0
