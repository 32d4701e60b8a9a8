"""Embeddings with the workspace's embedder, as floats or as base64 of little-endian float32 (the clients' default)."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from knowhow.errors import NotFound, UsageProblem
from knowhow.server.fields import Turn, Word
from knowhow.server.identity import Needs
from knowhow.server.keys import Role
from knowhow.server.state import server_of
from knowhow.types import Json

router = APIRouter(prefix="/v1/embeddings", tags=["openai"], dependencies=[Depends(Needs(Role.ASK))])
CHARACTERS_A_TOKEN = 4
"""What `usage` counts by, since an embedder need not tell its tokens."""


class Embeddings(BaseModel):
    """A request as OpenAI's clients send it."""

    model_config = ConfigDict(extra="allow")

    model: Word
    input: Turn | Annotated[list[Turn], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(ge=1)] = None


@router.post("")
def embeddings(request: Request, body: Embeddings) -> Json:
    """One vector of length 1 for each text."""
    serving = server_of(request).workspace.serving
    if body.model != serving.embedder:
        raise NotFound(f"no embedder {body.model[:100]!r} here; this workspace embeds with {serving.embedder!r}")
    texts = [body.input] if isinstance(body.input, str) else body.input
    rows = serving.embed(texts)
    if body.dimensions is not None and body.dimensions != rows.shape[1]:
        raise UsageProblem(f"{serving.embedder} gives {rows.shape[1]} dimensions, not {body.dimensions}")
    coded = body.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": number,
            "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode() if coded else row.tolist(),
        }
        for number, row in enumerate(rows)
    ]
    tokens = sum(-(-len(text) // CHARACTERS_A_TOKEN) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.model, "usage": usage}
