"""Models that need no server and no extra keep their contracts."""

from __future__ import annotations

from contract.chat_contract import ChatContract
from contract.embed_contract import EmbedContract
from knowhow.backends.open import open_chat, open_embedder
from knowhow.backends.options import ConnectOptions
from knowhow.ports import ChatModel, Embedder


class TestExtractive(ChatContract):
    def open(self) -> ChatModel:
        return open_chat("extractive", ConnectOptions())


class TestStatic(EmbedContract):
    def open(self) -> Embedder:
        return open_embedder("static", ConnectOptions())
