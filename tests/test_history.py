"""The past at the command line: versions, differences, as-of questions, audit, purge and replay."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowhow.cli.main import execute
from knowhow.errors import NotFound
from knowhow.types import Message
from knowhow.workspace import Workspace

Call = Callable[..., Any]
QUESTION = "Within how many days can a laptop be returned?"


def text(days: int) -> str:
    return f"# Returns policy\n\nA laptop can be returned within {days} days of delivery.\n\nNo fee is charged.\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "returns.md").write_text(text(30))
    (tmp_path / "docs" / "kettle.md").write_text("# Kettle\n\nThe kettle is blue.")
    Workspace.init(tmp_path / "desk").close()
    (tmp_path / "desk" / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n')
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(tmp_path / "desk"))
    monkeypatch.chdir(tmp_path)
    assert execute(["ingest", "docs"]) == 0
    return tmp_path


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    capsys.readouterr()

    def run(*arguments: str, status: int = 0) -> Any:
        assert execute([*arguments, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


def change(home: Path, days: int) -> float:
    """A moment before the change; it is ingested when this returns."""
    time.sleep(0.01)
    before = time.time()
    (home / "docs" / "returns.md").write_text(text(days))
    assert execute(["ingest", "docs"]) == 0
    return before


def iso(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).isoformat()


def test_a_log_says_when_each_version_answered_what_it_changed_and_why_it_ended(
    home: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    change(home, 45)
    (home / "docs" / "returns.md").rename(home / "docs" / "moved.md")
    execute(["ingest", "docs"])
    capsys.readouterr()
    rows = call("documents", "log", "returns.md")
    assert [(row["version"], row["ended"], row["ended_by"]) for row in rows] == [
        (2, "moved", "moved.md"),
        (1, "replaced", None),
    ]
    assert (rows[0]["lines_added"], rows[0]["lines_removed"]) == (1, 1)
    assert rows[1]["to"] == rows[0]["from"]
    assert call("documents", "log", "moved.md")[0]["ended"] is None
    (home / "docs" / "moved.md").write_bytes(b"\x00\x01\xff" * 9)
    execute(["ingest", "docs"])
    capsys.readouterr()
    assert call("documents", "log", "moved.md")[0]["ended"] == "failed"
    assert call("documents", "log", "nothing.md", status=4)["error"]["name"] == "not-found"


def test_a_diff_is_of_the_last_two_versions_unless_told(
    home: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    change(home, 45)
    change(home, 60)
    capsys.readouterr()
    found = call("documents", "diff", "returns.md")
    assert (found["from"], found["to"], found["lines_added"]) == (2, 3, 1)
    assert "-A laptop can be returned within 45 days" in found["diff"]
    assert "+A laptop can be returned within 60 days" in call("documents", "diff", "returns.md", "1", "3")["diff"]
    assert call("documents", "diff", "returns.md", "1", "9", status=4)["error"]
    assert call("documents", "diff", "kettle.md", status=2)["error"]


def test_as_of_reaches_back_also_to_what_was_removed_and_after_reindex(
    home: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    then = change(home, 45)
    (home / "docs" / "returns.md").unlink()
    execute(["ingest", "docs"])
    for _ in range(2):
        capsys.readouterr()
        hits = call("search", "returned within days", "--as-of", iso(then))["hits"]
        assert "within 30 days" in hits[0]["text"]
        answer = call("ask", QUESTION, "--as-of", iso(then))
        assert "30 days" in answer["answer"]
        assert call("documents", "--as-of", iso(then))[1]["uri"] == "returns.md"
        assert call("search", "returned within days", "--as-of", "2w")["hits"] == []
        assert not any("returned" in hit["text"] for hit in call("search", "returned within days")["hits"])
        (home / "desk" / "knowhow.toml").write_text('split_target = 200\n[recipes.rag]\nmodel = "extractive"\n')
        assert execute(["reindex"]) == 0


def test_tags_of_today_hold_for_removed_documents(home: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    then = change(home, 45)
    (home / "docs" / "returns.md").unlink()
    execute(["ingest", "docs"])
    execute(["ingest", "docs", "--access", "shop"])
    capsys.readouterr()
    assert call("search", "returned within days", "--as-of", iso(then))["hits"] == []
    assert call("search", "returned within days", "--as-of", iso(then), "--access", "shop")["hits"]
    assert call("documents", "--removed") == []
    execute(["ingest", "docs", "--access", ""])
    capsys.readouterr()
    assert call("search", "returned within days", "--as-of", iso(then))["hits"]
    entries = len(call("documents", "audit"))
    execute(["ingest", "docs"])
    capsys.readouterr()
    assert len(call("documents", "audit")) == entries


def test_the_audit_log_names_who_and_from_when(home: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    before = change(home, 45)
    capsys.readouterr()
    (entry,) = call("documents", "audit", "--since", iso(before))
    assert (entry["action"], entry["uri"], entry["from"], entry["to"]) == ("updated", "returns.md", 1, 2)
    assert entry["by"]
    assert call("documents", "audit", "--since", "1s")[-1]["uri"] == "returns.md"
    assert [e["action"] for e in call("documents", "audit", "--uri", "returns.md")] == ["added", "updated"]


def test_prune_follows_the_setting(home: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    change(home, 45)
    capsys.readouterr()
    assert "retention_days is 0" in call("documents", "prune", status=2)["error"]["message"]
    (home / "desk" / "knowhow.toml").write_text("retention_days = 1\n")
    assert call("documents", "prune")["versions"] == 0
    with Workspace.open() as workspace:
        store = workspace._parts.store
        assert store.prune(time.time(), dry_run=True).versions == 1
        assert store.prune(time.time()).uris == ("returns.md",)
    assert [row["version"] for row in call("documents", "log", "returns.md")] == [2]


def test_a_purge_reaches_traces_feedback_calls_and_what_a_conversation_repeated(home: Path, call: Call) -> None:
    with Workspace.open() as workspace:
        answer = workspace.ask(QUESTION, draw=0)
        assert "30 days" in answer.text
        later = workspace.ask(
            "And the kettle?",
            history=[Message("user", QUESTION), Message("assistant", answer.text)],
            where={"uri": "kettle.md"},
        )
        other = workspace.ask("What colour is the kettle?", where={"uri": "kettle.md"})
        from knowhow.answer import Verdict

        workspace.feedback(answer.trace_id, Verdict.CORRECT, text="30 days of delivery, I say")
        workspace.feedback(later.trace_id, Verdict.CORRECT, text="it repeats 30 days of delivery")
    would = call("documents", "purge", "returns.md", "--dry-run")
    assert would["versions"] == 1
    purged = call("documents", "purge", "returns.md")
    assert purged["uris"] == ["returns.md"]
    assert purged["records"] == 5
    assert purged["still_at"].endswith("docs/returns.md")
    assert [row["trace_id"] for row in call("traces", "list")] == [other.trace_id]
    left = b"".join(path.read_bytes() for path in (home / "desk" / ".knowhow").iterdir() if path.is_file())
    assert b"days of delivery" not in left
    assert b"Returns policy" not in left
    assert b"kettle is blue" in left
    assert [entry["action"] for entry in call("documents", "audit", "--uri", "returns.md")] == ["added", "purged"]
    assert call("documents", "purge", "returns.md")["versions"] == 0
    assert call("documents", "purge", "nothing.md", status=4)["error"]
    assert [check for check in call("doctor")["checks"] if not check["ok"]] == []


def test_a_replay_is_the_same_then_and_says_what_differs_now(
    home: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with Workspace.open() as workspace:
        trace = workspace.ask(QUESTION).trace_id
    change(home, 45)
    capsys.readouterr()
    then = call("traces", "replay", trace)
    assert then["differs"] == []
    assert then["reply"] == "remembered"
    now = call("traces", "replay", trace, "--now")
    assert now["differs"] == ["passages", "reply", "answer", "citations"]
    assert "30 days" in now["answer_then"]
    assert "45 days" in now["answer_now"]
    assert {p["why"] for p in now["passages"] if p["then"] is None} == {"version 2 came later"}
    assert {p["why"] for p in now["passages"] if p["now"] is None} == {"version 2 replaced it"}
    assert "45 days" in now["citations_new"][0]["quote"]
    assert len(call("traces", "list")) == 1
    assert execute(["traces", "replay", trace[:6], "--now"]) == 0
    assert "version 2 replaced it" in capsys.readouterr().out


def test_a_trace_is_closed_with_the_documents_it_quotes_and_a_replay_sees_what_both_askers_may(
    home: Path, call: Call
) -> None:
    with Workspace.open() as workspace:
        trace = workspace.ask(QUESTION).trace_id
        workspace.ingest(home / "docs", access=frozenset({"shop"}))
        assert workspace.traces() == []
        for refused in (workspace.trace, workspace.story, workspace.replay, workspace.history.log):
            with pytest.raises(NotFound):
                refused(trace)
        replayed = workspace.replay(trace, access=frozenset({"*"}))
        assert "days" not in replayed.answer_now
        assert all(passage.now is None for passage in replayed.passages)
