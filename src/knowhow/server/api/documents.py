"""Documents over HTTP: list, read, put by uri, upload, take away, and what they said before."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Path, Query, Request, Response, UploadFile
from pydantic import Field

from knowhow.ingest.push import Handed
from knowhow.server.fields import Body, LongText, Tags, Text, Uri, Where
from knowhow.server.idempotency import Idempotent
from knowhow.server.identity import AdminRole, AskRole, EditRole
from knowhow.server.pages import Cursor, Limit, page, read_name_cursor
from knowhow.server.state import server_of
from knowhow.types import Json
from knowhow.workspace import diff_json, document_json, purged_json, version_json
from knowhow.workspace.pushing import Upload

router = APIRouter(prefix="/api", tags=["documents"], route_class=Idempotent)
UriPath = Annotated[Uri, Path(description="The document's uri, as `GET /api/documents` spells it.")]
Version = Annotated[int | None, Query(ge=1, le=2**31)]


class Put(Body):
    """A document handed over as text."""

    text: Annotated[LongText, Field(min_length=1)]
    title: Annotated[Text, Field(max_length=1000)] = ""
    media_type: Literal["text/plain", "text/markdown", "text/html"] = "text/plain"
    metadata: Where = Field(default_factory=dict)
    access: Annotated[Tags | None, Field(description="None leaves the tags it has.")] = None


@router.get("/documents")
def documents(
    request: Request,
    asker: AskRole,
    source: Annotated[Text | None, Query(max_length=200)] = None,
    removed: bool = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Json:
    """What is ingested and how it stands, by uri."""
    found = server_of(request).workspace.serving.documents(
        asker.access, source=source, removed=removed, after=read_name_cursor(cursor), limit=limit + 1
    )
    return page([document_json(info) for info in found], limit, [info.uri for info in found[:limit]][-1:])


@router.get("/documents/{uri:path}")
def document(request: Request, uri: UriPath, asker: AskRole, version: Version = None) -> Json:
    """One document with its text, as it is or as it was in `version`."""
    found = server_of(request).workspace.document(uri, version=version, access=asker.access)
    return {
        "uri": found.uri,
        "title": found.title,
        "version": found.version,
        "media_type": found.media_type,
        "source": found.source,
        "metadata": dict(found.metadata),
        "access": sorted(found.access),
        "text": found.text,
    }


@router.put("/documents/{uri:path}")
def put(request: Request, response: Response, uri: UriPath, body: Put, asker: EditRole) -> Json:
    """Make a text the current version of its uri; the next question sees it. 201 where it is new or changed."""
    access = None if body.access is None else frozenset(body.access)
    handed = Handed(uri, body.text, body.title, body.media_type, body.metadata, access)
    info, changed = server_of(request).workspace.serving.pushing.put(handed, asker.access)
    response.status_code = 201 if changed else 200
    return {**document_json(info), "changed": changed}


@router.post("/documents", status_code=201)
def upload(
    request: Request,
    asker: EditRole,
    files: Annotated[list[UploadFile], File(min_length=1, max_length=100)],
    access: Annotated[str | None, Form(max_length=1000, description="Tags with commas; none leaves them.")] = None,
) -> Json:
    """Keep files and read them in the sandbox; each is ready, or failed with its reason."""
    tags = None if access is None else frozenset(tag.strip() for tag in access.split(",") if tag.strip())
    uploads = [Upload(file.filename or "", file.file) for file in files]
    found = server_of(request).workspace.serving.pushing.upload(uploads, tags, asker.access)
    return {"items": [document_json(info) for info in found]}


@router.delete("/documents/{uri:path}")
def delete(request: Request, uri: UriPath, asker: EditRole) -> Json:
    """End what answers of a document that was put or uploaded; its history is kept."""
    return document_json(server_of(request).workspace.serving.pushing.delete(uri, asker.access))


@router.get("/versions/{uri:path}")
def versions(request: Request, uri: UriPath, asker: AskRole) -> Json:
    """Every retained version of a document, newest first."""
    log = server_of(request).workspace.history.log(uri, access=asker.access)
    return {"items": [version_json(row) for row in log]}


@router.get("/diff/{uri:path}")
def diff(
    request: Request,
    uri: UriPath,
    asker: AskRole,
    before: Annotated[Version, Query(alias="from")] = None,
    after: Annotated[Version, Query(alias="to")] = None,
) -> Json:
    """What changed between two versions, by default the last two."""
    return diff_json(server_of(request).workspace.history.diff(uri, before, after, access=asker.access))


@router.post("/purge/{uri:path}")
def purge(request: Request, uri: UriPath, asker: AdminRole, dry_run: bool = False) -> Json:
    """Erase a document for good: every version and every trace that quotes it."""
    workspace = server_of(request).workspace
    purged = workspace.history.purge(uri, dry_run=dry_run, access=asker.access)
    if not dry_run and workspace.serving.pushing.forget_file(uri):
        purged = replace(purged, still_at="")
    return purged_json(purged)
