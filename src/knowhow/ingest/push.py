"""Documents that are handed over instead of found: one text under a uri of its own, replaced or taken away at once."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from knowhow.errors import ConfigProblem, UnreadableFile, UsageProblem
from knowhow.ingest.access_rules import check_tags, own_tags
from knowhow.ingest.batch import Batch, Vectors
from knowhow.ingest.dates import effective_at, supersedes
from knowhow.ingest.hashing import named_hash
from knowhow.ingest.sandbox import read_all
from knowhow.ports import Embedder, FileStamp, Remove, Source, Store
from knowhow.types import (
    EVERYTHING,
    Document,
    DocumentInfo,
    DocumentState,
    Extract,
    Filter,
    IndexSpec,
    MetaValue,
    fingerprint,
)

PUSHED = "pushed"
"""Name and kind of the source that holds what was handed over."""
SUFFIXES = {"text/plain": ".txt", "text/markdown": ".md", "text/html": ".html"}
_ALL = frozenset({EVERYTHING})


@dataclass(frozen=True, slots=True)
class Handed:
    """A text with what its sender says of it. `access` None leaves the tags it has, none at first."""

    uri: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    metadata: Mapping[str, MetaValue] = field(default_factory=dict)
    access: frozenset[str] | None = None


def standing(store: Store, uri: str) -> DocumentInfo | None:
    """How `uri` stands, removed or not, whoever may see it."""
    # A uri that ends in "/" stands for all below it, hence the comparison.
    found = store.documents(Filter(_ALL, {"uri": uri}), removed=True)
    return next((info for info in found if info.uri == uri), None)


def push(handed: Handed, before: DocumentInfo | None, store: Store, embedder: Embedder, spec: IndexSpec) -> bool:
    """Makes the text the current version of its uri, in force when this returns; False where nothing changed.

    It is read like a file of its media type, in the readers' sandbox. `before` is how the uri stands.
    Raises `UnreadableFile` for a text that gives none or bad tags, `UsageProblem` for a uri of another source, each
    with nothing changed.
    """
    if (embedder.name, embedder.dims) != (spec.embedder, spec.dims):
        raise ConfigProblem(f"the index was made with {spec.embedder!r}; embed everything again with: knowhow reindex")
    if before is not None and before.source != PUSHED:
        raise UsageProblem(f"{handed.uri!r} is a document of source {before.source!r}; change it there")
    access = check_tags(handed.access, "access") if handed.access is not None else None
    kept = before.access if before is not None else frozenset()
    tags = (kept if access is None else access) | own_tags(handed.metadata)
    digest = _digest(handed)
    same = before is not None and before.state is DocumentState.READY and before.access == tags
    if same and store.stamps(PUSHED)[handed.uri].content_hash == digest:
        return False
    document = _document(handed, _read(handed), tags, digest)
    if not any(source.name == PUSHED for source in store.sources()):
        store.put_source(Source(PUSHED, "", "", PUSHED))
    index = store.create_index(spec)
    batch = Batch(store, index, spec, Vectors(store, [index], embedder))
    batch.put(document, FileStamp(handed.uri, f"{PUSHED}:{handed.uri}", len(handed.text), 0, digest))
    batch.write()
    return True


def take_away(info: DocumentInfo, store: Store, spec: IndexSpec) -> None:
    """Ends what answers of a document; its history is kept. In force when this returns."""
    store.apply(store.create_index(spec), [Remove(info.uri)])


def _read(handed: Handed) -> Extract:
    if handed.media_type not in SUFFIXES:
        raise UsageProblem(f"{handed.media_type!r} cannot be handed over as text; name one of {', '.join(SUFFIXES)}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"text{SUFFIXES[handed.media_type]}"
        path.write_text(handed.text, "utf-8")
        ((_, found),) = read_all([path], workers=1)
    if isinstance(found, UnreadableFile):
        raise found
    return found


def _document(handed: Handed, extract: Extract, tags: frozenset[str], digest: str) -> Document:
    metadata = {**extract.metadata, **handed.metadata}
    named = extract.title if extract.title != "text" else ""
    return Document(
        uri=handed.uri,
        text=extract.text,
        title=handed.title or named or PurePosixPath(handed.uri).stem,
        media_type=extract.media_type,
        source=PUSHED,
        spans=extract.spans,
        metadata=metadata,
        access=tags | own_tags(extract.metadata, extract.text),
        content_hash=digest,
        effective_at=effective_at(metadata, handed.uri),
        supersedes=supersedes(metadata, handed.uri, ""),
    )


def _digest(handed: Handed) -> str:
    how = fingerprint([handed.title, handed.media_type, dict(handed.metadata)])
    return named_hash(hashlib.blake2b(handed.text.encode(), digest_size=16), how)
