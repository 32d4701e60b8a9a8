"""What a sync has to do: what was found against what is known, decided before anything is written."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from knowhow.errors import UsageProblem
from knowhow.ingest.hashing import UNREAD, file_hash, is_current
from knowhow.ingest.scan import Found, Scan
from knowhow.ports import FileStamp, Source
from knowhow.types import Failure, Progress

TICK_NS = 2_000_000_000
"""File times this close to now prove nothing: a later write may get the same one (FAT counts in steps of 2 s)."""


class Step(StrEnum):
    """What happens to one found document."""

    UPDATE = "update"
    MOVE = "move"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class Task:
    """One document to read. `content_hash` is "" for a new file, which is opened only when its turn comes."""

    step: Step
    found: Found
    content_hash: str = ""
    moved_from: str = ""


@dataclass(slots=True)
class Plan:
    """The whole sync of one source. `tasks` are ordered: what answers wrongly today comes first."""

    source: Source
    at_ns: int
    """When looking began."""
    partial: bool = False
    """Whether only some files were looked at, so that what was not found is not gone."""
    tasks: list[Task] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[Found] = field(default_factory=list)
    stamps: list[FileStamp] = field(default_factory=list)
    """Stamps of unchanged files that look different now (touched, copied)."""
    failed: list[Failure] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def make_plan(
    source: Source, scan: Scan, known: Mapping[str, FileStamp], *, partial: bool = False, ocr: bool = False
) -> Generator[Progress, None, Plan]:
    """Compares by stamp, then by content hash; a vanished uri and a new one with equal hash are a move.

    Opens only files whose stamp changed, new ones as large as a vanished one, and with `ocr` unread scans.
    """
    plan = Plan(source, scan.at_ns, partial, failed=list(scan.failed), warnings=list(scan.warnings))
    here = {found.uri for found in scan.found}
    gone = {} if partial else {u: s for u, s in known.items() if u not in here and scan.saw(u)}
    by_hash = {stamp.content_hash.removesuffix(UNREAD): uri for uri, stamp in gone.items() if stamp.content_hash}
    sizes = {stamp.size for stamp in gone.values()}
    for number, found in enumerate(scan.found):
        if number % 256 == 0:
            yield Progress(number, len(scan.found), "files", "comparing")
        stamp = known.get(found.uri)
        if stamp and _looks_same(found, stamp, ocr):
            plan.unchanged.append(found)
            continue
        digest = found.content_hash
        if stamp or found.size in sizes:
            digest = digest or _hash_or_nothing(found)
        if stamp and digest and _says_same(stamp.content_hash, digest, ocr):
            plan.unchanged.append(found)
            plan.stamps.append(make_stamp(found, stamp.content_hash, scan.at_ns))
        elif stamp:
            plan.tasks.append(Task(Step.UPDATE, found, digest))
        elif digest and (origin := by_hash.pop(digest, "")):
            del gone[origin]
            plan.tasks.append(Task(Step.MOVE, found, digest, origin))
        else:
            plan.tasks.append(Task(Step.ADD, found, digest))
    order = list(Step)
    plan.tasks.sort(key=lambda task: order.index(task.step))
    plan.removed = sorted(gone)
    return plan


def refuse_loss(plan: Plan, known: int, yes: bool) -> None:
    """Raises `UsageProblem` where the sync would remove more than half of what the source holds, unless `yes`."""
    gone = len(plan.removed)
    if yes or not gone or gone * 2 <= known:
        return
    what = "is empty or no longer there" if not (plan.unchanged or plan.tasks) else "has lost most of its files"
    raise UsageProblem(
        f"{plan.source.root} {what}: {gone} of {known} documents of source {plan.source.name!r} would be removed; "
        "nothing was changed. If that is meant, run the same command with --yes"
    )


def refuse_other_folder(scan: Scan, known: Mapping[str, FileStamp]) -> None:
    """Raises `UsageProblem` where a single file has the name of one from another folder that is still there."""
    for found in scan.found:
        stamp = known.get(found.uri)
        if stamp and stamp.path != found.relative and os.path.exists(stamp.path):
            raise UsageProblem(
                f"{found.uri!r} is already known from {stamp.path}; nothing was changed. "
                f"Keep both with: knowhow ingest {found.path} --as NAME"
            )


def refuse_clashes(plan: Plan, taken: Mapping[str, str]) -> None:
    """Raises `UsageProblem` where a new uri belongs to another source (`taken`: uri → source name)."""
    clashes = [task.found.uri for task in plan.tasks if task.found.uri in taken]
    if clashes:
        more = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
        raise UsageProblem(
            f"{clashes[0]!r}{more} is already a document of source {taken[clashes[0]]!r}; nothing was changed. "
            f"Give this source a name of its own: knowhow ingest {plan.source.root or clashes[0]} --as NAME"
        )


def make_stamp(found: Found, content_hash: str, at_ns: int) -> FileStamp:
    """The stamp of what was read after `at_ns`; file times count only if they are older than that by `TICK_NS`.

    The remedy is git's for "racily clean" entries (Documentation/technical/racy-git).
    """
    settled = found.changed_ns < at_ns - TICK_NS
    return FileStamp(found.uri, found.relative, found.size, found.changed_ns if settled else 0, content_hash)


def _says_same(known: str, digest: str, ocr: bool) -> bool:
    return known == digest if ocr else known.removesuffix(UNREAD) == digest


def _looks_same(found: Found, stamp: FileStamp, ocr: bool) -> bool:
    if found.content_hash:
        return found.content_hash == stamp.content_hash
    same = (found.size, found.changed_ns) == (stamp.size, stamp.mtime_ns)
    return same and is_current(stamp.content_hash, ocr)


def _hash_or_nothing(found: Found) -> str:
    """ "" for a file that cannot be opened: it fails when it is read, with its reason."""
    try:
        return file_hash(found.path)
    except OSError:
        return ""
