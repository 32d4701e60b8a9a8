"""The commands that measure, on the sample company and with loopback models: what they print and how they end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knowhow.backends.fake import FakeChat
from knowhow.cli.main import execute
from knowhow.errors import ProviderKind, ProviderProblem
from knowhow.evaluate.judge import LEAST_YOUDEN, Judge, Labelled, calibrate
from knowhow.types import ChatRequest
from knowhow.workspace import Workspace
from knowhow.workspace.parts import Parts

SAMPLE = Path(__file__).resolve().parents[1] / "src" / "knowhow" / "sample"
RETURNS = {
    "id": "returns",
    "question": "Within how many days can a customer return a refurbished laptop?",
    "expect": {"facts": ["45 days"], "evidence": [{"source": "policies/returns.md"}]},
}
DEPOSIT = {
    "id": "deposit",
    "question": "What is the deposit for a loan laptop?",
    "expect": {"facts": ["50 euros"], "evidence": [{"source": "policies/loan-devices.md"}]},
}
MAYOR = {
    "id": "mayor",
    "question": "What is the name of the mayor of Brightwater?",
    "expect": {"abstain": True},
}
PRICED = "fake = {prompt = 1000.0, completion = 1000.0}"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("evaluated")
    with Workspace.init(home / "desk") as workspace:
        workspace.ingest(SAMPLE / "company", access_rules=SAMPLE / "access.toml")
    (home / "desk" / "knowhow.toml").write_text(
        '[recipes.rag]\nmodel = "extractive"\n[recipes.gold]\nmodel = "extractive"\n'
    )
    return home / "desk"


@pytest.fixture
def desk(ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the workspace, with a suite of three examples, to work in."""
    shutil.copytree(ingested, tmp_path / "desk")
    (tmp_path / "desk" / "suites").mkdir()
    suite(tmp_path / "desk" / "suites" / "shop.jsonl", RETURNS, DEPOSIT, MAYOR)
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(tmp_path / "desk"))
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path / "desk"


@pytest.fixture
def fake(desk: Path, monkeypatch: pytest.MonkeyPatch) -> FakeChat:
    """A model that answers every name but `extractive`; it says what the test puts into `says`."""
    model = FakeChat(lambda request: "The deposit is 50 euros [1].")
    opened = Parts.chat
    monkeypatch.setattr(Parts, "chat", lambda self, name, *given: opened(self, name) if name == "extractive" else model)
    return model


@pytest.fixture
def call(desk: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str, status: int = 0) -> Any:
        got = execute([*arguments, "--json"])
        out = capsys.readouterr()
        assert got == status, out.err
        return json.loads(out.out)

    return run


def suite(path: Path, *examples: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in examples), "utf-8")


def many(count: int, **expect: Any) -> list[dict[str, Any]]:
    return [{**DEPOSIT, "id": f"d{i}", "group": f"g{i}", "expect": expect or DEPOSIT["expect"]} for i in range(count)]


# --- evaluate ---------------------------------------------------------------------------------------------


def test_evaluate_prints_the_run_and_writes_its_rows(call: Call) -> None:
    body = call("evaluate", "shop", "--recipe", "rag")
    assert {
        "run_id",
        "recipe",
        "suite",
        "n",
        "checks",
        "latency_ms",
        "tokens",
        "cost_per_1000_usd",
        "rows_file",
    } <= set(body)
    assert (body["recipe"], body["suite"], body["n"], body["failed"]) == ("rag", "shop", 3, 0)
    content = body["checks"]["content"]
    assert (content["mean"], content["n"], content["unmeasured"], content["low"]) == (1.0, 2, 1, None)
    assert {"p50", "p95"} <= set(body["latency_ms"])
    assert body["cost_per_1000_usd"] == 0
    rows = [json.loads(line) for line in Path(body["rows_file"]).read_text().splitlines()]
    assert [row["id"] for row in rows] == ["returns", "deposit", "mayor"]
    keys = {"id", "group", "draw", "answer", "abstained", "verdicts", "citations", "usage", "ms", "trace_id"}
    assert keys <= set(rows[0])
    assert rows[0]["verdicts"]["content"] == {"outcome": "pass", "reason": "states 1 of 1 facts"} | {
        "measures": rows[0]["verdicts"]["content"]["measures"]
    }


def test_evaluate_fits_on_one_screen(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["evaluate", "shop", "--recipe", "rag"]) == 0
    out = capsys.readouterr()
    assert len(out.out.splitlines()) <= 30
    assert re.search(r"rag +100% +100% +100%", out.out)
    assert "3 groups; an interval needs 10" in out.out
    assert "rag with extractive: 3 calls" in out.err
    assert "no cost" in out.err


