"""The demo does its job: cites, declines, and answers from the edited policy; also with the real starter model."""

from __future__ import annotations

import re

import pytest

from knowhow.cli.demo import ASKED_AGAIN, CITED, DECLINED
from knowhow.cli.main import execute


def told(capsys: pytest.CaptureFixture[str], model: str) -> dict[int, str]:
    """Runs the demo: what was printed from each question to the next, by its number from 1."""
    assert execute(["demo", "--model", model]) == 0
    parts = capsys.readouterr().out.split("\nQuestion: ")
    assert [part.split("  (")[0] for part in parts[1:]] == [CITED, DECLINED, ASKED_AGAIN, ASKED_AGAIN]
    return dict(enumerate(parts))


def check(parts: dict[int, str]) -> None:
    assert "22 documents" in parts[0]
    assert "89 euros" in parts[1]
    assert re.search(r"^\[\d\] contracts/council\.rtf .*supported$", parts[1], re.M)
    assert parts[2].split("\n")[1].startswith("No answer:")
    assert "50 euros" in parts[3]
    assert "policies/loan-devices.md" in parts[3]
    assert "1 updated, 21 unchanged" in parts[3]
    assert "75 euros" in parts[4]
    assert "50 euros" not in parts[4]


def test_the_demo_cites_declines_and_follows_an_edit(capsys: pytest.CaptureFixture[str]) -> None:
    check(told(capsys, "extractive"))


@pytest.mark.real
def test_the_demo_does_the_same_with_the_starter_model(capsys: pytest.CaptureFixture[str]) -> None:
    check(told(capsys, "local:starter"))
