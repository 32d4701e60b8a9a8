"""A tiny model, rows to train it on, and a listener, for the tests of training."""

from __future__ import annotations

from pathlib import Path

from knowhow.backends.train_run import Ready, ready, train
from knowhow.tune.registry import content_hash
from knowhow.types import Mark, Message, Saved, Step, Trained, TrainEvent, TrainPlan, TrainRow, Validated
from tiny_model import write_tiny


def row(id: str, question: str = "What is it?", target: str = "A kite.", **changes: object) -> TrainRow:
    prompt = (Message("system", "Be brief."), Message("user", question))
    return TrainRow(id, prompt, target, **changes)  # type: ignore[arg-type]


def rows(count: int, seed: int = 0) -> list[TrainRow]:
    """Questions whose answers follow a rule that can be learned."""
    return [row(f"r{seed}.{i}", f"What is {i} of {seed}?", f"answer {i % 7}!") for i in range(count)]


def pairs(count: int) -> list[TrainRow]:
    return [row(f"p{i}", f"What is {i}?", "good!", rejected="bad...") for i in range(count)]


def marked(count: int) -> list[TrainRow]:
    return [
        row(f"m{i}", f"What is {i}?", "good!" if i % 2 else "bad...", mark=Mark.GOOD if i % 2 else Mark.BAD)
        for i in range(count)
    ]


def plan(folder: Path, **changes: object) -> TrainPlan:
    """A quick plan for a tiny model that is written to `folder`."""
    base = folder / "tiny.gguf"
    if not base.exists():
        write_tiny(base)
    quick = {"epochs": 2.0, "rank": 4, "learning_rate": 5e-3, "threads": 1, "max_tokens": 256}
    return TrainPlan(base=f"local:{base}", **{**quick, **changes})  # type: ignore[arg-type]


class Ear:
    """Keeps what it is told; asks to stop once a step is reached."""

    def __init__(self, stop_at: int = 0) -> None:
        self.events: list[TrainEvent] = []
        self.stopping = False
        self._stop_at = stop_at

    def tell(self, event: TrainEvent) -> None:
        self.events.append(event)
        if isinstance(event, Step) and event.step == self._stop_at:
            self.stopping = True

    @property
    def steps(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, Step)]

    @property
    def saved(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, Saved)]

    @property
    def looks(self) -> list[float]:
        return [event.loss for event in self.events if isinstance(event, Validated)]


def trained(
    wanted: TrainPlan, folder: Path, taught: list[TrainRow], looks: list[TrainRow] | None = None, ear: Ear | None = None
) -> Trained | None:
    """Trains inside this process."""
    folder.mkdir(parents=True, exist_ok=True)
    start: Ready = ready(wanted, taught, looks or [])
    return train(start, folder, ear or Ear())


def name(done: Trained | None) -> str:
    """The name the registry would give it."""
    assert done is not None
    return content_hash(Path(done.folder), done.base_hash)
