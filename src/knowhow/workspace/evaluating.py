"""Evaluating in a workspace: suites found by name, recipes crossed with models, budgets kept, runs kept and shown."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from knowhow.answer.trace import KIND as TRACE
from knowhow.errors import BudgetExceeded, ConfigProblem, NotFound, UsageProblem
from knowhow.evaluate import early
from knowhow.evaluate.compare import compare
from knowhow.evaluate.evaluate import chosen, evaluate
from knowhow.evaluate.judge import LEAST_YOUDEN, VERSION, Calibration, Judge, Labelled, calibrate
from knowhow.evaluate.preview import Preview, preview, preview_labels
from knowhow.evaluate.rows import ROW, RUN, RowsFile, row_key, row_of
from knowhow.evaluate.single import Setup
from knowhow.evaluate.summary import paid_usd
from knowhow.ports import Record
from knowhow.prices import price_of
from knowhow.settings import Settings
from knowhow.suites import import_suite
from knowhow.suites.jsonl import write_lines
from knowhow.tune.registry import untaught
from knowhow.types import (
    EVERYTHING,
    Check,
    Context,
    EvidenceAt,
    Example,
    Json,
    Pair,
    Progress,
    Recipe,
    Row,
    Run,
    Split,
    Suite,
)
from knowhow.workspace.home import ROWS
from knowhow.workspace.parts import Parts

ALL = frozenset({EVERYTHING})
JUDGE = "judge"
SUITES = "suites"
"""Folder of a workspace in which a suite is found by its name."""
WORKERS = 4
"""Examples asked at once."""
_LOOKED_AT = 200
"""Rows whose traces are read to say what did not fit a long context."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be evaluated. `split` defaults to `test`, which examples without a split belong to."""

    suite: Suite
    recipes: tuple[Recipe, ...]
    split: Split = Split.TEST
    draws: int = 1


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run with its rows, in the order of the suite, and remarks a reader of its figures should know."""

    run: Run
    rows: Sequence[Row]
    rows_file: Path
    notes: tuple[str, ...] = ()
    paid_usd: float = 0.0
    """What this call was charged; less than the run, where an earlier one had begun it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Runs over the same examples, and every recipe against the baseline."""

    baseline: str
    runs: tuple[Evaluated, ...]
    pairs: tuple[Pair, ...]


class Evaluations:
    """The evaluating side of a workspace. A suite says which tags each example is asked with, so whoever evaluates
    sees what all of its examples may see."""

    def __init__(
        self,
        parts: Parts,
        folder: Path,
        settings: Settings,
        recipe: Callable[[str, Mapping[str, Any]], Recipe],
    ) -> None:
        self._parts = parts
        self._folder = folder
        self._settings = settings
        self._recipe = recipe
        self.rows_folder = (folder / settings.data / ROWS).resolve()

    def plan(
        self,
        suite: str | Path | Suite,
        recipes: Sequence[str | Recipe] = (),
        *,
        models: Sequence[str] = (),
        split: Split = Split.TEST,
        draws: int = 1,
        limit: int | None = None,
    ) -> Plan:
        """What to evaluate: a suite by path or name, `recipes` (default: the setting `recipe`) crossed with `models`.

        `limit` keeps to the first examples of the split; worked examples are still drawn from all of `train`.
        What an adapter of any recipe was trained on is left out for all of them, with a note.
        Raises `NotFound` for an unknown suite or recipe, `UsageProblem` for a suite with problems.
        """
        found = suite if isinstance(suite, Suite) else self.suite(suite)
        changes = [{"model": model} for model in models] or [{}]
        crossed = [self._made(one, change) for one in recipes or [self._settings.recipe] for change in changes]
        if len(models) > 1:
            crossed = [replace(one, name=f"{one.name}@{one.model}") for one in crossed]
        names = [one.name for one in crossed]
        if len(set(names)) < len(names):
            raise UsageProblem(f"a recipe is named twice ({', '.join(names)}); name each once")
        if draws < 1:
            raise UsageProblem(f"draws must be at least 1, not {draws}")
        registry = self._parts.adapters
        adapted = [registry.resolve(one) for one in crossed]
        found = untaught(found, split, registry.used(adapted))
        return Plan(limited(found, split, limit), tuple(adapted), split, draws)

    def _made(self, recipe: str | Recipe, changes: Mapping[str, Any]) -> Recipe:
        """A recipe named is fitted to its model; one given whole is taken as it is."""
        return self._recipe(recipe, changes) if isinstance(recipe, str) else replace(recipe, **changes)

    def suite(self, name: str | Path) -> Suite:
        """The suite in a file or folder, else `suites/NAME.jsonl` of the workspace. Raises `NotFound`."""
        path = Path(name).expanduser()
        own = self._folder / SUITES / f"{name}.jsonl"
        if not path.exists() and own.is_file():
            path = own
        if not path.exists():
            there = sorted(found.stem for found in (self._folder / SUITES).glob("*.jsonl"))
            known = f"; suites/ holds {', '.join(there)}" if there else ""
            raise NotFound(f"there is no suite {name}{known}; `knowhow suite draft` proposes one")
        return import_suite(path).suite

    def preview(self, plan: Plan, judge: str = "") -> list[Preview]:
        """Calls, tokens and price range of each recipe, the judge's included, without asking a model."""
        return [
            preview(plan.suite, recipe, self.setup(recipe, plan.suite, judge), split=plan.split, draws=plan.draws)
            for recipe in plan.recipes
        ]

    def evaluate(
        self, plan: Plan, recipe: Recipe, *, max_cost: float | None = None, workers: int = WORKERS, judge: str = ""
    ) -> Generator[Progress, None, Evaluated]:
        """Puts every example to `recipe`, `workers` at once; closing it keeps what is done, a later call goes on.

        `judge` names a calibrated model that decides where only a reference or rubric says what is right.
        Raises `BudgetExceeded` as soon as more than `max_cost` US dollars are spent, the judge's included.
        """
        if judge:
            self.check_judge(judge)
        setup = self.setup(recipe, plan.suite, judge)
        spent = 0.0
        flow = evaluate(plan.suite, recipe, setup, split=plan.split, draws=plan.draws, workers=workers)
        while True:
            try:
                event = next(flow)
            except StopIteration as done:
                run: Run = done.value
                break
            if isinstance(event, Progress):
                yield event
            else:
                spent += paid_usd(event)
                if max_cost is not None and spent > max_cost:
                    flow.close()
                    raise BudgetExceeded(
                        f"${spent:.4f} are spent, more than --max-cost {max_cost:g}; what is done is kept: "
                        f"run it again with a higher --max-cost to go on"
                    )
        return replace(self._evaluated(plan, run), paid_usd=spent)

    def compare(
        self,
        plan: Plan,
        baseline: str | None = None,
        *,
        max_cost: float | None = None,
        workers: int = WORKERS,
        judge: str = "",
    ) -> Generator[Progress, None, Compared]:
        """Evaluates every recipe of the plan and sets each against `baseline` (default: the first).

        Raises `UsageProblem` for an unknown baseline or fewer than two recipes, before anything is asked.
        """
        names = [recipe.name for recipe in plan.recipes]
        base = baseline or names[0]
        compare(dict.fromkeys(names, ()), base)
        left = max_cost
        runs = []
        for recipe in plan.recipes:
            runs.append((yield from self.evaluate(plan, recipe, max_cost=left, workers=workers, judge=judge)))
            left = None if left is None else left - runs[-1].paid_usd
        rows = {one.run.recipe.name: one.rows for one in runs}
        return Compared(base, tuple(runs), tuple(compare(rows, base)))

    def with_positions(self, plan: Plan) -> Plan:
        """The plan with every recipe of whole documents crossed with where the evidence stands.

        Raises `UsageProblem` where no recipe shows whole documents.
        """
        places = (EvidenceAt.START, EvidenceAt.MIDDLE, EvidenceAt.END)
        recipes: list[Recipe] = []
        for recipe in plan.recipes:
            full = recipe.context is Context.FULL
            swept = [replace(recipe, name=f"{recipe.name}:{at}", evidence_at=at) for at in places]
            recipes += swept if full else [recipe]
        if len(recipes) == len(plan.recipes):
            raise UsageProblem("a position sweep needs a recipe that shows whole documents, such as long-context")
        return replace(plan, recipes=tuple(recipes))

    # judges

    def preview_calibration(self, judge: str, labels: Sequence[Labelled]) -> Preview:
        """Calls, tokens and price range of a calibration, without asking the judge."""
        return preview_labels(self._judge(judge), judge, labels)

    def calibrate(self, judge: str, labels: Sequence[Labelled]) -> Calibration:
        """Measures a judge against people's labels and keeps the result, usable or not."""
        found = calibrate(self._judge(judge), judge, labels)
        self._parts.records.put([Record(JUDGE, _judge_key(judge), found.to_json())])
        return found

    def check_judge(self, judge: str) -> None:
        """Raises `ConfigProblem` where this judge was not calibrated with its present prompts, or failed."""
        record = self._parts.records.get(JUDGE, _judge_key(judge), ALL)
        how = f"knowhow judge calibrate LABELS.jsonl --model {judge}"
        if record is None:
            raise ConfigProblem(f"{judge} was never held against people's labels; run: {how}")
        if not record.body["usable"]:
            raise ConfigProblem(
                f"{judge} agrees too little with people (sensitivity + specificity − 1 = {record.body['youden']:.2f}, "
                f"needs {LEAST_YOUDEN}); name another judge"
            )

    def compare_early(
        self,
        plan: Plan,
        check: Check,
        baseline: str | None = None,
        *,
        max_cost: float | None = None,
        workers: int = WORKERS,
        judge: str = "",
    ) -> Generator[Progress, None, Compared]:
        """Compares two recipes in four stages and stops as soon as a difference in `check` is shown.

        Over all stages together, a difference that is not there is shown in at most 5% of comparisons. Raises
        `UsageProblem` for more than two recipes.
        """
        if len(plan.recipes) != 2:
            raise UsageProblem(f"stopping early compares two recipes, not {len(plan.recipes)}")
        groups = early.order(plan.suite, plan.split)
        at: list[int] = []
        left = max_cost
        for count in early.stages(groups):
            at.append(count)
            stage = replace(plan, suite=early.part(plan.suite, plan.split, groups[:count]))
            found = yield from self.compare(stage, baseline, max_cost=left, workers=workers, judge=judge)
            left = None if left is None else left - sum(one.paid_usd for one in found.runs)
            rows = [one.rows for one in found.runs]
            seen = early.look(rows[0], rows[1], check, groups, at)
            if seen.stop:
                break
        told = early.in_words(seen, check, len(groups))
        runs = tuple(replace(one, notes=(*one.notes, told)) for one in found.runs)
        return replace(found, runs=runs)

    # what was evaluated before

    def runs(self, *, limit: int | None = 50) -> list[Json]:
        """Finished runs, newest first, as `evaluate --json` printed them, without their rows."""
        return [record.body for record in self._parts.records.select(RUN, ALL, limit=limit)]

    def run(self, id: str) -> Json:
        """The run with this id, or the only one whose id starts so. Raises `NotFound`, `UsageProblem`."""
        found = [body for body in self.runs(limit=None) if id and body["run_id"].startswith(id)]
        exact = [body for body in found if body["run_id"] == id]
        if len(found) == 1 or exact:
            return (exact or found)[0]
        if found:
            raise UsageProblem(f'{len(found)} runs start with "{id}"; give more of the id')
        raise NotFound(f'no run "{id}"; `knowhow runs list` shows those there are')

    def rows(self, id: str, *, access: frozenset[str] | None = None) -> list[Row]:
        """The rows of a run that the asker may see, by draw and id."""
        tags = frozenset(self._settings.access) if access is None else access
        found = [row_of(record.body) for record in self._parts.records.select(ROW, tags, parent=id)]
        return sorted(found, key=lambda row: (row.draw, row.id))

    # the parts

    def setup(self, recipe: Recipe, suite: Suite, judge: str = "") -> Setup:
        """What a recipe is asked with here."""
        parts = self._parts
        return Setup(
            parts.store,
            parts.records,
            parts.embedder(),
            parts.chat(recipe.model, recipe.adapter, suite),
            reranker=parts.reranker(recipe.reranker),
            verifier=parts.verifier(recipe.verifier),
            price=price_of(recipe.model, self._settings.prices),
            judge=self._judge(judge) if judge else None,
        )

    def _judge(self, name: str) -> Judge:
        return Judge(self._parts.chat(name), self._parts.records, price_of(name, self._settings.prices))

    def _evaluated(self, plan: Plan, run: Run) -> Evaluated:
        self.rows_folder.mkdir(parents=True, exist_ok=True)
        path = self.rows_folder / f"{run.id}.jsonl"
        keys = (
            row_key(run.id, draw, example.id) for draw in range(run.draws) for example in chosen(plan.suite, run.split)
        )
        found = (self._parts.records.get(ROW, key, ALL) for key in keys)
        write_lines((record.body for record in found if record is not None), path)
        rows = RowsFile(path)
        return Evaluated(run, rows, path, tuple(self._notes(plan, run, rows)))

    def _notes(self, plan: Plan, run: Run, rows: Sequence[Row]) -> Iterator[str]:
        yield from plan.suite.notes
        if run.recipe.context is Context.FULL:
            yield from self._stuffed(rows)
        lost = {
            row.verdicts[check].reason
            for row in rows
            for check in row.verdicts
            if "is not ingested" in row.verdicts[check].reason
        }
        if lost:
            yield f"{sorted(lost)[0]}{f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''}; ingest it first"
        if run.split is Split.TEST:
            here = {recipe.hash for recipe in plan.recipes}
            others = self._tried(run.suite) - here
            if others:
                yield (
                    f"{len(others | here)} recipes were put to the test split of {run.suite} so far: choosing among "
                    f"many by it wears it out"
                )

    def _tried(self, suite: str) -> set[str]:
        """Hashes of the recipes that were ever put to the test split of a suite."""
        on_test = (body for body in self.runs(limit=None) if body["split"] == Split.TEST.value)
        return {body["recipe_hash"] for body in on_test if body["suite"] == suite}

    def _stuffed(self, rows: Sequence[Row]) -> Iterator[str]:
        """In which order a long context was filled and what did not fit."""
        traces = (self._parts.records.get(TRACE, row.trace_id, ALL) for row in rows[:_LOOKED_AT] if row.trace_id)
        bodies: list[Mapping[str, object]] = [record.body for record in traces if record is not None]
        if not bodies:
            return
        most = max(bodies, key=_left_out)
        shown = len(most["shown"])  # type: ignore[arg-type]
        out = _left_out(most)
        fitted = f"{out} of {shown + out} documents did not fit" if out else f"all {shown} documents fit"
        yield f"long context: {most['order']}; {fitted}"


def _judge_key(judge: str) -> str:
    return f"{judge}#{VERSION}"


def _left_out(trace: Mapping[str, object]) -> int:
    return len(trace["cut"]) + int(trace["unread"])  # type: ignore[arg-type,call-overload,no-any-return]


def limited(suite: Suite, split: Split, limit: int | None) -> Suite:
    """The suite with no more than the first `limit` examples of a split; the other splits stay whole."""
    if limit is None:
        return suite
    left = limit
    kept: list[Example] = []
    for example in suite.examples:
        inside = (example.split or Split.TEST) is split and not example.draft
        if not inside or left > 0:
            kept.append(example)
        left -= inside
    return replace(suite, examples=tuple(kept))
