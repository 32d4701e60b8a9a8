"""The sandbox: order, limits, survivors, and what a reader in it may not do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.sandbox import Limits, Sandbox, answer_of, read_all
from knowhow.types import Extract


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(2) as pool:
        yield pool


def files(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{i}.md" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_text(f"# Title {i}\n\nbody {i}\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    return paths


def test_outcomes_come_in_order_and_whole(tmp_path: Path, sandbox: Sandbox) -> None:
    from knowhow.ingest.readers import read

    paths = [*files(tmp_path, 20), tmp_path / "missing.md"]
    outcomes = list(sandbox.read(paths))
    assert [path for path, _ in outcomes] == paths
    assert [outcome for _, outcome in outcomes[:20]] == [read(path) for path in paths[:20]]
    problem = outcomes[-1][1]
    assert isinstance(problem, UnreadableFile)
    assert problem.reason == ReadProblem.UNREADABLE


@pytest.fixture
def obedient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder; workers started now run the text of files named `.do`, as a parser that was taken over would."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import knowhow.ingest.readers as r\n"
        "real = r.read\n"
        "def read(path):\n"
        "    if path.suffix == '.do':\n"
        "        exec(path.read_text())\n"
        "    return real(path)\n"
        "r.read = read\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    return tmp_path


BAD = {
    "import time; time.sleep(60)": ReadProblem.TIMED_OUT,
    "while True: pass": ReadProblem.TIMED_OUT,
    "x = bytearray(2_000_000_000)": ReadProblem.OUT_OF_MEMORY,
    "import signal; signal.raise_signal(signal.SIGKILL)": ReadProblem.OUT_OF_MEMORY,
    "import os; os._exit(3)": ReadProblem.UNREADABLE,
    "import ctypes; ctypes.string_at(0)": ReadProblem.UNREADABLE,
}


def test_a_crash_is_not_blamed_on_the_memory_of_the_process_that_asked(obedient: Path) -> None:
    bad = obedient / "bad.do"
    bad.write_text("import os; os._exit(3)")
    held = b"x" * 200_000_000
    with Sandbox(1, Limits(memory=300_000_000)) as pool:
        ((_, outcome),) = pool.read([bad])
    assert len(held) == 200_000_000
    assert getattr(outcome, "reason", None) == ReadProblem.UNREADABLE


def test_bad_files_are_named_and_all_others_read(obedient: Path) -> None:
    good = files(obedient, len(BAD))
    paths = []
    for i, code in enumerate(BAD):
        bad = obedient / f"bad{i}.do"
        bad.write_text(code)
        paths += [good[i], bad]
    with Sandbox(2, Limits(seconds=8, memory=700_000_000)) as pool:
        outcomes = dict(pool.read(paths))
    assert list(outcomes) == paths
    assert all(isinstance(outcomes[path], Extract) for path in good)
    reasons = [getattr(outcomes[obedient / f"bad{i}.do"], "reason", None) for i in range(len(BAD))]
    assert reasons == list(BAD.values())


def test_a_reader_has_no_network_processes_secrets_or_files_to_write(obedient: Path) -> None:
    written = obedient / "written"
    with socket.create_server(("127.0.0.1", 0)) as server:
        tries = [
            f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))",
            "import subprocess; subprocess.run(['true'])",
            "import os; os.system('true')",
            f"open({str(written)!r}, 'w').write('x')",
            f"import os; os.write(os.open({str(written)!r}, os.O_WRONLY | os.O_CREAT), b'x')",
            "import os; raise ValueError(str(sorted(os.environ)))",
        ]
        paths = [obedient / f"{i}.do" for i in range(len(tries))]
        for path, code in zip(paths, tries, strict=True):
            path.write_text(code)
        with Sandbox(1) as pool:
            outcomes = [outcome for _, outcome in pool.read(paths)]
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()
    assert all(isinstance(outcome, UnreadableFile) for outcome in outcomes), outcomes
    assert not written.exists() or written.stat().st_size == 0
    assert "OPENAI" not in str(outcomes[-1])


def test_closing_early_leaves_a_usable_pool(tmp_path: Path, sandbox: Sandbox) -> None:
    paths = files(tmp_path, 12)
    stream = sandbox.read(paths)
    next(stream)
    stream.close()
    assert [path for path, _ in sandbox.read(paths)] == paths


def test_a_worker_killed_between_files_is_replaced(tmp_path: Path) -> None:
    paths = files(tmp_path, 2)
    with Sandbox(1) as pool:
        list(pool.read(paths[:1]))
        worker = pool.processes()[0]
        os.kill(worker, signal.SIGKILL)
        while " Z " not in Path(f"/proc/{worker}/stat").read_text():
            threading.Event().wait(0.01)
        assert isinstance(next(pool.read(paths[1:]))[1], Extract)


def test_workers_are_recycled(tmp_path: Path) -> None:
    with Sandbox(1, Limits(files=3)) as pool:
        seen = set()
        for _ in pool.read(files(tmp_path, 9)):
            seen.update(pool.processes())
        assert len(seen) >= 3


def test_read_all_serves_several_threads_and_keeps_its_workers(tmp_path: Path) -> None:
    paths = files(tmp_path, 6)
    found: dict[int, list[Path]] = {}

    def work(number: int) -> None:
        found[number] = [path for path, outcome in read_all(paths, workers=1) if isinstance(outcome, Extract)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(3), paths)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    path = files(tmp_path, 1)[0]
    code = (
        "import sys; from pathlib import Path; from knowhow.ingest.sandbox import Sandbox\n"
        f"s = Sandbox(); list(s.read([Path({str(path)!r})])); print(s.processes()[0]); sys.stdout.flush()\n"
        "import os; os._exit(0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    worker = int(result.stdout)
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.05)
    pytest.fail("the worker outlived its parent")


def test_answers_carry_no_code() -> None:
    body = answer_of(UnreadableFile(ReadProblem.DAMAGED, "why"), retire=False)
    assert body[4:] == b'{"reason": "damaged", "detail": "why", "retire": false}'
