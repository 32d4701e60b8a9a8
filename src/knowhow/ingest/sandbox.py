"""Read strangers' files in worker processes that have little time, little memory and no network."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from knowhow.errors import KnowhowError, ReadProblem, UnreadableFile
from knowhow.types import Extract, Json, Place, Span

Outcome = Extract | UnreadableFile
_HEAD = struct.Struct("<I")
_AHEAD = 4
"""Files per worker that may be read beyond the one waited for, so that one slow file does not idle the others."""
_START = 60.0
"""Seconds a worker may take to start; a file's own time begins when its worker says that it is ready."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may use, and when a worker is replaced so that a leak cannot grow."""

    seconds: float = 120.0
    """Wall-clock and processor time for one file."""
    memory: int = 1_500_000_000
    """Bytes of address space of a worker."""
    files: int = 1_000
    """Files after which a worker is replaced."""
    resident: int = 600_000_000
    """Bytes a worker may hold after a file before it is replaced."""
    scans: int = 1_000
    """Scanned pages and pictures of one file that are read where the `ocr` extra is installed; 0 = none."""
    scan_seconds: float = 20.0
    """Time a file gets on top for each scanned page read."""


class Sandbox:
    """A pool of reader processes; starts none before the first file, replaces those that die.

    Without network: each worker leaves the host's network where the kernel permits it (a namespace of its own),
    and in any case refuses sockets, new processes and written files in Python. Native code in a parser is held by
    the namespace and the limits alone. Not thread-safe.
    """

    def __init__(self, workers: int = 1, limits: Limits | None = None) -> None:
        self._count = max(1, workers)
        self.limits = limits or Limits()
        self._workers: list[_Worker] = []

    def resize(self, workers: int) -> None:
        """How many processes may read at once from now on."""
        self._count = max(1, workers)
        while len(self._workers) > self._count:
            self._workers.pop().end()

    def processes(self) -> list[int]:
        """Process ids of the workers that are there now."""
        return [worker.pid for worker in self._workers]

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every worker, at once."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def read(self, paths: Iterable[Path]) -> Generator[tuple[Path, Outcome], None, None]:
        """What each file gives, in the order of `paths`, as soon as it and those before it are done.

        A file that hangs is timed-out, one that eats memory out-of-memory, one whose reader crashes unreadable; the
        others are not touched. Closing the generator ends the workers that are at work.
        """
        queue = iter(paths)
        waiting: deque[_Job] = deque()
        try:
            while True:
                self._hand_out(queue, waiting)
                if not waiting:
                    return
                while waiting and waiting[0].outcome is not None:
                    job = waiting.popleft()
                    yield job.path, cast("Outcome", job.outcome)
                if waiting:
                    self._listen()
        finally:
            for worker in [w for w in self._workers if w.job is not None]:
                self._workers.remove(worker)
                worker.end()

    def _hand_out(self, queue: Iterator[Path], waiting: deque[_Job]) -> None:
        """Gives idle workers something to do, as far ahead as `_AHEAD` allows."""
        while len(waiting) < self._count * _AHEAD:
            for dead in [w for w in self._workers if w.job is None and not w.alive()]:
                self._workers.remove(dead)
                dead.end()
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None and len(self._workers) >= self._count:
                return
            path = next(queue, None)
            if path is None:
                return
            if worker is None:
                worker = _Worker(self.limits)
                self._workers.append(worker)
            job = _Job(path)
            waiting.append(job)
            worker.start(job)

    def _listen(self) -> None:
        """Waits for the next answer or deadline and settles what it says."""
        busy = [w for w in self._workers if w.job is not None]
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                selector.register(worker.answers, selectors.EVENT_READ, worker)
            ready = selector.select(max(0.0, min(w.deadline for w in busy) - time.monotonic()))
        for key, _ in ready:
            worker = cast("_Worker", key.data)
            if not worker.take():
                self._workers.remove(worker)
        for worker in busy:
            if worker.job is not None and time.monotonic() > worker.deadline:
                worker.settle(_timed_out(self.limits))
                worker.end()
                self._workers.remove(worker)


_idle: list[Sandbox] = []
_lock = threading.Lock()


def read_all(
    paths: Iterable[Path], *, workers: int | None = None, ocr: bool = True
) -> Generator[tuple[Path, Outcome], None, None]:
    """`Sandbox.read` with workers that are kept for the next call, so that one changed file costs no new process.

    `workers` None takes one per processor but one, which embeds and writes; at most eight, for their memory. Without
    `ocr` scans are left unread.
    Safe from several threads: each has workers of its own.
    """
    count = workers or max(1, min(8, (os.cpu_count() or 1) - 1))
    limits = Limits() if ocr else Limits(scans=0)
    with _lock:
        sandbox = next((idle for idle in _idle if idle.limits == limits), None) or Sandbox(limits=limits)
        if sandbox in _idle:
            _idle.remove(sandbox)
    sandbox.resize(count)
    try:
        yield from sandbox.read(paths)
    finally:
        with _lock:
            _idle.append(sandbox)


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()


# A forked child shares the pipes of its parent's workers: it must start its own.
os.register_at_fork(after_in_child=_idle.clear)


