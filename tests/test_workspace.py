"""A workspace wires the verbs: found upwards, shared by threads, honest about its embedder, closed cleanly."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import knowhow
from knowhow.answer.feedback import Verdict
from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.ports import Record
from knowhow.types import Context, Range
from knowhow.workspace import Workspace, parts


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one document."""
    monkeypatch.delenv("KNOWHOW_WORKSPACE", raising=False)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kettle.md").write_text("# Kettle\n\nThe colour of the kettle is blue. It holds 2 litres.")
    with Workspace.init(tmp_path / "desk") as workspace:
        workspace.ingest(tmp_path / "docs")
    (tmp_path / "desk" / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n')
    return tmp_path / "desk"


def test_the_package_shows_its_public_names() -> None:
    for name in knowhow.__all__:
        assert getattr(knowhow, name) is not None
        assert name in dir(knowhow)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = knowhow.nonsense


def test_a_workspace_is_found_upwards_by_path_and_by_variable(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = desk / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    with Workspace.open() as workspace:
        assert workspace.folder == desk
    monkeypatch.chdir("/")
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(desk))
    with Workspace.open() as workspace:
        assert workspace.folder == desk
    with Workspace.open(desk) as workspace:
        assert workspace.folder == desk


def test_a_variable_that_names_no_workspace_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWHOW_WORKSPACE", str(tmp_path))
    with pytest.raises(ConfigProblem, match="KNOWHOW_WORKSPACE"):
        Workspace.open()


def test_threads_share_one_workspace(desk: Path) -> None:
    answers: list[str] = []
    with Workspace.open(desk) as workspace:

        def ask() -> None:
            answers.append(workspace.ask("What colour is the kettle?").text)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(workspace.traces(limit=100)) == 6
    assert len(set(answers)) == 1
    assert "blue" in answers[0]


def test_a_streamed_answer_is_the_answer(desk: Path) -> None:
    with Workspace.open(desk) as workspace:
        whole = workspace.ask("What colour is the kettle?")
        pieces = workspace.ask_stream("What colour is the kettle?")
        said = ""
        while True:
            try:
                said += next(pieces)
            except StopIteration as end:
                streamed = end.value
                break
        assert streamed.text == whole.text
        assert "blue" in said


def test_another_embedder_than_the_index_has_is_refused_with_the_mend(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowhow.backends import open as backends
    from knowhow.backends.fake import FakeEmbedder
    from knowhow.workspace import parts

    def open_embedder(name: str, options: object) -> object:
        return FakeEmbedder() if name == "fake" else backends.open_embedder(name, options)  # type: ignore[arg-type]

    monkeypatch.setattr(parts, "open_embedder", open_embedder)
    with Workspace.open(desk, flags={"embedder": "fake"}) as workspace:
        for attempt in (lambda: workspace.search("kettle"), lambda: workspace.ingest(desk.parent / "docs")):
            with pytest.raises(ConfigProblem, match="knowhow reindex"):
                attempt()
        assert [check.name for check in workspace.check() if not check.ok] == ["embedder"]
        before = workspace.index()
        workspace.reindex()
        assert workspace.index() != before
        assert workspace.search("kettle").hits[0].uri == "kettle.md"
    with Workspace.open(desk) as workspace, pytest.raises(ConfigProblem, match="embedder"):
        workspace.search("kettle")


def test_recipes_come_with_changes_by_name(desk: Path) -> None:
    with Workspace.open(desk) as workspace:
        assert workspace.recipe().model == "extractive"
        assert workspace.recipe("rag", {"k": 2, "model": None}).k == 2
        with pytest.raises(NotFound, match="closed-book"):
            workspace.recipe("closed-bok")
        with pytest.raises(UsageProblem, match="kk"):
            workspace.recipe("rag", {"kk": 2})


def test_gold_evidence_is_what_the_model_sees(desk: Path) -> None:
    with Workspace.open(desk) as workspace:
        text = workspace.document("kettle.md").text
        start = text.index("It holds")
        recipe = replace(workspace.recipe("gold"), model="extractive")
        assert recipe.context is Context.GOLD
        answer = workspace.ask("How much does it hold?", recipe, gold=[Range("kettle.md", 1, start, len(text))])
        assert [shown.text for shown in answer.shown] == [text[start:]]


def test_a_hidden_document_is_not_found(desk: Path) -> None:
    secret = desk.parent / "secret"
    secret.mkdir()
    (secret / "pay.md").write_text("The pay is 100.")
    with Workspace.open(desk) as workspace:
        workspace.ingest(secret, name="secret", access=frozenset({"hr"}))
        assert workspace.tags() == {"hr"}
        with pytest.raises(NotFound):
            workspace.document("secret/pay.md")
        assert workspace.document("secret/pay.md", access=frozenset({"hr"})).text
        answer = workspace.ask("What is the pay?", access=frozenset({"hr"}))
        assert answer.citations
        assert answer.trace_id not in [row["trace_id"] for row in workspace.traces()]
        with pytest.raises(NotFound):
            workspace.trace(answer.trace_id)
        with pytest.raises(NotFound):
            workspace.feedback(answer.trace_id, Verdict.UP)
    with Workspace.open(desk, flags={"access": ["hr"]}) as workspace:
        assert workspace.trace(answer.trace_id)["question"] == "What is the pay?"


def test_traces_are_kept_as_long_as_the_setting_says(desk: Path) -> None:
    old, new = time.time() - 3 * 86_400, time.time() - 86_400
    with Workspace.open(desk) as workspace:
        id = workspace.ask("What colour is the kettle?").trace_id
        body = workspace.trace(id)
        workspace._parts.records.put([Record("trace", "old", body, at=old), Record("trace", "new", body, at=new)])
    with Workspace.open(desk, flags={"keep_traces_days": 2}) as workspace:
        assert {row["trace_id"] for row in workspace.traces()} == {id, "new"}


def test_an_id_may_be_shortened_while_it_is_clear(desk: Path) -> None:
    with Workspace.open(desk) as workspace:
        id = workspace.ask("What colour is the kettle?").trace_id
        body = workspace.trace(id)
        workspace._parts.records.put([Record("trace", "abc1", body), Record("trace", "abc2", body)])
        assert workspace.trace("abc1")["question"]
        with pytest.raises(UsageProblem, match="2 traces start with"):
            workspace.trace("abc")
        with pytest.raises(NotFound):
            workspace.trace("")


def test_keys_in_dotenv_reach_the_clients_and_nothing_else_does(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "kept")
    monkeypatch.delenv("DESK_KEY", raising=False)
    monkeypatch.delenv("DESK_OTHER", raising=False)
    (desk / ".env").write_text("OPENAI_API_KEY=not-this\nDESK_KEY=from-file\nDESK_OTHER=private\n")
    (desk / "knowhow.toml").write_text('[keys]\n"llm.example.com" = "DESK_KEY"\n')
    try:
        with Workspace.open(desk):
            assert (os.environ["DESK_KEY"], os.environ["OPENAI_API_KEY"]) == ("from-file", "kept")
            assert "DESK_OTHER" not in os.environ
    finally:
        os.environ.pop("DESK_KEY", None)


def test_settings_say_how_a_local_model_is_run(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[ConnectOptions] = []
    monkeypatch.setattr(parts, "open_chat", lambda name, options: given.append(options))
    (desk / "knowhow.toml").write_text("parallel = 3\ncontext_tokens = 2048\nthreads = 2\n")
    with Workspace.open(desk) as workspace:
        workspace._parts.chat("local:starter")
    assert [(one.parallel, one.context_tokens, one.threads) for one in given] == [(3, 2048, 2)]


def test_answers_are_priced_by_the_users_own_prices(desk: Path) -> None:
    (desk / "knowhow.toml").write_text("[prices.extractive]\nprompt = 1000000\ncompletion = 0\n")
    with Workspace.open(desk) as workspace:
        usage = workspace.ask(
            "What is the colour of the kettle?", workspace.recipe(None, {"model": "extractive"})
        ).usage
        assert usage.prompt_tokens > 0
        assert usage.cost_usd == usage.prompt_tokens
