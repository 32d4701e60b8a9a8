"""Turn one file into text with the places a person would look: `read` and `read_bytes`."""

from __future__ import annotations

import stat
from importlib import import_module
from pathlib import Path, PurePosixPath

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.sniff import Format, sniff
from knowhow.types import Extract

READER_REVISION = 2
"""Raised when the same bytes would be read differently, so that unchanged files are read again."""
MAX_BYTES = 512_000_000
MAX_DEPTH = 4
"""How deep files may lie in files (mails in mails) before they are left out."""

_READERS = {
    Format.MARKDOWN: "markdown",
    Format.TEXT: "plain",
    Format.HTML: "html",
    Format.XML: "xml_text",
    Format.PDF: "pdf",
    Format.WORD: "word",
    Format.SLIDES: "slides",
    Format.SHEETS: "sheets",
    Format.TABLE: "delimited",
    Format.MAIL: "mail",
    Format.OUTLOOK: "outlook",
    Format.JSON: "json_tree",
    Format.JSON_LINES: "json_tree",
    Format.NOTEBOOK: "notebook",
    Format.EPUB: "epub",
    Format.OPEN_DOCUMENT: "open_document",
    Format.RTF: "rtf",
    Format.CODE: "code",
    Format.PICTURE: "picture",
}
"""Format → module of this folder with `read(name, data, depth) -> Extract`, imported when first needed."""


def read(path: Path) -> Extract:
    """Text, places, title and metadata of the file at `path`. Raises `UnreadableFile` with the reason.

    Hostile files can take any time and memory: read those of strangers through `knowhow.ingest.sandbox`.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile(ReadProblem.UNSUPPORTED, "not a regular file")
        if status.st_size > MAX_BYTES:
            raise UnreadableFile(ReadProblem.TOO_LARGE, f"{status.st_size:,} bytes, over {MAX_BYTES:,}; split the file")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(ReadProblem.UNREADABLE, f"cannot be opened ({error.strerror})") from None
    return read_bytes(path.name, data)


def read_bytes(name: str, data: bytes, *, depth: int = 0) -> Extract:
    """What `read` gives, for a file in memory; `depth` says how many files it lies in.

    Raises `UnreadableFile` and, for any input, nothing else (but `MemoryError`).
    """
    if depth > MAX_DEPTH:
        raise UnreadableFile(ReadProblem.TOO_LARGE, f"lies more than {MAX_DEPTH} files deep")
    name = PurePosixPath(name.replace("\\", "/")).name or "unnamed"
    try:
        reader = import_module(f"knowhow.ingest.readers.{_READERS[sniff(name, data)]}")
        extract: Extract = reader.read(name, data, depth)
        return extract
    except (UnreadableFile, MemoryError):
        raise
    except RecursionError:
        raise UnreadableFile(ReadProblem.DAMAGED, "nested deeper than any real document") from None
    except Exception as error:
        # A parser meets what its authors did not think of; to the run that is one more damaged file.
        detail = f"the reader failed on it ({type(error).__name__}: {str(error)[:200]})"
        raise UnreadableFile(ReadProblem.DAMAGED, detail) from error
