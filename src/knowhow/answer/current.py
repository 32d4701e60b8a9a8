"""Keeps documents that another one says it supersedes from reaching the model."""

from __future__ import annotations

from dataclasses import replace

from knowhow.answer.asked import Corpus
from knowhow.answer.gather import Gathered


def current(found: Gathered, corpus: Corpus) -> Gathered:
    """`found` without hits of a document that any other hit or candidate, as the asker may see it, says it replaces."""
    versions = {(row.uri, row.version) for row in found.candidates} | {(hit.uri, hit.version) for hit in found.hits}
    documents = [corpus.document(uri, version) for uri, version in sorted(versions)]
    gone = {document.supersedes for document in documents if document is not None and document.supersedes}
    kept = tuple(hit for hit in found.hits if hit.uri not in gone)
    return replace(found, hits=kept, superseded=tuple(hit for hit in found.hits if hit.uri in gone))
