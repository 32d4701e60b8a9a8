"""Lessons: what is asked, what is shown, the reply to give, and where that came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from knowhow.types.chat import Message
from knowhow.types.core import fingerprint
from knowhow.types.documents import Range
from knowhow.types.suites import Expect, Split


class Origin(StrEnum):
    """Where a lesson came from."""

    FILE = "file"
    SUITE = "suite"
    CORRECTION = "correction"
    """A person wrote what the answer should have been."""
    THUMB = "thumb"
    """A person liked or disliked an answer as it was."""
    MADE = "made"
    """Built from others, such as a grounding lesson with distractors."""


class Mark(StrEnum):
    """Whether a lesson's target is a reply to give or one to avoid."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn: what is asked, what the model is shown, and the reply it shall give.

    It is kept as a question, not as a prompt: `knowhow.lessons.prompts` makes of it exactly what `ask` would send.
    """

    id: str
    question: str
    """What is asked or worked on: the last turn of the user, without any wrapping."""
    target: str
    origin: Origin
    source: str
    """Where exactly: "FILE:LINE", the suite and example, or the trace."""
    system: str = ""
    """Instructions of its own; empty = the recipe's."""
    history: tuple[Message, ...] = ()
    """Earlier turns of user and assistant."""
    context: tuple[Range, ...] = ()
    """What is shown, best first, by id: evidence and distractors."""
    attached: str = ""
    """Text that comes with the question, as `Example.context`."""
    expect: Expect = field(default_factory=Expect)
    """The form that is asked for (labels, schema, lengths), which a recipe may tell the model."""
    rejected: str = ""
    """A worse reply to the same prompt, for training on preferences."""
    mark: Mark = Mark.GOOD
    split: Split = Split.TRAIN
    group: str = ""
    access: frozenset[str] = frozenset()
    """Tags whoever asked held; the context is read with them."""
    uris: frozenset[str] = frozenset()
    """Documents it quotes, so that a purge finds it."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Lessons under a name, with remarks on where they came from."""

    name: str
    lessons: tuple[Lesson, ...]
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """12 hex digits over the lessons in their order; the name does not count."""
        return fingerprint(list(self.lessons), 12)
