"""The content hash: what was read and how. Equal hash means there is nothing to do."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from knowhow.ingest import dates
from knowhow.ingest.readers import READER_REVISION

UNREAD = "-unread-scans"
"""Ends the hash of what holds scans that nothing read: once something can, they are read."""
_REVISION = f"{READER_REVISION}.{dates.REVISION}:"


def file_hash(path: str) -> str:
    """Content hash of a file; its suffix counts, since it chooses the reader. Raises `OSError`."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return named_hash(digest, os.path.splitext(path)[1].lower())


def named_hash(digest: Any, how: str) -> str:
    """The revision of readers and rules in clear, then 32 hex digits over the bytes and `how` they are read."""
    digest.update(b"\0" + how.encode(errors="surrogateescape"))
    return f"{_REVISION}{digest.hexdigest()}"


def is_current(content_hash: str, ocr: bool) -> bool:
    """Whether the hash was made by the readers and rules of this version, and nothing more is read with `ocr`."""
    return content_hash.startswith(_REVISION) and not (ocr and content_hash.endswith(UNREAD))
