"""Diagnosing in a workspace: a run found again with suite, recipe and rows, its failures opened, the result kept."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from knowhow.answer.replay import recipe_of
from knowhow.answer.trace import KIND as TRACE
from knowhow.answer.trace import Trace
from knowhow.diagnose.case import Case, Lab, failures, open_case
from knowhow.diagnose.diagnose import Plan, diagnose, planned
from knowhow.diagnose.rates import rates_for
from knowhow.diagnose.report import KIND, Report, diagnosis_json
from knowhow.diagnose.trying import KIND as PROPOSAL
from knowhow.errors import KnowhowError, NotFound, UsageProblem
from knowhow.evaluate.preview import LEAST_REPLY, Preview
from knowhow.evaluate.single import Setup
from knowhow.ports import Record
from knowhow.prices import price_of
from knowhow.settings import Settings
from knowhow.types import EVERYTHING, Example, Hit, Json, Progress, Recipe, Row, Split, Suite
from knowhow.workspace.evaluating import WORKERS, Evaluations, limited
from knowhow.workspace.parts import Parts
from knowhow.workspace.rereading import Rereading

_ALL = frozenset({EVERYTHING})
_LOOKED_AT = 50
"""Rows whose traces are read to find a recipe that has no name any more."""
_LONGER = 1.5
"""How much longer an intervention's prompt may be on average than the run's: some add evidence, some take all away."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures of a run with all that experiments on them need."""

    run: str
    suite: Suite
    recipe: Recipe
    lab: Lab
    rows: Mapping[str, tuple[Row, ...]]
    """Every draw of each failed example, by id in the order of the suite."""
    examples: int
    """Examples of the run that were answered."""
    notes: tuple[str, ...]
    given: Mapping[str, tuple[Hit, ...]] = field(default_factory=dict)
    """What the answers of another system were given, by example."""

    signals_only: bool = False
    """No model is named that could replay them."""

    def only(self, id: str | None) -> Failures:
        """Those of one example; None keeps all. Raises `NotFound` where it is not among them."""
        if id is None:
            return self
        if id not in self.rows:
            known = any(example.id == id for example in self.suite.examples)
            what = "did not fail" if known else "is not in its suite; `knowhow runs show` lists its rows"
            raise NotFound(f'"{id}" of {self.run} {what}')
        return replace(self, rows={id: self.rows[id]})

    def plan(self, *, max_calls: int | None = None, pool: bool | None = None, workers: int = WORKERS) -> Plan:
        """How many calls at most, one case at a time or together."""
        most = 0 if self.signals_only else max_calls
        made = planned(self.run, self.suite.name, self.examples, len(self.rows), max_calls=most, pool=pool)
        return replace(made, workers=workers)


