"""Vector store search: every source is a store, and `default` is all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from knowhow.errors import NotFound, UsageProblem
from knowhow.server.fields import Question, Scalar, Word
from knowhow.server.identity import AskRole
from knowhow.server.state import server_of
from knowhow.types import Hit, Json, MetaValue

router = APIRouter(prefix="/v1/vector_stores", tags=["openai"])
ALL = "default"


class Comparison(BaseModel):
    """Metadata that must be equal; other comparisons are not known."""

    type: Literal["eq"]
    key: Word
    value: Scalar


class Compound(BaseModel):
    """Several comparisons that must all hold."""

    type: Literal["and"]
    filters: Annotated[list[Comparison], Field(min_length=1, max_length=20)]


class Ranking(BaseModel):
    """How results are cut."""

    model_config = ConfigDict(extra="allow")

    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0


class StoreSearch(BaseModel):
    """A request as OpenAI's clients send it."""

    model_config = ConfigDict(extra="allow")

    query: Question | Annotated[list[Question], Field(min_length=1, max_length=10)]
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    filters: Comparison | Compound | None = None
    ranking_options: Ranking | None = None


@router.post("/{store}/search")
def search(request: Request, store: Annotated[str, Path(max_length=200)], body: StoreSearch, asker: AskRole) -> Json:
    """The best passages of a source, or of all (`default`); the score is how relevant each is, from 0 to 1."""
    workspace = server_of(request).workspace
    # A source that holds nothing this asker may see is not there for them.
    where = {} if store == ALL else {"source": store}
    if where and not workspace.serving.holds(where, asker.access):
        raise NotFound(f"no vector store {store!r} that you may see; {ALL} is all documents")
    queries = [body.query] if isinstance(body.query, str) else body.query
    if not any(query.strip() for query in queries):
        raise UsageProblem("the query is empty; say what to look for")
    least = body.ranking_options.score_threshold if body.ranking_options else 0.0
    found = workspace.search(
        " ".join(queries), k=body.max_num_results, where={**_equal(body.filters), **where}, access=asker.access
    )
    return {
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": [_result(hit) for hit in found.hits if hit.relevance >= least],
        "has_more": False,
        "next_page": None,
    }


def _equal(filters: Comparison | Compound | None) -> dict[str, MetaValue]:
    each = [] if filters is None else [filters] if isinstance(filters, Comparison) else filters.filters
    return {one.key: one.value for one in each}


def _result(hit: Hit) -> Json:
    own = {"version": hit.version, "start": hit.start, "end": hit.end, "place": hit.place.label()}
    return {
        "file_id": hit.uri,
        "filename": hit.title or hit.uri,
        "score": hit.relevance,
        "attributes": {**hit.metadata, **own},
        "content": [{"type": "text", "text": hit.text}],
    }
