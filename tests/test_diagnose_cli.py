"""`knowhow diagnose` and `recipes adopt` on the sample company: what they print, keep and refuse, and how they end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knowhow.backends.fake import FakeChat, FakeEmbedder
from knowhow.cli.main import execute
from knowhow.errors import ProviderKind, ProviderProblem
from knowhow.types import ChatRequest
from knowhow.workspace import Workspace
from knowhow.workspace.parts import Parts
from knowhow.workspace.rereading import Rereading

SAMPLE = Path(__file__).resolve().parents[1] / "src" / "knowhow" / "sample"
DEPOSIT = {
    "id": "deposit",
    "question": "What is the deposit for a loan laptop?",
    "expect": {
        "facts": ["50 euros"],
        "evidence": [{"source": "policies/loan-devices.md", "quote": "The deposit for a loan laptop is 50 euros."}],
    },
}
PARKING = {
    "id": "parking",
    "question": "How much does the visitor car park cost per hour?",
    "expect": {
        "facts": ["2 euros"],
        "evidence": [{"source": "policies/parking.md", "quote": "The visitor car park costs 2 euros an hour."}],
    },
}
TOML = '[recipes.rag]\nmodel = "extractive"\nrelevance = 0.05\n'
Call = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _light() -> Iterator[None]:
    """An embedder that takes no time to load."""
    with pytest.MonkeyPatch.context() as patch:
        embedder = FakeEmbedder()
        patch.setattr(Parts, "wanted_embedder", lambda _: embedder)
        yield


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("diagnosed")
    shutil.copytree(SAMPLE / "company", home / "company")
    with Workspace.init(home / "desk") as workspace:
        workspace.ingest(home / "company", access_rules=SAMPLE / "access.toml")
    (home / "desk" / "knowhow.toml").write_text(TOML)
    return home / "desk"


@pytest.fixture
def desk(ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ingested, tmp_path / "desk")
    (tmp_path / "desk" / "suites").mkdir()
    write(tmp_path / "desk" / "suites" / "shop.jsonl", DEPOSIT, PARKING)
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(tmp_path / "desk"))
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path / "desk"


@pytest.fixture
def call(desk: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str, status: int = 0) -> Any:
        got = execute([*arguments, "--json"])
        out = capsys.readouterr()
        assert got == status, out.err
        return json.loads(out.out)

    return run


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def replaced(monkeypatch: pytest.MonkeyPatch, model: FakeChat) -> None:
    monkeypatch.setattr(Parts, "chat", lambda *_: model)


def test_a_run_is_diagnosed_and_told_in_every_form(call: Call, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = call("evaluate", "shop")["run_id"]
    body = call("diagnose", run, "--html", "d.html", "--markdown", "d.md")
    assert {"run_id", "n_failed", "calls", "cost_usd", "clusters", "cases"} <= set(body)
    assert (body["run_id"], body["n_failed"]) == (run, 1)
    case = body["cases"][0]
    assert {"id", "cause", "posterior", "signals", "interventions", "fix"} <= set(case)
    assert (case["id"], case["cause"]) == ("parking", "knowledge.missing")
    assert {"name", "draws", "passed", "trace_ids"} <= set(case["interventions"][0])
    assert {"home", "action", "command", "expected_gain", "low", "high"} <= set(body["clusters"][0]["fix"])
    assert body["clusters"][0]["cases"] == ["parking"]
    assert "in no document" in (desk / "d.html").read_text("utf-8")
    assert "| parking | knowledge.missing |" in (desk / "d.md").read_text("utf-8")
    assert call("diagnose") == body, "the newest run, the same report"
    assert execute(["diagnose", run, "--case", "parking"]) == 0
    told = capsys.readouterr()
    assert "The visitor car park costs 2 euros an hour." in told.out
    assert "at most 10 calls" in told.err


def test_budget_0_is_signals_alone_and_a_dry_run_asks_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    run = call("evaluate", "shop")["run_id"]
    silent = FakeChat([])
    replaced(monkeypatch, silent)
    assert call("diagnose", run, "--dry-run")["recipes"][0]["calls"] == 10
    body = call("diagnose", run, "--max-calls", "0")
    assert body["calls"] == 0
    assert "signals alone" in " ".join(body["notes"])
    assert silent.requests == []


def test_nothing_failed_is_said_and_asks_nothing(call: Call, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(desk / "suites" / "shop.jsonl", DEPOSIT)
    run = call("evaluate", "shop")["run_id"]
    assert call("diagnose", run)["n_failed"] == 0
    assert execute(["diagnose", run]) == 0
    assert "nothing to diagnose" in capsys.readouterr().out


def test_a_model_that_cannot_be_used_ends_with_its_exit_code(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = call("evaluate", "shop")["run_id"]
    down = ProviderProblem("nothing answers there", ProviderKind.UNREACHABLE)
    replaced(monkeypatch, FakeChat([], failures=dict.fromkeys(range(1, 99), down)))
    assert execute(["diagnose", run]) == 7
    assert "nothing answers there" in capsys.readouterr().err


def test_what_is_gone_or_did_not_fail_is_named(call: Call, desk: Path) -> None:
    run = call("evaluate", "shop")["run_id"]
    assert "did not fail" in call("diagnose", run, "--case", "deposit", status=4)["error"]["message"]
    assert "not in its suite" in call("diagnose", run, "--case", "nope", status=4)["error"]["message"]
    assert "no run" in call("diagnose", "zzz", status=4)["error"]["message"]
    assert call("diagnose", run, "--rows", "x.jsonl", status=2)["error"]["name"] == "usage-problem"
    shutil.move(desk / "suites" / "shop.jsonl", desk / "elsewhere.jsonl")
    assert "--suite FILE" in call("diagnose", run, status=4)["error"]["message"]
    assert call("diagnose", run, "--suite", "elsewhere.jsonl", "--max-calls", "0")["n_failed"] == 1


def test_a_suite_without_evidence_says_how_deep_it_looked(call: Call, desk: Path) -> None:
    bare = {"id": "bare", "question": PARKING["question"], "expect": {"facts": ["2 euros"]}}
    write(desk / "suites" / "shop.jsonl", bare)
    run = call("evaluate", "shop")["run_id"]
    body = call("diagnose", run, "--max-calls", "0")
    assert body["cases"][0]["signals"]["evidence"] == "unnamed"
    assert body["cases"][0]["signals"]["details"]["depth"] == 100


def test_another_systems_answers_are_diagnosed_from_a_file(call: Call, desk: Path) -> None:
    loans = "The deposit for a loan laptop is 50 euros. The deposit for a loan phone is 30 euros."
    asked = {"question": "What is the deposit for a loan laptop?", "expected": "50 euros"}
    write(
        desk / "rows.jsonl",
        {"id": "a", **asked, "answer": "It is 30 euros.", "retrieved": [{"source": "loans", "text": loans}]},
        {"id": "b", **asked, "answer": "It is 50 euros.", "retrieved": [loans]},
        {"id": "c", "question": "Who?", "answer": "Jonas.", "retrieved": []},
    )
    body = call("diagnose", "--rows", "rows.jsonl")
    assert (body["n_failed"], body["calls"], body["cases"][0]["id"]) == (1, 0, "a")
    assert body["cases"][0]["signals"]["evidence"] == "in-context"
    assert "1 of 3 rows say nothing of what is right" in " ".join(body["notes"])
    body = call("diagnose", "--rows", "rows.jsonl", "--model", "extractive")
    assert body["calls"] > 0
    assert "another system's" in " ".join(body["notes"])
    assert not any("policies/" in json.dumps(case) for case in body["cases"]), "the workspace's own documents stay out"
    write(desk / "rows.jsonl", {"question": "q", "context": []})
    message = call("diagnose", "--rows", "rows.jsonl", status=2)["error"]["message"]
    assert "line 1" in message
    assert '"answer"' in message


def test_answers_that_people_judged_wrong_are_diagnosed(call: Call) -> None:
    assert "nobody has judged" in call("diagnose", "--traces", status=4)["error"]["message"]
    told = call("ask", "What is the deposit for a loan phone?")["trace_id"]
    call("feedback", told, "--correct", "35 euros")
    call("feedback", call("ask", "How long can I keep a loan device?")["trace_id"], "--down")
    body = call("diagnose", "--traces", "--max-calls", "2")
    assert body["n_failed"] == 1
    assert "nobody said what is right" in " ".join(body["notes"])


LABELS = ["returns", "shipping", "billing"]


def obeys(request: ChatRequest) -> str:
    """Gives the label where labels are asked for, and chats otherwise."""
    if request.schema is not None:
        return '"shipping"'
    return "shipping" if "exactly one of these labels" in request.messages[0].content else "About a parcel, I think."


def parcels(split: str, count: int) -> list[dict[str, Any]]:
    expect = {"label": "shipping", "labels": LABELS}
    return [
        {"id": f"{split}-{n}", "input": f"Parcel {n} of {split} never came.", "expect": expect, "split": split}
        for n in range(count)
    ]


def test_a_fix_is_chosen_on_dev_proven_on_test_and_adopted_only_when_told(
    call: Call, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced(monkeypatch, FakeChat(obeys))
    write(desk / "suites" / "shop.jsonl", *parcels("dev", 3), *parcels("test", 12))
    run = call("evaluate", "shop", "--recipe", "closed-book", "--split", "dev")["run_id"]
    before = (desk / "knowhow.toml").read_text("utf-8")
    tried = call("diagnose", run, "--try")["tried"]
    assert (desk / "knowhow.toml").read_text("utf-8") == before
    assert tried["outcome"] == "proven", tried
    assert tried["pairs"][0]["fixed"]
    id = tried["adopt"].split()[-1]
    assert call("recipes", "adopt", id, "--dry-run")["written"] is False
    assert (desk / "knowhow.toml").read_text("utf-8") == before
    done = call("recipes", "adopt", id, "--as", "formed")
    assert "+[recipes.formed]" in done["diff"]
    with Workspace.open(desk) as opened:
        assert opened.recipe("formed").form is not opened.recipe("closed-book").form
    assert "is there already" in call("recipes", "adopt", id, "--as", "formed", status=2)["error"]["message"]


def test_trying_needs_a_dev_and_a_test_split(call: Call) -> None:
    run = call("evaluate", "shop")["run_id"]
    assert "dev split" in call("diagnose", run, "--try", "--max-calls", "0", status=2)["error"]["message"]


def test_a_source_is_read_again_as_it_is_today(ingested: Path) -> None:
    with Workspace.open(ingested) as opened:
        sources = Rereading(opened._parts.store)
        assert "The deposit for a loan laptop is 50 euros." in str(sources.get("policies/loan-devices.md"))
        assert sources.get("policies/loan-devices.md") is sources.get("policies/loan-devices.md")
        assert sources.get("never/heard-of.md") is None
