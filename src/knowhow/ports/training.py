"""What makes an adapter of lessons."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from knowhow.types import ParityReport, Trained, TrainEvent, TrainPlan, TrainPrice, TrainRow


class Trainer(Protocol):
    """Makes an adapter of lessons. A training lives in a folder: killed at any instant, it goes on from there."""

    name: str

    def key(self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> str:
        """A hash over everything that decides the weights."""
        ...

    def price(self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> TrainPrice:
        """Time and memory, from a few timed steps. Raises `UsageProblem`, `ConfigProblem`."""
        ...

    def train(
        self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow], folder: str
    ) -> Generator[TrainEvent, None, Trained]:
        """Trains in `folder`; closing the generator stops it and leaves a checkpoint, and a later call goes on."""
        ...

    def choose(self, plan: TrainPlan, folder: str, step: int) -> Trained:
        """Makes an earlier checkpoint the result of a finished training."""
        ...

    def parity(self, base: str, adapter: str, rows: Sequence[TrainRow], positions: int = 300) -> ParityReport:
        """Whether what serves the adapter says what the training stack says, on the replies of `rows`."""
        ...
