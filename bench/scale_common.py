"""What every side of the scale comparison shares: where things lie, memory and percentiles. Needs numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMS = 256
WARMING = 80
"""Questions asked before those that are timed."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one size: passages and questions with their vectors, as all sides get them."""

    folder: Path

    @property
    def passages(self) -> Path:
        """A JSON line [lead, text, document] each."""
        return self.folder / "passages.jsonl"

    @property
    def vectors(self) -> Path:
        """float32[n, 256] in the order of the passages."""
        return self.folder / "vectors.f32"

    @property
    def owners(self) -> Path:
        return self.folder / "owners.npy"

    @property
    def ids(self) -> Path:
        return self.folder / "ids.npy"

    @property
    def questions(self) -> Path:
        return self.folder / "questions.json"

    @property
    def asked(self) -> Path:
        return self.folder / "asked.npy"

    def stored(self, passages: int) -> NDArray[np.float32]:
        """The vectors, mapped."""
        return np.memmap(self.vectors, np.float32, "r", shape=(passages, DIMS))


def anonymous_mb() -> float:
    """Anonymous resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


def percentiles(taken: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile of milliseconds."""
    return {f"p{share}_ms": round(float(np.percentile(taken, share)), 1) for share in (50, 95, 99)}
