"""Long verbs as jobs: each is the command itself in a process of its own, queued, followed, cancelled and resumed by
records."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from knowhow.errors import KnowhowError, NotFound, UsageProblem
from knowhow.ports import Record, Records
from knowhow.types import EVERYTHING, Json

log = logging.getLogger("knowhow.jobs")

KIND = "job"
CANCEL = "job-cancel"
ACTIVE = "active"
"""The parent of jobs that are queued or running, so that they are found without reading those that ended."""
PARALLEL = 2
"""Jobs that run at once."""
ATTEMPTS = 5
"""Times a job is begun again after the server died under it."""
TICK = 0.25
"""Seconds between looks at what is queued, cancelled, or written to a job's progress."""
GRACE = 20.0
"""Seconds an interrupted job has to keep what is done before it is killed."""
MOST_RESULT = 1_000_000
"""Characters of a result that are kept."""
OUTCOMES = {0: "ok", 5: "gate-failed", 8: "partly-done"}
"""Exit codes that come with a result."""
_ALL = frozenset({EVERYTHING})


class JobState(StrEnum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    """It ended with a result; `outcome` says which."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One long verb. `arguments` are those of the command line, without the workspace; times are UTC seconds."""

    id: str
    verb: str
    arguments: tuple[str, ...]
    by: str
    """Who started it."""
    made: float
    state: JobState = JobState.QUEUED
    progress: Mapping[str, Any] | None = None
    """done, total, unit, note, counts: the last that was told."""
    outcome: str = ""
    """ok, partly-done or gate-failed once it is done."""
    result: Any = None
    """What the command prints with --json."""
    error: Mapping[str, Any] | None = None
    """name, message and exit_code of why it failed."""
    started: float | None = None
    ended: float | None = None
    attempts: int = 0

    def to_json(self) -> Json:
        """A JSON object with every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Job:
        """The job `to_json` gave."""
        return cls(**{**body, "arguments": tuple(body["arguments"]), "state": JobState(body["state"])})

    def record(self) -> Record:
        """As the journal keeps it."""
        parent = "" if self.state.ended else ACTIVE
        return Record(KIND, self.id, self.to_json(), at=self.made, parent=parent, access=_ALL)


class Jobs:
    """The jobs of one workspace. Any process may start, list and cancel; one at a time, which holds a lock, runs them.

    `command` starts a verb: it is called with the number of a pipe for progress, `workspace`, the verb and its
    arguments, prints JSON, and interrupts itself when its standard input ends, so that no job outlives the process
    that keeps its books.
    """

    def __init__(self, records: Records, folder: Path, command: Sequence[str], workspace: Path) -> None:
        self._records = records
        self._folder = folder
        self._command = tuple(command)
        self._workspace = workspace
        self._closing = threading.Event()
        self._claiming = threading.Lock()
        self._running: set[str] = set()
        self._threads: list[threading.Thread] = []

    def start(self, verb: str, arguments: Sequence[str], by: str = "") -> Job:
        """Queues a verb; it survives everything once this returns."""
        job = Job(secrets.token_hex(8), verb, tuple(arguments), by, time.time())
        self._records.put([job.record()])
        return job

    def get(self, id: str) -> Job:
        """The job with this id. Raises `NotFound`."""
        record = self._records.get(KIND, id, _ALL)
        if record is None:
            raise NotFound(f"no job {id}; GET /api/jobs lists them")
        return Job.from_json(record.body)

    def all(self, *, before: tuple[float, str] | None = None, limit: int | None = 50) -> Iterator[Job]:
        """Jobs, newest first; `before` is the (made, id) of the last one seen."""
        for record in self._records.select(KIND, _ALL, before=before, limit=limit):
            yield Job.from_json(record.body)

    def cancel(self, id: str) -> Job:
        """Asks a job to stop; what it finished is kept. Raises `NotFound`, `UsageProblem` where it has ended."""
        job = self.get(id)
        if job.state.ended:
            raise UsageProblem(f"job {id} has ended already: {job.state}")
        self._records.put([Record(CANCEL, id, {}, access=_ALL)])
        if job.state is JobState.QUEUED:
            with self._claiming:
                job = self.get(id)
                if job.state is JobState.QUEUED and id not in self._running:
                    job = replace(job, state=JobState.CANCELLED, ended=time.time())
                    self._end(job)
        return job

    # --- running them

    def open(self) -> None:
        """Begins to run what is queued, first of all what a process that died left behind."""
        self._closing.clear()
        self._threads = [threading.Thread(target=self._serve, name="knowhow-jobs", daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Interrupts what runs, which keeps what it finished and is gone on with after the next `open`."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _serve(self) -> None:
        with contextlib.ExitStack() as held:
            while not self._locked(held):
                if self._closing.wait(TICK * 4):
                    return
            self._take_up()
            workers = [threading.Thread(target=self._work, daemon=True) for _ in range(PARALLEL)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

    def _locked(self, held: contextlib.ExitStack) -> bool:
        """Whether this process is the one that runs jobs; the kernel frees the lock when it dies."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = (self._folder / "jobs.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        held.enter_context(file)
        return True

    def _take_up(self) -> None:
        """Queues again what was running when its server died."""
        for job in self._active():
            if job.state is JobState.RUNNING:
                again = replace(job, state=JobState.QUEUED)
                if job.attempts >= ATTEMPTS:
                    told = f"the server died {ATTEMPTS} times while this job ran; see its log before trying again"
                    error = {"name": "interrupted", "message": told, "exit_code": 130}
                    again = replace(job, state=JobState.FAILED, error=error, ended=time.time())
                self._records.put([again.record()])

    def _active(self) -> Iterator[Job]:
        for record in self._records.select(KIND, _ALL, parent=ACTIVE, oldest_first=True):
            yield Job.from_json(record.body)

    def _work(self) -> None:
        while not self._closing.is_set():
            job = self._claim()
            if job is None:
                self._closing.wait(TICK)
                continue
            try:
                self._run(job)
            except Exception as error:  # a full disk, no more processes: the others go on
                log.exception("job %s", job.id)
                self._give_up(job, error)
            finally:
                self._running.discard(job.id)

    def _give_up(self, job: Job, error: Exception) -> None:
        told = {"name": "unexpected", "message": f"it could not be run: {error}", "exit_code": 1}
        with contextlib.suppress(KnowhowError):
            self._end(replace(job, state=JobState.FAILED, error=told, ended=time.time()))

    def _claim(self) -> Job | None:
        with self._claiming:
            for job in self._active():
                if job.state is JobState.QUEUED and job.id not in self._running:
                    self._running.add(job.id)
                    started = job.started or time.time()
                    job = replace(job, state=JobState.RUNNING, started=started, attempts=job.attempts + 1)
                    self._records.put([job.record()])
                    return job
        return None

    def _run(self, job: Job) -> None:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            read, write = os.pipe()
            with os.fdopen(read, "rb", buffering=0) as told:
                process = subprocess.Popen(
                    [*self._command, str(write), str(self._workspace), job.verb, *job.arguments],
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    pass_fds=(write,),
                    start_new_session=True,
                )
                os.close(write)
                job, stopped = self._follow(job, process, told)
            self._settle(job, process.returncode, stopped, _text(out), _text(err))

    def _follow(self, job: Job, process: subprocess.Popen[bytes], told: IO[bytes]) -> tuple[Job, str]:
        """Keeps the job's progress until its process ends; says what stopped it: "", "cancelled" or "closing"."""
        stopped, deadline = "", float("inf")
        for line in _lines(told, process):
            if line:
                job = replace(job, progress=json.loads(line))
                self._records.put([job.record()])
            if not stopped and (stopped := self._stop(job)):
                deadline = time.monotonic() + GRACE
                process.send_signal(signal.SIGINT)
            if time.monotonic() > deadline:
                process.kill()
        if process.stdin:
            process.stdin.close()
        return job, stopped

    def _stop(self, job: Job) -> str:
        if self._closing.is_set():
            return "closing"
        return "cancelled" if self._records.get(CANCEL, job.id, _ALL) else ""

    def _settle(self, job: Job, code: int, stopped: str, out: str, err: str) -> None:
        """Writes how the process ended; one that was stopped by closing goes back into the queue."""
        value = _parsed(out)
        if code in OUTCOMES and value is not None:
            result = value if len(out) <= MOST_RESULT else {"left_out": f"the result has {len(out):,} characters"}
            ended = replace(job, state=JobState.DONE, outcome=OUTCOMES[code], result=result)
        elif stopped == "closing":
            self._records.put([replace(job, state=JobState.QUEUED, attempts=job.attempts - 1).record()])
            return
        elif stopped == "cancelled":
            ended = replace(job, state=JobState.CANCELLED)
        else:
            ended = replace(job, state=JobState.FAILED, error=_error(value, code, err))
        self._end(replace(ended, ended=time.time()))

    def _end(self, job: Job) -> None:
        self._records.put([job.record()])
        self._records.erase(CANCEL, [job.id])


def _lines(told: IO[bytes], process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """About every `TICK` the last line that came meanwhile, or b"", until the process has ended."""
    buffer, last, at, open_ = b"", b"", time.monotonic(), True
    with selectors.DefaultSelector() as selector:
        selector.register(told, selectors.EVENT_READ)
        while open_ or process.poll() is None:
            if not open_:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(TICK)
            elif selector.select(max(0.0, at + TICK - time.monotonic())):
                piece = told.read(1 << 16)
                open_ = bool(piece)
                *lines, buffer = (buffer + piece).split(b"\n")
                last = lines[-1] if lines else last
            if time.monotonic() >= at + TICK or not open_:
                yield last
                last, at = b"", time.monotonic()
    if last:
        yield last


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _parsed(out: str) -> Any:
    try:
        return json.loads(out)
    except ValueError:
        return None


def _error(value: Any, code: int, err: str) -> Json:
    """What the command said of its failure, else how its process ended."""
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        return dict(value["error"])
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return {"name": "killed", "message": f"its process was ended by {name}", "exit_code": code}
    lines = err.strip().splitlines()
    return {"name": "unexpected", "message": lines[-1] if lines else f"exit code {code}", "exit_code": code}
