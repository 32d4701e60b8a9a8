"""Watching real folders with a real process: saves, renames, bursts, whole branches, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

from knowhow.cli.main import execute
from knowhow.types import DocumentState
from knowhow.workspace import Workspace

PATIENCE = 30.0
"""Seconds to wait for what should take less than one: the machine may be busy."""


class Watcher:
    """`knowhow ingest docs --watch --json` in a process of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        command = [sys.executable, "-c", "from knowhow.cli.main import run; run()"]
        command += ["ingest", str(home / "docs"), "--watch", "--json", "-w", str(home / "desk"), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.events: Queue[dict[str, Any]] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def next(self, kind: str) -> dict[str, Any]:
        """The next event, which must be of this kind."""
        try:
            event = self.events.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError(f"no event within {PATIENCE} s; it ended with {self.process.poll()}") from None
        assert event["event"] == kind, event
        return event

    def until(self, desk: Path, wanted: dict[str, str]) -> list[dict[str, Any]]:
        """Waits until the workspace holds just these texts; returns the events on the way."""
        end = time.monotonic() + PATIENCE
        with Workspace.open(desk) as workspace:
            while time.monotonic() < end:
                found = {i.uri for i in workspace.documents() if i.state is DocumentState.READY}
                if found == wanted.keys() and all(workspace.document(u).text.strip() == t for u, t in wanted.items()):
                    return [self.events.get() for _ in range(self.events.qsize())]
                time.sleep(0.05)
            raise AssertionError(f"{found} instead of {set(wanted)}")

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; (exit status, what it said on stderr)."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (tmp_path / "docs" / f"{name}.txt").write_text(f"The text of {name}.")
    Workspace.init(tmp_path / "desk").close()
    return tmp_path


@pytest.fixture
def watcher(home: Path) -> Iterator[Watcher]:
    watcher = Watcher(home)
    assert len(watcher.next("synced")["added"]) == 3
    watcher.next("watching")
    yield watcher
    watcher.process.kill()
    watcher.process.communicate()


def test_everything_that_happens_to_a_folder_answers(home: Path, watcher: Watcher) -> None:
    docs, desk = home / "docs", home / "desk"
    expected = {f"{name}.txt": f"The text of {name}." for name in ("a", "b", "sub/c")}

    (docs / "a.txt").write_text("The text of a, edited in place.")
    expected["a.txt"] = "The text of a, edited in place."
    watcher.until(desk, expected)

    # as most editors save: beside it, then over it; with a lock file and a backup that come and go
    (docs / ".b.txt.swp").write_text("x")
    (docs / "b.txt~").write_text("The text of b.")
    (docs / ".b.txt.tmp").write_text("The text of b, saved at once.")
    os.replace(docs / ".b.txt.tmp", docs / "b.txt")
    (docs / ".b.txt.swp").unlink()
    expected["b.txt"] = "The text of b, saved at once."
    (events,) = [watcher.until(desk, expected)]
    assert not any("swp" in json.dumps(event) or "~" in json.dumps(event) for event in events)

    (docs / "a.txt").rename(docs / "sub" / "renamed.txt")
    expected["sub/renamed.txt"] = expected.pop("a.txt")
    watcher.until(desk, expected)
    with Workspace.open(desk) as workspace:
        assert workspace.history.audit(uri="a.txt")[-1].other == "sub/renamed.txt"

    (docs / "sub").rename(docs / "other")
    for uri in list(expected):
        if uri.startswith("sub/"):
            expected[uri.replace("sub/", "other/")] = expected.pop(uri)
    watcher.until(desk, expected)

    for number in range(60):  # a burst, many writes to one file among them
        (docs / f"n{number}.txt").write_text(f"Number {number}.")
        (docs / "b.txt").write_text(f"Burst {number}.")
    expected |= {f"n{number}.txt": f"Number {number}." for number in range(60)} | {"b.txt": "Burst 59."}
    watcher.until(desk, expected)

    shutil.rmtree(docs / "other")
    expected = {uri: text for uri, text in expected.items() if not uri.startswith("other/")}
    watcher.until(desk, expected)

    status, said = watcher.stop()
    assert status == 0
    assert "stopped watching after" in said
    assert "Traceback" not in said


def test_a_whole_branch_can_be_switched_and_mass_deletion_is_refused_without_stopping(
    home: Path, watcher: Watcher
) -> None:
    docs, desk = home / "docs", home / "desk"
    for name in ("a.txt", "b.txt", "sub/c.txt"):
        (docs / name).unlink()
    refused = watcher.next("refused")["error"]
    assert refused["name"] == "usage-problem"
    assert "--yes" in refused["message"]
    with Workspace.open(desk) as workspace:
        assert len(workspace.documents()) == 3

    for name in ("a", "b", "new"):
        (docs / f"{name}.txt").write_text(f"On another branch: {name}.")
    watcher.until(desk, {f"{name}.txt": f"On another branch: {name}." for name in ("a", "b", "new")})

    # the folder itself replaced by another one
    (home / "next").mkdir()
    for name in ("a", "new"):
        (home / "next" / f"{name}.txt").write_text(f"Deployed: {name}.")
    docs.rename(home / "old")
    (home / "next").rename(docs)
    watcher.until(desk, {f"{name}.txt": f"Deployed: {name}." for name in ("a", "new")})
    (docs / "a.txt").write_text("Still followed.")
    watcher.until(desk, {"a.txt": "Still followed.", "new.txt": "Deployed: new."})


def test_files_cannot_be_followed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["ingest", str(home / "docs" / "a.txt"), "--watch", "-w", str(home / "desk")]) == 2
    assert f"name {home / 'docs'}" in capsys.readouterr().err
