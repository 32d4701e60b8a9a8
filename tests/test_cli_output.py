"""How the commands look: help with examples, quick to start, nothing a document holds can steer the terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from knowhow.cli import conversation, output
from knowhow.cli.arguments import read_access, read_time, read_where
from knowhow.cli.main import app, execute
from knowhow.types import Answer, Citation, Progress, Support, Usage


def commands() -> Iterator[list[str]]:
    def walk(command: object, path: list[str]) -> Iterator[list[str]]:
        below = getattr(command, "commands", None)
        if below is None:
            yield path
        else:
            if command.invoke_without_command and path:  # type: ignore[attr-defined]
                yield path
            for name, child in below.items():
                yield from walk(child, [*path, name])

    yield from walk(typer.main.get_command(app), [])


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(
    path: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert execute([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example: knowhow {' '.join(path)}" in text
    # The demo is for looking at; an export is JSON as it is; servers speak to programs already.
    assert "--json" in text or path in (["demo"], ["runs", "export"], ["serve"], ["mcp"])


def test_the_list_of_commands_shows_whole_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == 0
    text = capsys.readouterr().out
    assert execute([]) == 0
    assert capsys.readouterr().out == text
    assert "..." not in text.split("Commands:")[1]


def test_help_and_import_load_nothing_heavy() -> None:
    script = (
        "import sys, knowhow, knowhow.cli.main as m; m.execute(['--help']); "
        "heavy = {'numpy', 'pydantic', 'rich', 'apsw', 'openai', 'knowhow.workspace', 'knowhow.store'}; "
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_import_loads_only_the_package() -> None:
    script = "import sys, knowhow; print([m for m in sys.modules if m.startswith('knowhow.')]); knowhow.Recipe"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.text())
def test_cleaned_text_cannot_steer_a_terminal(text: str) -> None:
    cleaned = output.clean(text)
    assert not any(c < " " and c not in "\n\t" for c in cleaned)
    assert not any("\x7f" <= c <= "\x9f" for c in cleaned)
    assert output.clean(cleaned) == cleaned


def test_cleaning_keeps_what_people_read() -> None:
    assert output.clean("Grüße,\n\tzwei Zeilen – «ok» 漢字 🙂") == "Grüße,\n\tzwei Zeilen – «ok» 漢字 🙂"
    assert "\x1b" not in output.clean("\x1b]0;title\x07\x1b[2J")
    assert "\u202e" not in output.clean("invoice\u202efdp.exe")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.styled("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert output.styled("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.styled("x", "red", Terminal()) == "x"


def steps() -> Generator[Progress, None, str]:
    yield Progress(0, 2, "files")
    yield Progress(1, 2, "files", "a\x1b[2J.md", {"passages": 3})
    return "done"


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.follow(steps()) == "done"
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_returns_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert output.follow(steps()) == "done"
    assert "\x1b[2J.md" not in terminal.getvalue()


def test_tables_align_and_cut_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("uri", "n"), [("a" * 200, 1), ("b\nc", 22)])
    head, first, second = capsys.readouterr().out.splitlines()
    assert first == "a" * 200 + "  1"
    assert second.startswith("b c ")
    assert head.index("n", 3) == first.index("1") == second.index("22")


def test_an_unsupported_sentence_is_marked_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    text = "It is blue [1]. It is 30 days."
    citation = Citation("1", "a.md", 1, 0, 5, "blue", Support.NO, reason="30 days is not in the range")
    answer = Answer(
        text, False, None, "", (citation, citation), ((16, 30),), (), "m", "rag", Usage(), {"total": 5.0}, "t1"
    )
    conversation.print_answer(answer)
    out = capsys.readouterr().out
    assert "It is 30 days. [unsupported]" in out
    assert out.count("not supported: 30 days is not in the range") == 1


def test_times_are_utc_and_a_date_means_its_end() -> None:
    assert read_time("1970-01-01T00:01:00") == 60
    assert read_time("1970-01-01T01:00:00+01:00") == 0
    assert read_time("1970-01-01") == pytest.approx(86_400, abs=0.01)


def test_pairs_and_tags() -> None:
    assert read_where(["a=b=c", " customer = acme "]) == {"a": "b=c", "customer": "acme"}
    assert read_access(" hr, legal,") == {"hr", "legal"}
    assert (read_access(None), read_access("")) == (None, frozenset())
