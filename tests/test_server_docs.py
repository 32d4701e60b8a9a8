"""The server's pages: the reference is what the application says, and the integrations run as they are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knowhow.server.app import create_app
from knowhow.server.reference import reference
from server_world import listening, start

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(r"^```py\n(.*?)^```", re.M | re.S)


def test_the_reference_is_current() -> None:
    assert (DOCS / "api.md").read_text("utf-8") == reference(), "run: python -m knowhow.server.reference > docs/api.md"


@pytest.mark.parametrize("name", ["openai", "retriever"])
def test_what_is_shown_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace, _ = start(tmp_path)
    names: dict[str, object] = {}
    with workspace, listening(create_app(workspace)) as address:
        for block in BLOCK.findall((DOCS / "integrations" / f"{name}.md").read_text("utf-8")):
            shown = block.replace("http://localhost:8642", address).replace("kh_…", "any").replace("company", "docs")
            exec(compile(shown, f"{name}.md", "exec"), names)
    assert "returns.md" in capsys.readouterr().out or name == "retriever"
