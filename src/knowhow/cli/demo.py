"""`knowhow demo`: the main job on the sample company, in a workspace that is gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path

from knowhow.cli.conversation import print_answer
from knowhow.cli.output import follow, note, size, styled, write
from knowhow.types import Answer
from knowhow.workspace import Workspace

EDITED = "policies/loan-devices.md"
BEFORE, AFTER = "loan laptop is 50 euros", "loan laptop is 75 euros"
CITED = "How much does the Council pay for each laptop?"
DECLINED = "What is the name of the mayor of Brightwater?"
ASKED_AGAIN = "What is the deposit for a loan laptop?"


def run_demo(model: str) -> None:
    """Ingests the sample, asks three questions, edits a document, and asks the last one again."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        company, rules = _sample(Path(scratch))
        with Workspace.init(Path(scratch) / "workspace") as workspace:
            _ingest(workspace, company, rules)
            _question(workspace, model, CITED, "answered, with the place that says so")
            _question(workspace, model, DECLINED, "the documents do not say, so it declines")
            _question(workspace, model, ASKED_AGAIN, "answered; now the policy changes")
            _edit(workspace, company)
            _question(workspace, model, ASKED_AGAIN, "the same question, a moment later")
    note(f"\nThat took {time.monotonic() - start:.0f} s. With your own files:")
    note("knowhow init; knowhow ingest FOLDER; knowhow ask QUESTION")


def _sample(scratch: Path) -> tuple[Path, Path]:
    """A copy of the sample that may be edited, and its access rules."""
    with as_file(files("knowhow") / "sample") as sample:
        shutil.copytree(sample, scratch / "sample")
    return scratch / "sample" / "company", scratch / "sample" / "access.toml"


def _ingest(workspace: Workspace, company: Path, rules: Path) -> None:
    write(styled("Ingesting Second Spark, a small repair shop", "bold"))
    report = follow(workspace.ingest_stream(company, access_rules=rules))
    formats = sorted({Path(uri).suffix.lstrip(".") for uri in report.added})
    write(f"{size(len(report.added), 'document')} ({', '.join(formats)})")
    write(f"{size(report.passages, 'passage')} in {report.seconds:.1f} s; those under hr/ need the tag hr")


def _question(workspace: Workspace, model: str, question: str, what: str) -> Answer:
    write(f"\n{styled(f'Question: {question}', 'bold')}  {styled(f'({what})', 'dim')}")
    answer = workspace.ask(question, workspace.recipe(None, {"model": model}))
    print_answer(answer)
    return answer


def _edit(workspace: Workspace, company: Path) -> None:
    path = company / EDITED
    text = path.read_text("utf-8")
    path.write_text(text.replace(BEFORE, AFTER), "utf-8")
    write(f'\n{styled(f"Editing {EDITED}", "bold")}: "{BEFORE}" becomes "{AFTER}"')
    report = workspace.ingest(company)
    write(
        f"{len(report.updated)} updated, {report.unchanged} unchanged, {report.embedded} of its passages embedded again"
    )