@dataclass(slots=True)
class _Job:
    path: Path
    outcome: Outcome | None = None
    scans: int = 0
    """Scanned pages that its worker has told of."""


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.job: _Job | None = None
        self.deadline = 0.0
        self._ready = False
        self._buffer = bytearray()
        environment = {
            **{key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME") if key in os.environ},
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }  # fmt: skip
        settings = json.dumps(asdict(limits))
        # A new process starts out with the peak of the one it was made from, and only more than that is its own.
        self._inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._process = subprocess.Popen(
            [sys.executable, "-m", "knowhow.ingest.reading_worker", settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        self.answers = cast("IO[bytes]", self._process.stdout)

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it can take a file."""
        return self._process.poll() is None

    def start(self, job: _Job) -> None:
        """Sends a file to be read."""
        self.job = job
        self.deadline = time.monotonic() + (self.limits.seconds if self._ready else _START)
        body = os.fsencode(job.path.absolute())
        with contextlib.suppress(BrokenPipeError):  # it died: `take` sees the end of its answers
            self._process.stdin.write(_HEAD.pack(len(body)) + body)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def take(self) -> bool:
        """Reads what has come; settles the job when that is all. False when the worker is of no more use."""
        chunk = os.read(self.answers.fileno(), 1 << 20)
        if not chunk:
            self.settle(self._autopsy())
            return False
        self._buffer += chunk
        while len(self._buffer) >= _HEAD.size and not (size := _HEAD.unpack_from(self._buffer)[0]):
            del self._buffer[: _HEAD.size]
            self._heard()
        if len(self._buffer) < _HEAD.size or len(self._buffer) < _HEAD.size + size:
            return True
        answer: Json = json.loads(self._buffer[_HEAD.size : _HEAD.size + size])
        self._buffer.clear()
        self.settle(_outcome(answer))
        if answer["retire"]:
            self.end()
        return not answer["retire"]

    def _heard(self) -> None:
        """The worker can take its first file; after that, that it has read a scanned page, which gives it time."""
        if not self._ready:
            self._ready, self.deadline = True, time.monotonic() + self.limits.seconds
        elif self.job is not None and self.job.scans < self.limits.scans:
            self.job.scans += 1
            self.deadline += self.limits.scan_seconds

    def settle(self, outcome: Outcome) -> None:
        """Records what became of the file at hand."""
        if self.job is not None:
            self.job.outcome = outcome
        self.job = None

    def end(self) -> None:
        """Kills the process and frees its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()

    def _autopsy(self) -> UnreadableFile:
        """Why the process died in the middle of a file."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.end()
        code = -self._process.returncode
        if code == signal.SIGXCPU:
            return _timed_out(self.limits)
        # pdfium and the kernel end a process that gets no memory; a crash with most of the memory in use is the same.
        full = usage.ru_maxrss * 1024 > self.limits.memory // 2 and usage.ru_maxrss > self._inherited
        if code == signal.SIGKILL or full:
            return UnreadableFile(ReadProblem.OUT_OF_MEMORY, _memory_detail(self.limits))
        name = signal.Signals(code).name if code in set(signal.Signals) else f"exit code {-code}"
        return UnreadableFile(
            ReadProblem.UNREADABLE, f"its reader crashed ({name}); re-save it in the program it is from"
        )


def _timed_out(limits: Limits) -> UnreadableFile:
    return UnreadableFile(ReadProblem.TIMED_OUT, f"not read within {limits.seconds:g} s; split the file")


def _memory_detail(limits: Limits) -> str:
    return f"reading it takes more than {limits.memory // 1_000_000:,} MB; split the file"


def _outcome(answer: Json) -> Outcome:
    """The value an answer stands for. JSON, because a worker that was taken over must not run code here."""
    if "reason" in answer:
        return UnreadableFile(ReadProblem(answer["reason"]), str(answer["detail"]))
    spans = tuple(
        Span(start, end, Place(**{**place, "heading": tuple(place.get("heading", ()))}), kind, header, layout)
        for start, end, place, kind, header, layout in answer["spans"]
    )
    return Extract(
        answer["text"],
        answer["media_type"],
        answer["title"],
        spans,
        answer["metadata"],
        tuple(answer["warnings"]),
        int(answer["unread_scans"]),
    )


BEAT = _HEAD.pack(0)
"""What a worker sends when it can take its first file, and after each scanned page."""


def answer_of(outcome: Outcome | KnowhowError, *, retire: bool) -> bytes:
    """An outcome as a worker sends it: length, then JSON."""
    if isinstance(outcome, Extract):
        blank = asdict(Place())
        spans = [
            (s.start, s.end, {k: v for k, v in asdict(s.place).items() if v != blank[k]}, s.kind, s.header, s.layout)
            for s in outcome.spans
        ]
        body: Json = {
            "text": outcome.text, "media_type": outcome.media_type, "title": outcome.title, "spans": spans,
            "metadata": dict(outcome.metadata), "warnings": list(outcome.warnings),
            "unread_scans": outcome.unread_scans,
        }  # fmt: skip
    else:
        problem = cast("UnreadableFile", outcome)
        body = {"reason": problem.reason.value, "detail": problem.detail}
    data = json.dumps({**body, "retire": retire}, ensure_ascii=False).encode("utf-8", "replace")
    return _HEAD.pack(len(data)) + data