@pytest.mark.parametrize(
    ("gate", "status"),
    [("content>=0.8", 0), ("content>=80%", 0), ("content<0.5", 5), ("content.low>=0.1", 5), ("label>=0.1", 5)],
)
def test_a_gate_decides_the_exit_code(call: Call, gate: str, status: int) -> None:
    body = call("evaluate", "shop", "--recipe", "rag", "--gate", gate, status=status)
    assert (body["gates"][0]["outcome"] == "held") is (status == 0)
    assert body["gates"][0]["reason"]


@pytest.mark.parametrize("gate", ["content", "contents>=0.8", "content>=lots"])
def test_a_gate_that_cannot_be_read_stops_before_anything_is_asked(call: Call, gate: str) -> None:
    body = call("evaluate", "shop", "--gate", gate, status=2)
    assert "write for example" in body["error"]["message"]
    assert call("runs", "list") == []


def test_draws_report_what_passes_every_time(call: Call, fake: FakeChat) -> None:
    said = iter(["50 euros [1].", "40 euros [1]."] * 2)
    fake._script = lambda request: next(said)
    body = call(
        "evaluate",
        "shop",
        "--models",
        "fake",
        "--recipe",
        "gold",
        "--draws",
        "2",
        "--workers",
        "1",
        "--yes",
        "--limit",
        "2",
    )
    assert body["n"] == 4
    assert body["every_draw"]["content"]["mean"] == 0.0
    assert body["recipe"] == "gold"


def test_rows_without_an_answer_are_named_and_asked_again(
    call: Call, fake: FakeChat, capsys: pytest.CaptureFixture[str]
) -> None:
    fake._failures = {2: ProviderProblem("no reply within 60 s", ProviderKind.TIMEOUT)}
    arguments = ("evaluate", "shop", "--models", "fake", "--recipe", "gold", "--workers", "1", "--yes")
    assert execute(list(arguments)) == 8
    err = capsys.readouterr().err
    assert "1 row without an answer: deposit (gold: no reply within 60 s)" in err
    body = call(*arguments)
    assert body["failed"] == 0
    assert len(fake.requests) == 3, "the two that answered are not asked again; the mayor has no evidence to show"


