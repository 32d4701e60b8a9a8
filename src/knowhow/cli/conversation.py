"""How `ask` shows answers: streamed on a terminal, citations beneath, unsupported sentences marked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from knowhow.cli.output import clean, note, styled, write, write_json, write_line
from knowhow.errors import BudgetExceeded, ConfigProblem, KnowhowError, UsageProblem
from knowhow.types import Answer, Message, Support

if TYPE_CHECKING:
    from knowhow.workspace import Workspace

QUOTE = 240


@dataclass(frozen=True, slots=True)
class Asking:
    """What the options of `ask` say, the same for every question of one command."""

    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Message, ...] = ()
    access: frozenset[str] | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    as_of: float | None = None
    context: str = ""


def answer_one(workspace: Workspace, question: str, asking: Asking, as_json: bool) -> None:
    """One question: JSON, or text that appears as it is written when a person watches."""
    from knowhow.workspace import answer_json

    if as_json:
        write_json(answer_json(_ask(workspace, question, asking)))
    elif sys.stdout.isatty():
        print_answer(_ask_watched(workspace, question, asking))
    else:
        print_answer(_ask(workspace, question, asking))


def answer_many(workspace: Workspace, rows: Iterable[Mapping[str, Any]], asking: Asking) -> None:
    """One line of JSON a question; a question that fails becomes a line with its error, and the exit code is 8."""
    from knowhow.workspace import answer_json

    failed = 0
    for row in rows:
        try:
            line = answer_json(_ask(workspace, row["text"], asking))
        except (UsageProblem, ConfigProblem, BudgetExceeded):
            raise  # every further question would fail the same way
        except KnowhowError as error:
            failed += 1
            line = {"error": {"name": error.name, "message": str(error), "exit_code": error.exit_code}}
        write_line({"id": row["id"], **line})
    if failed:
        note(f"{failed} questions failed; their lines say why")
        raise typer.Exit(8)


def _ask(workspace: Workspace, question: str, asking: Asking) -> Answer:
    recipe = workspace.recipe(asking.recipe, asking.changes)
    return workspace.ask(
        question,
        recipe,
        history=asking.history,
        access=asking.access,
        where=asking.where,
        as_of=asking.as_of,
        context=asking.context,
    )


def _ask_watched(workspace: Workspace, question: str, asking: Asking) -> Answer:
    """Shows the draft in grey while it is written; it is taken back when the checked answer is there."""
    recipe = workspace.recipe(asking.recipe, asking.changes)
    pieces = workspace.ask_stream(
        question,
        recipe,
        history=asking.history,
        access=asking.access,
        where=asking.where,
        as_of=asking.as_of,
        context=asking.context,
    )
    draft = ""
    try:
        while True:
            piece = clean(next(pieces))
            draft += piece
            write(styled(piece, "dim"), end="")
    except StopIteration as end:
        if draft:
            write("\n")
        answer: Answer = end.value
        return answer


def print_answer(answer: Answer) -> None:
    """The answer, its citations beneath, and on stderr what made it."""
    if answer.abstained:
        write(styled("No answer: ", "yellow") + clean(answer.explanation))
    else:
        write(_marked(answer))
    printed = set()
    for citation in answer.citations:
        same = (citation.mark, citation.uri, citation.start, citation.end, citation.supported)
        if same in printed:
            continue
        printed.add(same)
        place = citation.place.label()
        head = f"[{citation.mark.strip('[]')}] {clean(citation.uri)}" + (f"  {clean(place)}" if place else "")
        write(f"\n{styled(head, 'bold')}  {_support(citation.supported, citation.reason)}")
        quote = " ".join(clean(citation.quote).split())
        write(f'    "{quote[:QUOTE]}{"…" if len(quote) > QUOTE else ""}"')
    cost = f", ${answer.usage.cost_usd:.4f}" if answer.usage.cost_usd else ""
    note(f"\n{answer.model}, {answer.recipe}, {_seconds(answer):.1f} s{cost}")
    note(f"how it came about: knowhow traces show {answer.trace_id}")


def _seconds(answer: Answer) -> float:
    return answer.ms.get("total", sum(answer.ms.values())) / 1000


def _marked(answer: Answer) -> str:
    """The text with every unsupported sentence marked, also where there is no colour."""
    text, last, parts = answer.text, 0, []
    for start, end in sorted(answer.unsupported):
        parts += [clean(text[last:start]), styled(clean(text[start:end]), "red"), styled(" [unsupported]", "red")]
        last = end
    return "".join([*parts, clean(text[last:])])


def _support(support: Support, reason: str) -> str:
    if support is Support.YES:
        return styled("supported", "green")
    if support is Support.NO:
        return styled(f"not supported: {clean(reason)}" if reason else "not supported", "red")
    return styled("unchecked", "dim")
