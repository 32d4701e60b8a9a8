"""What every verifier must do. A verifier's own test file inherits `VerifyContract` and says how to open one."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest

from knowhow.ports import Verifier

CLAIM, CONTEXT = "The window is 45 days.", "The return window is 45 days."


class VerifyContract(ABC):
    """Inherit, implement `open`, and every test below runs against that verifier."""

    @abstractmethod
    def open(self) -> Verifier: ...

    @pytest.fixture
    def verifier(self) -> Verifier:
        return self.open()

    def test_one_probability_a_pair_in_their_order(self, verifier: Verifier) -> None:
        pairs = [(CLAIM, CONTEXT), ("Parcels are blue.", CONTEXT), ("Parcels are blue.", "")]
        found = verifier.support(pairs)
        assert found.shape == (3,)
        assert found.dtype == np.float32
        assert ((found >= 0) & (found <= 1)).all()
        np.testing.assert_allclose(verifier.support(pairs[::-1])[::-1], found, atol=1e-4)

    def test_no_pairs_give_no_scores(self, verifier: Verifier) -> None:
        assert verifier.support([]).shape == (0,)

    def test_the_end_of_a_long_context_is_read(self, verifier: Verifier) -> None:
        filler = "The parcel service comes on Mondays. " * 150
        buried, absent = verifier.support([(CLAIM, filler + CONTEXT), (CLAIM, filler)])
        assert buried > absent

    def test_it_has_a_name(self, verifier: Verifier) -> None:
        assert verifier.name
