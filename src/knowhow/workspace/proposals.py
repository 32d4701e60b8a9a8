"""Cheap fixes tried on a workspace's own suite, and the recipe that was proven written into knowhow.toml on request."""

from __future__ import annotations

import difflib
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.diagnose.report import Report
from knowhow.diagnose.trying import (
    KIND,
    Candidate,
    Outcome,
    Tried,
    best_of_homes,
    candidates,
    judged,
    main_check,
    proposal_id,
    proposal_json,
    prove,
    together,
    toml_table,
    whole,
)
from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.evaluate.preview import Preview
from knowhow.ports import Record
from knowhow.settings import FILE_NAME, load
from knowhow.types import Progress, Recipe, Row, Split
from knowhow.workspace.diagnosing import Failures
from knowhow.workspace.evaluating import Plan
from knowhow.workspace.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of knowhow.toml: the name of the new recipe, the whole new text, and the lines that differ."""

    name: str
    text: str
    diff: str


def to_try(failures: Failures, report: Report) -> list[Candidate]:
    """What could mend the causes found. Raises `UsageProblem` where there is nothing to choose or to prove it on."""
    splits = {example.split for example in failures.suite.examples}
    missing = [split for split in (Split.DEV, Split.TEST) if split not in splits]
    if missing:
        raise UsageProblem(
            f"{failures.suite.name} has no {missing[0]} split: fixes are chosen on dev and proven on test; "
            f"`knowhow suite split` assigns splits"
        )
    return candidates(failures.recipe, report.diagnosis, failures.suite)


def preview(opened: Workspace, failures: Failures, tries: Sequence[Candidate]) -> list[Preview]:
    """What trying takes: the recipe and every candidate on dev, the recipe and the best on test."""
    recipes = [failures.recipe, *(one.of(failures.recipe) for one in tries)]
    dev = opened.evaluations.preview(_plan(opened, failures, recipes, Split.DEV))
    test = opened.evaluations.preview(_plan(opened, failures, [failures.recipe], Split.TEST))
    return [*dev, *(replace(one, recipe=f"{one.recipe} and then the best", calls=2 * one.calls) for one in test)]


def try_fixes(
    opened: Workspace,
    failures: Failures,
    report: Report,
    tries: Sequence[Candidate],
    *,
    workers: int,
    max_cost: float | None = None,
) -> Generator[Progress, None, Tried]:
    """Evaluates every candidate on dev, the best of each home together, and what did best on test against the recipe.

    A proven recipe is kept as a proposal that `adopt` can write; nothing is changed.
    """
    if not tries:
        return Tried(Outcome.NOTHING_TO_TRY, reason="no cause was found that a recipe could mend")
    base = failures.recipe
    bench = _Bench(opened, failures, workers, max_cost)
    before = whole((yield from bench.rows(base, Split.DEV)))
    shares: list[tuple[Candidate, float]] = []
    for one in tries:
        shares.append((one, whole((yield from bench.rows(one.of(base), Split.DEV)))))
    parts = best_of_homes(shares, before)
    if len(parts) > 1:
        both = together(parts)
        shares.append((both, whole((yield from bench.rows(both.of(base), Split.DEV)))))
    best, share = max(shares, key=lambda row: row[1])
    told = tuple((one.what, mean) for one, mean in shares)
    if share <= before:
        return Tried(Outcome.NOTHING_BETTER, before, told, reason="no candidate does better on dev")
    better, main = best.of(base), main_check(report.diagnosis)
    first = yield from bench.rows(base, Split.TEST)
    second = yield from bench.rows(better, Split.TEST)
    pairs = prove(first, second, (base.name, better.name), main)
    outcome, reason = judged(pairs, main)
    tried = Tried(outcome, before, told, better, main, pairs, reason)
    if outcome is not Outcome.PROVEN:
        return tried
    tried = replace(tried, proposal=proposal_id(better))
    body = proposal_json(tried, base, failures.run)
    failures.lab.setup.records.put([Record(KIND, tried.proposal, body)])
    return tried


def propose(opened: Workspace, id: str, *, name: str | None = None) -> Proposal:
    """What adopting a proven recipe would change in knowhow.toml. Raises `NotFound`, `UsageProblem`."""
    record = next((one for one in opened.diagnosing.proposals() if id and one.id.startswith(id)), None)
    if record is None:
        raise NotFound(f'there is no proven recipe "{id}"; `knowhow diagnose RUN --try` finds them')
    base = record.body["extends"].split("@")[0]
    if base not in opened.recipes:
        raise NotFound(f"the recipe {base} that it extends is gone; diagnose a run of a recipe that is there")
    new = name or f"{base}-mended"
    if not _NAME.fullmatch(new) or new in opened.recipes:
        what = "is there already" if new in opened.recipes else "is no name"
        raise UsageProblem(f'a recipe "{new}" {what}; choose another with --as NAME')
    before = (opened.folder / FILE_NAME).read_text("utf-8")
    table = toml_table(new, base, record.body["changes"])
    text = f"{before.rstrip()}\n\n# {record.body['reason']}\n{table}"
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), FILE_NAME, FILE_NAME, lineterm="", n=1)
    return Proposal(new, text, "\n".join(lines))


def adopt(opened: Workspace, proposal: Proposal) -> None:
    """Writes the new text; what cannot be read afterwards is put back. Raises `ConfigProblem`."""
    path = opened.folder / FILE_NAME
    before = path.read_text("utf-8")
    _write(path, proposal.text)
    try:
        load(opened.folder)
    except ConfigProblem:
        _write(path, before)
        raise


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".toml.new")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        raise ConfigProblem(f"cannot write {path}: {error.strerror}") from None


@dataclass(slots=True)
class _Bench:
    """Evaluates recipes on one suite within a budget."""

    opened: Workspace
    failures: Failures
    workers: int
    left: float | None

    def rows(self, recipe: Recipe, split: Split) -> Generator[Progress, None, Sequence[Row]]:
        plan = _plan(self.opened, self.failures, [recipe], split)
        done = yield from self.opened.evaluations.evaluate(
            plan, plan.recipes[0], max_cost=self.left, workers=self.workers
        )
        if self.left is not None:
            self.left -= done.run.usage.cost_usd or 0.0
        return done.rows


def _plan(opened: Workspace, failures: Failures, recipes: Sequence[Recipe], split: Split) -> Plan:
    return opened.evaluations.plan(failures.suite, recipes, split=split)
