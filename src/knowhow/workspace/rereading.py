"""Reads the source of a document again, to see whether what the index lacks was lost on the way into it."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

from knowhow.errors import KnowhowError
from knowhow.ingest.corpus import read_line, scan_corpus
from knowhow.ingest.sandbox import read_all
from knowhow.ports import FileStamp, Source, Store
from knowhow.types import Extract


class Rereading:
    """uri → the text its source has today. Only what the store knows of is read, under the tags it is known by."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._read: dict[str, str | None] = {}
        self._stamps: dict[str, tuple[Source, FileStamp]] | None = None

    def get(self, uri: str, /) -> str | None:
        """None where there is no source to read, or it cannot be read."""
        with self._lock:
            if uri not in self._read:
                self._read[uri] = self._text(uri)
            return self._read[uri]

    def _text(self, uri: str) -> str | None:
        if self._stamps is None:
            sources = self._store.sources()
            self._stamps = {u: (one, stamp) for one in sources for u, stamp in self._store.stamps(one.name).items()}
        if uri not in self._stamps:
            return None
        source, stamp = self._stamps[uri]
        if source.kind == "jsonl":
            return _line(source, uri)
        path = Path(os.path.join(source.root, stamp.path))  # a single file's path is absolute and stays as it is
        with closing(read_all([path], workers=1)) as results:
            read = next((outcome for _, outcome in results), None)
        return read.text if isinstance(read, Extract) else None


def _line(source: Source, uri: str) -> str | None:
    try:
        found = next((one for one in scan_corpus(Path(source.root), source.prefix).found if one.uri == uri), None)
        return read_line(found).text if found else None
    except KnowhowError:
        return None
