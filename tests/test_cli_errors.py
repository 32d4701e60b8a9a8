"""Every wrong call ends in one line that says what to do, with the right exit code and never a traceback."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from knowhow.cli.main import execute
from knowhow.errors import PartlyDone
from knowhow.workspace import Workspace


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, and the folder it lies in as the current one."""
    monkeypatch.delenv("KNOWHOW_WORKSPACE", raising=False)
    monkeypatch.delenv("KNOWHOW_DEBUG", raising=False)
    Workspace.init(tmp_path / "desk").close()
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path / "desk"


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Runs a command that must fail: its exit code and the one line it says."""
    capsys.readouterr()
    status = execute(arguments)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    said = [line for line in err.splitlines() if line.strip()]
    assert len(said) == 1, err
    assert said[0].startswith("error: ")
    assert not out
    return status, said[0]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["traces"], 2, ["Missing command", "knowhow traces --help"]),
        (["search", " "], 2, ["empty"]),
        (["--nonsense"], 2, ["--nonsense", "knowhow --help"]),
        (["serach", "x"], 2, ["serach", "search"]),
        (["search", "x", "--kk", "3"], 2, ["--kk", "knowhow search --help"]),
        (["search", "x", "--k", "many"], 2, ["--k", "integer"]),
        (["search", "x", "--k", "0"], 2, ["--k"]),
        (["search", "x", "--mode", "hybird"], 2, ["hybird", "hybrid"]),
        (["search"], 2, ["--queries"]),
        (["search", "x", "--queries", "f.jsonl"], 2, ["either"]),
        (["search", "--queries", "missing.jsonl"], 2, ["missing.jsonl", "No such file"]),
        (["search", "x", "--as-of", "yesterday"], 2, ["yesterday", "2026-03-01"]),
        (["search", "x", "--where", "customer"], 2, ["customer", "KEY=VALUE"]),
        (["search", "x", "--trec", "no/such/folder/run.txt"], 2, ["run.txt"]),
        (["ask"], 2, ["--questions"]),
        (["ask", " ", "--model", "extractive"], 2, ["empty"]),
        (["ask", "x", "--context", "missing.txt"], 2, ["missing.txt"]),
        (["ask", "x", "--history", "missing.json"], 2, ["missing.json"]),
        (["ask", "x", "--recipe", "long-contxt"], 4, ["long-contxt", "long-context"]),
        (["ask", "x", "--model", "gpt-9"], 3, ["gpt-9", "openai:NAME"]),
        (["ask", "x", "--model", "local:missing.gguf"], 4, ["missing.gguf"]),
        (["ingest"], 2, ["PATH"]),
        (["ingest", "no-such-folder"], 2, ["no-such-folder"]),
        (["ingest", ".", "--as", "a/b"], 2, ["a/b"]),
        (["ingest", ".", "--access-rules", "missing.toml"], 2, ["missing.toml"]),
        (["traces", "show", "zzz"], 4, ["zzz", "knowhow traces list"]),
        (["feedback", "zzz", "--up"], 4, ["zzz", "knowhow traces list"]),
        (["feedback", "zzz"], 2, ["--up", "--correct"]),
        (["feedback", "zzz", "--up", "--down"], 2, ["exactly one"]),
        (["documents", "-w", "elsewhere"], 3, ["elsewhere", "knowhow init"]),
        (["reindex", "--embedder", "statik"], 3, ["statik", "static"]),
        (["config", "shwo"], 2, ["shwo", "show"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_says_what_to_do(
    desk: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: list[str]
) -> None:
    found, line = failing(capsys, *arguments)
    assert found == status, line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("q.jsonl", '{"id": 1, "question": "a"}\nnonsense\n', ["line 2", "not JSON"]),
        ("q.jsonl", '{"id": 1}\n', ["line 1", '"question"']),
        ("q.jsonl", '["a"]\n', ["line 1", '"question"']),
        ("q.jsonl", '{"id": 1, "question": "a"}\n{"id": 1, "question": "b"}\n', ["line 2", '"1"']),
    ],
)
def test_a_wrong_question_file_is_named_with_its_line(
    desk: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, words: list[str]
) -> None:
    (desk / name).write_text(text)
    execute(["ask", "--questions", name, "--model", "extractive"])
    err = capsys.readouterr().err
    for word in words:
        assert word in err


@pytest.mark.parametrize("text", ["nonsense", '{"role": "user"}', '[{"role": "boss", "content": "x"}]', "[3]"])
def test_a_wrong_conversation_shows_the_right_form(desk: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (desk / "chat.json").write_text(text)
    status, line = failing(capsys, "ask", "x", "--history", "chat.json")
    assert (status, '{"role": "user"' in line) == (2, True)


def test_bytes_that_are_no_text_are_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "note.bin").write_bytes(b"\xff\xfe\x00")
    assert failing(capsys, "ask", "x", "--context", "note.bin")[0] == 2


def test_with_json_the_error_is_the_document(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["ask", "x", "--recipe", "nope", "--json"]) == 4
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert (error["name"], error["exit_code"]) == ("not-found", 4)
    assert error["message"] in err


def test_outside_any_workspace_init_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KNOWHOW_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    status, line = failing(capsys, "search", "x")
    assert (status, "knowhow init" in line) == (3, True)


def test_a_wrong_setting_stops_every_command(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "knowhow.toml").write_text("wrokers = 2\n")
    status, line = failing(capsys, "documents")
    assert status == 3
    assert 'did you mean "workers"' in line


def test_a_corrupt_workspace_is_named_and_kept(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = desk / ".knowhow" / "knowhow.db"
    database.write_bytes(b"this is no database" * 100)
    before = database.read_bytes()
    status, line = failing(capsys, "search", "x")
    assert (status, "knowhow.db" in line) == (3, True)
    assert database.read_bytes() == before
    assert execute(["doctor"]) == 3
    assert "mend it" in capsys.readouterr().out


def test_a_workspace_from_a_newer_version_is_named_and_kept(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(desk / ".knowhow" / "knowhow.db") as connection:
        connection.execute("pragma user_version = 9999")
    connection.close()
    status, line = failing(capsys, "search", "x")
    assert status == 3
    assert "newer" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_workspace_is_named(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = desk / ".knowhow"
    (desk / "a.md").write_text("text")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert failing(capsys, "ingest", "a.md")[0] == 3
    finally:
        folder.chmod(stat.S_IRWXU)


def test_an_unreachable_model_is_a_provider_problem(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "knowhow.toml").write_text("retries = 0\ntimeout = 2\n")
    (desk / "a.md").write_text("The kettle is blue.")
    assert execute(["ingest", "a.md"]) == 0
    status, line = failing(capsys, "ask", "What colour is the kettle?", "--model", "http://127.0.0.1:9/v1#none")
    assert status == 7
    assert "127.0.0.1:9" in line


def test_offline_refuses_a_distant_host(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "knowhow.toml").write_text("offline = true\n")
    (desk / "a.md").write_text("The kettle is blue.")
    assert execute(["ingest", "a.md"]) == 0
    status, line = failing(capsys, "ask", "What colour is the kettle?", "--model", "http://llm.example.com/v1#none")
    assert status == 7
    assert "offline" in line.lower()


def test_a_missing_extra_is_named(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    status, line = failing(capsys, "reindex", "--embedder", "st:any")
    assert status == 3
    assert "pip install" in line


def test_something_unexpected_is_one_line_unless_debugging(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("two\nlines")

    monkeypatch.setattr(Workspace, "documents", broken)
    status, line = failing(capsys, "documents")
    assert status == 1
    assert "ValueError: two lines" in line
    monkeypatch.setenv("KNOWHOW_DEBUG", "1")
    assert execute(["documents"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Workspace, "documents", interrupted)
    assert execute(["documents"]) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_a_question_that_fails_is_a_line_and_the_rest_goes_on(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Workspace.ask

    def sometimes(self: Workspace, question: str, *rest: object, **options: object) -> object:
        if question == "bad":
            raise PartlyDone("this one failed")
        return ask(self, question, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Workspace, "ask", sometimes)
    (desk / "q.jsonl").write_text('{"id": "1", "question": "bad"}\n{"id": "2", "question": "good"}\n')
    assert execute(["ask", "--questions", "q.jsonl", "--model", "extractive"]) == 8
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["error"]["message"] == "this one failed"
    assert second["abstained"]


def test_a_reader_that_goes_away_ends_the_command_quietly(desk: Path) -> None:
    script = "from knowhow.cli.output import write\nfor i in range(100000): write('x' * 100)"
    with subprocess.Popen(
        [sys.executable, "-c", f"import sys\n{script}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(20)
    assert b"BrokenPipe" not in err
