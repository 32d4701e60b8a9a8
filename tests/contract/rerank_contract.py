"""What every reranker must do. A reranker's own test file inherits `RerankContract` and says how to open one."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from knowhow.ports import Reranker


class RerankContract(ABC):
    """Inherit, implement `open`, and every test below runs against that reranker."""

    @abstractmethod
    def open(self) -> Reranker: ...

    @pytest.fixture
    def reranker(self) -> Reranker:
        return self.open()

    def test_one_finite_score_a_text_in_the_order_of_texts(self, reranker: Reranker) -> None:
        texts = ["the parcel is late", "return the laptop in 45 days", "a laptop"]
        scores = reranker.scores("return a laptop", texts)
        assert scores.shape == (3,)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        backwards = reranker.scores("return a laptop", texts[::-1])
        np.testing.assert_allclose(backwards[::-1], scores, atol=1e-4)

    def test_no_texts_give_no_scores(self, reranker: Reranker) -> None:
        assert reranker.scores("anything", []).shape == (0,)

    def test_it_has_a_name(self, reranker: Reranker) -> None:
        assert reranker.name
