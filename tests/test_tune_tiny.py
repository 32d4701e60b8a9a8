"""The whole of tuning with a tiny random model: trained for real, proved, and refused, from the command line."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from knowhow.cli.main import execute
from knowhow.suites import write_suite
from tiny_model import write_tiny
from tune_world import letters

INSTALLED = all(find_spec(name) for name in ("torch", "transformers", "peft", "trl", "xllamacpp"))


@pytest.mark.train
@pytest.mark.skipif(not INSTALLED, reason="needs the extras train and local")
def test_a_tiny_model_is_trained_proved_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny(tmp_path / "tiny.gguf")
    assert execute(["init", str(tmp_path / "desk")]) == 0
    desk = tmp_path / "desk"
    (desk / "knowhow.toml").write_text(
        f'[recipes.letter]\nextends = "closed-book"\nmodel = "local:{tmp_path / "tiny.gguf"}"\n'
        'instructions = "Answer."\nsampling = {max_tokens = 4}\n'
    )
    write_suite(letters(train=50, dev=30, test=12).examples, desk / "letters.jsonl")
    command = [
        "tune", "-w", str(desk), "--suite", str(desk / "letters.jsonl"), "--recipe", "letter", "--target", "style",
        "--steps", "3", "--rank", "4", "--max-tokens", "256", "--probes", "12", "--anyway", "--yes", "--json",
        "--html", str(tmp_path / "report.html"),
    ]  # fmt: skip
    capsys.readouterr()
    status = execute(command)
    said = capsys.readouterr()
    body = json.loads(said.out)
    assert status == 5, said.err
    assert body["refusal"] == "gates"
    assert body["trained"]["steps"] == 3
    assert body["parity"]["agreement"] > 0.9
    assert {gate["name"] for gate in body["gates"]} >= {"target", "ends", "general ability"}
    assert "<svg" in (tmp_path / "report.html").read_text()
    again = json.loads((execute(command), capsys.readouterr().out)[1])
    assert again["adapter"] == body["adapter"]
    assert again["price"] is None, "the same lessons and plan are not trained again"
