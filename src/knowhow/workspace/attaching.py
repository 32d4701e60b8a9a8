"""Failures that no run of ours has: another system's answers from a file, and answers that people complained about."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from knowhow.answer.gather import excerpt
from knowhow.answer.replay import recipe_of
from knowhow.answer.trace import Trace
from knowhow.diagnose.attach import Attached, checked, documents, read_attached
from knowhow.diagnose.case import Lab, failures
from knowhow.errors import NotFound
from knowhow.types import EVERYTHING, Example, Hit, Row, Suite
from knowhow.workspace.diagnosing import Failures
from knowhow.workspace.home import start
from knowhow.workspace.rereading import Rereading
from knowhow.workspace.workspace import Workspace

FOLDER = "attached"
"""Folder beside the databases in which a file's texts are kept, so that a diagnosis goes on where it stopped."""
_SHARED = ("embedder", "offline", "threads", "parallel", "context_tokens", "timeout", "retries", "keys")
"""Settings that such a workspace takes over."""
_ALL = frozenset({EVERYTHING})


@contextmanager
def attached(
    opened: Workspace, path: Path, *, recipe: str | None = None, model: str | None = None
) -> Generator[tuple[Workspace, Failures], None, None]:
    """A workspace that holds the retrieved texts of `path` and nothing else, and the failures among its answers.

    Interventions are replayed with `recipe` and `model`: the other system's own prompt is not known. Raises
    `UsageProblem` for lines that are wrong.
    """
    rows = read_attached(path)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()
    folder = opened.folder / opened.settings.data / FOLDER / digest
    chosen = opened.recipe(recipe, {"model": model})
    with Workspace.open(start(folder), flags=_settings(opened)) as inner:
        texts = folder / "texts.jsonl"
        texts.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in documents(rows)), "utf-8")
        inner.ingest(texts, as_documents=True, yes=True)
        setup = inner.diagnosing.setup(chosen)
        suite = Suite(path.stem, tuple(row.example for row in rows))
        lab = Lab(suite, setup, Rereading(setup.store))
        made = {row.example.id: checked(row.example, row.answer, chosen, ()) for row in rows}
        failed = {id: (row,) for id, row in made.items() if failures(row)}
        given = {row.example.id: _hits(inner, row) for row in rows if row.example.id in failed}
        notes = tuple(_of_rows(rows, made, chosen.name, chosen.model))
        yield inner, Failures(f"--rows {path}", suite, chosen, lab, failed, len(rows), notes, given, model is None)


def complained(opened: Workspace, *, since: float | None = None) -> Failures:
    """The answers of live use that people judged to be wrong, and said what is right.

    Raises `NotFound` where nobody judged any. What nobody said the right answer to is counted in the notes, and so is
    what another recipe answered than most.
    """
    examples = opened.drafting.from_traces(since=since, judged_only=True)
    bad = [one for one in examples if not {"up"} & set(one.tags)]
    if not bad:
        raise NotFound('nobody has judged an answer to be wrong; `knowhow feedback TRACE --correct "…"` does')
    known = {example.id: opened.trace(example.id.removeprefix("trace-")) for example in bad}
    traces = {id: Trace.from_json({k: v for k, v in body.items() if k != "feedback"}) for id, body in known.items()}
    hash, _ = Counter(trace.recipe_hash for trace in traces.values()).most_common(1)[0]
    same = [example for example in bad if traces[example.id].recipe_hash == hash]
    recipe = recipe_of(traces[same[0].id], list(opened.recipes.values()))
    setup = opened.diagnosing.setup(recipe)
    suite = Suite("traces", tuple(same))
    lab = Lab(suite, setup, Rereading(setup.store))
    rows = {one.id: checked(one, traces[one.id].answer, recipe, (), trace_id=traces[one.id].id) for one in same}
    failed = {id: (row,) for id, row in rows.items() if failures(row)}
    notes = tuple(_of_traces(bad, same, failed))
    return Failures("--traces", suite, recipe, lab, failed, len(same), notes)


def _settings(opened: Workspace) -> dict[str, Any]:
    prices = {model: asdict(price) for model, price in opened.settings.prices.items()}
    return {**{name: getattr(opened.settings, name) for name in _SHARED}, "prices": prices}


def _hits(inner: Workspace, row: Attached) -> tuple[Hit, ...]:
    """What the answer was given, as the documents that hold it."""
    found = [inner.document(text.uri, access=_ALL) for text in row.texts]
    return tuple(excerpt(document, 0, len(document.text), rank) for rank, document in enumerate(found, 1))


def _of_rows(rows: Sequence[Attached], made: Mapping[str, Row], recipe: str, model: str) -> list[str]:
    silent = sum(1 for row in rows if not _expects(row.example))
    notes = [
        f"the answers are another system's; what was replayed used the recipe {recipe} with {model}, so a replay that "
        "passes may be the doing of its prompt or its model",
        "nothing is known of the other system's index: evidence that no row of the file was given counts as in no "
        "document, and may only not have been found",
    ]
    if silent:
        notes.append(f"{silent} of {len(rows)} rows say nothing of what is right, so they cannot fail")
    unclear = sum(1 for row in rows if _expects(row.example) and not _measured(made[row.example.id]))
    if unclear:
        notes.append(f"{unclear} rows name only a reference, which needs a judge; give `expect` with facts")
    return notes


def _of_traces(bad: Sequence[Example], same: Sequence[Example], failed: Mapping[str, object]) -> list[str]:
    notes = []
    others = len(bad) - len(same)
    if others:
        notes.append(f"{others} of {len(bad)} judged answers are another recipe's and are left out")
    silent = [example for example in same if not _expects(example)]
    if silent:
        notes.append(
            f"{len(silent)} of {len(bad)} answers were called wrong, but nobody said what is right, so they cannot be "
            f'diagnosed; `knowhow feedback {silent[0].id.removeprefix("trace-")} --correct "…"` says it'
        )
    fine = len(same) - len(silent) - len(failed)
    if fine > 0:
        notes.append(f"{fine} of {len(bad)} pass every check that can be made of what was said to be right")
    return notes


def _expects(example: Example) -> bool:
    expect = example.expect
    return bool(
        expect.facts or expect.forbidden or expect.label or expect.schema or expect.fields or expect.reference
    ) or bool(expect.abstain or expect.style or expect.reasoning)


def _measured(row: Row) -> bool:
    return any(found.outcome != "unmeasured" for check, found in row.verdicts.items() if check != "abstention")
