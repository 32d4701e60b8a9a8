"""What the pages show works: Python and `sh` blocks run on the sample company, every shown command parses."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer

from knowhow.cli.main import app, execute
from knowhow.settings import about, load

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SAMPLE = ROOT / "src" / "knowhow" / "sample"
RUN = ("quickstart.md", "cli.md", "settings.md", "suites.md", "evaluate.md", "compare.md", "diagnose.md", "versions.md")
"""Pages whose `sh` blocks are run from top to bottom."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
OWN = re.compile(r"^(?:\$ )?knowhow .*$", re.M)
INSTALLATION = re.compile(r"#.*$")


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in BLOCK.findall(page.read_text("utf-8")) if name == language]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sample company, question files, and nothing else."""
    shutil.copytree(SAMPLE / "company", tmp_path / "company")
    shutil.copy(SAMPLE / "access.toml", tmp_path)
    (tmp_path / "queries.jsonl").write_text('{"id": "q1", "text": "deposit"}\n', "utf-8")
    (tmp_path / "questions.jsonl").write_text('{"id": "q1", "question": "What is the deposit?"}\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KNOWHOW_WORKSPACE", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_python_blocks_run(page: Path, desk: Path) -> None:
    if page.name == "README.md":
        shutil.copytree(desk / "company", desk / "contracts")
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("name", RUN)
def test_shell_blocks_run(name: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "quickstart.md":
        execute(["init", "desk"])
        (desk / "desk" / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n', "utf-8")
        monkeypatch.chdir(desk / "desk")
    for line in "".join(blocks(ROOT / "docs" / name, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["knowhow"]:
            assert execute(words[1:]) == 0, line
        elif words[:1] == ["cd"]:
            monkeypatch.chdir(words[1])
        elif words:
            subprocess.run(words, check=True)


def parse(words: list[str]) -> None:
    """Parses a command line without running it; raises where it is wrong."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        if command.invoke_without_command and (not words or words[0].startswith("-")):
            break
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    command.make_context("knowhow", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    for body in [*blocks(page, "sh"), *blocks(page, "console")]:
        for line in OWN.findall(body):
            parse(shlex.split(line.removeprefix("$ "), comments=True)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_json_and_toml_blocks_are_valid(page: Path) -> None:
    for body in blocks(page, "json"):
        json.loads(body)
    for body in blocks(page, "toml"):
        tomllib.loads(body)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "settings.md"], ids=lambda p: p.stem)
def test_shown_settings_are_accepted(page: Path, tmp_path: Path) -> None:
    for body in blocks(page, "toml"):
        (tmp_path / "knowhow.toml").write_text(body, "utf-8")
        load(tmp_path, environ={})


def test_every_setting_is_documented_as_it_is() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for key, meaning in about().items():
        assert f"| `{key}` | " in text, f"docs/settings.md lacks {key}"
        assert meaning in text, f"docs/settings.md says something else about {key}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
