"""What a user sees when the disk, the folder, another writer or the file itself is in the way; data stay intact."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from knowhow.workspace import Workspace

KNOWHOW = [sys.executable, "-c", "from knowhow.cli.main import run; run()"]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kettle.md").write_text("The kettle is blue.")
    with Workspace.init(tmp_path / "desk") as workspace:
        workspace.ingest(tmp_path / "docs")
    return tmp_path / "desk"


def run(*arguments: object, limit: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that may write files of at most `limit` bytes."""

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [*KNOWHOW, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limited,
        env={**os.environ, **environment},
    )


def one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def intact(desk: Path) -> None:
    with Workspace.open(desk) as workspace:
        assert [check for check in workspace.check() if not check.ok and check.name != "model"] == []
        assert "blue" in workspace.search("kettle").hits[0].text


def many(docs: Path) -> None:
    for number in range(150):
        (docs / f"{number}.md").write_text(
            f"# Paper {number}\n\n" + " ".join(f"word{number * 900 + i}" for i in range(900))
        )


def test_a_full_disk_by_file_size_limit(desk: Path) -> None:
    many(desk.parent / "docs")
    size = (desk / ".knowhow" / "knowhow.db").stat().st_size
    one_line(run("ingest", desk.parent / "docs", "-w", desk, limit=size + 200_000), 3, "nothing was changed")
    intact(desk)
    assert run("ingest", desk.parent / "docs", "-w", desk).returncode == 0
    intact(desk)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_by_a_small_mount(desk: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine does not let tests mount")
    try:
        shutil.copytree(desk, small / "desk")
        many(desk.parent / "docs")
        one_line(run("ingest", desk.parent / "docs", "-w", small / "desk"), 3, "the disk is full", "free some space")
        intact(small / "desk")
        done = run("backup", small / "copy", "-w", small / "desk")
        assert done.returncode in (0, 3)
        if done.returncode:
            assert not (small / "copy").exists()
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(desk: Path) -> None:
    data = desk / ".knowhow"
    for item in data.iterdir():
        item.chmod(0o444)
    data.chmod(0o555)
    try:
        one_line(run("ingest", desk.parent / "docs", "-w", desk), 3, "permissions")
    finally:
        data.chmod(0o755)
        for item in data.iterdir():
            item.chmod(0o644)
    intact(desk)


def test_a_second_writer_waits_for_the_first(desk: Path) -> None:
    held = apsw.Connection(str(desk / ".knowhow" / "knowhow.db"))
    held.execute("begin immediate")
    (desk.parent / "docs" / "new.md").write_text("Another document.")
    waiting = subprocess.Popen(
        [*KNOWHOW, "ingest", str(desk.parent / "docs"), "-w", str(desk)], stdout=subprocess.PIPE, text=True
    )
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(2.5)
    held.execute("rollback")
    held.close()
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "1 added" in said
    intact(desk)


def test_a_writer_that_never_ends_is_named(desk: Path) -> None:
    held = apsw.Connection(str(desk / ".knowhow" / "knowhow.db"))
    held.execute("begin immediate")
    (desk.parent / "docs" / "new.md").write_text("Another document.")
    script = "import knowhow.store.files as f; f.BUSY_SECONDS = 0.3; from knowhow.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", script, "ingest", str(desk.parent / "docs"), "-w", str(desk)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    held.close()
    one_line(done, 3, "another process has been writing", "try again")
    intact(desk)


def test_two_ingests_at_once_lose_and_double_nothing(desk: Path) -> None:
    for number in range(20):
        (desk.parent / "docs" / f"{number}.md").write_text(f"Paper number {number} about kettles of the colour blue.")
    both = [
        subprocess.Popen([*KNOWHOW, "ingest", str(desk.parent / "docs"), "-w", str(desk)], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    with Workspace.open(desk) as workspace:
        assert len(workspace.documents()) == 21
        found = [hit.uri for hit in workspace.search("paper number about kettles", k=100).hits]
        assert len(found) == len(set(found))
    intact(desk)


def test_a_workspace_from_a_newer_version(desk: Path) -> None:
    file = apsw.Connection(str(desk / ".knowhow" / "knowhow.db"))
    (version,) = file.execute("pragma user_version").fetchall()[0]
    file.execute("pragma user_version = 99")
    file.close()
    before = (desk / ".knowhow" / "knowhow.db").read_bytes()
    for command in (["ingest", desk.parent / "docs"], ["search", "kettle"], ["documents", "purge", "kettle.md"]):
        one_line(run(*command, "-w", desk), 3, "format 99", "pip install --upgrade")
    assert (desk / ".knowhow" / "knowhow.db").read_bytes() == before
    file = apsw.Connection(str(desk / ".knowhow" / "knowhow.db"))
    file.execute(f"pragma user_version = {version}")
    file.close()
    intact(desk)


@pytest.mark.parametrize("name", ["knowhow.db", "state.db"])
def test_a_file_that_is_no_database(desk: Path, name: str) -> None:
    path = desk / ".knowhow" / name
    good = path.read_bytes()
    path.write_bytes(b"\x00\xff" * 9000)
    one_line(run("search", "kettle", "-w", desk), 3, name, "restore")
    path.write_bytes(good)
    intact(desk)


def test_a_file_with_a_damaged_page(desk: Path) -> None:
    many(desk.parent / "docs")
    assert run("ingest", desk.parent / "docs", "-w", desk).returncode == 0
    path = desk / ".knowhow" / "knowhow.db"
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 8192, 3):
        data[page * 8192 : page * 8192 + 64] = b"\xee" * 64
    path.write_bytes(data)
    one_line(run("search", "paper", "-w", desk), 3, "knowhow doctor")
    assert run("doctor", "-w", desk).returncode == 3
