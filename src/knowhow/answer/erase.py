"""Erasing what answers kept of a document: traces that quote it, and conversations that went on from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from knowhow.answer import call, feedback, trace
from knowhow.ports import Record, Records
from knowhow.types import EVERYTHING, Json

_ALL = frozenset({EVERYTHING})
_LEAST = 24
"""Characters of a quote or an answer that tell that a later turn repeats it."""


def erase_traces(records: Records, uris: Collection[str], *, dry_run: bool = False) -> int:
    """Deletes every record that quotes one of `uris`, and every later question whose conversation repeats an answer
    that did; returns how many."""
    quoting = set(uris)
    later = _later(records, quoting)
    if dry_run:
        kinds = (trace.KIND, feedback.KIND, call.KIND)
        return sum(bool(row.uris & quoting) for kind in kinds for row in records.select(kind, _ALL)) + len(later)
    gone = sum(records.purge(uri) for uri in sorted(quoting))
    for name in later:
        remarks = [row.id for row in records.select(feedback.KIND, _ALL, parent=name)]
        gone += records.erase(feedback.KIND, remarks) + records.erase(trace.KIND, [name])
    return gone


def _later(records: Records, uris: set[str]) -> list[str]:
    """Traces that name none of `uris` but carry words of those that do in the turns before them."""
    said: set[str] = set()
    found = []
    for record in records.select(trace.KIND, _ALL, oldest_first=True):
        turns = [turn["content"] for turn in record.body["history"]]
        repeats = any(words in turn for turn in turns for words in said)
        if repeats and not record.uris & uris:
            found.append(record.id)
        if repeats or record.uris & uris:
            said.update(_words(record))
    return found


def _words(record: Record) -> Iterator[str]:
    body: Json = record.body
    texts = [body["answer"], body["raw"], *(citation["quote"] for citation in body["citations"])]
    return (text.strip() for text in texts if len(text.strip()) >= _LEAST)
