"""The settings themselves: one frozen value, each field with its meaning and its lowest sensible value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from knowhow.types import SplitSpec

SPLIT = SplitSpec()
DEFAULT_KEYS = {"api.openai.com": "OPENAI_API_KEY"}


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from, in words a person can follow: "default", "knowhow.toml", "KNOWHOW_WORKERS"."""

    key: str
    value: Any
    where: str


def _setting(default: Any, about: str, minimum: float | None = None) -> Any:
    return field(default=default, metadata={"about": about, "minimum": minimum})


def _table(default: Mapping[str, Any], about: str) -> Any:
    return field(default_factory=lambda: dict(default), metadata={"about": about, "minimum": None})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that may differ between machines without changing an answer, and the defaults of new indexes.

    What can change an answer is a field of a `Recipe` instead.
    """

    recipe: str = _setting("rag", "recipe used when none is named")
    embedder: str = _setting("static", "embedder of new indexes: static, st:NAME_OR_PATH, openai:NAME, URL#NAME")
    split_target: int = _setting(SPLIT.target, "wanted characters in a passage, for new indexes", 100)
    split_limit: int = _setting(SPLIT.limit, "most characters in a passage, for new indexes", 200)
    split_overlap: int = _setting(SPLIT.overlap, "characters repeated between passages, for new indexes", 0)
    data: str = _setting(".knowhow", "folder of the databases, relative to the workspace")
    store: str = _setting("", "server instead of files in data: postgresql://USER:${VARIABLE}@HOST/DATABASE")
    access: tuple[str, ...] = _setting((), 'tags the command line asks with; ["*"] opens every document')
    offline: bool = _setting(False, "refuse every host that is not this machine")
    ocr: bool = _setting(True, "read scans and pictures where the ocr extra is installed")
    workers: int = _setting(0, "processes that read files; 0 = one per core but one", 0)
    threads: int = _setting(0, "threads of a model in this process; 0 = one per core", 0)
    parallel: int = _setting(1, "questions a model in this process works on at once, each with a window of its own", 1)
    context_tokens: int = _setting(0, "window of a model in this process; 0 = its own, at most 8192", 0)
    timeout: float = _setting(60.0, "seconds to wait for a provider's reply", 0.1)
    retries: int = _setting(4, "further attempts after a rate limit or a dropped connection", 0)
    keep_traces_days: int = _setting(0, "days traces are kept; 0 = for ever", 0)
    retention_days: int = _setting(
        0, "days a replaced or removed version is kept by `documents prune`; 0 = for ever", 0
    )
    keys: Mapping[str, str] = _table(DEFAULT_KEYS, "host = name of the environment variable that holds its key")
    prices: Mapping[str, Price] = _table({}, "model = {prompt, completion} in US dollars per million tokens")

    @property
    def split(self) -> SplitSpec:
        """The split of new indexes."""
        return SplitSpec(self.split_target, self.split_limit, self.split_overlap)


def about() -> dict[str, str]:
    """key → what it means, in the order in which settings are listed."""
    return {f.name: f.metadata["about"] for f in fields(Settings)}
