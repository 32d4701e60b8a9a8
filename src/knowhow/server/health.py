"""Is it up, and who am I: what load balancers and clients ask first."""

from __future__ import annotations

from fastapi import APIRouter

from knowhow.server.identity import AskRole
from knowhow.types import Json

router = APIRouter(tags=["server"])


@router.get("/health")
def health() -> Json:
    """Whether the server answers; needs no key and tells nothing else."""
    return {"status": "ok"}


@router.get("/api/me")
def me(asker: AskRole) -> Json:
    """The name, role and access tags behind this request."""
    return {"name": asker.name, "role": asker.role.value, "access": sorted(asker.access)}
