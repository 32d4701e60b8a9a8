"""Models as OpenAI's clients see them: every recipe that can answer a question, and the embedder."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from knowhow.errors import NotFound
from knowhow.server.identity import Needs
from knowhow.server.keys import Role
from knowhow.server.state import Server, server_of
from knowhow.types import Context, Json

router = APIRouter(prefix="/v1/models", tags=["openai"], dependencies=[Depends(Needs(Role.ASK))])


@router.get("")
def models(request: Request) -> Json:
    """Recipes that can answer, the workspace's own first, and the embedder last."""
    return {"object": "list", "data": [_model(name) for name in _names(server_of(request))]}


@router.get("/{name:path}")
def model(request: Request, name: str) -> Json:
    """One model."""
    names = _names(server_of(request))
    if name not in names:
        raise NotFound(f"no model {name[:100]!r}; there are {', '.join(names)}")
    return _model(name)


def _names(server: Server) -> list[str]:
    workspace = server.workspace
    own = workspace.settings.recipe
    # Evidence is known for the examples of a suite only.
    recipes = [name for name, recipe in workspace.recipes.items() if recipe.context is not Context.GOLD]
    return [*sorted(recipes, key=lambda name: (name != own, name)), workspace.serving.embedder]


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": "knowhow"}
