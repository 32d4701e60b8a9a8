"""A chat model behind any URL that speaks the OpenAI protocol."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from knowhow.backends.endpoint import OPENAI_URL, Endpoint
from knowhow.backends.options import ConnectOptions
from knowhow.backends.replies import Said
from knowhow.backends.tokens import estimate_messages
from knowhow.types import ChatReply, ChatRequest, Json, Message


class OpenAIChat:
    """`openai:NAME` or `http(s)://HOST/v1#NAME`. Thread-safe.

    An adapter is asked for as a model of its own, the way vLLM and LiteLLM serve adapters and OpenAI its fine-tunes:
    `adapter` takes the place of NAME. Where the server sends no usage, prompt tokens are estimated and completion
    tokens are the chunks of the stream.
    """

    def __init__(self, name: str, options: ConnectOptions) -> None:
        self._endpoint = Endpoint(name, options)
        self.name = self._endpoint.name
        self.context_tokens = options.context_tokens

    def chat(self, request: ChatRequest) -> ChatReply:
        said = Said(self.name)
        with self._endpoint.asking():
            said.take(_plain(self._endpoint.client.chat.completions.create(**self._body(request))))
        return said.reply(streamed=False, prompt_tokens=self.count(request.messages))

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        said = Said(self.name)
        body = self._body(request) | {"stream": True, "stream_options": {"include_usage": True}}
        with self._endpoint.asking():
            chunks = self._endpoint.client.chat.completions.create(**body)
        try:
            while True:
                with self._endpoint.asking():
                    chunk = next(chunks, None)
                    piece = "" if chunk is None else said.take(_plain(chunk))
                if chunk is None:
                    break
                if piece:
                    yield piece
        finally:
            chunks.close()
        return said.reply(streamed=True, prompt_tokens=self.count(request.messages))

    def count(self, messages: Sequence[Message]) -> int:
        return estimate_messages(messages)

    def close(self) -> None:
        self._endpoint.close()

    def _body(self, request: ChatRequest) -> Json:
        sampling = request.sampling
        at_openai = self._endpoint.url == OPENAI_URL
        body: Json = {
            "model": request.adapter or self._endpoint.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "temperature": sampling.temperature,
            # OpenAI's newer models refuse the old name; most other servers know only that one.
            "max_completion_tokens" if at_openai else "max_tokens": sampling.max_tokens,
        }
        if sampling.top_p != 1.0:
            body["top_p"] = sampling.top_p
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if request.schema is not None:
            schema = {"name": "reply", "schema": dict(request.schema), "strict": _is_strict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.logprobs:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        return body


def _plain(answer: Any) -> Json:
    """A completion or chunk as JSON. Raises AttributeError where the server sent no JSON object."""
    found: Json = answer.model_dump(warnings=False)
    return found


def _is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether OpenAI can enforce `schema`: each object closed and all its properties required.

    https://platform.openai.com/docs/guides/structured-outputs
    """
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    parts = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    items = schema.get("items")
    return all(_is_strict(part) for part in [*parts, *([items] if isinstance(items, Mapping) else [])])
