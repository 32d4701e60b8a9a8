"""The trace of an answer: everything needed to see how it came about, and to ask the same again later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from knowhow.ports import Record
from knowhow.types import Json, flat

KIND = "trace"
FORMAT = 1
"""Raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One answered or declined question. All values are plain JSON; times are UTC seconds, durations milliseconds.

    No key or secret is ever part of it: models are named, not configured, and a URL loses its user and password.
    """

    id: str
    at: float
    question: str
    search_text: str
    """What was searched for: the question, with what a follow-up leans on."""
    carried: list[str]
    history: list[Json]
    forgotten: int
    """Turns of the conversation that did not fit the window."""
    context: str
    """Text that came with the question."""
    filter: Json
    """`access` (tags held), `where`, `as_of`."""
    gold: list[Json]
    overlay: Json
    """`mask` and `add` as uris; nothing of their text."""
    recipe: Json
    recipe_hash: str
    index: str
    revision: int
    """The store's revision when the question was asked."""
    model: str
    order: str
    """How the passages were ordered, in words."""
    candidates: list[Json]
    """Every candidate looked at, with each stage's score and its fate, best first."""
    shown: list[Json]
    """mark, uri, version, start, end, title, place, effective_at, scores of what the model saw."""
    cut: list[Json]
    """What was found but not shown: uri, version, start, end and the fate with its reason in words."""
    unread: int
    """Documents of a whole-corpus context that were not opened because the budget was full."""
    flags: list[Json]
    """Suspicious text in what was shown: mark, danger, range in the document, excerpt, what was done."""
    conflicts: list[Json]
    prompt: list[Json]
    """The exact messages; empty where no model was called."""
    raw: str
    """The model's reply as it came."""
    finish: str
    remembered: bool
    """The reply came from the cache of model calls."""
    dropped: list[int]
    """Marks the model wrote that point at nothing shown."""
    checks: list[Json]
    """Each sentence with what it rests on and what the check made of it."""
    answer: str
    abstained: bool
    reason: str
    explanation: str
    citations: list[Json]
    usage: Json
    ms: Mapping[str, float]
    format: int = FORMAT
    draw: int | None = None
    """Which draw of an evaluation it is; None for a question that somebody asked."""
    access: list[str] = field(default_factory=list)
    """Tags a reader of this trace must hold."""
    uris: list[str] = field(default_factory=list)

    def to_json(self) -> Json:
        """A JSON object with every field."""
        return flat(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Trace:
        """The trace `to_json` gave; keys a later version added are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in body.items() if key in known})

    def record(self) -> Record:
        """As the journal keeps it: readable only with the tags of every document it names."""
        return Record(
            KIND, self.id, self.to_json(), at=self.at, access=frozenset(self.access), uris=frozenset(self.uris)
        )


_USERINFO = re.compile(r"//[^/@\s]+@")
_SECRET_PARAM = re.compile(r"([?&](?:api[-_]?key|key|token|secret|password|sig)=)[^&#\s]+", re.I)


def without_secrets(name: str) -> str:
    """A model's name without user, password or key in its URL."""
    return _SECRET_PARAM.sub(r"\1…", _USERINFO.sub("//", name))
