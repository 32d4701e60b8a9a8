"""The belief about a case: a probability whatever is seen, in whatever order, and moved by what tells causes apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowhow.diagnose.expected import FINDINGS, MOVES, SINGLE
from knowhow.diagnose.posterior import Belief, Sets, information, next_move, pooled, verdict
from knowhow.diagnose.rates import Known, Rates, Temper, learn
from knowhow.diagnose.temper import simulated
from knowhow.types import Cause, Move, Response, Side, Signals, Trial

SETS = Sets(Rates())
values = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(sorted({value for table in kinds.values() for value in table}))
        for name, kinds in FINDINGS.items()
        if not name.startswith("fails.")
    },
)
responses = st.dictionaries(
    st.sampled_from(list(Side)), st.sampled_from([Response.PASS, Response.FAIL, Response.UNMEASURED]), min_size=1
)
trials = st.lists(st.builds(lambda move, found: trial(move, found), st.sampled_from(list(Move)), responses), max_size=8)
sides = st.sets(st.sampled_from(list(Side)), min_size=1)


def trial(move: Move, found: dict[Side, Response]) -> Trial:
    return Trial(move, 0, found, "", "")


def told(failed: str = "content", **findings: str) -> Signals:
    return Signals({"failed": failed, **{name.replace("_", "-"): value for name, value in findings.items()}})


def belief(signals: Signals, *seen: Trial, sets: Sets = SETS, failed: frozenset[Side] | None = None) -> Belief:
    found = Belief.start(signals, failed or frozenset({Side.KNOWLEDGE}), sets)
    for one in seen:
        found = found.after(one)
    return found


@settings(max_examples=15, deadline=None)
@given(values, sides, trials)
def test_the_posterior_is_a_probability_and_the_order_of_trials_is_irrelevant(
    found: dict[str, str], failed: set[Side], seen: list[Trial]
) -> None:
    signals = Signals({"failed": "content", **found})
    one, other = Belief.start(signals, failed, SETS), Belief.start(signals, failed, SETS)
    for item in seen:
        one = one.after(item)
    for item in reversed(seen):
        other = other.after(item)
    assert sum(one.posterior.values()) == pytest.approx(1.0)
    assert min(one.weights) >= 0
    assert np.allclose(one.weights, other.weights)


@settings(max_examples=8, deadline=None)
@given(values, trials, st.sampled_from(MOVES))
def test_what_was_not_measured_changes_nothing(found: dict[str, str], seen: list[Trial], move: Move) -> None:
    before = Belief.start(Signals(found), {Side.KNOWLEDGE}, SETS)
    for item in seen:
        before = before.after(item)
    after = before.after(trial(move, dict.fromkeys(Side, Response.UNMEASURED)))
    assert np.allclose(before.weights, after.weights)


@settings(max_examples=8, deadline=None)
@given(values, sides, trials, st.sampled_from(MOVES))
def test_information_is_never_negative_nor_more_than_there_is_to_learn(
    found: dict[str, str], failed: set[Side], seen: list[Trial], move: Move
) -> None:
    now = Belief.start(Signals(found), failed, SETS)
    for item in seen:
        now = now.after(item)
    weights = now.weights[now.weights > 0]
    assert -1e-9 <= information(now, move) <= -float(weights @ np.log(weights)) + 1e-9


def test_an_unknown_finding_and_one_that_is_the_same_for_all_change_nothing() -> None:
    plain = belief(told(evidence="in-context"))
    assert np.allclose(plain.weights, belief(told(evidence="in-context", colour="green")).weights)
    assert np.allclose(plain.weights, belief(told(evidence="in-context", draws="one")).weights)


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        ("in-source", Cause.LOST),
        ("absent", Cause.MISSING),
        ("in-index", Cause.UNFOUND),
        ("in-candidates", Cause.OUTRANKED),
    ],
)
def test_where_the_evidence_stopped_is_what_comes_first(evidence: str, cause: Cause) -> None:
    assert belief(told(evidence=evidence)).best[0] == (cause,)


def test_experiments_overturn_a_first_guess() -> None:
    signals = told(evidence="in-context", versions="one", abstained="no", gold="stated")
    mended = {Side.KNOWLEDGE: Response.PASS}
    failing = {Side.KNOWLEDGE: Response.FAIL}
    unused = belief(signals, trial(Move.REPLAY, failing), trial(Move.GOLD, mended), trial(Move.FOCUSED, mended))
    wrong = belief(signals, *(trial(move, failing) for move in (Move.GOLD, Move.GOLD_INSTRUCTED, Move.STRONGER)))
    wavering = belief(signals, *(trial(Move.REPLAY, found) for found in (mended, failing, mended, failing)))
    assert unused.best[0] == (Cause.UNUSED,)
    assert wrong.best[0] == (Cause.MEASUREMENT,)
    assert wavering.best[0] == (Cause.UNSTABLE,)


def test_a_compound_is_mended_only_by_what_mends_both() -> None:
    signals = told("content+format", evidence="absent", form="untold", schema="invalid")
    both = dict.fromkeys(Side, Response.FAIL)
    now = belief(signals, trial(Move.GOLD, both), trial(Move.CONSTRAINED, {**both, Side.BEHAVIOUR: Response.PASS}),
                 trial(Move.GOLD_CONSTRAINED, dict.fromkeys(Side, Response.PASS)), failed=frozenset(Side))  # fmt: skip
    assert set(now.best[0]) == {Cause.MISSING, Cause.FORMAT}


def test_a_fault_that_another_masked_shows_once_that_one_is_mended() -> None:
    signals = told("content+abstention", evidence="absent", abstained="wrongly", form="untold")
    mended = {Side.KNOWLEDGE: Response.PASS}
    alone = belief(signals, trial(Move.GOLD, {**mended, Side.BEHAVIOUR: Response.PASS}))
    masked = belief(signals, *(trial(Move.GOLD, {**mended, Side.BEHAVIOUR: Response.FAIL}) for _ in range(3)))
    assert alone.best[0] == (Cause.MISSING,)
    assert set(masked.best[0]) == {Cause.MISSING, Cause.STYLE}


def test_nothing_is_named_that_is_as_likely_wrong_as_right() -> None:
    assert verdict(belief(Signals({}))) == (Cause.UNDETERMINED,)


def test_the_next_move_is_affordable_possible_and_none_once_it_is_sure() -> None:
    open_ = belief(told(evidence="in-context"))
    assert next_move(open_, [Move.GOLD, Move.REPLAY], 10) in (Move.GOLD, Move.REPLAY)
    assert next_move(open_, [], 10) is None
    assert next_move(open_, [Move.GOLD], 0) is None
    assert next_move(open_, [Move.PROBE], 10) is None
    mended = {Side.KNOWLEDGE: Response.PASS}
    trusting = Sets(Rates(temper=Temper(1.0, 1.0, 30.0)))
    found = told(
        evidence="absent", gold="unknown", abstained="wrongly", decline="nothing-relevant", form="none", asks=""
    )
    sure = belief(found, *(trial(Move.GOLD, mended) for _ in range(6)), sets=trusting)
    assert sure.sure
    assert next_move(sure, list(Move), 10) is None


def test_a_cluster_sharpens_its_cases_but_evidence_of_their_own_still_counts() -> None:
    vague = belief(told(evidence="in-context"))
    failing = trial(Move.REPLAY, {Side.KNOWLEDGE: Response.FAIL})
    clear = belief(told(evidence="in-context", versions="conflicting", said="superseded"), failing)
    mended = trial(Move.GOLD, {Side.KNOWLEDGE: Response.PASS})
    odd = belief(told(evidence="absent", gold="unknown", abstained="wrongly"), mended, mended)
    together = pooled([vague, *[clear] * 6, odd])
    stale = vague.sets.sets.index((Cause.STALE,))
    assert together[0].weights[stale] > vague.weights[stale]
    assert together[-1].best[0] == (Cause.MISSING,)
    assert pooled([]) == []


# --- learning ----------------------------------------------------------------------------------------------


def planted(number: int, kind: str, cause: Cause, passes: bool, **findings: str) -> Known:
    found = {Side.KNOWLEDGE: Response.PASS if passes else Response.FAIL}
    return Known(
        f"{kind}-{number}", (kind,), (cause,), f"group {number}", told(**findings), frozenset({Side.KNOWLEDGE}),
        tuple(trial(move, found) for move in (Move.GOLD, Move.WIDE)),
    )  # fmt: skip


def test_learned_rates_move_from_what_was_expected_towards_what_was_seen() -> None:
    seen = [planted(i, "buried", Cause.UNUSED, i % 10 != 0, evidence="in-context") for i in range(50)]
    rates = learn("m", seen)
    before = Rates().response(Cause.UNUSED, "", Move.WIDE, Side.KNOWLEDGE)[Response.PASS]
    learned = rates.response(Cause.UNUSED, "buried", Move.WIDE, Side.KNOWLEDGE)[Response.PASS]
    other = rates.response(Cause.UNUSED, "", Move.WIDE, Side.KNOWLEDGE)[Response.PASS]
    assert before < other < learned
    assert learned == pytest.approx(0.9, abs=0.08)
    assert sum(rates.finding(Cause.UNUSED, "buried", "evidence").values()) == pytest.approx(1.0)


def test_a_kind_that_was_never_learned_is_still_told() -> None:
    seen = [planted(i, "deleted", Cause.MISSING, True, evidence="unnamed") for i in range(60)]
    sets = Sets(learn("m", seen))
    now = belief(told(evidence="absent"), trial(Move.GOLD, {Side.KNOWLEDGE: Response.PASS}), sets=sets)
    assert now.best[0] == (Cause.MISSING,)


def test_rates_survive_json() -> None:
    rates = learn("m", [planted(1, "buried", Cause.UNUSED, True)], [told("", evidence="in-context")], Temper(0.3, 1, 2))
    assert Rates.from_json(json.loads(json.dumps(rates.to_json()))) == rates


def test_a_simulated_diagnosis_uses_only_the_trials_there_are() -> None:
    case = planted(1, "buried", Cause.UNUSED, True, evidence="in-context")
    _, calls = simulated(case, SETS)
    assert 1 <= calls <= 2


def test_every_cause_has_an_expected_response_to_every_move() -> None:
    for cause in SINGLE:
        for move in MOVES:
            for side in Side:
                assert sum(Rates().response(cause, "", move, side).values()) == pytest.approx(1.0)
