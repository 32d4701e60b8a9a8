"""Commands about suites: check, import, split, draft, keep, from-traces; and the failures they can be made from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_access, read_list, read_time
from knowhow.cli.output import clean, note, size, styled, table, write, write_json
from knowhow.errors import UsageProblem
from knowhow.types import Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowhow.types import Example

DRAFTS = Path("suites/draft.jsonl")
FROM_TRACES = Path("suites/from-traces.jsonl")
SINCE = "7d"
SHOWN = 10

File = Annotated[Path, typer.Argument(metavar="FILE", help="A suite in Knowhow's JSONL.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write.")]


def suite_check(file: File, as_json: options.AsJson = False) -> None:
    """Read a suite and list every problem by line.

    Exit code 2: there are problems.

    \b
    Example: knowhow suite check suites/returns.jsonl
    """
    from knowhow.suites import check_suite

    suite, problems = check_suite(file)
    splits = Counter((one.split or Split.TEST).value for one in suite.examples)
    groups = len({one.group for one in suite.examples})
    drafts = sum(1 for one in suite.examples if one.draft)
    if as_json:
        body = {"ok": not problems, "examples": len(suite.examples), "groups": groups, "drafts": drafts}
        rows = [{"line": problem.line, "message": problem.message} for problem in problems]
        write_json({**body, "splits": dict(splits), "notes": list(suite.notes), "problems": rows})
    else:
        cut = ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))
        write(f"{size(len(suite.examples), 'example')} in {size(groups, 'group')}{f' ({cut})' if cut else ''}")
        for text in suite.notes:
            note(text, styled("note: ", "yellow"))
        for problem in problems:
            write(clean(str(problem)))
    if problems:
        note(f"{size(len(problems), 'problem')} in {file}; docs/suites.md describes the format")
        raise typer.Exit(2)


def suite_import(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="SQuAD .json, BEIR folder, .csv, OpenAI chat .jsonl.")],
    out: Out = None,
    documents: Annotated[
        Path | None,
        typer.Option("--documents", metavar="FILE", help="Also write the documents that came with it, as JSONL."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Turn another format into a suite.

    \b
    Example: knowhow suite import dev-v2.0.json --out suites/squad.jsonl --documents squad-documents.jsonl
    """
    from knowhow.suites import import_suite, write_suite
    from knowhow.suites.jsonl import write_lines

    found = import_suite(path)
    target = out or Path("suites") / f"{path.stem}.jsonl"
    _parent(target)
    write_suite(found.suite.examples, target)
    if documents is not None:
        _parent(documents)
        write_lines(found.documents, documents)
    if as_json:
        body = {"suite": str(target), "examples": len(found.suite.examples), "documents": len(found.documents)}
        write_json({**body, "notes": list(found.suite.notes)})
        return
    write(f"{size(len(found.suite.examples), 'example')} in {target}")
    for text in found.suite.notes:
        note(text, styled("note: ", "yellow"))
    if found.documents and documents is None:
        note(f"{len(found.documents)} documents came with it; --documents FILE writes them")
    elif documents is not None:
        note(f"next: knowhow ingest {documents} --as-documents")


def suite_split(
    file: File,
    shares: Annotated[
        str, typer.Option("--shares", metavar="TRAIN,DEV,TEST", help="Shares that add up to 1.")
    ] = "0.4,0.2,0.4",
    seed: Annotated[int, typer.Option("--seed", help="Another seed cuts otherwise.")] = 0,
    out: Out = None,
    as_json: options.AsJson = False,
) -> None:
    """Give every example a split, whole groups together.

    Examples that have one keep it.

    \b
    Example: knowhow suite split suites/returns.jsonl --shares 0.5,0.2,0.3
    """
    from knowhow.suites import read_suite, split_suite, write_suite

    try:
        parts = [float(part) for part in read_list(shares)]
        named = dict(zip((Split.TRAIN, Split.DEV, Split.TEST), parts, strict=True))
    except ValueError:
        raise UsageProblem(f'--shares "{shares}" must be three numbers, e.g. 0.4,0.2,0.4') from None
    examples = split_suite(read_suite(file).examples, named, seed=seed)
    write_suite(examples, out or file)
    counts = Counter(str(example.split) for example in examples)
    if as_json:
        write_json({"suite": str(out or file), "splits": dict(counts)})
    else:
        write(f"{out or file}: " + ", ".join(f"{counts[split]} {split}" for split in Split))