def test_a_partly_failed_run_shows_its_reasons(call: Call, fake: FakeChat) -> None:
    fake._failures = {n: ProviderProblem("it broke", ProviderKind.BAD_REPLY) for n in range(1, 9)}
    body = call("evaluate", "shop", "--models", "fake", "--recipe", "gold", "--yes", status=8)
    assert body["failed"] == 2
    shown = call("runs", "show", body["run_id"], "--failed")
    assert {row["failure"] for row in shown["rows"]} == {"it broke"}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("evaluate", "nowhere"), 4, "there is no suite nowhere; suites/ holds shop"),
        (("evaluate", "shop", "--recipe", "raq"), 4, 'did you mean "rag"?'),
        (("evaluate", "shop", "--split", "train"), 2, "knowhow suite split"),
        (("evaluate", "shop", "--recipe", "few-shot", "--models", "extractive"), 2, "knowhow suite split"),
        (("compare", "shop", "--recipes", "rag"), 2, "nothing to compare"),
        (("compare", "shop", "--recipes", "rag,rag"), 2, "named twice"),
        (("compare", "shop", "--recipes", "rag,gold", "--baseline", "x"), 2, "x is not among"),
        (("compare", "shop", "--recipes", "rag,gold", "--gate", "no-worse:x"), 2, "not compared"),
        (("compare", "shop", "--recipes", "rag,gold", "--gate", "worse"), 2, "no-worse:RECIPE"),
        (("compare", "shop", "--recipes", "rag,gold", "--positions"), 2, "long-context"),
        (("evaluate", "shop", "--recipe", "rag", "--judge", "extractive"), 3, "knowhow judge calibrate"),
        (("runs", "show", "abc"), 4, "knowhow runs list"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(call: Call, arguments: tuple[str, ...], status: int, says: str) -> None:
    assert says in call(*arguments, status=status)["error"]["message"]


def test_bad_lines_and_empty_suites_are_named(call: Call, desk: Path) -> None:
    (desk / "bad.jsonl").write_text('{"id": "a", "question": "?"}\n{"id": "a"\n{"id": "b", "qestion": "x"}\n')
    message = call("evaluate", "bad.jsonl", status=2)["error"]["message"]
    assert "line 2: is no JSON" in message
    assert "line 3" in message
    (desk / "empty.jsonl").write_text("")
    assert "empty" in call("evaluate", "empty.jsonl", status=2)["error"]["message"]
    checked = call("suite", "check", "bad.jsonl", status=2)
    assert [row["line"] for row in checked["problems"]] == [2, 3, 3]


# --- money ------------------------------------------------------------------------------------------------


def test_money_is_not_spent_unasked(call: Call, desk: Path, fake: FakeChat) -> None:
    (desk / "knowhow.toml").write_text(f"[prices]\n{PRICED}\n")
    arguments = ("evaluate", "shop", "--recipe", "gold", "--models", "fake")
    message = call(*arguments, status=6)["error"]["message"]
    assert re.search(r"it would cost \$\d+\.\d+ to \$\d+\.\d+.*--yes", message)
    dry = call(*arguments, "--dry-run")
    assert dry["recipes"][0]["calls"] == 3
    assert 0 < dry["recipes"][0]["cost_low"] < dry["recipes"][0]["cost_high"]
    assert "at least" in call(*arguments, "--max-cost", "0.000001", "--yes", status=6)["error"]["message"]
    assert fake.requests == []
    spent = call(*arguments, "--yes")
    assert spent["cost_usd"] > 0
    assert dry["recipes"][0]["cost_low"] <= spent["cost_usd"] <= dry["recipes"][0]["cost_high"]


def test_a_run_stops_at_its_limit_and_keeps_what_is_done(call: Call, desk: Path, fake: FakeChat) -> None:
    (desk / "knowhow.toml").write_text(f"[prices]\n{PRICED}\n")
    fake._script = lambda request: "The deposit is 50 euros [1]. " + "x " * 300
    arguments = ("evaluate", "shop", "--recipe", "gold", "--models", "fake", "--workers", "1", "--yes")
    low = call(*arguments, "--dry-run")["recipes"][0]["cost_low"]
    message = call(*arguments, "--max-cost", str(low + 0.01), status=6)["error"]["message"]
    assert "what is done is kept" in message
    made = len(fake.requests)
    assert made >= 1
    call(*arguments)
    assert len(fake.requests) == 2, "no recorded call is made again"


def test_a_limit_needs_a_price(call: Call, fake: FakeChat) -> None:
    arguments = ("evaluate", "shop", "--recipe", "gold", "--models", "openai:unheard-of")
    assert "prices" in call(*arguments, "--max-cost", "1", status=3)["error"]["message"]
    assert "price of openai:unheard-of is unknown" in call(*arguments, status=6)["error"]["message"]
    call("evaluate", "shop", "--recipe", "gold", "--models", "http://localhost:1/v1#own")


# --- compare ----------------------------------------------------------------------------------------------


def test_compare_names_what_got_fixed_and_broken(call: Call, desk: Path, fake: FakeChat) -> None:
    suite(desk / "suites" / "many.jsonl", *many(12))
    fake._script = lambda request: "The deposit is 50 euros [1]." if request.passages else "It is 20 euros."
    body = call(
        "compare", "many", "--recipes", "closed-book,gold", "--models", "fake", "--yes", "--baseline", "closed-book"
    )
    assert body["baseline"] == "closed-book"
    assert [one["recipe"] for one in body["recipes"]] == ["closed-book", "gold"]
    pair = next(one for one in body["pairs"] if one["check"] == "content")
    assert {"a", "b", "check", "difference", "low", "high", "p", "p_adjusted", "fixed", "broken"} <= set(pair)
    assert (pair["difference"], pair["broken"], len(pair["fixed"])) == (1.0, [], 12)
    assert pair["p"] == pytest.approx(2 / 2**12)


def test_compare_says_what_could_have_been_seen(desk: Path, fake: FakeChat, capsys: pytest.CaptureFixture[str]) -> None:
    suite(desk / "suites" / "many.jsonl", *many(12))
    assert execute(["compare", "many", "--recipes", "gold,closed-book", "--models", "fake", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "no difference shown" in out
    assert re.search(r"n=12 in 12 groups can show ≥ \d+ points", out)


def test_a_clear_difference_is_not_paid_for_to_the_end(call: Call, desk: Path, fake: FakeChat) -> None:
    suite(
        desk / "suites" / "many.jsonl",
        *({**one, "question": f"{i} {one['question']}"} for i, one in enumerate(many(32))),
    )
    fake._script = lambda request: "The deposit is 50 euros [1]." if request.passages else "It is 20 euros."
    common = (
        "compare",
        "many",
        "--recipes",
        "closed-book,gold",
        "--models",
        "fake",
        "--yes",
        "--stop-early",
        "content",
    )
    body = call(*common)
    assert body["recipes"][0]["n"] < 32
    assert len(fake.requests) == 2 * body["recipes"][0]["n"], "no stage asks again what an earlier one asked"
    assert any("stopped after" in note for note in body["recipes"][0]["notes"])
    fake._script = lambda request: "It is 20 euros."
    suite(desk / "suites" / "many.jsonl", *many(6))
    same = call(
        "compare", "many", "--recipes", "closed-book,prompt", "--models", "fake", "--yes", "--stop-early", "content"
    )
    assert same["recipes"][0]["n"] == 6
    assert any("asked to the end" in note for note in same["recipes"][0]["notes"])
    assert "two recipes" in call(*common[:3], "closed-book,gold,rag", *common[4:], status=2)["error"]["message"]


def test_models_are_crossed_with_recipes(call: Call, fake: FakeChat) -> None:
    body = call("compare", "shop", "--recipes", "gold", "--models", "small,large", "--yes")
    assert [one["recipe"] for one in body["recipes"]] == ["gold@small", "gold@large"]


def test_no_worse_is_held_only_where_it_is_shown(call: Call, desk: Path, fake: FakeChat) -> None:
    suite(desk / "suites" / "many.jsonl", *many(60, facts=["50 euros"]))
    fake._script = lambda request: "It is 50 euros." if "<documents" not in request.messages[-1].content else "no idea"
    common = ("compare", "many", "--recipes", "closed-book,prompt", "--models", "fake", "--yes")
    held = call(*common, "--gate", "no-worse:closed-book:content", "--margin", "0.2")
    assert [gate["outcome"] for gate in held["gates"]] == ["held"]
    inconclusive = call(*common, "--gate", "no-worse:closed-book:content", "--margin", "0.001", status=5)
    assert "would settle it" in inconclusive["gates"][0]["reason"]
    few = call("compare", "shop", "--recipes", "rag,gold", "--gate", "no-worse:rag", status=5)
    assert {gate["outcome"] for gate in few["gates"]} == {"unmeasured"}


def test_the_page_needs_nothing_else_and_shows_both_answers(desk: Path, fake: FakeChat) -> None:
    fake._script = lambda request: "The deposit is 50 euros [1]." if request.passages else "20 euros | 30"
    evil = "What is the deposit for a loan <script>alert(1)</script> laptop?"
    suite(desk / "suites" / "many.jsonl", *({**one, "question": evil} for one in many(12)))
    common = ["compare", "many", "--recipes", "closed-book,gold", "--models", "fake", "--yes"]
    assert execute([*common, "--html", "r.html", "--markdown", "r.md"]) == 0
    page = (desk / "r.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") >= 3
    assert "20 euros | 30" in page
    assert not re.search(r"(?:src|href)=", page)
    assert "| gold |" in (desk / "r.md").read_text("utf-8")
    assert execute([*common, "--html", "no/such/folder/r.html"]) == 2


# --- recipes ----------------------------------------------------------------------------------------------


def test_few_shot_shows_the_train_split_only(call: Call, desk: Path, fake: FakeChat) -> None:
    rows = [
        {
            "id": f"t{i}",
            "input": f"my card number {i} is lost",
            "group": f"t{i}",
            "split": split,
            "expect": {"label": "lost", "labels": ["lost", "other"]},
        }
        for i, split in enumerate(["train"] * 7 + ["test"] * 3)
    ]
    suite(desk / "suites" / "cards.jsonl", *rows)
    fake._script = lambda request: "lost"
    body = call("evaluate", "cards", "--recipe", "few-shot", "--models", "fake", "--yes")
    assert (body["n"], body["checks"]["label"]["mean"]) == (3, 1.0)
    for request in fake.requests:
        shown = [turn.content for turn in request.messages if turn.role == "user"][:-1]
        assert len(shown) == 5
        assert all(any(f"number {i} " in text for i in range(7)) for text in shown)
        assert "lost, other" in request.messages[0].content


def test_constrained_labels_can_be_nothing_else(call: Call, desk: Path, fake: FakeChat) -> None:
    row = {"id": "a", "input": "where is it", "expect": {"label": "lost", "labels": ["lost", "other"]}}
    suite(desk / "suites" / "cards.jsonl", row)
    fake._script = lambda request: json.dumps(request.schema["enum"][0]) if request.schema else "dunno"
    body = call("evaluate", "cards", "--recipe", "prompt+schema", "--models", "fake", "--yes")
    assert body["checks"]["label"]["mean"] == 1.0
    assert (
        call("evaluate", "cards", "--recipe", "prompt", "--models", "fake", "--yes")["checks"]["label"]["mean"] == 0.0
    )


def test_a_long_context_says_what_did_not_fit_and_puts_evidence_where_it_is_told(
    call: Call, desk: Path, fake: FakeChat
) -> None:
    (desk / "knowhow.toml").write_text('[recipes.long-context]\nbudget = 1500\nmodel = "fake"\n')
    suite(desk / "suites" / "one.jsonl", DEPOSIT)
    plain = call("evaluate", "one", "--recipe", "long-context", "--yes")
    assert any(re.search(r"whole documents, by uri; \d+ of \d+ documents did not fit", note) for note in plain["notes"])
    fake.requests.clear()
    body = call("compare", "one", "--recipes", "long-context", "--positions", "--yes")
    assert [one["recipe"] for one in body["recipes"]] == [f"long-context:{at}" for at in ("start", "middle", "end")]
    where = [
        next(i for i, text in enumerate(request.passages) if "loan laptop is 50 euros" in text)
        / (len(request.passages) - 1)
        for request in fake.requests
    ]
    assert where[0] == 0.0
    assert 0.0 < where[1] < 1.0
    assert where[2] == 1.0


# --- runs -------------------------------------------------------------------------------------------------


def test_runs_are_listed_shown_and_exported(call: Call, capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    run = call("evaluate", "shop", "--recipe", "rag")["run_id"]
    assert [row["run_id"] for row in call("runs", "list")] == [run]
    assert call("runs")[0]["run_id"] == run
    assert len(call("runs", "show", run[:6])["rows"]) == 3
    assert call("runs", "show", run, "--failed")["rows"] == []
    assert execute(["runs", "export", run, "--out", "rows.jsonl"]) == 0
    assert len((desk / "rows.jsonl").read_text().splitlines()) == 3
    assert execute(["runs", "export", run, "--format", "inspect"]) == 0
    log = json.loads(capsys.readouterr().out)
    assert (log["version"], log["status"], len(log["samples"])) == (2, "success", 3)
    sample = next(one for one in log["samples"] if one["id"] == "returns")
    assert (sample["input"], sample["target"]) == (RETURNS["question"], "45 days")
    assert sample["scores"]["content"]["value"] == "C"
    assert "label" not in sample["scores"], "what is unmeasured has no score"


def test_a_purge_takes_the_rows_files_along(call: Call) -> None:
    rows = Path(call("evaluate", "shop", "--recipe", "rag")["rows_file"])
    assert rows.is_file()
    assert execute(["documents", "purge", "policies/returns.md", "--access", "*"]) == 0
    assert not rows.exists()


# --- judges -----------------------------------------------------------------------------------------------


def labels(path: Path, count: int) -> None:
    suite(
        path,
        *(
            {
                "id": str(i),
                "question": f"How much is it for number {i}?",
                "answer": f"{'50' if i % 2 else '40'} euros",
                "reference": "fifty euros",
                "good": bool(i % 2),
            }
            for i in range(count)
        ),
    )


def fair(request: ChatRequest) -> str:
    return json.dumps({"verdict": "yes" if "50 euros" in request.messages[-1].content else "no", "why": "the amount"})


def test_a_judge_decides_only_after_it_agreed_with_people(call: Call, desk: Path, fake: FakeChat) -> None:
    suite(
        desk / "suites" / "open.jsonl",
        {**DEPOSIT, "expect": {"reference": "Fifty euros.", "evidence": DEPOSIT["expect"]["evidence"]}},
    )
    arguments = ("evaluate", "open", "--recipe", "gold", "--judge", "fake")
    assert "never held against" in call(*arguments, status=3)["error"]["message"]
    labels(desk / "labels.jsonl", 6)
    assert (
        "needs 10 of each"
        in call("judge", "calibrate", "labels.jsonl", "--model", "fake", "--yes", status=2)["error"]["message"]
    )
    labels(desk / "labels.jsonl", 24)
    fake._script = lambda request: json.dumps({"verdict": "yes", "why": "always"})
    refused = call("judge", "calibrate", "labels.jsonl", "--model", "fake", "--yes", status=5)
    assert (refused["sensitivity"], refused["specificity"], refused["usable"]) == (1.0, 0.0, False)
    assert "agrees too little" in call(*arguments, status=3)["error"]["message"]
    assert call("evaluate", "open", "--recipe", "gold")["checks"].get("content") is None
    with Workspace.open() as workspace:
        workspace._parts.records.erase("call", [r.id for r in workspace._parts.records.select("call", frozenset("*"))])
    fake._script = fair
    calibrated = call("judge", "calibrate", "labels.jsonl", "--model", "fake", "--yes")
    assert (calibrated["sensitivity"], calibrated["specificity"], calibrated["youden"]) == (1.0, 1.0, 1.0)
    judged = call(*arguments, "--yes")
    assert judged["checks"]["content"]["mean"] == 1.0


def test_every_further_recipe_that_is_put_to_the_test_split_is_counted(call: Call) -> None:
    both = call("compare", "shop", "--recipes", "rag,gold")
    assert not any("put to the test split" in note for one in both["recipes"] for note in one["notes"])
    third = call("evaluate", "shop", "--recipe", "closed-book", "--models", "extractive")
    assert "3 recipes were put to the test split of shop so far" in " ".join(third["notes"])


def test_what_a_judge_costs_counts_before_and_while_it_is_spent(call: Call, desk: Path, fake: FakeChat) -> None:
    (desk / "knowhow.toml").write_text('[recipes.gold]\nmodel = "extractive"\n[prices]\n' + PRICED)
    rows = [{**DEPOSIT, "id": f"d{i}", "expect": {"reference": f"{i} euros."}} for i in range(6)]
    suite(desk / "suites" / "open.jsonl", *rows)
    labels(desk / "labels.jsonl", 24)
    fake._script = lambda request: fair(request).replace("the amount", "the amount " * 30)
    call("judge", "calibrate", "labels.jsonl", "--model", "fake", "--yes")
    asked = len(fake.requests)
    arguments = ("evaluate", "open", "--recipe", "rag", "--models", "extractive", "--judge", "fake")
    preview = call(*arguments, "--dry-run")["recipes"][0]
    assert preview["judge_calls"] == 6
    assert 0 < preview["cost_low"] < preview["cost_high"]
    assert "add --yes" in call(*arguments, status=6)["error"]["message"]
    limit = preview["cost_low"] * 1.01
    stopped = call(*arguments, "--workers", "1", "--max-cost", str(limit), "--yes", status=6)["error"]["message"]
    assert "are spent" in stopped
    assert 0 < len(fake.requests) - asked < 6
    done = call(*arguments, "--yes")
    assert done["cost_usd"] == 0.0
    assert done["paid_usd"] > limit


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "usable"),
    [(0.9, 0.8, True), (0.8, 0.8, True), (0.75, 0.8, False), (1.0, 0.5, False)],
)
def test_a_calibration_finds_the_sensitivity_and_specificity_a_judge_has(
    sensitivity: float, specificity: float, usable: bool, tmp_path: Path
) -> None:
    items = [Labelled(f"i{i}", f"Question {i}?", "said", bool(i % 2), reference="meant") for i in range(400)]
    asked = {item.question: i for i, item in enumerate(items)}

    def judged(request: ChatRequest) -> str:
        i = asked[request.messages[-1].content.split("\n")[0].removeprefix("Question: ")]
        wrong = i // 2 % 20 >= 20 * (sensitivity if i % 2 else specificity)
        return json.dumps({"verdict": "yes" if bool(i % 2) is not wrong else "no", "why": ""})

    with Workspace.init(tmp_path / "desk") as workspace:
        found = calibrate(Judge(FakeChat(judged), workspace._parts.records), "fake", items)
    assert (found.sensitivity, found.specificity) == (pytest.approx(sensitivity), pytest.approx(specificity))
    assert found.sensitivity_interval[0] < sensitivity <= found.sensitivity_interval[1]
    assert (found.youden >= LEAST_YOUDEN) is found.usable is usable


def test_a_judge_is_blind_and_sees_the_reference_first_about_half_the_time(
    call: Call, desk: Path, fake: FakeChat
) -> None:
    labels(desk / "labels.jsonl", 40)
    fake._script = fair
    call("judge", "calibrate", "labels.jsonl", "--model", "fake", "--yes")
    asked = [request.messages[-1].content for request in fake.requests]
    first = sum(text.index("fifty") < text.index("0 euros") for text in asked)
    assert 10 <= first <= 30
    assert not any("reference" in message.content.lower() for request in fake.requests for message in request.messages)
