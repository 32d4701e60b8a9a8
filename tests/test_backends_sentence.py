"""What Knowhow adds to sentence-transformers models, shown with stand-ins for the library's own classes."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from contract.embed_contract import EmbedContract
from contract.rerank_contract import RerankContract
from contract.verify_contract import VerifyContract
from knowhow.backends import embed_st, verify_nli
from knowhow.backends.fake import FakeEmbedder, FakeReranker, FakeVerifier
from knowhow.backends.open import open_embedder, open_reranker, open_verifier
from knowhow.backends.options import ConnectOptions
from knowhow.ports import Embedder, Reranker, Verifier

READ = 2000
"""Characters of a pair that the stand-in cross-encoder reads, as a real one reads 512 tokens."""


class Embeds:
    """A SentenceTransformer: not of length 1, and no row for empty text."""

    def get_embedding_dimension(self) -> int:
        return 64

    def encode_document(self, texts: Sequence[str], **_: object) -> Any:
        assert all(text.strip() for text in texts)
        return FakeEmbedder().documents(texts) * 2

    encode_query = encode_document


class Scores:
    """A CrossEncoder with one output, a logit."""

    num_labels = 1

    def predict(self, pairs: Sequence[tuple[str, str]], **_: object) -> Any:
        return np.array([FakeReranker().scores(query, [text])[0] * 8 - 4 for query, text in pairs], dtype=np.float64)


class Judges:
    """A CrossEncoder for NLI that reads (context, claim) and cuts what is too long."""

    config = SimpleNamespace(id2label={0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"})

    def predict(self, pairs: Sequence[tuple[str, str]], *, apply_softmax: bool, **_: object) -> Any:
        assert apply_softmax
        found = FakeVerifier().support([(claim, context[: READ - len(claim)]) for context, claim in pairs])
        return np.stack([1 - found, np.zeros_like(found), found], axis=1)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"SentenceTransformer": Embeds, "CrossEncoder": Scores}
    monkeypatch.setattr(embed_st, "load", lambda kind, model, options: kinds[kind]())
    monkeypatch.setattr(verify_nli, "load", lambda kind, model, options: Judges())


class TestSentenceEmbedder(EmbedContract):
    def open(self) -> Embedder:
        return open_embedder("st:stand-in", ConnectOptions())


class TestSentenceReranker(RerankContract):
    def open(self) -> Reranker:
        return open_reranker("st:stand-in", ConnectOptions())


class TestNliVerifier(VerifyContract):
    def open(self) -> Verifier:
        return open_verifier("st:stand-in", ConnectOptions())


@pytest.mark.parametrize("length", [0, 1, 300, 301, 1199, 1200, 1499, 1500, 1501, 2700, 2701, 6000])
def test_every_place_of_a_context_is_judged_with_what_stands_around_it(length: int) -> None:
    verifier = open_verifier("st:stand-in", ConnectOptions())
    for at in {0, length // 3, max(0, length - 150), length}:
        context = "a " * (at // 2) + "The return window is 45 days. " + "a " * ((length - at) // 2)
        assert verifier.support([("The return window is 45 days.", context)]) == [1.0]
