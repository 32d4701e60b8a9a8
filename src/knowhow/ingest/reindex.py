"""Build another index beside the active one from the stored texts, then switch questions to it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from knowhow.errors import ConfigProblem
from knowhow.ingest.batch import CHARACTERS, PASSAGES, Cut, Vectors, cut
from knowhow.ports import Embedder, Store
from knowhow.types import EVERYTHING, Document, Filter, IndexSpec, Progress

_ALL = Filter(access=frozenset({EVERYTHING}))


def reindex(store: Store, embedder: Embedder, spec: IndexSpec) -> Generator[Progress, None, str]:
    """Makes the index of `spec` hold every retained version, activates it and returns its id.

    Questions are answered from the active index until the new one is complete. What an interrupted run has built is
    kept and continued, and documents that change meanwhile are caught up with. Raises `ConfigProblem` where
    `embedder` is not the one of `spec`, and where a document changed in the very instant of the switch.
    """
    if (embedder.name, embedder.dims) != (spec.embedder, spec.dims):
        raise ConfigProblem(f"index {spec.id} needs embedder {spec.embedder!r}, not {embedder.name!r}")
    index = store.create_index(spec)
    same_vectors = [s.id for s, _ in store.indexes() if (s.embedder, s.dims) == (spec.embedder, spec.dims)]
    vectors = Vectors(store, [index, *(other for other in same_vectors if other != index)], embedder)
    while (yield from _fill(store, index, spec, vectors)):
        pass
    store.activate(index)
    return index


def _fill(store: Store, index: str, spec: IndexSpec, vectors: Vectors) -> Generator[Progress, None, int]:
    """Adds the passages of every version that has none in `index`; returns how many passages that were."""
    uris = [info.uri for info in store.documents(_ALL, removed=True)]
    waiting: list[tuple[Document, list[Cut]]] = []
    passages = characters = filled = 0
    for number, uri in enumerate(uris, start=1):
        for document in _missing(store, index, uri):
            cuts = cut(document, spec)
            waiting.append((document, cuts))
            passages += len(cuts)
            characters += len(document.text)
            if passages >= PASSAGES or characters >= CHARACTERS:
                filled += _write(store, index, vectors, waiting)
                waiting, passages, characters = [], 0, 0
        yield Progress(number, len(uris), "documents", uri, {"embedded": vectors.embedded})
    return filled + _write(store, index, vectors, waiting)


def _missing(store: Store, index: str, uri: str) -> Iterator[Document]:
    """The versions of `uri` that have text but no passages in `index`."""
    for version in store.versions(uri, _ALL):
        if not store.passages_of(index, uri, version.version):
            document = store.document(uri, _ALL, version=version.version)
            if document:
                yield document


def _write(store: Store, index: str, vectors: Vectors, waiting: list[tuple[Document, list[Cut]]]) -> int:
    indexed = vectors.indexed(cuts for _, cuts in waiting)
    for (document, _), passages in zip(waiting, indexed, strict=True):
        store.index_passages(index, document.uri, document.version, passages)
    return sum(len(passages) for passages in indexed)
