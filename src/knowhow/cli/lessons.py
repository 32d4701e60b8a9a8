"""Commands about lessons: what is wrong with them before a training is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.output import clean, follow, note, print_table, size, styled, write, write_json
from knowhow.errors import UsageProblem
from knowhow.types import TrainPlan

if TYPE_CHECKING:
    from knowhow.lessons.lint import LintReport

FAULTY = 5


def lessons_lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lessons as JSONL or CSV.")],
    against: Annotated[
        str | None, typer.Option("--against", metavar="SUITE", help="Also look for rows of its test split.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME", help="How the lessons are asked.")] = "tuned",
    ask_base: Annotated[
        bool, typer.Option("--ask-base", help="Also ask the base model which of 100 lessons it does right already.")
    ] = False,
    clean_file: Annotated[
        Path | None, typer.Option("--clean", metavar="FILE", help="Write the lessons without an error there.")
    ] = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Look for what is wrong with lessons: duplicates, contradictions, leaked facts and more.

    Exit code 5: there are errors, which would stop a training.

    \b
    Example: knowhow lessons lint chats.jsonl --against suites/returns.jsonl
    """
    from dataclasses import replace

    from knowhow.lessons.collect import write_lessons
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        tuning = opened.tuning
        collected = tuning.file_lessons(file)
        suite = opened.evaluations.suite(against) if against else None
        chosen = replace(opened.recipe(recipe), adapter="")
        known = follow(tuning.known(collected.lessons, chosen)) if ask_base else None
        report = tuning.lint(collected, chosen, suite, TrainPlan(base=chosen.model), known)
    if clean_file is not None:
        left = [one for row, one in enumerate(collected.lessons.lessons, 1) if row not in report.faulty]
        try:
            write_lessons(replace(collected.lessons, lessons=tuple(left)), clean_file)
        except OSError as error:
            raise UsageProblem(f"cannot write {clean_file}: {error.strerror}; choose another file") from None
        note(f"{size(len(left), 'lesson')} without an error in {clean_file}")
    if as_json:
        write_json(report.to_json())
    else:
        print_lint(report)
    if report.errors:
        raise typer.Exit(FAULTY)


def print_lint(report: LintReport) -> None:
    """The findings as a person reads them."""
    from knowhow.tune.report import lint_table

    write(f"{clean(report.name)}: {size(report.n, 'lesson')}")
    if report.findings:
        write("")
        print_table(lint_table(report))
    else:
        write(styled("nothing found", "green"))
    for text in report.notes:
        note(text, styled("note: ", "yellow"))