def suite_draft(
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help="How many examples at most.")] = 30,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="A model that writes questions as well.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Only this source's documents.")
    ] = None,
    out: Out = None,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Propose examples from the ingested documents.

    Each names its evidence; some ask what no document says, some ask two documents. They are drafts and left out of
    every run until `knowhow suite keep` keeps them.

    \b
    Example: knowhow suite draft --count 50
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        found = opened.drafting.from_documents(count, model=model or "", source=source, access=read_access(access))
        target = out or opened.folder / DRAFTS
    _write_drafts(found, target, as_json)


def suite_from_traces(
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="e.g. 7d or 2026-03-01.")] = None,
    traces: Annotated[str | None, typer.Option("--traces", metavar="A,B", help="Only these traces.")] = None,
    judged: Annotated[bool, typer.Option("--judged", help="Only questions that somebody gave feedback on.")] = False,
    out: Out = None,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Make examples of what people asked and said of the answers.

    \b
    Example: knowhow suite from-traces --since 7d --judged
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        found = opened.drafting.from_traces(
            since=read_time(since, end_of_day=False) if since else None,
            traces=read_list(traces),
            judged_only=judged,
            access=read_access(access),
        )
        target = out or opened.folder / FROM_TRACES
    _write_drafts(found, target, as_json)


def suite_keep(
    file: File,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Which drafts to keep.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Keep every draft.")] = False,
    drop: Annotated[bool, typer.Option("--drop-rest", help="Remove the drafts that are not kept.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Keep drafts: from then on they count.

    \b
    Example: knowhow suite keep suites/draft.jsonl draft-1f3a9c02 draft-77b0e1d4
    """
    from knowhow.evaluate.draft import kept
    from knowhow.suites import read_suite, write_suite

    if bool(ids) == every:
        raise UsageProblem("name the drafts to keep, or give --all")
    examples = read_suite(file).examples
    lost = set(ids or ()) - {example.id for example in examples}
    if lost:
        raise UsageProblem(f'{file} has no example "{sorted(lost)[0]}"')
    done = kept(examples, frozenset(ids or ()), every=every)
    done = tuple(example for example in done if not (drop and example.draft))
    write_suite(done, file)
    drafts = sum(1 for example in done if example.draft)
    if as_json:
        write_json({"suite": str(file), "examples": len(done), "drafts": drafts})
    else:
        write(f"{file}: {size(len(done) - drafts, 'example')} kept, {size(drafts, 'draft')} left")


def traces_failures(
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="e.g. 7d or 2026-03-01.")] = SINCE,
    access: options.Access = None,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Group what went wrong in real use: declines, unsupported sentences, thumbs-down, repeated questions.

    \b
    Example: knowhow traces failures --since 7d
    """
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        found = opened.drafting.failures(since=read_time(since, end_of_day=False), access=read_access(access))
    if as_json:
        write_json([{**cluster.to_json(), "suite": _offer(cluster.traces)} for cluster in found])
        return
    if not found:
        note(f"nothing went wrong since {since}")
        return
    rows = [
        (one.count, one.trend, ", ".join(f"{count} {kind}" for kind, count in one.kinds.items()), one.question)
        for one in found
    ]
    table(("traces", "trend", "what", "question"), rows)
    note(f"as examples for a suite, e.g. the first cluster: {_offer(found[0].traces)}")


def _offer(traces: Sequence[str]) -> str:
    return f"knowhow suite from-traces --traces {','.join(traces)}"


def _write_drafts(found: list[Example], target: Path, as_json: bool) -> None:
    """Adds what is not in the file yet, so that what was kept before stays kept."""
    from knowhow.suites import read_suite, write_suite

    before = read_suite(target).examples if target.is_file() else ()
    known = {example.id for example in before}
    fresh = [example for example in found if example.id not in known]
    if not before and not fresh:
        raise UsageProblem("there is nothing to propose; ingest more documents, or ask some questions first")
    _parent(target)
    write_suite((*before, *fresh), target)
    tags = Counter(tag for example in fresh for tag in example.tags)
    if as_json:
        write_json({"suite": str(target), "proposed": len(fresh), "examples": len(before) + len(fresh), "tags": tags})
        return
    for example in fresh[:SHOWN]:
        write(f"{example.id}  {clean(example.question)[:140]}")
    if len(fresh) > SHOWN:
        write(f"and {len(fresh) - SHOWN} more")
    write(f"{size(len(fresh), 'draft')} in {target}")
    note(f"read them, then: knowhow suite keep {target} ID…   (or --all)")


def _parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror}") from None
