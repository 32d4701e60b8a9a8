"""Suites from the command line: checked, imported, split, proposed from documents and from real use, and kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knowhow.backends.fake import FakeChat, FakeEmbedder
from knowhow.cli.main import execute
from knowhow.evaluate.draft import draft
from knowhow.evaluate.failures import failures
from knowhow.suites import locate, read_suite
from knowhow.types import Document, Example, Span
from knowhow.workspace import Workspace

SAMPLE = Path(__file__).resolve().parents[1] / "src" / "knowhow" / "sample"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("drafted")
    with Workspace.init(home / "desk") as workspace:
        workspace.ingest(SAMPLE / "company", access_rules=SAMPLE / "access.toml")
    (home / "desk" / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n')
    return home / "desk"


@pytest.fixture
def desk(ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(ingested, tmp_path / "desk")
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


# --- files ------------------------------------------------------------------------------------------------


def test_check_counts_groups_and_splits(call: Call, desk: Path) -> None:
    (desk / "s.jsonl").write_text('{"id": "a", "question": "q"}\n{"id": "b", "question": "q", "split": "train"}\n')
    body = call("suite", "check", "s.jsonl")
    assert (body["ok"], body["examples"], body["groups"], body["splits"]) == (True, 2, 2, {"test": 1, "train": 1})
    assert call("suite", "check", "nowhere.jsonl", status=4)


def test_import_writes_a_suite_and_its_documents(call: Call, desk: Path) -> None:
    answered = {"id": "1", "question": "When?", "answers": [{"text": "four", "answer_start": 10}]}
    squad = {"title": "Tea", "paragraphs": [{"context": "Tea is at four.", "qas": [answered]}]}
    (desk / "dev.json").write_text(json.dumps({"data": [squad]}))
    body = call("suite", "import", "dev.json", "--documents", "docs.jsonl")
    assert (body["suite"], body["examples"], body["documents"]) == ("suites/dev.jsonl", 1, 1)
    assert read_suite(desk / "suites" / "dev.jsonl").examples[0].expect.facts == (("four",),)
    assert call("ingest", "docs.jsonl", "--as-documents")["added"] == ["Tea/0"]
    (desk / "x.csv").write_text("a,b\n1,2\n")
    assert "text and label" in call("suite", "import", "x.csv", status=2)["error"]["message"]


def test_split_keeps_groups_whole_and_repeats_itself(call: Call, desk: Path) -> None:
    rows = [{"id": str(i), "question": "q", "group": f"g{i // 3}"} for i in range(60)]
    (desk / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    body = call("suite", "split", "s.jsonl", "--shares", "0.5,0.2,0.3", "--out", "cut.jsonl")
    assert body["splits"] == {"train": 30, "dev": 12, "test": 18}
    examples = read_suite(desk / "cut.jsonl").examples
    assert all(len({one.split for one in examples if one.group == group}) == 1 for group in {e.group for e in examples})
    call("suite", "split", "s.jsonl", "--shares", "0.5,0.2,0.3", "--out", "again.jsonl")
    assert (desk / "again.jsonl").read_text() == (desk / "cut.jsonl").read_text()
    assert "three numbers" in call("suite", "split", "s.jsonl", "--shares", "half", status=2)["error"]["message"]


# --- drafts -----------------------------------------------------------------------------------------------


def test_drafts_name_evidence_that_is_there_and_count_only_once_kept(call: Call, desk: Path) -> None:
    body = call("suite", "draft", "--count", "24")
    assert body["proposed"] == 24
    examples = read_suite(Path(body["suite"])).examples
    assert all(one.draft for one in examples)
    with Workspace.open() as workspace:
        for one in examples:
            for item in one.expect.evidence:
                text = workspace.document(item.source).text
                assert locate(text, item.quote)
                assert not any(one.expect.facts) or any(fact[0] in text for fact in one.expect.facts)
    assert any(one.expect.abstain for one in examples)
    assert any(len({item.source for item in one.expect.evidence}) == 2 for one in examples)
    assert "drafts" in call("evaluate", "draft", status=2)["error"]["message"]
    first, second = examples[0].id, examples[1].id
    kept = call("suite", "keep", body["suite"], first, second, "--drop-rest")
    assert (kept["examples"], kept["drafts"]) == (2, 0)
    assert call("evaluate", "draft", "--recipe", "rag")["n"] == 2
    again = call("suite", "draft", "--count", "24")
    assert again["proposed"] == 22, "what was kept is not proposed again"
    assert call("suite", "keep", body["suite"], status=2)
    assert "no example" in call("suite", "keep", body["suite"], "nobody", status=2)["error"]["message"]


def test_drafts_do_not_open_closed_documents(call: Call, desk: Path) -> None:
    open_ = read_suite(Path(call("suite", "draft", "--count", "500")["suite"])).examples
    assert not any(item.source.startswith("hr/") for one in open_ for item in one.expect.evidence)
    everything = call("suite", "draft", "--count", "500", "--access", "*", "--out", "all.jsonl")
    closed = [one for one in read_suite(Path(everything["suite"])).examples if _asks(one, "hr/")]
    assert closed
    assert all("hr" in one.access for one in closed)


def _asks(example: Example, prefix: str) -> bool:
    return any(item.source.startswith(prefix) for item in example.expect.evidence)


def test_a_model_writes_questions_but_only_what_the_document_says_is_kept() -> None:
    text = "The workshop opens at nine. " + "It smells of solder and old coffee in the mornings. " * 6
    document = Document("workshop.md", text, "Workshop", spans=(Span(0, len(text), Document("x", "").place_at(0)),))
    good = {"question": "When does the workshop open?", "answer": "nine", "sentence": "The workshop opens at nine."}
    for bad in ({"answer": "ten"}, {"sentence": "It opens at nine."}, {"question": "Tell me"}, {"answer": ""}):
        model = FakeChat(lambda request, bad=bad: json.dumps({**good, **bad}))
        assert not [one for one in draft([document], 5, model=model) if "written" in one.tags]
    (made,) = [
        one for one in draft([document], 5, model=FakeChat(lambda request: json.dumps(good))) if "written" in one.tags
    ]
    assert (made.question, made.expect.facts, made.draft) == (good["question"], (("nine",),), True)
    assert made.expect.evidence[0].quote == good["sentence"]


def test_nothing_to_ask_about_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    Workspace.init(tmp_path / "empty").close()
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(tmp_path / "empty"))
    assert execute(["suite", "draft"]) == 2
    assert "knowhow ingest" in capsys.readouterr().err


# --- real use ---------------------------------------------------------------------------------------------


def test_real_questions_become_examples_with_what_was_said_of_the_answers(call: Call) -> None:
    asked = {
        "up": "Within how many days can a customer return a refurbished laptop?",
        "down": "Who is responsible for batteries?",
        "correct": "What is the deposit for a loan laptop?",
        "should-decline": "How long is the warranty on a battery?",
    }
    for verdict, question in asked.items():
        trace = call("ask", question)["trace_id"]
        flags = ["--correct", "75 euros"] if verdict == "correct" else [f"--{verdict}"]
        call("feedback", trace, *flags)
    call("ask", "When does the shop open on Saturday?")
    call("ask", "when does the shop open on saturday?")
    body = call("suite", "from-traces")
    made = {one.question: one for one in read_suite(Path(body["suite"])).examples}
    assert len(made) == 5, "the same question is one example"
    assert made[asked["up"]].expect.reference
    assert made[asked["up"]].expect.evidence[0].source == "policies/returns.md"
    assert made[asked["correct"]].expect.facts == (("75 euros",),)
    assert made[asked["should-decline"]].expect.abstain is True
    assert made[asked["down"]].expect.facts == ()
    assert all(one.draft for one in made.values())
    assert call("suite", "from-traces", "--judged", "--out", "judged.jsonl")["examples"] == 4


def test_failures_are_grouped_and_offered_as_examples(call: Call) -> None:
    for question in ("Who is the mayor of Brightwater?", "Who is mayor of Brightwater?"):
        assert call("ask", question)["abstained"]
    down = call("ask", "What is the deposit for a loan laptop?")["trace_id"]
    call("feedback", down, "--down")
    call("ask", "Within how many days can a customer return a refurbished laptop?")
    call("evaluate", "mayor.jsonl", status=4)
    found = call("traces", "failures", "--since", "7d")
    assert [one["count"] for one in found] == [2, 1]
    assert found[0]["kinds"] == {"declined": 2}
    assert found[0]["trend"] == "rising"
    assert found[1]["kinds"] == {"disliked": 1}
    words = found[0]["suite"].split()[1:]
    assert call(*words)["proposed"] == 2
    assert call("suite", "from-traces", "--traces", "nobody", status=4)


def test_questions_of_an_evaluation_are_no_real_use(call: Call, desk: Path) -> None:
    (desk / "s.jsonl").write_text(
        '{"id": "a", "question": "Who is the mayor of Brightwater?", "expect": {"abstain": true}}\n'
    )
    call("evaluate", "s.jsonl", "--recipe", "rag")
    assert call("traces", "failures") == []


def test_trends_compare_the_halves_of_the_period() -> None:
    def trace(id: str, at: float, question: str) -> dict[str, Any]:
        return {"id": id, "at": at, "question": question, "abstained": True, "checks": []}

    rising = [trace(f"r{i}", 60 + i, f"battery recall question number {i}") for i in range(4)]
    falling = [trace(f"f{i}", 10 + i, f"opening hours in summer {i}") for i in range(3)]
    found = failures([*rising, *falling], {}, FakeEmbedder(), since=0, until=100)
    assert [(one.count, one.earlier, one.later, one.trend) for one in found] == [
        (4, 0, 4, "rising"),
        (3, 3, 0, "falling"),
    ]
