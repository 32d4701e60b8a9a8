"""sentence-transformers models: MiniLM from its wheel, and tiny untrained cross-encoders for what needs no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.embed_contract import EmbedContract
from contract.rerank_contract import RerankContract
from contract.verify_contract import VerifyContract
from knowhow.backends.embed_st import MINILM_WHEEL
from knowhow.backends.open import open_embedder, open_reranker, open_verifier
from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem
from knowhow.ports import Embedder, Reranker, Verifier

pytestmark = pytest.mark.real
pytest.importorskip("sentence_transformers")
pytest.importorskip(MINILM_WHEEL)
HERE = ConnectOptions(offline=True)
NLI = ("contradiction", "entailment", "neutral")


def tiny_cross_encoder(folder: Path, labels: tuple[str, ...]) -> str:
    """An untrained BERT of two small layers with MiniLM's vocabulary, saved as a model's folder."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from knowhow.backends import embed_st

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(embed_st._minilm())
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return f"st:{folder}"


@pytest.fixture(scope="module")
def rerank_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_cross_encoder(tmp_path_factory.mktemp("rerank"), ("score",))


@pytest.fixture(scope="module")
def nli_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_cross_encoder(tmp_path_factory.mktemp("nli"), NLI)


class TestMiniLM(EmbedContract):
    many = 70

    def open(self) -> Embedder:
        return open_embedder("st:minilm", HERE)


class TestCrossEncoder(RerankContract):
    @pytest.fixture(autouse=True)
    def name(self, rerank_model: str) -> None:
        self.model = rerank_model

    def open(self) -> Reranker:
        return open_reranker(self.model, HERE)


class TestNli(VerifyContract):
    @pytest.fixture(autouse=True)
    def name(self, nli_model: str) -> None:
        self.model = nli_model

    def open(self) -> Verifier:
        return open_verifier(self.model, HERE)

    def test_the_end_of_a_long_context_is_read(self, verifier: Verifier) -> None:
        """Not asked of an untrained model: to it no text says more than another."""


def test_support_is_the_probability_of_entailment_wherever_its_label_stands(nli_model: str) -> None:
    verifier = open_verifier(nli_model, HERE)
    model: Any = verifier._model  # type: ignore[attr-defined]
    rows = model.predict([("The window is 45 days.", "It is 45 days.")], apply_softmax=True)
    np.testing.assert_allclose(verifier.support([("It is 45 days.", "The window is 45 days.")]), rows[:, 1], atol=1e-5)


def test_a_model_of_another_kind_is_a_configuration_problem(rerank_model: str, nli_model: str) -> None:
    with pytest.raises(ConfigProblem, match="gives 3 scores"):
        open_reranker(nli_model, HERE)
    with pytest.raises(ConfigProblem, match="no entailment"):
        open_verifier(rerank_model, HERE)


def test_a_model_that_is_not_here_is_not_fetched_offline(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="offline nothing is downloaded"):
        open_embedder("st:some-organisation/no-such-model-0", HERE)
    with pytest.raises(ConfigProblem, match="offline nothing is downloaded"):
        open_reranker(f"st:{tmp_path / 'none'}", HERE)
