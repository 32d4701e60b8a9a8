"""Jobs: queued, run, followed, cancelled, and gone on with after their server died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knowhow import jobs as jobs_module
from knowhow.errors import NotFound, UsageProblem
from knowhow.jobs import Job, Jobs, JobState
from knowhow.store.records import SqliteRecords

# A verb that counts to its first argument, each step in a file, and goes on from there; "crash" and "fail" end it.
VERB = """
import json, os, signal, sys, threading, time
pipe, home, verb, *arguments = int(sys.argv[1]), sys.argv[2], *sys.argv[3:]
def watch():
    while os.read(0, 1): pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=watch, daemon=True).start()
told, path = os.fdopen(pipe, "w", buffering=1), os.path.join(home, "steps")
try:
    if verb == "fail":
        print(json.dumps({"error": {"name": "usage-problem", "message": "wrong", "exit_code": 2}})); sys.exit(2)
    if verb == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if verb == "garble":
        print("no json"); print("it broke", file=sys.stderr); sys.exit(1)
    total = int(arguments[0])
    while (done := len(open(path).read()) if os.path.exists(path) else 0) < total:
        open(path, "a").write("x"); time.sleep(0.02)
        told.write(json.dumps({"done": done + 1, "total": total, "unit": "steps", "note": "", "counts": {}}) + "\\n")
    print(json.dumps({"steps": total})); sys.exit(8 if verb == "partly" else 0)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "TICK", 0.02)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[], Jobs]]:
    """Makes jobs over one journal, as a server that is started again does."""
    (tmp_path / "verb.py").write_text(VERB)
    records = SqliteRecords(tmp_path / "state.db")
    opened: list[Jobs] = []

    def make() -> Jobs:
        opened.append(Jobs(records, tmp_path / "jobs", [sys.executable, "-S", str(tmp_path / "verb.py")], tmp_path))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    records.close()


def wait(jobs: Jobs, id: str, until: Callable[[Job], bool] = lambda job: job.state.ended) -> Job:
    """The job as soon as it is so."""
    deadline = time.monotonic() + 20
    while not until(job := jobs.get(id)):
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    return job


def test_a_job_runs_to_its_result(made: Callable[[], Jobs], tmp_path: Path) -> None:
    jobs = made()
    queued = jobs.start("count", ["5"], by="ann")
    assert (queued.state, queued.by) == (JobState.QUEUED, "ann")
    jobs.open()
    done = wait(jobs, queued.id)
    assert (done.state, done.outcome, done.result, done.error) == (JobState.DONE, "ok", {"steps": 5}, None)
    assert done.progress == {"done": 5, "total": 5, "unit": "steps", "note": "", "counts": {}}
    assert done.started is not None
    assert done.ended is not None
    assert done.made <= done.started <= done.ended
    assert wait(jobs, jobs.start("partly", ["5"]).id).outcome == "partly-done"


def test_why_a_job_failed_is_told(made: Callable[[], Jobs]) -> None:
    jobs = made()
    jobs.open()
    started = [jobs.start(verb, []) for verb in ("fail", "crash", "garble")]
    failed, crashed, garbled = [wait(jobs, job.id) for job in started]
    assert {job.state for job in (failed, crashed, garbled)} == {JobState.FAILED}
    assert failed.error == {"name": "usage-problem", "message": "wrong", "exit_code": 2}
    assert crashed.error is not None
    assert crashed.error["message"] == "its process was ended by SIGKILL"
    assert garbled.error is not None
    assert garbled.error["message"] == "it broke"
    assert [job.verb for job in jobs.all()] == ["garble", "crash", "fail"]


def test_a_command_that_cannot_be_started_ends_its_job_only(made: Callable[[], Jobs]) -> None:
    jobs = made()
    right, jobs._command = jobs._command, ("/does/not/exist",)
    jobs.open()
    assert "could not be run" in (wait(jobs, jobs.start("count", ["1"]).id).error or {})["message"]
    jobs._command = right
    assert wait(jobs, jobs.start("count", ["1"]).id).state is JobState.DONE


def test_a_job_is_cancelled_queued_or_running(made: Callable[[], Jobs], tmp_path: Path) -> None:
    jobs = made()
    idle = jobs.start("count", ["5"])
    assert jobs.cancel(idle.id).state is JobState.CANCELLED
    jobs.open()
    running = jobs.start("count", ["100000"])
    wait(jobs, running.id, lambda job: job.progress is not None)
    jobs.cancel(running.id)
    assert wait(jobs, running.id).state is JobState.CANCELLED
    assert not (tmp_path / "steps").read_text().count("x") > 99_999
    with pytest.raises(UsageProblem, match="ended already"):
        jobs.cancel(running.id)
    with pytest.raises(NotFound):
        jobs.cancel("0" * 16)


def test_closing_lays_a_job_down_and_opening_goes_on(made: Callable[[], Jobs], tmp_path: Path) -> None:
    first = made()
    first.open()
    job = first.start("count", ["60"])
    wait(first, job.id, lambda one: one.progress is not None)
    first.close()
    laid = first.get(job.id)
    assert (laid.state, laid.attempts) == (JobState.QUEUED, 0)
    steps = len((tmp_path / "steps").read_text())
    assert 0 < steps < 60
    second = made()
    second.open()
    assert wait(second, job.id).result == {"steps": 60}
    assert len((tmp_path / "steps").read_text()) == 60, "no step is done twice"


def test_only_one_process_runs_the_jobs_of_a_workspace(made: Callable[[], Jobs], tmp_path: Path) -> None:
    first, second = made(), made()
    first.open()
    job = first.start("count", ["20"])
    wait(first, job.id, lambda one: one.state is JobState.RUNNING)
    second.open()
    assert wait(second, job.id).attempts == 1
    first.close()
    assert wait(second, second.start("count", ["21"]).id).state is JobState.DONE


def test_a_job_survives_the_death_of_its_server(made: Callable[[], Jobs], tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from knowhow.jobs import Jobs
from knowhow.store.records import SqliteRecords
home = Path({str(tmp_path)!r})
jobs = Jobs(SqliteRecords(home / "state.db"), home / "jobs", [sys.executable, "-S", str(home / "verb.py")], home)
jobs.open(); print(jobs.start("count", ["80"]).id, flush=True); time.sleep(60)
"""
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    id = server.stdout.readline().strip()
    jobs = made()
    wait(jobs, id, lambda job: job.progress is not None)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.stdout.close()
    assert jobs.get(id).state is JobState.RUNNING
    time.sleep(0.3)  # its process notices that nobody listens any more
    before = len((tmp_path / "steps").read_text())
    time.sleep(0.1)
    assert len((tmp_path / "steps").read_text()) == before
    jobs.open()
    done = wait(jobs, id)
    assert (done.state, done.attempts) == (JobState.DONE, 2)
    assert len((tmp_path / "steps").read_text()) == 80


def test_a_job_that_kills_its_server_again_and_again_is_given_up(made: Callable[[], Jobs]) -> None:
    jobs = made()
    job = jobs.start("count", ["1"])
    body = {**job.to_json(), "state": "running", "attempts": jobs_module.ATTEMPTS}
    jobs._records.put([Job.from_json(json.loads(json.dumps(body))).record()])
    jobs.open()
    assert "the server died" in (wait(jobs, job.id).error or {})["message"]


def test_a_result_without_end_is_left_out(made: Callable[[], Jobs], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "MOST_RESULT", 5)
    jobs = made()
    jobs.open()
    done = wait(jobs, jobs.start("count", ["1"]).id)
    assert done.state is JobState.DONE
    assert "left_out" in done.result
