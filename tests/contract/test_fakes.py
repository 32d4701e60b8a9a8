"""The fakes keep the contracts they stand in for."""

from __future__ import annotations

from contract.chat_contract import ChatContract
from contract.embed_contract import EmbedContract
from contract.rerank_contract import RerankContract
from contract.verify_contract import VerifyContract
from knowhow.backends.fake import FakeChat, FakeEmbedder, FakeReranker, FakeVerifier


class TestFakeChat(ChatContract):
    def open(self) -> FakeChat:
        return FakeChat(lambda request: "The return window is 45 days [1].")


class TestFakeEmbedder(EmbedContract):
    def open(self) -> FakeEmbedder:
        return FakeEmbedder(256)


class TestFakeReranker(RerankContract):
    def open(self) -> FakeReranker:
        return FakeReranker()


class TestFakeVerifier(VerifyContract):
    def open(self) -> FakeVerifier:
        return FakeVerifier()
