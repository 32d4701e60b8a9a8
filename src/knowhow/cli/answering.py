"""Commands about questions: search, ask, traces, feedback."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_access, read_history, read_rows, read_text, read_time, read_where
from knowhow.cli.output import clean, note, styled, table, write, write_json, write_line
from knowhow.errors import UsageProblem
from knowhow.types import SearchMode

if TYPE_CHECKING:
    from knowhow.types import SearchResult

SNIPPET = 300


def search(
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="What to look for.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="How many hits.")] = 10,
    mode: Annotated[SearchMode, typer.Option("--mode", help="Which scores rank.")] = SearchMode.HYBRID,
    where: options.Where = None,
    access: options.Access = None,
    as_of: options.AsOf = None,
    newest_first: options.NewestFirst = False,
    queries: Annotated[
        Path | None, typer.Option("--queries", metavar="FILE", help='JSONL {"id", "text"}: one result a line.')
    ] = None,
    trec: Annotated[
        Path | None, typer.Option("--trec", metavar="FILE", help="Also write a TREC run (document ids are uris).")
    ] = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Find passages; no model is asked.

    \b
    Example: knowhow search "return a laptop" --k 5
             knowhow search --queries queries.jsonl --trec run.txt
    """
    from knowhow.workspace import Workspace, search_json

    if (query is None) == (queries is None):
        raise UsageProblem('give either a query or --queries FILE, e.g. `knowhow search "return a laptop"`')
    if query is not None and not query.strip():
        raise UsageProblem("the query is empty; say what to look for")
    asked = [{"id": "1", "text": query or ""}] if queries is None else read_rows(queries, ("text", "query", "question"))
    with Workspace.open(workspace) as opened, ExitStack() as stack:
        run = stack.enter_context(_new_file(trec)) if trec else None
        for row in asked:
            result = opened.search(
                row["text"],
                k=k,
                mode=mode,
                where=read_where(where),
                access=read_access(access),
                as_of=read_time(as_of) if as_of else None,
                newest_first=newest_first,
            )
            if run:
                _write_trec(run, row["id"], result)
            if queries is not None:
                write_line({"id": row["id"], **search_json(result)})
            elif as_json:
                write_json(search_json(result))
            else:
                _print_hits(result, as_of)


def _new_file(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror}") from None


def _write_trec(run: TextIO, query: str, result: SearchResult) -> None:
    seen: list[str] = []
    for hit in result.hits:
        if hit.uri not in seen:  # a run ranks documents: the best passage stands for its document
            seen.append(hit.uri)
            run.write(f"{query} Q0 {hit.uri.replace(' ', '%20')} {len(seen)} {hit.score:.6f} knowhow\n")


def _print_hits(result: SearchResult, as_of: str | None) -> None:
    if not result.hits and as_of:
        note(
            f"nothing found as of {clean(as_of)}; `knowhow documents --as-of {clean(as_of)}` lists what was known then"
        )
    elif not result.hits:
        note("nothing found; `knowhow documents` lists what is ingested")
    for hit in result.hits:
        place = hit.place.label()
        head = f"{hit.rank}. {clean(hit.uri)}" + (f"  {clean(place)}" if place else "")
        write(f"{styled(head, 'bold')}  {styled(f'{hit.score:.3f}', 'dim')}")
        text = " ".join(clean(hit.text).split())
        write(f"   {text[:SNIPPET]}{'…' if len(text) > SNIPPET else ''}")


