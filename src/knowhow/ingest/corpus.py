"""A JSONL corpus (`{"_id", "title", "text", "metadata"}` a line, as BEIR has it) as a source of documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowhow.errors import ReadProblem, UnreadableFile, UsageProblem
from knowhow.ingest.hashing import named_hash
from knowhow.ingest.scan import Found, Scan
from knowhow.types import Extract, MetaValue

MEDIA_TYPE = "text/plain"


def scan_corpus(path: Path, prefix: str) -> Scan:
    """One `Found` a line with its content hash; a bad line or a doubled `_id` gets the uri `FILE:LINE` and its problem.

    Raises `UsageProblem` where the file cannot be read. Memory grows with the number of lines, not their length.
    """
    scan = Scan()
    lines: dict[str, int] = {}
    offset = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    uri, problem = _identity(line)
                    if uri in lines and not problem:
                        problem = f"_id {uri!r} was used before, in line {lines[uri]}"
                    if not problem:
                        lines[uri] = number
                    uri = prefix + (f"{path.name}:{number}" if problem else uri)
                    digest = named_hash(hashlib.blake2b(line, digest_size=16), "jsonl")
                    problem = problem and f"line {number}: {problem}"
                    scan.found.append(Found(uri, str(path), uri, len(line), 0, offset, digest, problem))
                offset += len(line)
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror}; nothing was ingested") from error
    return scan


def read_line(found: Found) -> Extract:
    """The document of one line. Raises `UnreadableFile` for a bad line, also where the file changed meanwhile."""
    if found.problem:
        raise UnreadableFile(ReadProblem.DAMAGED, found.problem)
    try:
        with open(found.path, "rb") as file:
            file.seek(found.offset)
            body = json.loads(file.read(found.size))
    except (OSError, ValueError) as error:
        raise UnreadableFile(ReadProblem.UNREADABLE, f"the file changed while it was read ({error})") from error
    title = " ".join(str(body.get("title") or "").split())
    text = str(body.get("text") or "") or title
    if not text.strip():
        raise UnreadableFile(ReadProblem.EMPTY, "neither title nor text")
    return Extract(_storable(text), MEDIA_TYPE, _storable(title), (), _plain(body.get("metadata")))


def _identity(line: bytes) -> tuple[str, str]:
    """(uri, "") of a good line, ("", problem) of a bad one."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        return "", f"no JSON: {error}"
    if not isinstance(body, dict):
        return "", f"a JSON object with _id and text is needed, not {type(body).__name__}"
    uri = body.get("_id")
    if isinstance(uri, bool) or not isinstance(uri, str | int) or not str(uri).strip():
        return "", f"_id must be a text or a whole number, not {uri!r}"
    for key in ("title", "text"):
        if not isinstance(body.get(key) or "", str):
            return "", f"{key} must be text, not {type(body[key]).__name__}"
    if not isinstance(body.get("metadata") or {}, dict):
        return "", "metadata must be an object"
    return _storable(str(uri)), ""


def _plain(metadata: Mapping[str, Any] | None) -> dict[str, MetaValue]:
    """Scalars as they are, lists of scalars as text with commas, anything deeper as JSON."""
    plain: dict[str, MetaValue] = {}
    for key, value in (metadata or {}).items():
        if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
            plain[key] = ", ".join(map(str, value))
        elif isinstance(value, str | int | float):
            plain[key] = value
        elif value is not None:
            plain[key] = json.dumps(value, ensure_ascii=False)
    return plain


def _storable(text: str) -> str:
    """Lone surrogates, which JSON can spell and UTF-8 cannot, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
