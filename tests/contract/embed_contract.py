"""What every embedder must do. An embedder's own test file inherits `EmbedContract` and says how to open one."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from knowhow.ports import Embedder

LAPTOP = "Return a laptop within 45 days of delivery."
PARCEL = "The parcel service comes on Mondays and Thursdays."


class EmbedContract(ABC):
    """Inherit, implement `open`, and every test below runs against that embedder."""

    many = 300
    """Texts embedded at once: more than any batch, fewer where the model is slow."""

    @abstractmethod
    def open(self) -> Embedder: ...

    @pytest.fixture
    def embedder(self) -> Embedder:
        return self.open()

    def test_rows_are_float32_of_length_one(self, embedder: Embedder) -> None:
        rows = embedder.documents([LAPTOP, PARCEL, "ß 日本 🎈"])
        assert rows.shape == (3, embedder.dims)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        query = embedder.query(LAPTOP)
        assert query.shape == (embedder.dims,)
        assert query.dtype == np.float32
        assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)

    def test_text_without_words_is_a_row_of_zeros(self, embedder: Embedder) -> None:
        rows = embedder.documents(["", LAPTOP, " \n\t"])
        assert not rows[0].any()
        assert rows[1].any()
        assert not rows[2].any()
        assert not embedder.query("").any()

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        assert embedder.documents([]).shape == (0, embedder.dims)

    def test_a_row_does_not_depend_on_what_is_embedded_with_it(self, embedder: Embedder) -> None:
        texts = [f"{LAPTOP} {'more ' * (i % 7)}{i}" for i in range(self.many)]
        rows = embedder.documents(texts)
        for i in {0, self.many // 5, self.many - 1}:
            np.testing.assert_allclose(rows[i], embedder.documents([texts[i]])[0], atol=1e-4)

    def test_a_question_is_nearer_to_its_answer(self, embedder: Embedder) -> None:
        rows = embedder.documents([LAPTOP, PARCEL])
        near, far = rows @ embedder.query("how many days to return a laptop")
        assert near > far + 0.05

    def test_the_name_is_fixed(self, embedder: Embedder) -> None:
        assert embedder.name == self.open().name
        assert embedder.dims > 0