def ask(
    question: Annotated[str | None, typer.Argument(metavar="QUESTION")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="e.g. extractive, local:starter, local:FILE.gguf, openai:NAME."),
    ] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", metavar="NAME", help="A recipe's name.")] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, max=1000, help="Passages to consider.")] = None,
    budget: Annotated[int | None, typer.Option("--budget", min=1, help="Tokens of context to show the model.")] = None,
    where: options.Where = None,
    access: options.Access = None,
    as_of: options.AsOf = None,
    newest_first: options.NewestFirst = False,
    context: Annotated[
        Path | None, typer.Option("--context", metavar="FILE", help="Text that belongs to this question.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", metavar="FILE", help="Earlier turns: a JSON list of messages.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", metavar="FILE", help='JSONL {"id", "question"}: one answer a line.')
    ] = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Answer with checked citations, or say why not.

    \b
    Example: knowhow ask "How long can I return a laptop?"
             knowhow ask "And a phone?" --history chat.json --model openai:gpt-5-mini
    """
    from knowhow.cli.conversation import Asking, answer_many, answer_one
    from knowhow.workspace import Workspace

    if (question is None) == (questions is None):
        raise UsageProblem('give either a question or --questions FILE, e.g. `knowhow ask "What is the deposit?"`')
    asking = Asking(
        recipe=recipe,
        changes={"model": model, "k": k, "budget": budget, "newest_first": newest_first or None},
        history=read_history(history) if history else (),
        access=read_access(access),
        where=read_where(where),
        as_of=read_time(as_of) if as_of else None,
        context=read_text(context) if context else "",
    )
    with Workspace.open(workspace) as opened:
        if question is not None:
            answer_one(opened, question, asking, as_json)
        elif questions is not None:
            answer_many(opened, read_rows(questions, ("question", "text")), asking)


def traces_list(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """List earlier answers, newest first.

    \b
    Example: knowhow traces list --limit 5
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        found = opened.traces(limit=limit, access=read_access(access))
    if as_json:
        write_json(found)
    elif not found:
        note("no traces yet; `knowhow ask QUESTION` makes one")
    else:
        table(("trace", "at", "outcome", "model", "question"), _trace_rows(found))


def _trace_rows(found: Iterable[dict[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    keys = ("trace_id", "at", "outcome", "model", "question")
    return [tuple(str(row[key]) for key in keys) for row in found]  # type: ignore[misc]


def traces_show(
    trace: Annotated[str, typer.Argument(metavar="ID", help="Trace id, or its first characters.")],
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell how an answer came about: candidates, cuts, prompt, raw output, checks, cost.

    \b
    Example: knowhow traces show 3f2a
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        if as_json:
            write_json(opened.trace(trace, access=read_access(access)))
        else:
            write(clean(opened.story(trace, access=read_access(access))))


def feedback(
    trace: Annotated[str, typer.Argument(metavar="TRACE", help="Trace id, or its first characters.")],
    up: Annotated[bool, typer.Option("--up", help="The answer is right.")] = False,
    down: Annotated[bool, typer.Option("--down", help="The answer is wrong.")] = False,
    correct: Annotated[str | None, typer.Option("--correct", metavar="TEXT", help="What it should have said.")] = None,
    should_decline: Annotated[bool, typer.Option("--should-decline", help="It should not have answered.")] = False,
    wrong_source: Annotated[bool, typer.Option("--wrong-source", help="It rests on the wrong document.")] = False,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what was right or wrong about an answer.

    \b
    Example: knowhow feedback 3f2a --correct "75 euros since July"
    """
    from knowhow.answer.feedback import Verdict
    from knowhow.workspace import Workspace

    given = {
        Verdict.UP: up,
        Verdict.DOWN: down,
        Verdict.CORRECT: correct is not None,
        Verdict.SHOULD_DECLINE: should_decline,
        Verdict.WRONG_SOURCE: wrong_source,
    }
    verdicts = [verdict for verdict, chosen in given.items() if chosen]
    if len(verdicts) != 1:
        raise UsageProblem("give exactly one of --up, --down, --correct TEXT, --should-decline, --wrong-source")
    with Workspace.open(workspace) as opened:
        stored = opened.feedback(trace, verdicts[0], text=correct or "", access=read_access(access))
    if as_json:
        write_json(stored.to_json())
    else:
        write(f"kept: {stored.verdict} for {stored.trace_id}")
