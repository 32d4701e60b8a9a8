"""One loaded GGUF model: the only place that calls xllamacpp."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ConfigProblem, ProviderKind, ProviderProblem
from knowhow.types import Json

_SILENT = -1
_LOOPBACK_S = 60.0
"""Longest wait for llama.cpp's own loopback endpoint, which answers within milliseconds."""

_REMEMBERED = 4096

File = tuple[str, int, int]
"""Path, size and time of change (ns)."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What makes two loaded models the same. `context_tokens` is for each of the `parallel` requests."""

    model: File
    adapters: tuple[tuple[str, File], ...]
    context_tokens: int
    threads: int
    parallel: int


class Engine:
    """llama.cpp with the model of `spec`. Memory is freed when the last reference goes. Thread-safe.

    Chat runs in process. Counting tokens and looking at the vocabulary go through the loopback port that llama.cpp
    opens by itself; it is shut to others by a key drawn for this process.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._key = secrets.token_hex(16)
        self._adapters = [name for name, _ in spec.adapters]
        self._server = _load(spec, self._key)
        self._address = urlsplit(self._server.listening_address)
        self.context_tokens: int = self._ask("GET", "/props")["default_generation_settings"]["n_ctx"]
        """Window of one request: what was asked for, or what the model was trained for where that is less."""
        self._control_tokens: dict[str, bool] = {}
        # llama.cpp works in a loop on a thread of its own, and freeing a model whose loop did not begin yet never
        # ends: one token shows that it runs.
        self._ask("POST", "/completion", {"prompt": "a", "n_predict": 1})

    def chat(self, body: Json, take: Callable[[Json], bool]) -> None:
        """Runs a chat completion; `take` is given every chunk and ends the reply by returning True.

        Raises `ConfigProblem` when the schema in `body` cannot be enforced.
        """
        try:
            self._server.handle_chat_completions(body, take)
        except ValueError as problem:
            if "response_format" not in body:
                raise ProviderProblem(f"llama.cpp refused the request: {problem}", ProviderKind.BAD_REPLY) from None
            reason = str(problem).removeprefix("Unable to generate parser for this template. ")
            raise ConfigProblem(f"the recipe's schema cannot be enforced: {reason}; mend the schema") from None

    def count(self, messages: Sequence[dict[str, str]]) -> int:
        """Tokens of `messages` in the model's chat template."""
        found: int = self._ask("POST", "/v1/chat/completions/input_tokens", {"messages": list(messages)})[
            "input_tokens"
        ]
        return found

    def next_tokens(
        self, prompt: Sequence[int], adapter: str, count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The `count` likeliest tokens after the token ids `prompt`, likeliest first, with their log probabilities."""
        body: Json = {
            "prompt": list(prompt),
            "n_predict": 1,
            "n_probs": count,
            "temperature": 0.0,
            "top_k": 0,
            "min_p": 0.0,
            # A token that ends the reply, or half a character, would be told without its alternatives. So one that
            # is neither is forced; the probabilities are those before that.
            "logit_bias": [[self._ask("POST", "/tokenize", {"content": "a"})["tokens"][0], 1e4]],
            "lora": self.scales(adapter),
        }
        top = self._ask("POST", "/completion", body)["completion_probabilities"][0]["top_logprobs"]
        return np.array([one["id"] for one in top]), np.array([one["logprob"] for one in top])

    def scales(self, adapter: str) -> list[dict[str, Any]]:
        """Which adapter is on for a request, as llama.cpp wants it; all are off for "".

        Raises `ProviderProblem` for a name that was not loaded.
        """
        if adapter and adapter not in self._adapters:
            loaded = ", ".join(self._adapters) or "none"
            raise ProviderProblem(
                f"no adapter {adapter!r} is loaded beside this model (loaded: {loaded}); name its GGUF file at opening",
                ProviderKind.UNKNOWN_MODEL,
            )
        return [{"id": i, "scale": 1.0 if name == adapter else 0.0} for i, name in enumerate(self._adapters)]

    def is_control_token(self, piece: str) -> bool:
        """Whether `piece`, a few characters long, is or holds one of the model's control tokens; remembered."""
        if piece not in self._control_tokens:
            if len(self._control_tokens) >= _REMEMBERED:
                self._control_tokens.clear()
            self._control_tokens[piece] = self.has_control_tokens(piece)
        return self._control_tokens[piece]

    def has_control_tokens(self, text: str) -> bool:
        """Whether the model reads any part of `text` as a control token of its own, such as the end of a turn."""
        as_prompt = self._ask("POST", "/tokenize", {"content": text, "parse_special": True})
        as_text = self._ask("POST", "/tokenize", {"content": text, "parse_special": False})
        return bool(as_prompt != as_text)

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        # http.client, because it takes no proxy from the environment.
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=_LOOPBACK_S)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer: Json = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as problem:
            raise ProviderProblem(f"llama.cpp did not answer {path}: {problem}", ProviderKind.BAD_REPLY) from None
        finally:
            connection.close()
        if response.status != 200:
            raise ProviderProblem(f"llama.cpp refused {path}: {answer.get('error', answer)}", ProviderKind.BAD_REPLY)
        return answer


def _load(spec: EngineSpec, key: str) -> Any:
    try:
        import xllamacpp
    except ImportError as problem:
        raise ConfigProblem(
            f"llama.cpp cannot start: {problem}; if libgomp is missing, run: apt-get install libgomp1, "
            "else: pip install --force-reinstall xllamacpp"
        ) from None

    params = xllamacpp.CommonParams()
    params.model.path = spec.model[0]
    params.n_ctx = spec.context_tokens * spec.parallel
    params.n_parallel = spec.parallel
    params.cpuparams_batch.n_threads = spec.threads
    # One core stays free while tokens are made: its threads meet after every matrix, and one that waits for its core
    # holds up all others (on 2 busy cores 2 threads made 2-16 tokens/s, 1 thread 31-50; on idle ones 74 and 57).
    params.cpuparams.n_threads = max(1, spec.threads - 1)
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(file[0], 1.0) for _, file in spec.adapters]
    params.lora_init_without_apply = True
    params.api_keys = [key]
    params.ui = False
    params.endpoint_slots = False
    params.warmup = False
    params.fit_params = False
    params.cache_ram_mib = 0  # else up to 8 GiB of old prompts are kept; the slot's own prefix is reused without it
    params.verbosity = _SILENT
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        names = ", ".join([spec.model[0], *(file[0] for _, file in spec.adapters)])
        raise ConfigProblem(
            f"llama.cpp cannot load {names}: a file is cut short, newer than llama.cpp (pip install -U xllamacpp), an "
            f"adapter of another model, or too large for the memory with a window of {spec.context_tokens} tokens"
        ) from None
