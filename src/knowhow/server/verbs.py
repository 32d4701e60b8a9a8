"""The long verbs that may be started over HTTP, as the command lines they become.

Nothing here names a path, a model or an address: those are for who sits at the machine. What goes to a command line is
checked by its type, bound to its option by "=" or stands behind "--".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowhow.types import Split

Name = Annotated[str, Field(pattern=r"^[\w][\w.@+: -]{0,99}$", description="A name without slashes.")]
Draws = Annotated[int, Field(ge=1, le=20)]
Limit = Annotated[int | None, Field(ge=1, le=1_000_000)]
Cost = Annotated[float | None, Field(ge=0, description="US dollars at most; without it nothing that costs is begun.")]
Gates = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=20)]


class _Verb(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Sync(_Verb):
    """Read a source again that is known already, as its folder is now."""

    verb: Literal["ingest"]
    source: Name
    yes: Annotated[bool, Field(description="Go on although more than half of the source is gone.")] = False


class _Measured(_Verb):
    suite: Annotated[Name, Field(description="The name of a suite in suites/.")]
    split: Split = Split.TEST
    draws: Draws = 1
    limit: Limit = None
    max_cost: Cost = None
    gates: Gates = Field(default_factory=list)


class Evaluate(_Measured):
    """Put every example of a suite to a recipe."""

    verb: Literal["evaluate"]
    recipe: Name | None = None


class Compare(_Measured):
    """Set recipes side by side over one suite."""

    verb: Literal["compare"]
    recipes: Annotated[list[Name], Field(min_length=2, max_length=10)]
    baseline: Name | None = None


Start = Annotated[Sync | Evaluate | Compare, Field(discriminator="verb")]


def arguments_of(start: Evaluate | Compare) -> list[str]:
    """The command line of a measuring verb, without the command."""
    options = [
        *_option("split", start.split.value),
        *_option("draws", start.draws),
        *_option("limit", start.limit),
        *(one for gate in start.gates for one in _option("gate", gate)),
    ]
    if start.max_cost is not None:
        options += [*_option("max-cost", start.max_cost), "--yes"]
    if isinstance(start, Evaluate):
        options += _option("recipe", start.recipe)
    else:
        options += [*_option("recipes", ",".join(start.recipes)), *_option("baseline", start.baseline)]
    return [*options, "--", start.suite]


def sync_arguments(source: str, root: str, kind: str, yes: bool) -> list[str]:
    """The command line that reads a known source again."""
    corpus = ["--as-documents"] if kind == "jsonl" else []
    return [*_option("as", source), *corpus, *(["--yes"] if yes else []), "--", root]


def _option(name: str, value: object) -> Sequence[str]:
    return [] if value is None else [f"--{name}={value}"]
