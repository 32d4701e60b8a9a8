"""The commands on the sample company: what they print, as JSON that other programs rely on, and how they end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knowhow.cli.main import execute
from knowhow.workspace import Workspace

SAMPLE = Path(__file__).resolve().parents[1] / "src" / "knowhow" / "sample"
QUESTION = "Within how many days can a customer return a refurbished laptop?"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample company, ingested once; its folder stays unchanged."""
    home = tmp_path_factory.mktemp("ingested")
    shutil.copytree(SAMPLE / "company", home / "company")
    with Workspace.init(home / "desk") as workspace:
        report = workspace.ingest(home / "company", access_rules=SAMPLE / "access.toml")
        assert not report.failed
    (home / "desk" / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n')
    return home


@pytest.fixture
def home(ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the ingested workspace to work in, named by KNOWHOW_WORKSPACE."""
    shutil.copytree(ingested / "desk", tmp_path / "desk")
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(tmp_path / "desk"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command that must succeed with `--json` and returns the one document it prints."""

    def run(*arguments: str, status: int = 0) -> Any:
        assert execute([*arguments, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_ingest_reports_what_it_took(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# Alpha\n\nThe kettle is blue.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing")
    first = call("ingest", str(folder), "--as", "notes", status=8)
    assert first["added"] == ["notes/a.md"]
    assert [(row["uri"], set(row)) for row in first["failed"]] == [("notes/broken.pdf", {"uri", "reason", "detail"})]
    assert (first["passages"], first["embedded"], first["unchanged"]) == (1, 1, 0)
    (folder / "broken.pdf").unlink()
    (folder / "a.md").rename(folder / "b.md")
    second = call("ingest", str(folder), "--as", "notes")
    assert second["moved"] == [{"from": "notes/a.md", "to": "notes/b.md"}]
    assert second["removed"] == ["notes/broken.pdf"]
    assert (second["added"], second["updated"], second["embedded"]) == ([], [], 0)
    assert {"seconds", "warnings"} <= set(second)


def test_ingest_as_documents_takes_a_line_for_a_document(call: Call, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "Tea", "text": "Tea is served at four."}\n')
    assert call("ingest", "corpus.jsonl", "--as-documents", "--as", "corpus")["added"] == ["corpus/d1"]
    assert call("search", "when is tea served", "--k", "1")["hits"][0]["uri"] == "corpus/d1"


def test_search_prints_ranked_hits(call: Call) -> None:
    result = call("search", "swollen battery", "--k", "2", "--mode", "keyword")
    first = result["hits"][0]
    assert (first["rank"], first["uri"], first["page"]) == (1, "workshop/battery-safety.pdf", 2)
    assert {"title", "start", "end", "heading", "text", "score"} <= set(first)
    assert {"keyword", "vector"} <= set(first["scores"])
    assert len(result["hits"]) == 2
    assert result["ms"]["total"] > 0


def test_search_writes_results_a_line_and_a_trec_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "queries.jsonl").write_text('{"id": "a", "text": "deposit"}\n\n{"_id": 7, "text": "soldering tip"}\n')
    assert execute(["search", "--queries", "queries.jsonl", "--trec", "run.txt", "--k", "3"]) == 0
    results = lines(capsys.readouterr().out)
    assert [result["id"] for result in results] == ["a", "7"]
    assert results[1]["hits"][0]["uri"] == "workshop/soldering-notes.txt"
    rows = [row.split() for row in (home / "run.txt").read_text().splitlines()]
    assert {len(row) for row in rows} == {6}
    assert [row[3] for row in rows if row[0] == "7"] == [str(i + 1) for i in range(sum(r[0] == "7" for r in rows))]
    assert len({(row[0], row[2]) for row in rows}) == len(rows), "a run names each document once"


def test_ask_answers_with_checked_citations(call: Call) -> None:
    body = call("ask", QUESTION, "--model", "extractive")
    assert "45 days" in body["answer"]
    assert (body["abstained"], body["reason"], body["model"], body["recipe"]) == (False, None, "extractive", "rag")
    citation = body["citations"][0]
    assert (citation["uri"], citation["supported"], citation["page"]) == ("policies/returns.md", "yes", None)
    assert {"mark", "heading", "start", "end", "quote"} <= set(citation)
    assert body["shown"]
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens", "cost_usd"}
    assert body["usage"]["cost_usd"] == 0
    assert body["trace_id"]


def test_ask_obeys_filters(call: Call) -> None:
    body = call("ask", "deposit", "--model", "extractive", "--where", "uri=shop/faq.html", "--k", "1")
    assert {shown["uri"] for shown in body["shown"]} <= {"shop/faq.html"}
    assert len(body["shown"]) <= 1
    assert call("ask", "deposit for a loan laptop", "--model", "extractive", "--as-of", "2020-01-01")["abstained"]


def test_a_tagged_document_is_seen_only_with_its_tag(call: Call) -> None:
    def uris(*options: str) -> set[str]:
        return {hit["uri"] for hit in call("search", "salary band of a repair technician", *options)["hits"]}

    assert not any(uri.startswith("hr/") for uri in uris())
    assert "hr/salary-bands.csv" in uris("--access", "hr")
    assert not any(row["access"] for row in call("documents"))
    assert {row["uri"] for row in call("documents", "--access", "*") if row["access"]} == {
        "hr/salary-bands.csv",
        "hr/pay-review-2026.md",
    }


def test_ask_takes_text_of_its_own_and_a_conversation(call: Call, home: Path) -> None:
    (home / "note.txt").write_text("The reference number of this case is 4711.")
    body = call("ask", "What is the reference number of this case?", "--model", "extractive", "--context", "note.txt")
    assert "4711" in body["answer"]
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Within 45 days. [1]"}]
    (home / "chat.json").write_text(json.dumps(turns))
    follow = call("ask", "And accessories?", "--model", "extractive", "--history", "chat.json")
    assert any(shown["uri"] == "policies/returns.md" for shown in follow["shown"])


def test_many_questions_give_a_line_each(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "q.jsonl").write_text(json.dumps({"id": "x", "question": QUESTION}) + '\n{"question": "deposit?"}\n')
    assert execute(["ask", "--questions", "q.jsonl", "--model", "extractive"]) == 0
    first, second = lines(capsys.readouterr().out)
    assert (first["id"], second["id"]) == ("x", "2")
    assert first["citations"]


def test_an_edited_document_answers_at_once(call: Call, ingested: Path, tmp_path: Path) -> None:
    company = tmp_path / "company"
    shutil.copytree(ingested / "company", company)
    call("ingest", str(company), "--as", "copy")
    policy = company / "policies" / "loan-devices.md"
    policy.write_text(policy.read_text().replace("loan laptop is 50 euros", "loan laptop is 75 euros"))
    report = call("ingest", str(company), "--as", "copy")
    assert report["updated"] == ["copy/policies/loan-devices.md"]
    ask = ("ask", "What is the deposit for a loan laptop?", "--model", "extractive", "--where", "source=copy")
    assert "75 euros" in call(*ask)["answer"]


def test_documents_lists_state_and_reason(call: Call) -> None:
    rows = call("documents")
    assert [row["uri"] for row in rows] == sorted(row["uri"] for row in rows)
    wanted = {"uri", "title", "version", "state", "reason", "passages", "access", "updated"}
    assert all(wanted <= set(row) for row in rows)
    assert {row["state"] for row in rows} == {"ready"}
    assert call("documents", "--source", "nothing") == []


def test_traces_and_feedback(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    trace = call("ask", QUESTION, "--model", "extractive")["trace_id"]
    listed = call("traces", "list")
    assert (listed[0]["trace_id"], listed[0]["outcome"], listed[0]["question"]) == (trace, "answered", QUESTION)
    stored = call("feedback", trace[:6], "--correct", "45 days after delivery")
    assert (stored["trace_id"], stored["verdict"], stored["text"]) == (trace, "correct", "45 days after delivery")
    body = call("traces", "show", trace[:6])
    assert body["question"] == QUESTION
    assert {"candidates", "prompt", "raw", "checks", "ms", "usage"} <= set(body)
    assert body["feedback"][0]["text"] == "45 days after delivery"
    assert execute(["traces", "show", trace]) == 0
    story = capsys.readouterr().out
    assert QUESTION in story
    assert "Feedback: correct: 45 days after delivery" in story


def test_reindex_follows_the_settings(call: Call, home: Path) -> None:
    before = call("search", "deposit", "--k", "1")["hits"][0]
    (home / "desk" / "knowhow.toml").write_text("split_target = 300\nsplit_limit = 500\n")
    assert len(call("reindex")["index"]) == 12
    after = call("search", "deposit", "--k", "1")["hits"][0]
    assert after["uri"] == before["uri"]
    assert sum(row["passages"] for row in call("documents")) > 0


def test_config_show_names_origins(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWHOW_TIMEOUT", "7")
    settings = call("config", "show", "--origin")["settings"]
    assert settings["timeout"] == {"value": 7.0, "origin": "KNOWHOW_TIMEOUT"}
    assert settings["embedder"]["origin"] == "default"
    rag = call("config", "show")["recipes"]["rag"]
    assert rag["k"] > 0
    assert rag["fitted"] == (["budget", "k", "wording"] if rag["model"] == "local:starter" else [])


def test_doctor_finds_a_healthy_workspace_healthy(call: Call) -> None:
    body = call("doctor")
    assert body["ok"], [check for check in body["checks"] if not check["ok"]]
    assert {"python", "sqlite", "workspace", "disk", "permissions", "embedder"} <= {c["name"] for c in body["checks"]}


def test_doctor_names_a_mend_for_what_is_wrong(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWHOW_OFLINE", "1")
    body = call("doctor", status=3)
    wrong = [check for check in body["checks"] if not check["ok"]]
    assert [check["name"] for check in wrong] == ["environment"]
    assert "OFFLINE" in wrong[0]["detail"]
    assert wrong[0]["mend"]


def test_init_starts_a_workspace_and_leaves_an_existing_one(call: Call, home: Path) -> None:
    assert call("init", "new")["workspace"] == str(home / "new")
    (home / "new" / "knowhow.toml").write_text("timeout = 5\n")
    call("init", "new")
    assert (home / "new" / "knowhow.toml").read_text() == "timeout = 5\n"
    assert (home / "new" / ".knowhow" / ".gitignore").read_text() == "*\n"


def test_version(call: Call) -> None:
    assert call("version")["version"].count(".") == 2


def test_people_read_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["ask", QUESTION, "--model", "extractive"]) == 0
    out, err = capsys.readouterr()
    assert "45 days" in out
    assert "[1] policies/returns.md  Returns policy > Refurbished devices  supported" in out
    assert "knowhow traces show" in err
    for command in (["search", "deposit"], ["documents"], ["traces", "list"], ["config", "show"], ["doctor"]):
        assert execute(command) == 0
        assert "\x1b[" not in capsys.readouterr().out
