"""Models behind an OpenAI-style URL keep their contracts, against a server on loopback with a fake model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.chat_contract import ChatContract
from contract.embed_contract import EmbedContract
from contract.rerank_contract import RerankContract
from knowhow.backends.open import open_chat, open_embedder, open_reranker
from knowhow.backends.options import ConnectOptions
from knowhow.ports import ChatModel, Embedder, Reranker
from openai_server import serving


class Remote:
    url = ""

    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[None]:
        with serving() as server:
            self.url = f"{server.url}#fake"
            yield


class TestRemoteChat(Remote, ChatContract):
    def open(self) -> ChatModel:
        return open_chat(self.url, ConnectOptions())


class TestRemoteEmbedder(Remote, EmbedContract):
    def open(self) -> Embedder:
        return open_embedder(self.url, ConnectOptions())


class TestRemoteReranker(Remote, RerankContract):
    def open(self) -> Reranker:
        return open_reranker(self.url, ConnectOptions())
