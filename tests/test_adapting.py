"""Adapters in a workspace: recipes ask with what was promoted, proofs leave out what was taught, commands show it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from knowhow.cli.main import execute
from knowhow.errors import NotFound
from knowhow.tune.registry import CONFIG, GGUF, WEIGHTS, Registry, taught_as
from knowhow.types import Adapter, AdapterReport, Example, Expect, Split, Suite
from knowhow.workspace import Workspace
from test_registry import adapter, weights

MODEL = "extractive"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "desk"
    Workspace.init(folder).close()
    monkeypatch.delenv("KNOWHOW_WORKSPACE", raising=False)
    monkeypatch.chdir(folder)
    return folder


def kept(desk: Path, content: bytes = b"one", **changes: object) -> Adapter:
    with Workspace.open(desk) as opened:
        return opened.adapters.registry.add(adapter(weights(desk / "made", content), **changes))


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> object:
    assert execute([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_commands_show_promote_and_roll_back(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "adapters") == []
    made = kept(desk, uris=frozenset({"toys.md"}))
    (row,) = shown(capsys, "adapters")  # type: ignore[misc]
    assert (row["id"], row["base"], row["gates"], row["slots"]) == (made.id, "local:starter", "passed", [])
    slot = shown(capsys, "adapters", "promote", made.id[:6], "--as", "house")
    assert slot | {"changed": ""} == {
        "slot": "house",
        "model": "local:starter",
        "current": made.id,
        "previous": None,
        "changed": "",
    }
    body = shown(capsys, "adapters", "show", made.id[:6])
    assert isinstance(body, dict)
    assert body["slots"] == [{"name": "house", "model": "local:starter", "standing": "current"}]
    assert body["documents"] == ["toys.md"]
    assert body["parity"]["passed"] is True
    assert body["plan"]["rank"] == 16
    back = shown(capsys, "adapters", "rollback", "house")
    assert isinstance(back, dict)
    assert (back["current"], back["previous"]) == (None, made.id)
    for words in (["adapters"], ["adapters", "show", made.id], ["adapters", "promote", made.id, "--as", "house"]):
        assert execute(words) == 0
    text = capsys.readouterr().out
    assert "same next token at 100.0% of 300" in text
    assert f"house with local:starter answers as {made.id} now" in text
    assert execute(["adapters", "remove", made.id]) == 2
    assert execute(["adapters", "show", "beef"]) == 4


def test_what_is_not_proved_ends_with_the_gates_exit_code(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = kept(desk, report=AdapterReport())
    assert execute(["adapters", "promote", made.id]) == 5
    assert "no gate was measured" in capsys.readouterr().err
    assert execute(["adapters", "promote", made.id, "--without-gates"]) == 0


def test_exports_are_named_by_the_hash_and_overwrite_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = kept(desk)
    assert shown(capsys, "adapters", "export", made.id, "--to", "out") == {"files": [f"out/{made.id}.gguf"]}
    assert (desk / "out" / f"{made.id}.gguf").read_bytes() == b"GGUFone"
    peft = shown(capsys, "adapters", "export", made.id, "--to", "out", "--format", "peft")
    assert peft == {"files": [f"out/{made.id}/{WEIGHTS}", f"out/{made.id}/{CONFIG}"]}
    assert execute(["adapters", "export", made.id, "--to", "out"]) == 2
    assert "exists already" in capsys.readouterr().err
    (Path(made.folder) / GGUF).unlink()
    assert execute(["adapters", "export", made.id, "--to", "other"]) == 3


def test_recipes_ask_with_what_is_promoted_and_say_so_where_nothing_is(desk: Path) -> None:
    made = kept(desk)
    with Workspace.open(desk) as opened:
        recipe = opened.recipe("tuned")
        with pytest.raises(NotFound, match='nothing was promoted as "tuned" for local:starter'):
            opened.ask("What is a kite?", recipe)
        with pytest.raises(NotFound, match="knowhow tune"):
            opened.evaluations.plan(Suite("s", (Example("a", Expect(), question="Q?"),)), ["tuned"])
        opened.adapters.promote(made.id)
        opened.adapters.promote(made.id, model=MODEL)
        plan = opened.evaluations.plan(Suite("s", (Example("a", Expect(), question="Q?"),)), ["tuned"])
        assert plan.recipes[0].adapter == made.id
        answer = opened.ask("What is a kite?", replace(recipe, model=MODEL))
        assert opened.trace(answer.trace_id)["recipe"]["adapter"] == made.id


def test_nobody_is_compared_on_what_one_of_them_was_taught(desk: Path) -> None:
    made = kept(desk, taught=frozenset({taught_as("What is a kite?")}))
    suite = Suite(
        "toys",
        (
            Example("taught", Expect(), question="What is  a kite?", split=Split.TEST),
            Example("new", Expect(), question="What is a boat?", split=Split.TEST),
            Example("lesson", Expect(), question="What is a kite?", split=Split.TRAIN),
        ),
    )
    with Workspace.open(desk) as opened:
        opened.adapters.promote(made.id)
        plan = opened.evaluations.plan(suite, ["prompt", "tuned"])
        assert [one.id for one in plan.suite.examples] == ["new", "lesson"]
        assert "1 examples are left out" in plan.suite.notes[-1]
        assert opened.evaluations.plan(suite, ["prompt"]).suite is suite


def test_the_weights_move_with_the_workspace(desk: Path, tmp_path: Path) -> None:
    made = kept(desk)
    moved = desk.rename(tmp_path / "moved")
    with Workspace.open(moved) as opened:
        registry: Registry = opened.adapters.registry
        assert registry.files(registry.get(made.id)) == moved / ".knowhow" / "adapters" / made.id
