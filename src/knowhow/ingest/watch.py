"""Watch: folders followed as they change; each burst of changes is one ordinary sync of what it touched."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem
from knowhow.ingest.ingest import ingest
from knowhow.ingest.scan import LeftOut, portable
from knowhow.ports import Embedder, Source, Store
from knowhow.types import EVERYTHING, Filter, IngestReport

QUIET_MS = 100
"""A sync starts when nothing has changed for so long: editors save in several steps within milliseconds …"""
LONGEST_MS = 2_000
"""… or when changes have gone on for so long, as during a large copy."""
TICK_MS = 1_000
RETRY_S = 5.0
"""After a failure that may pass by itself: a full disk, another writer, an embedder that is down."""
RESCAN_S = 600.0
"""A full sync whatever was reported: the kernel drops events when too many come at once."""
SINGLE = 64
"""Up to so many changed files are synced by themselves, without looking at the rest of the folder."""
_ALL = frozenset({EVERYTHING})


@dataclass(frozen=True, slots=True)
class Watching:
    """From now on every change is seen."""

    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Synced:
    """Something changed and answers now."""

    report: IngestReport


@dataclass(frozen=True, slots=True)
class Refused:
    """A sync was refused or failed; nothing of it was changed, and watching goes on."""

    problem: KnowhowError


Event = Watching | Synced | Refused


@dataclass(slots=True)
class _Due:
    """What the next sync has to look at, and from when on."""

    everything: bool = True
    files: set[Path] = field(default_factory=set)
    at: float = 0.0
    told: str = ""
    """The last refusal, so that one that lasts is told once."""

    def done(self) -> None:
        self.everything, self.files, self.at, self.told = False, set(), time.monotonic() + RESCAN_S, ""


def watch(
    folders: Sequence[str | Path],
    *,
    store: Store,
    embedder: Embedder,
    name: str | None = None,
    yes: bool = False,
    workers: int | None = None,
    ocr: bool = True,
) -> Generator[Event, None, None]:
    """Follows `folders`, which were ingested before under the same `name`, until the generator is closed.

    A sync that changed nothing is not told. One that is refused, e.g. because more than half of a folder is gone and
    `yes` was not given, is told, and tried again at the next change; a failure that may pass, every `RETRY_S`.
    Raises `ConfigProblem` where the system cannot watch.
    """
    roots = [Path(os.path.abspath(os.path.expanduser(folder))) for folder in folders]
    syncing = _Syncing(store, embedder, name, yes, workers, ocr, roots)
    due = _Due()
    while True:
        here = [root for root in roots if root.is_dir()]
        if not here:  # unmounted or being replaced: say so once and wait for it
            yield from _settle(syncing, due)
            time.sleep(TICK_MS / 1000)
            continue
        yield from _follow(syncing, due, here, told=len(here) == len(roots))
        due.everything = True


def _follow(syncing: _Syncing, due: _Due, roots: Sequence[Path], *, told: bool) -> Generator[Event, None, None]:
    """Watches `roots` until one of them is replaced by another folder or a missing one comes back."""
    from watchfiles import watch as changes_of

    identity = _identity(syncing.roots)
    changes = changes_of(
        *roots,
        watch_filter=None,
        debounce=LONGEST_MS,
        step=QUIET_MS,
        rust_timeout=TICK_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    try:
        with closing(changes):
            for changed in changes:
                if told:
                    yield Watching(tuple(map(str, roots)))
                    told = False
                if _identity(syncing.roots) != identity:
                    return
                syncing.look(due, {Path(path) for _, path in changed})
                yield from _settle(syncing, due)
    except OSError as error:
        raise ConfigProblem(
            f"cannot watch {', '.join(map(str, roots))}: {error}; raise the limit of the system (on Linux "
            "fs.inotify.max_user_watches), or set WATCHFILES_FORCE_POLLING=1"
        ) from error


def _identity(roots: Sequence[Path]) -> list[tuple[int, int] | None]:
    """What tells a folder from another one at the same path."""
    found: list[tuple[int, int] | None] = []
    for root in roots:
        try:
            status = root.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found


def _settle(syncing: _Syncing, due: _Due) -> Generator[Event, None, None]:
    """Runs the sync that is due, if there is one."""
    if not due.everything and not due.files and time.monotonic() < due.at:
        return
    if due.at > time.monotonic() and due.told:
        return
    try:
        report = syncing.run(due)
    except KnowhowError as problem:
        told, due.told = due.told, str(problem)
        waits = not isinstance(problem, UsageProblem)
        due.everything, due.files = True, set()
        due.at = time.monotonic() + (RETRY_S if waits else RESCAN_S)
        if due.told != told:
            yield Refused(problem)
    else:
        due.done()
        if report.added or report.updated or report.moved or report.removed or report.embedded:
            yield Synced(report)


@dataclass(frozen=True, slots=True)
class _Syncing:
    store: Store
    embedder: Embedder
    name: str | None
    yes: bool
    workers: int | None
    ocr: bool
    roots: Sequence[Path]

    def look(self, due: _Due, changed: Collection[Path]) -> None:
        """Adds to what is due what these paths call for."""
        if not changed:
            return
        sources = {source.root: source for source in self.store.sources() if source.kind == "folder"}
        rules = {str(root): LeftOut(root) for root in self.roots}
        for path in changed:
            root = next((root for root in self.roots if path.is_relative_to(root)), None)
            source = sources.get(str(root)) if root else None
            if root is None or source is None or path == root:
                due.everything, due.at = True, 0.0
                continue
            relative = path.relative_to(root).as_posix()
            if rules[str(root)].covers(relative):
                continue
            if path.is_file() and not path.is_symlink():
                due.files.add(path)
                due.at = 0.0
            elif path.is_dir() or path.is_symlink() or self._knows(source, relative):
                due.everything, due.at = True, 0.0

    def _knows(self, source: Source, relative: str) -> bool:
        """Whether there is a document at a path that is gone, or below it."""
        uri = source.prefix + portable(relative)
        places = (Filter(_ALL, {"uri": place}) for place in (uri, f"{uri}/"))
        return any(True for place in places for _ in self.store.documents(place, source=source.name))

    def run(self, due: _Due) -> IngestReport:
        """One sync, of single files where only few changed."""
        spec = next(spec for spec, active in self.store.indexes() if active)
        few = not due.everything and 0 < len(due.files) <= SINGLE
        steps = ingest(
            sorted(due.files) if few else self.roots,
            store=self.store,
            index=spec.id,
            embedder=self.embedder,
            spec=spec,
            name=self.name,
            yes=self.yes,
            workers=self.workers,
            ocr=self.ocr,
        )
        while True:
            try:
                next(steps)
            except StopIteration as end:
                report: IngestReport = end.value
                return report
