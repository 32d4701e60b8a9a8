"""Backup and restore: whole or not at all, beside readers and writers, and never over what somebody may need."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from knowhow.cli.main import execute
from knowhow.workspace import Workspace, restore

WRITER = """
import sys, time
from pathlib import Path
from knowhow.workspace import Workspace
with Workspace.open(sys.argv[1]) as desk:
    for number in range(10_000):
        Path(sys.argv[2], "changing.md").write_text(f"Number {number} and the pair {number}.")
        desk.ingest(sys.argv[2])
        print(number, flush=True)
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kettle.md").write_text("The kettle is blue.")
    with Workspace.init(tmp_path / "desk") as workspace:
        workspace.ingest(tmp_path / "docs")
        (tmp_path / "desk" / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n')
    with Workspace.open(tmp_path / "desk") as workspace:
        workspace.ask("What colour is the kettle?")
    return tmp_path / "desk"


def edit(desk: Path, text: str) -> None:
    (desk.parent / "docs" / "kettle.md").write_text(text)
    with Workspace.open(desk) as workspace:
        workspace.ingest(desk.parent / "docs")


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_what_is_backed_up_comes_back(
    desk: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "deep" / name
    assert execute(["backup", str(target), "-w", str(desk), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["files"]) == {"knowhow.db", "state.db", "knowhow.toml"}
    assert execute(["backup", str(target), "-w", str(desk)]) == 2
    edit(desk, "The kettle is red.")
    capsys.readouterr()
    assert execute(["restore", str(target), "-w", str(desk)]) == 2
    assert "--yes" in capsys.readouterr().err
    with Workspace.open(desk) as reader:
        assert "red" in reader.search("kettle").hits[0].text
        assert execute(["restore", str(target), "-w", str(desk), "--yes", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["documents"] == 1
        # who had it open sees the backup's state at the next question, and what comes after it
        assert "blue" in reader.search("kettle").hits[0].text
        edit(desk, "The kettle is green.")
        assert "green" in reader.search("kettle").hits[0].text
        assert reader.history.audit()[1].action == "restored"
    # into a workspace that is not there yet, with the settings
    assert execute(["restore", str(target), "-w", str(tmp_path / "new")]) == 0
    with Workspace.open(tmp_path / "new") as new:
        assert len(new.traces()) == 1
        assert new.recipe().model == "extractive"
        assert [check for check in new.check() if not check.ok] == []
    assert not [item for item in tmp_path.rglob("*") if "restore." in item.name or ".copy" in item.name]


def test_a_backup_beside_a_writer_and_a_restore_beside_readers_are_consistent(desk: Path, tmp_path: Path) -> None:
    docs = str(tmp_path / "docs")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(desk), docs], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    torn: list[str] = []
    stop = threading.Event()

    def read() -> None:
        with Workspace.open(desk) as reader:
            while not stop.is_set():
                for hit in reader.search("number pair").hits:
                    words = hit.text.split()
                    if hit.uri == "changing.md" and words[1] != words[-1].rstrip("."):
                        torn.append(hit.text)

    readers = [threading.Thread(target=read) for _ in range(2)]
    try:
        writer.stdout.readline()
        for reader in readers:
            reader.start()
        for number in range(3):
            assert execute(["backup", str(tmp_path / f"b{number}"), "-w", str(desk)]) == 0
            writer.stdout.readline()
        done = restore(tmp_path / "b0", desk, yes=True)
        assert done.documents == 2
        writer.stdout.readline()
        writer.stdout.readline()
    finally:
        stop.set()
        writer.kill()
        writer.communicate()
        for reader in readers:
            reader.join()
    assert torn == []
    for place in [desk, *(tmp_path / f"r{number}" for number in range(3))]:
        if place != desk:
            restore(tmp_path / f"b{place.name[1]}", place)
        with Workspace.open(place) as workspace:
            assert [check for check in workspace.check() if not check.ok and check.name != "model"] == []
            text = workspace.document("changing.md").text.split()
            assert text[1] == text[-1].rstrip(".")


def test_a_damaged_backup_changes_nothing(desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(["backup", str(tmp_path / "good"), "-w", str(desk)])
    execute(["backup", str(tmp_path / "good.zip"), "-w", str(desk)])
    spoiled = {}
    for name in ("knowhow.db", "state.db", "manifest.json"):
        spoiled[name] = tmp_path / f"without-{name}"
        shutil.copytree(tmp_path / "good", spoiled[name])
        data = bytearray((spoiled[name] / name).read_bytes())
        data[len(data) // 2] ^= 0xFF
        (spoiled[name] / name).write_bytes(data if name != "manifest.json" else b"{")
    cut = tmp_path / "cut.zip"
    cut.write_bytes((tmp_path / "good.zip").read_bytes()[:-200])
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("../escaped", "x")
    before = (desk / ".knowhow" / "knowhow.db").read_bytes()
    for path in [*spoiled.values(), cut, hostile]:
        capsys.readouterr()
        assert execute(["restore", str(path), "-w", str(desk), "--yes"]) == 3
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "nothing was changed" in said
    assert execute(["restore", str(tmp_path / "missing"), "-w", str(desk), "--yes"]) == 2
    assert (desk / ".knowhow" / "knowhow.db").read_bytes() == before
    assert not (tmp_path / "escaped").exists()


def test_a_workspace_that_cannot_be_opened_is_kept_aside(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(["backup", str(tmp_path / "good"), "-w", str(desk)])
    (desk / ".knowhow" / "knowhow.db").write_bytes(b"not a database at all" * 400)
    assert execute(["restore", str(tmp_path / "good"), "-w", str(desk)]) == 3
    assert "--yes" in capsys.readouterr().err
    assert execute(["restore", str(tmp_path / "good"), "-w", str(desk), "--yes", "--json"]) == 0
    (aside,) = json.loads(capsys.readouterr().out)["damaged"]
    assert Path(aside).read_bytes().startswith(b"not a database")
    with Workspace.open(desk) as workspace:
        assert "blue" in workspace.search("kettle").hits[0].text
