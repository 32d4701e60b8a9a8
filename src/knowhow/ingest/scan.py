"""What is there now: the files of a folder, single files, or the lines of a JSONL corpus, with their stamps."""

from __future__ import annotations

import os
import stat
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UsageProblem
from knowhow.types import Failure

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".knowhowignore"
_IGNORED_FOLDERS = frozenset({"node_modules", "__pycache__", "__MACOSX"})
_IGNORED_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that can become a document: a file, or one line of a JSONL file.

    `path` opens it; `relative` is what its stamp and the access rules see. `changed_ns` is the later of
    modification and status change, so that a replacement with the same size and an old modification time shows.
    """

    uri: str
    path: str
    relative: str
    size: int
    changed_ns: int
    offset: int = -1
    """Where its line starts, in bytes; -1 for a whole file."""
    content_hash: str = ""
    """Known without opening the file only for a line."""
    problem: str = ""
    """Why the line cannot be a document."""


@dataclass(slots=True)
class Scan:
    """Everything found, and what could not be looked at."""

    at_ns: int = field(default_factory=time.time_ns)
    """When looking began; everything is read later than this."""
    found: list[Found] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """uris, or uri prefixes ending in "/", that could not be looked at: neither there nor gone."""
    failed: list[Failure] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def saw(self, uri: str) -> bool:
        """Whether it is known that `uri` is there or not."""
        return not any(uri == gap or (gap.endswith("/") and uri.startswith(gap)) for gap in self.unseen)


class LeftOut:
    """What a sync of the folder `root` does not look at."""

    def __init__(self, root: Path) -> None:
        """Raises `UsageProblem` for an ignore file that cannot be read."""
        self._ignored = _ignore_patterns(root)

    def covers(self, relative: str) -> bool:
        """Whether the file or folder at this path, POSIX style, is left out, or one that holds it."""
        if relative == IGNORE_FILE:
            return False
        *folders, name = relative.split("/")
        if any(_is_hidden(folder) or folder in _IGNORED_FOLDERS for folder in folders):
            return True
        return _is_hidden(name) or name in _IGNORED_FOLDERS or _is_scratch(name) or self._ignored.match_file(relative)


def scan_folder(root: Path, prefix: str) -> Scan:
    """Every regular file under `root`, in the order of names, but hidden and ignored ones.

    Symbolic links to files are followed inside the root; those to folders are not, since what they point to is
    found under its own name. An unreadable folder or file is a failure, not a removal.
    """
    scan = Scan()
    inside = os.path.realpath(root)
    ignored = _ignore_patterns(root)
    claimed: dict[str, str] = {}
    for entry, relative in _walk(root, prefix, ignored, scan):
        name = portable(relative)
        uri = prefix + name
        try:
            if entry.is_symlink() and not _is_within(os.path.realpath(entry.path), inside):
                scan.warnings.append((uri, "a symbolic link that leaves the folder is not followed"))
                continue
            status = entry.stat()
        except FileNotFoundError:
            if entry.is_symlink():
                scan.warnings.append((uri, "a symbolic link to nothing"))
            continue
        except OSError as error:
            _unseen(scan, uri, error)
            continue
        if not stat.S_ISREG(status.st_mode):
            if not stat.S_ISDIR(status.st_mode):
                scan.warnings.append((uri, "not a regular file"))
            continue
        if other := claimed.get(uri):
            detail = f"{other!r} has the same name in another Unicode form; rename one of them"
            scan.failed.append(Failure(uri, ReadProblem.UNREADABLE.value, detail))
            continue
        claimed[uri] = relative
        scan.found.append(Found(uri, entry.path, name, status.st_size, changed_ns(status)))
    return scan


def scan_files(paths: Sequence[Path], prefix: str, root: str = "") -> Scan:
    """The given single files; their uri is their path below `root`, or without one their name.

    Raises `UsageProblem` for two files of one name.
    """
    scan = Scan()
    folders: dict[str, Path] = {}
    for path in dict.fromkeys(paths):
        relative = portable(_below(path, root).as_posix() if root else str(path))
        uri = prefix + (relative if root else portable(path.name))
        if uri in folders:
            raise UsageProblem(
                f"{path} and {folders[uri] / path.name} would both be {uri!r}; "
                "ingest their folders, or one of them with --as NAME"
            )
        folders[uri] = path.parent
        try:
            status = path.stat()
        except OSError as error:
            _unseen(scan, uri, error)
            continue
        scan.found.append(Found(uri, str(path), relative, status.st_size, changed_ns(status)))
    return scan


def changed_ns(status: os.stat_result) -> int:
    """The later of modification and status change; on Windows, where the latter is the creation, modification."""
    return status.st_mtime_ns if os.name == "nt" else max(status.st_mtime_ns, status.st_ctime_ns)


def _walk(root: Path, prefix: str, ignored: GitIgnoreSpec, scan: Scan) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every file entry with its path relative to `root`, POSIX style, depth first."""
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(root / folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise UsageProblem(f"cannot read the folder {root}: {error.strerror}; nothing was ingested") from error
            _unseen(scan, prefix + portable(folder), error)
            continue
        below = []
        for entry in entries:
            relative = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                if not (_is_hidden(entry.name) or entry.name in _IGNORED_FOLDERS or ignored.match_file(relative + "/")):
                    below.append(relative + "/")
            elif not (_is_hidden(entry.name) or _is_scratch(entry.name) or ignored.match_file(relative)):
                yield entry, relative
        pending.extend(reversed(below))


def _below(path: Path, root: str) -> Path:
    """`path` relative to `root`, by name where it is spelled so, else through symbolic links."""
    return path.relative_to(root) if path.is_relative_to(root) else path.resolve().relative_to(os.path.realpath(root))


def _unseen(scan: Scan, uri: str, error: OSError) -> None:
    scan.unseen.append(uri)
    scan.failed.append(Failure(uri, ReadProblem.UNREADABLE.value, f"{error.strerror}; what was known of it is kept"))


def _ignore_patterns(root: Path) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # here, since importing it takes longer than the rest of this folder

    path = root / IGNORE_FILE
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.exists() else []
        return GitIgnoreSpec.from_lines(lines)
    except (OSError, ValueError) as error:
        raise UsageProblem(f"cannot read {path}: {error}; mend or remove it") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _is_scratch(name: str) -> bool:
    """What editors and desktops leave beside files: lock files of Office, backups of Emacs and vi."""
    return name.lower() in _IGNORED_FILES or name.startswith("~$") or name.endswith(("~", "#"))


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def portable(path: str) -> str:
    """The same text on every machine: NFC, bytes that are no UTF-8 and control characters written as \\xNN."""
    if path.isascii() and path.isprintable():
        return path
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    text = "".join(c if unicodedata.category(c) != "Cc" else f"\\x{ord(c):02x}" for c in text)
    return unicodedata.normalize("NFC", text)
