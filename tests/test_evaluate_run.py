"""Evaluate: rows and a run, resumable at any moment, failures as rows; compare says what got fixed and broken."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from answer_world import World, shop
from knowhow.backends.fake import FakeChat
from knowhow.errors import NotFound, ProviderKind, ProviderProblem, UsageProblem
from knowhow.evaluate.compare import compare
from knowhow.evaluate.evaluate import evaluate, rows_of
from knowhow.evaluate.journal import Journal
from knowhow.evaluate.rows import RowsFile, row_json, row_of, run_json
from knowhow.evaluate.single import Asking, Setup
from knowhow.evaluate.summary import Tally
from knowhow.ports import Floats, Record
from knowhow.settings import Price
from knowhow.suites.jsonl import write_lines
from knowhow.suites.parse import parse_example
from knowhow.types import (
    EVERYTHING,
    ChatRequest,
    Check,
    Context,
    Example,
    Outcome,
    Progress,
    Recipe,
    Row,
    Run,
    Sampling,
    Split,
    Suite,
    Verdict,
)

PASS, FAIL, UNMEASURED = Outcome.PASS, Outcome.FAIL, Outcome.UNMEASURED


def example(id: str, question: str, **expect: Any) -> Example:
    made, problems = parse_example({"id": id, "question": question, "expect": expect})
    assert made is not None, problems
    return made


RETURNS = example(
    "returns",
    "How long can a laptop be returned?",
    facts=["45 business days"],
    evidence=[{"source": "policies/returns.md", "quote": "within 45 business days of delivery"}],
)
CEO = example("ceo", "Since when is Ada Lindqvist chief executive?", facts=["2019"])
MOON = example("moon", "How far away is the moon?", abstain=True)
SUITE = Suite("shop", (RETURNS, CEO, MOON))


def speak(request: ChatRequest) -> str:
    if "laptop" in request.question:
        return "Laptops can be returned within 45 business days of delivery [1]."
    if "Ada" in request.question:
        return "Ada Lindqvist has been chief executive since 2018 [1]."
    return "The documents do not say."


@pytest.fixture
def world(tmp_path: Path) -> World:
    return shop(tmp_path)


def setup(world: World, model: FakeChat | None = None) -> Setup:
    return Setup(world.store, world.records, world.embedder, model or FakeChat(speak))


def finish(flow: Generator[Progress | Row, None, Run]) -> tuple[Run, list[Row]]:
    rows = []
    while True:
        try:
            event = next(flow)
        except StopIteration as done:
            return done.value, rows
        if isinstance(event, Row):
            rows.append(event)


def test_a_run_has_a_vector_of_verdicts_for_every_example(world: World) -> None:
    run, rows = finish(evaluate(SUITE, Recipe(), setup(world)))
    by_id = {row.id: row for row in rows}
    assert by_id.keys() == {"returns", "ceo", "moon"}
    good = {check: one.outcome for check, one in by_id["returns"].verdicts.items()}
    assert [good[c] for c in (Check.RETRIEVAL, Check.CONTENT, Check.ABSTENTION, Check.CITATION)] == [PASS] * 4
    assert good[Check.GROUNDED] is PASS
    assert by_id["ceo"].verdicts[Check.CONTENT].outcome is FAIL
    assert by_id["moon"].verdicts[Check.ABSTENTION].outcome is PASS
    content = run.checks[Check.CONTENT]
    assert (content.mean, content.n, content.unmeasured) == (0.5, 2, 1)
    assert content.low is None
    assert "interval needs 10" in content.reason
    assert Check.LABEL not in run.checks
    assert run.measures["retrieval.mrr"].n == 1
    assert (run.n, run.failed, run.timed) == (3, 0, 3)
    assert run.latency_ms["p95"] >= run.latency_ms["p50"] > 0


def test_declines_have_precision_and_recall(world: World) -> None:
    silent = FakeChat(lambda request: "The documents do not say." if "Ada" in request.question else speak(request))
    talked = example("talked", RETURNS.question, abstain=True)
    suite = Suite("s", (*SUITE.examples, talked))
    run, rows = finish(evaluate(suite, replace(Recipe(), cite=False), setup(world, silent)))
    assert {row.id: row.abstained for row in rows} == {"returns": False, "ceo": True, "moon": True, "talked": False}
    assert run.measures["abstention.precision"].mean == 0.5
    assert run.measures["abstention.recall"].mean == 0.5


def test_an_ungrounded_sentence_fails_also_without_retrieval(world: World) -> None:
    liar = FakeChat(lambda request: "Ada Lindqvist has been chief executive since 2018.")
    recipe = Recipe("closed-book", context=Context.NONE, cite=False)
    _, rows = finish(evaluate(Suite("s", (CEO,)), recipe, setup(world, liar)))
    verdicts = rows[0].verdicts
    assert verdicts[Check.GROUNDED].outcome is FAIL
    assert "2018 is not in the range" in verdicts[Check.GROUNDED].reason
    assert verdicts[Check.RETRIEVAL].outcome is UNMEASURED


class Sure:
    """A verifier that finds everything borne out, or nothing."""

    name = "sure"

    def __init__(self, probability: float) -> None:
        self.probability = probability
        self.asked: list[tuple[str, str]] = []

    def support(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        self.asked += pairs
        return np.full(len(pairs), self.probability, dtype=np.float32)


def test_a_verifier_decides_what_is_grounded_but_never_about_figures(world: World) -> None:
    recipe = Recipe("closed-book", context=Context.NONE, cite=False)

    def grounded(text: str, probability: float) -> Outcome:
        verifier = Sure(probability)
        ready = replace(setup(world, FakeChat(lambda request: text)), verifier=verifier)
        asked = replace(CEO, question=f"{CEO.question} ({text})")
        _, rows = finish(evaluate(Suite("s", (asked,)), replace(recipe, verifier=str(probability)), ready))
        assert all(claim == text for claim, _ in verifier.asked)
        assert verifier.asked
        return rows[0].verdicts[Check.GROUNDED].outcome

    assert grounded("Her tenure at the top of the company began years ago.", 0.9) is PASS
    assert grounded("Her tenure at the top of the company began years ago.", 0.1) is FAIL
    assert grounded("Ada Lindqvist has been chief executive since 2018.", 0.9) is FAIL


def test_gold_is_shown_only_the_evidence(world: World) -> None:
    model = FakeChat(speak)
    finish(evaluate(Suite("s", (RETURNS,)), Recipe("gold", context=Context.GOLD), setup(world, model)))
    assert model.requests[0].passages == ("within 45 business days of delivery",)


def test_interrupted_anywhere_and_started_again_no_call_is_made_twice(world: World, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, _ = finish(evaluate(SUITE, Recipe(), setup(shop(tmp_path / "whole")), draws=2))
    model = FakeChat(speak)
    for stop_after in (1, 2):
        flow = evaluate(SUITE, Recipe(), setup(world, model), draws=2, workers=1)
        got = 0
        for event in flow:
            got += isinstance(event, Row)
            if got == stop_after:
                break
        flow.close()
    run, fresh = finish(evaluate(SUITE, Recipe(), setup(world, model), draws=2))
    prompts = [(request.question, request.messages) for request in model.requests]
    assert max(prompts.count(one) for one in prompts) <= 2, "once for each draw"
    assert len(fresh) <= 3
    assert run.checks == whole.checks
    assert run.every_draw == whole.every_draw
    assert run.n == 6
    again, none = finish(evaluate(SUITE, Recipe(), setup(world, model), draws=2))
    assert (none, again.id, again.checks) == ([], run.id, run.checks)


def test_inconsistency_is_a_failure_of_its_own(world: World) -> None:
    said = iter(["It is 2019 [1].", "It is 2018 [1]."] * 5)
    fickle = FakeChat(lambda request: next(said))
    recipe = replace(Recipe(), cite=False)
    run, _ = finish(evaluate(Suite("s", (CEO,)), recipe, setup(world, fickle), draws=2, workers=1))
    assert run.checks[Check.CONTENT].mean == 0.5
    assert run.every_draw[Check.CONTENT].mean == 0.0


def test_a_model_that_fails_on_a_row_gives_a_row_with_its_reason_and_is_asked_again(world: World) -> None:
    slow = ProviderProblem("no reply within 60 s", ProviderKind.TIMEOUT)
    model = FakeChat(speak, failures={2: slow})
    run, rows = finish(evaluate(SUITE, Recipe(), setup(world, model), workers=1))
    (failed,) = [row for row in rows if row.failure]
    assert run.failed == 1
    assert failed.verdicts[Check.CONTENT] == Verdict(UNMEASURED, "no answer: no reply within 60 s")
    calls = len(model.requests)
    mended, again = finish(evaluate(SUITE, Recipe(), setup(world, model), workers=1))
    assert [row.id for row in again] == [failed.id]
    assert len(model.requests) == calls + 1
    assert (mended.id, mended.failed) == (run.id, 0)
    assert len(list(rows_of(setup(world), run.id))) == 3


def test_what_would_fail_everywhere_ends_the_run(world: World) -> None:
    wrong_key = ProviderProblem("the key is wrong", ProviderKind.AUTH)
    with pytest.raises(ProviderProblem, match="key is wrong"):
        finish(evaluate(SUITE, Recipe(), setup(world, FakeChat(speak, failures={1: wrong_key})), workers=1))


def test_another_corpus_recipe_or_suite_is_another_run(world: World) -> None:
    first, _ = finish(evaluate(SUITE, Recipe(), setup(world)))
    other, _ = finish(evaluate(SUITE, Recipe(k=2), setup(world)))
    fewer, _ = finish(evaluate(Suite("shop", SUITE.examples[:2]), Recipe(), setup(world)))
    world.put("new.md", "The moon is 384,400 km away.")
    later, _ = finish(evaluate(SUITE, Recipe(), setup(world)))
    assert len({first.id, other.id, fewer.id, later.id}) == 4


def test_nothing_to_ask_is_said_before_anything_is_asked(world: World) -> None:
    for suite, split, message in (
        (Suite("none", ()), None, "the suite none is empty"),
        (SUITE, Split.TRAIN, "no example of shop is in train"),
        (Suite("s", (replace(CEO, draft=True),)), None, "all examples of s are drafts"),
    ):
        with pytest.raises(UsageProblem, match=message):
            next(evaluate(suite, Recipe(), setup(world), split=split))
    trained = Suite("s", (replace(CEO, split=Split.TRAIN), RETURNS))
    _, rows = finish(evaluate(trained, Recipe(), setup(world), split=Split.TEST))
    assert [row.id for row in rows] == ["returns"]


def test_an_example_sees_only_what_its_tags_open_and_its_row_is_as_closed(world: World) -> None:
    world.put("hr/salaries.md", "Ada Lindqvist earns 90,000 euros a year.", access=frozenset({"hr"}))
    question = example("pay", "How much does Ada Lindqvist earn?", facts=["90,000 euros"])
    model = FakeChat(lambda request: " ".join(request.passages)[:120] + " [1]")
    finish(evaluate(Suite("out", (question,)), Recipe(), setup(world, model)))
    assert not any("90,000" in passage for request in model.requests for passage in request.passages)
    inside = replace(question, access=frozenset({"hr"}))
    run, _ = finish(evaluate(Suite("in", (inside,)), Recipe(), setup(world, model)))
    assert any("90,000" in passage for request in model.requests for passage in request.passages)
    kept = list(world.records.select("row", frozenset({EVERYTHING}), parent=run.id))
    assert "hr" in kept[0].access
    assert list(world.records.select("row", frozenset(), parent=run.id)) == []
    world.records.purge("hr/salaries.md")
    assert list(rows_of(setup(world), run.id)) == []


def test_rows_and_runs_are_json_and_back(world: World) -> None:
    run, rows = finish(evaluate(SUITE, Recipe(), setup(world)))
    for row in rows:
        body = row_json(row)
        assert row_json(row_of(body)) == body
        assert row_of(body).verdicts == row.verdicts
        assert row_of(body).citations == row.citations
    body = run_json(run)
    assert body["checks"]["content"]["mean"] == 0.5
    assert {"run_id", "recipe", "suite", "n", "checks", "latency_ms", "tokens", "cost_per_1000_usd"} <= body.keys()


def test_a_run_counts_remembered_replies_as_they_were_made_and_does_not_pay_them_again(world: World) -> None:
    paid = replace(setup(world), price=Price(1.0, 1.0))
    first, _ = finish(evaluate(Suite("s", (RETURNS, CEO)), Recipe(), paid))
    again, rows = finish(evaluate(Suite("again", (RETURNS, CEO, MOON)), Recipe(), paid))
    assert [row.remembered for row in sorted(rows, key=lambda row: row.id)] == [True, False, True]
    assert (first.remembered, again.remembered, again.timed) == (0, 2, 3)
    assert first.paid_usd == first.usage.cost_usd
    moon = next(row for row in rows if row.id == "moon")
    assert again.paid_usd == moon.usage.cost_usd
    assert again.usage.prompt_tokens == first.usage.prompt_tokens + moon.usage.prompt_tokens
    assert run_json(again)["paid_usd"] == again.paid_usd


def test_a_run_of_any_size_keeps_few_rows(world: World) -> None:
    many = Suite("many", tuple(replace(RETURNS, id=f"r{i}") for i in range(60)))
    flow = evaluate(many, Recipe("closed-book", context=Context.NONE, cite=False), setup(world), workers=2)
    most = 0
    for event in flow:
        if isinstance(event, Row):
            most = max(most, sum(isinstance(one, Row | Asking) for one in gc.get_objects()))
    assert most < 20


def test_what_a_tally_keeps_of_a_row_is_small_and_what_it_says_is_what_the_rows_say() -> None:
    rest = dict.fromkeys(Check, Verdict(UNMEASURED, ""))
    passed = rest | {Check.CONTENT: Verdict(PASS, "as expected", {"f1": 0.5})}
    tracemalloc.start()
    tally = Tally(Row(str(i % 500), "g", i // 500, "what it said " * 50, False, passed) for i in range(5_000))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 5_000 < 200
    assert tally.shares()[Check.CONTENT].n == 5_000
    assert (tally.every_draw()[Check.CONTENT].n, tally.every_draw()[Check.CONTENT].mean) == (500, 1.0)
    assert tally.measures()["content.f1"].mean == 0.5


def test_rows_of_a_file_are_read_when_looked_at(world: World, tmp_path: Path) -> None:
    _, rows = finish(evaluate(SUITE, Recipe(), setup(world)))
    path = tmp_path / "rows.jsonl"
    write_lines(map(row_json, rows), path)
    kept = RowsFile(path)
    assert len(kept) == 3
    assert [row_json(row) for row in kept] == [row_json(row) for row in rows]
    assert row_json(kept[-1]) == row_json(rows[-1])
    assert [row.id for row in kept[:2]] == [row.id for row in rows[:2]]
    path.unlink()
    with pytest.raises(NotFound, match="are gone"):
        kept[0]


# --- compare ----------------------------------------------------------------------------------------------


def made(outcomes: str, draw: int = 0) -> list[Row]:
    """Rows `0`, `1`, … whose content passes (+), fails (-) or is unmeasured (?)."""
    named = {"+": PASS, "-": FAIL, "?": UNMEASURED}
    rest = dict.fromkeys(Check, Verdict(UNMEASURED, ""))
    return [
        Row(str(i), f"g{i // 2}", draw, "", False, rest | {Check.CONTENT: Verdict(named[sign], "")})
        for i, sign in enumerate(outcomes)
    ]


def test_a_pair_names_what_got_fixed_and_what_got_broken() -> None:
    (pair,) = compare({"a": made("--++-+" * 5), "b": made("++-+?+" * 5)}, "a")
    assert (pair.a, pair.b, pair.check, pair.n, pair.groups) == ("a", "b", Check.CONTENT, 25, 15)
    assert pair.fixed == ("0", "1", "6", "7", "12", "13", "18", "19", "24", "25")
    assert pair.broken == ("2", "8", "14", "20", "26")
    assert pair.difference == pytest.approx(0.2)
    assert pair.p_adjusted == pair.p


def test_several_recipes_are_adjusted_together_and_few_groups_have_no_interval() -> None:
    base = "-" * 14
    rows = {"a": made(base), "b": made("+" * 14), "c": made("+" * 8 + "-" * 6), "d": made("?" * 14)}
    b, c, d = compare(rows, "a")
    assert b.p == pytest.approx(2 / 2**7)
    assert b.p_adjusted == pytest.approx(2 * 2 / 2**7)
    assert c.p_adjusted is not None
    assert c.p is not None
    assert c.p_adjusted >= c.p
    assert (b.low, b.reason) == (None, "7 groups; an interval needs 10")
    assert (d.p, d.difference, d.reason) == (None, None, "no example has content measured in both")


def test_draws_count_as_shares() -> None:
    (pair,) = compare({"a": made("++") + made("--", 1), "b": made("++") + made("+-", 1)}, "a")
    assert (pair.n, pair.difference, pair.fixed) == (2, 0.25, ("0",))


def test_a_baseline_must_be_there_and_something_beside_it() -> None:
    with pytest.raises(UsageProblem, match="x is not among the compared recipes"):
        compare({"a": [], "b": []}, "x")
    with pytest.raises(UsageProblem, match="nothing to compare a with"):
        compare({"a": []}, "a")


def test_every_draw_has_a_seed_of_its_own_where_the_temperature_lets_it_count(world: World) -> None:
    warm, cold = (replace(Recipe(), sampling=Sampling(temperature=t)) for t in (0.7, 0.0))
    for recipe, seeds in ((warm, [0, 1, 2]), (cold, [0, 0, 0])):
        model = FakeChat(speak)
        finish(evaluate(Suite("one", (RETURNS,)), recipe, setup(world, model), draws=3))
        assert sorted(request.sampling.seed or 0 for request in model.requests) == seeds


# --- the journal ------------------------------------------------------------------------------------------


def test_dear_calls_are_kept_at_once_and_cheap_ones_together(world: World) -> None:
    journal = Journal(world.records)
    everything = frozenset({EVERYTHING})
    journal.put([Record("trace", "t", {}, access=frozenset({"hr"}))])
    assert world.records.get("trace", "t", everything) is None
    assert journal.get("trace", "t", everything) is not None
    assert journal.get("trace", "t", frozenset()) is None, "what waits is as closed as what is written"
    journal.put([Record("call", "cheap", {"ms": 1.0})])
    assert world.records.get("call", "cheap", everything) is None
    journal.put([Record("call", "dear", {"ms": 900.0})])
    assert {one for one in ("cheap", "dear") if world.records.get("call", one, everything)} == {"cheap", "dear"}
    journal.put([Record("row", "r", {}, parent="run")])
    assert [record.id for record in journal.select("row", everything, parent="run")] == ["r"]