class Diagnosing:
    """The diagnosing side of a workspace. Like an evaluation it sees what the examples of the suite may see."""

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        evaluations: Evaluations,
        recipe: Callable[[str, Mapping[str, Any]], Recipe],
        known: Callable[[], Collection[Recipe]],
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._evaluations = evaluations
        self._recipe = recipe
        self._known = known

    def failures(self, run: str, *, suite: str | Path | None = None, stronger: str = "") -> Failures:
        """The failures of a run (an id or its beginning).

        The suite is found by the run's name for it, or is `suite`. Raises `NotFound` where run, suite or recipe are
        gone.
        """
        body = self._evaluations.run(run)
        found, notes = self._suite(body, suite)
        recipe = self._recipe_of(body)
        rows, answered, extra = self._rows(body, found)
        setup = self.setup(recipe)
        above = self.setup(replace(recipe, model=stronger, adapter="")) if stronger else None
        lab = Lab(found, setup, Rereading(self._parts.store), above)
        if body["data_revision"] != self._parts.store.revision():
            notes.append("the documents have changed since the run; experiments see them as they are now")
        return Failures(body["run_id"], found, recipe, lab, rows, answered, (*notes, *extra))

    def setup(self, recipe: Recipe) -> Setup:
        """What a recipe is asked with here."""
        parts = self._parts
        return Setup(
            parts.store,
            parts.records,
            parts.embedder(),
            parts.chat(recipe.model, recipe.adapter),
            reranker=parts.reranker(recipe.reranker),
            verifier=parts.verifier(recipe.verifier),
            price=price_of(recipe.model, self._settings.prices),
        )

    def proposals(self) -> Iterator[Record]:
        """Recipes that were proven and can be adopted, newest first."""
        return self._parts.records.select(PROPOSAL, _ALL)

    def preview(self, failures: Failures, plan: Plan) -> Preview:
        """Calls, tokens and price at most; prompts are taken to be as long as those of the failed answers."""
        sizes = [row.usage.prompt_tokens for rows in failures.rows.values() for row in rows if row.usage.prompt_tokens]
        prompt = round(plan.calls * _LONGER * (sum(sizes) / len(sizes) if sizes else failures.recipe.budget))
        reply = failures.recipe.sampling.max_tokens
        low, high = plan.calls * min(LEAST_REPLY, reply), plan.calls * reply
        setups = [setup for setup in (failures.lab.setup, failures.lab.stronger) if setup is not None]
        unpriced = tuple(setup.model.name for setup in setups if setup.price is None)
        dearest = [(prompt * s.price.prompt + high * s.price.completion) / 1e6 for s in setups if s.price is not None]
        return Preview(
            recipe=f"diagnosing {failures.run}",
            model=failures.recipe.model,
            calls=plan.calls,
            known=0,
            prompt_tokens=prompt,
            completion_low=low,
            completion_high=high,
            cost_low=None if unpriced else 0.0,
            cost_high=None if unpriced else max(dearest),
            unpriced=unpriced,
            at_most=True,
        )

    def diagnose(
        self, failures: Failures, plan: Plan, *, max_cost: float | None = None
    ) -> Generator[Progress, None, Report]:
        """Opens every failure, finds its cause, and keeps the report; closing it keeps the trials that were made."""
        plan = replace(plan, max_cost=max_cost)
        cases = yield from self._cases(failures, plan.workers)
        rates = rates_for(self._parts.records, failures.lab.setup.model.name)
        flow = diagnose(cases, failures.lab, rates, plan)
        while True:
            try:
                event = next(flow)
            except StopIteration as done:
                found = done.value
                break
            if isinstance(event, Progress):
                yield event
        learned = () if rates.model else ("response rates are the design's, none were learned for this model",)
        report = Report(
            replace(found, notes=(*failures.notes, *found.notes, *learned)),
            {case.example.id: case.example.asked for case in cases},
            {case.example.id: case.row.answer for case in cases},
        )
        self._keep(report, cases)
        return report

    def _cases(self, failures: Failures, workers: int) -> Generator[Progress, None, list[Case]]:
        examples = {example.id: example for example in failures.suite.examples}
        lab, recipe = failures.lab, failures.recipe
        cases: list[Case] = []
        yield Progress(0, len(failures.rows), "failures")
        with ThreadPoolExecutor(max(workers, 1), "open") as pool:
            try:
                given = failures.given
                todo = failures.rows.items()
                for case in pool.map(
                    lambda one: open_case(examples[one[0]], recipe, one[1], lab, given=given.get(one[0])), todo
                ):
                    cases.append(case)
                    yield Progress(len(cases), len(failures.rows), "failures", case.example.id)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return cases

    def _keep(self, report: Report, cases: Sequence[Case]) -> None:
        """Under the tags and documents of all that it quotes."""
        access: frozenset[str] = frozenset()
        uris: frozenset[str] = frozenset()
        ids = [trial.trace_id for one in report.diagnosis.cases for trial in one.trials]
        for id in (*ids, *(row.trace_id for case in cases for row in case.rows)):
            record = self._parts.records.get(TRACE, id, _ALL) if id else None
            if record is not None:
                access, uris = access | record.access, uris | record.uris
        body = diagnosis_json(report)
        self._parts.records.put([Record(KIND, report.diagnosis.id, body, access=access, uris=uris)])

    # finding a run again

    def _suite(self, body: Json, named: str | Path | None) -> tuple[Suite, list[str]]:
        suite = self._evaluations.suite(named) if named else self._beside(str(body["suite"]))
        split = Split(body["split"]) if body["split"] else Split.TEST
        same = (suite, limited(suite, split, body["n"] // max(body["draws"], 1)))
        if any(one.hash == body["suite_hash"] for one in same):
            return suite, []
        return suite, [f"{suite.name} is not quite the suite of the run; what it expects now is what counts"]

    def _beside(self, name: str) -> Suite:
        """The suite by its name, else a file of that name in this folder: a run keeps no path."""
        for path in (Path(name), *sorted(Path().glob(f"{glob.escape(name)}.*"))):
            with suppress(NotFound, UsageProblem):
                return self._evaluations.suite(path)
        raise NotFound(f"the suite {name} of the run is not in suites/ nor in this folder; name it with --suite FILE")

    def _recipe_of(self, body: Json) -> Recipe:
        """The run's recipe: one of the workspace that has its hash still, else as a trace of the run keeps it."""
        name, model = body["recipe"].split("@")[0], body["model"]
        candidates = list(self._known())
        for changes in ({}, {"model": model}):
            try:
                candidates.append(self._parts.adapters.resolve(self._recipe(name, changes)))
            except KnowhowError:
                continue
        same = next((one for one in candidates if one.hash == body["recipe_hash"]), None)
        if same is not None:
            return replace(same, name=body["recipe"])
        for row in self._evaluations.rows(body["run_id"], access=_ALL)[:_LOOKED_AT]:
            record = self._parts.records.get(TRACE, row.trace_id, _ALL) if row.trace_id else None
            trace = Trace.from_json(record.body) if record else None
            if trace is not None and trace.recipe_hash == body["recipe_hash"]:
                return replace(recipe_of(trace, ()), index=trace.recipe["index"])
        raise NotFound(
            f"the recipe {body['recipe']} has changed since run {body['run_id']}; evaluate it again, and diagnose that "
            f"run: knowhow evaluate {body['suite']} --recipe {name}"
        )

    def _rows(self, body: Json, suite: Suite) -> tuple[dict[str, tuple[Row, ...]], int, list[str]]:
        """Failed examples with their draws, how many examples were answered, and remarks."""
        by_id: dict[str, list[Row]] = {}
        for row in self._evaluations.rows(body["run_id"], access=_ALL):
            by_id.setdefault(row.id, []).append(row)
        answered = {id: rows for id, rows in by_id.items() if not all(row.failure for row in rows)}
        failed = {id: tuple(rows) for id, rows in answered.items() if any(failures(row) for row in rows)}
        chosen = {example.id: failed[example.id] for example in suite.examples if example.id in failed}
        return chosen, len(answered), list(_remarks(by_id, answered, failed, suite.examples))


def _remarks(
    by_id: Mapping[str, Sequence[Row]],
    answered: Mapping[str, Sequence[Row]],
    failed: Mapping[str, Sequence[Row]],
    examples: Sequence[Example],
) -> Iterator[str]:
    silent = len(by_id) - len(answered)
    if silent:
        yield f"{silent} examples have no answer, because the model failed; evaluate again to get them"
    gone = failed.keys() - {example.id for example in examples}
    if gone:
        yield f"{len(gone)} failed examples are not in the suite any more and are left out"
