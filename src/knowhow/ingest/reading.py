"""Tasks to texts: files through the sandboxed readers, lines of a corpus directly."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.corpus import read_line
from knowhow.ingest.hashing import UNREAD, file_hash
from knowhow.ingest.plan import Task
from knowhow.ingest.readers.scans import HOW
from knowhow.ingest.sandbox import read_all
from knowhow.ingest.scan import Found, changed_ns
from knowhow.types import Extract

_TRY_AGAIN = {ReadProblem.UNREADABLE, ReadProblem.TIMED_OUT, ReadProblem.OUT_OF_MEMORY}
"""Failures that the machine may have caused: such a file is read again at every sync, changed or not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task. `content_hash` is "" where the file must be opened again next time."""

    task: Task
    result: Extract | UnreadableFile
    content_hash: str


def read_tasks(tasks: Sequence[Task], workers: int | None, ocr: bool = True) -> Generator[Outcome, None, None]:
    """Every task's outcome, in the order they become ready; at most a few files are held at a time."""
    lines = [task for task in tasks if task.found.offset >= 0]
    for task in lines:
        yield _read_line(task)
    files = [task for task in tasks if task.found.offset < 0]
    pending: dict[Path, tuple[Task, str]] = {}
    broken: list[Outcome] = []

    def paths() -> Iterator[Path]:
        for task in files:
            try:
                digest = task.content_hash or file_hash(task.found.path)
            except OSError as error:
                problem = UnreadableFile(ReadProblem.UNREADABLE, f"cannot be opened ({error.strerror})")
                broken.append(Outcome(task, problem, ""))
                continue
            path = Path(task.found.path)
            pending[path] = (task, digest)
            yield path

    with closing(read_all(paths(), workers=workers, ocr=ocr)) as results:
        for path, result in results:
            task, digest = pending.pop(path)
            yield _outcome(task, result, digest)
            while broken:
                yield broken.pop()
    yield from broken


def _read_line(task: Task) -> Outcome:
    try:
        return Outcome(task, read_line(task.found), task.found.content_hash)
    except UnreadableFile as error:
        return _outcome(task, error, task.found.content_hash)


def _outcome(task: Task, result: Extract | UnreadableFile, digest: str) -> Outcome:
    again = isinstance(result, UnreadableFile) and result.reason in _TRY_AGAIN
    mark = UNREAD if _has_unread_scans(result) else ""
    return Outcome(task, result, "" if again or not _is_as_found(task.found) else digest + mark)


def _has_unread_scans(result: Extract | UnreadableFile) -> bool:
    """Whether another look could give more once there is something that reads scans."""
    if isinstance(result, UnreadableFile):
        return result.reason is ReadProblem.NO_TEXT and HOW in result.detail
    return result.unread_scans > 0


def _is_as_found(found: Found) -> bool:
    """Whether the file still looks as it did before it was read; else hash and text may be of two states."""
    if found.offset >= 0:
        return True
    try:
        status = os.stat(found.path)
    except OSError:
        return False
    return (status.st_size, changed_ns(status)) == (found.size, found.changed_ns)
