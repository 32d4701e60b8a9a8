"""The fields that several requests share, with the limits that keep one request from taking everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from knowhow.server.verbs import Name


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text may not hold the character NUL")
    return text


Text = Annotated[str, AfterValidator(_plain)]
Question = Annotated[Text, Field(min_length=1, max_length=20_000)]
Turn = Annotated[Text, Field(max_length=200_000)]
LongText = Annotated[Text, Field(max_length=5_000_000)]
Word = Annotated[Text, Field(min_length=1, max_length=200)]
Uri = Annotated[Text, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Scalar = Annotated[Text, Field(max_length=2000)] | int | float | bool
Where = Annotated[dict[Word, Scalar], Field(max_length=20, description="Metadata that must be equal.")]
Tag = Annotated[str, Field(pattern=r"^[^\s,*\x00-\x1f]{1,100}$")]
Tags = Annotated[list[Tag], Field(max_length=50, description="Tags an asker must hold, all of them.")]
AsOf = Annotated[datetime | None, Field(description="Answer from what was known then.")]
RecipeName = Annotated[Name | None, Field(description="A recipe; else the workspace's own.")]


class Body(BaseModel):
    """A request's JSON object; a key that is not known is refused, so that no misspelt option is ignored."""

    model_config = ConfigDict(extra="forbid")


def seconds(moment: datetime | None) -> float | None:
    """UTC seconds of a moment; without a zone it is UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
