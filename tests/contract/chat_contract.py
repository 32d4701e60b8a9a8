"""What every chat model must do. A model's own test file inherits `ChatContract` and says how to open one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from knowhow.ports import ChatModel
from knowhow.types import ChatReply, ChatRequest, Message, Sampling

QUESTION = "How long is the return window?"
PASSAGES = ("Returns\nThe return window is 45 days for laptops.", "Shipping\nA parcel takes two days.")
REQUEST = ChatRequest(
    messages=(
        Message("system", "Answer from the documents only."),
        Message(
            "user", "\n\n".join(f"[{i}] {text}" for i, text in enumerate(PASSAGES, 1)) + f"\n\nQuestion: {QUESTION}"
        ),
    ),
    sampling=Sampling(max_tokens=24),
    question=QUESTION,
    passages=PASSAGES,
)


def streamed(model: ChatModel, request: ChatRequest) -> tuple[list[str], ChatReply]:
    """The pieces and the reply of a stream read to its end."""
    pieces, stream = [], model.stream(request)
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as done:
            return pieces, done.value


class ChatContract(ABC):
    """Inherit, implement `open`, and every test below runs against that model."""

    @abstractmethod
    def open(self) -> ChatModel: ...

    @pytest.fixture
    def model(self) -> Iterator[ChatModel]:
        model = self.open()
        yield model
        model.close()

    def test_a_reply_has_text_counts_and_a_named_end(self, model: ChatModel) -> None:
        reply = model.chat(REQUEST)
        assert reply.text.strip()
        assert reply.prompt_tokens > 0
        assert 0 < reply.completion_tokens <= REQUEST.sampling.max_tokens
        assert reply.finish in ("stop", "length")
        assert reply.ms >= 0

    def test_a_stream_gives_the_pieces_of_the_same_reply(self, model: ChatModel) -> None:
        pieces, reply = streamed(model, REQUEST)
        assert "".join(pieces) == reply.text == model.chat(REQUEST).text
        assert reply.completion_tokens > 0
        assert reply.ms_first is None or 0 < reply.ms_first <= reply.ms

    def test_a_stream_left_early_leaves_the_model_usable(self, model: ChatModel) -> None:
        stream = model.stream(REQUEST)
        next(stream)
        stream.close()
        assert model.chat(REQUEST).text.strip()

    def test_max_tokens_cuts_the_reply_and_says_so(self, model: ChatModel) -> None:
        short = ChatRequest(REQUEST.messages, Sampling(max_tokens=2), question=QUESTION, passages=PASSAGES)
        reply = model.chat(short)
        assert reply.finish == "length"
        assert reply.completion_tokens <= 2

    def test_count_grows_with_the_text_and_covers_the_prompt(self, model: ChatModel) -> None:
        one, two = REQUEST.messages[:1], REQUEST.messages
        assert 0 < model.count(one) < model.count(two)
        assert model.count(two) >= model.chat(REQUEST).prompt_tokens
        assert model.count([Message("user", "word " * 200)]) >= 200

    def test_threads_share_a_model(self, model: ChatModel) -> None:
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(lambda _: model.chat(REQUEST), range(4)))
        assert {reply.finish for reply in replies} == {model.chat(REQUEST).finish}
        assert all(reply.text.strip() for reply in replies)

    def test_name_and_window_are_known(self, model: ChatModel) -> None:
        assert model.name
        assert model.context_tokens >= 0
