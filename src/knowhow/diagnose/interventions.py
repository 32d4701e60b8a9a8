"""Interventions: a failed case asked again, freshly drawn, with one thing changed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from knowhow.answer import prompt
from knowhow.answer.trace import KIND as TRACE
from knowhow.answer.trace import Trace
from knowhow.diagnose.case import ANSWERED, Case, Lab
from knowhow.diagnose.passages import Shows, fitting, shows
from knowhow.diagnose.telling import told
from knowhow.errors import UsageProblem
from knowhow.evaluate.single import Asking, Setup, ask_one
from knowhow.evaluate.statements import Mention, mention
from knowhow.types import (
    EVERYTHING,
    Check,
    Context,
    Form,
    Hit,
    Move,
    Outcome,
    Recipe,
    Response,
    Row,
    Side,
    Trial,
)

FRESH = 1000
"""The draw number of a case's first trial: above what evaluations use, so that no trial repeats a logged draw."""
SHOTS = 3
"""Worked examples shown beside an explicit instruction."""
_CONSTRAINED = (Move.CONSTRAINED, Move.GOLD_CONSTRAINED)
_INSTRUCTED = (Move.INSTRUCTED, Move.GOLD_INSTRUCTED)
_GOLDEN = (Move.GOLD, Move.SWAPPED, Move.GOLD_CONSTRAINED, Move.GOLD_INSTRUCTED)
_KNOWN = (Check.CONTENT, Check.ABSTENTION)
_OPENERS = (
    "", "Read everything below before you reply.", "Here is what to do.", "Please do the following.",
    "Work through the following with care.", "This is the task.", "Please read on.", "The task is as follows.",
    "Take the time you need.", "Below is a request.", "You will find the task here.",
)  # fmt: skip
_CLOSERS = ("", "Thank you.", "That is all.", "Please begin.", "Go ahead.", "This is the whole task.", "Now reply.")
"""Sentences that ask for nothing: before and after an instruction they are a new wording of it."""
_STEP = 29
"""Coprime to the number of wordings, so that none comes twice before all have come."""


def moves(case: Case, lab: Lab) -> Mapping[Move, str]:
    """Every move with "" where it is possible, else the reason why it is not."""
    return {move: _plan(case, lab, move).reason for move in Move}


def attempt(case: Case, lab: Lab, move: Move, draw: int) -> Trial:
    """One draw of one intervention. `draw` counts from 0 over all trials of the case; none repeats one of the run's.

    At temperature 0 a draw shuffles the passages and puts one of 76 pairs of sentences that ask for nothing around the
    instructions, both seeded by draw and example, since the same prompt would only repeat the same reply; above 0
    the draw number is the seed and nothing else changes. Raises `UsageProblem` for a move that is not possible and
    `ProviderProblem` where the model cannot be used; a model that fails on this prompt alone is an unmeasured response.
    """
    plan = _plan(case, lab, move)
    if plan.reason:
        raise UsageProblem(f"{move} cannot be tried on {case.example.id}: {plan.reason}")
    recipe, hits = _freshly(case, plan, draw)
    number = max(FRESH, 1 + max((row.draw for row in case.rows), default=0)) + draw
    grounding = Check.GROUNDED in case.failed and move is not Move.NO_CONTEXT
    asking = Asking(case.example, recipe, case.evidence, number, grounding, hits, plan.shows.overlay)
    row, _, _ = ask_one(plan.setup, asking)
    found = {side: _response(case, plan, row, side) for side in sorted(Side)}
    # what was not seen to fail may have been masked by what did: a style shows only once there is an answer
    responses = {side: one for side, one in found.items() if side in case.sides or one is not Response.UNMEASURED}
    return Trial(move, draw, responses, row.answer, _reason(case, plan, row), row.trace_id, row.usage.cost_usd)


# --- what is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """A move worked out for one case, before a draw of it is made."""

    move: Move
    recipe: Recipe
    setup: Setup
    shows: Shows = field(default_factory=Shows)
    reason: str = ""


def _plan(case: Case, lab: Lab, move: Move) -> _Plan:
    recipe, reason = _recipe(case, lab, move)
    setup = lab.stronger if move is Move.STRONGER and lab.stronger else lab.setup
    if not reason:
        found = shows(case, lab, move)
        reason = found.reason
    if reason:
        return _Plan(move, recipe, setup, reason=reason)
    recipe = replace(recipe, budget=max(recipe.budget, found.budget))
    if move is Move.STRONGER:
        recipe = replace(recipe, model=setup.model.name, adapter="")
    fitted = replace(found, hits=fitting(found.hits, case, replace(lab, setup=setup), recipe))
    return _Plan(move, recipe, setup, fitted)


def _recipe(case: Case, lab: Lab, move: Move) -> tuple[Recipe, str]:
    """The recipe as the example is asked with it under `move`, or the reason why it cannot be."""
    recipe = case.recipe
    if move is Move.NO_CONTEXT:
        if not set(case.failed) & set(_KNOWN):
            return recipe, "what it said was not wrong"
        recipe = replace(recipe, context=Context.NONE, cite=False)
    elif recipe.context is Context.NONE and move in _GOLDEN:
        recipe = replace(recipe, context=Context.GOLD)
    if move in _CONSTRAINED:
        return _constrained(case, lab, recipe)
    if move in _INSTRUCTED:
        return _instructed(case, lab, recipe)
    if move is Move.SWAPPED and not set(case.failed) & set(_KNOWN):
        return recipe, "what it said was not wrong"
    if move is Move.STRONGER and lab.stronger is None:
        return recipe, "no stronger model is named (--stronger MODEL)"
    if move is Move.PROBE:
        return recipe, "a trained probe is not available in this version"
    return lab.fitted(recipe, case.example), ""


def _constrained(case: Case, lab: Lab, recipe: Recipe) -> tuple[Recipe, str]:
    expect = case.example.expect
    if expect.schema is None and not expect.labels:
        return recipe, "no schema and no labels are expected that could be enforced"
    if recipe.schema is not None or recipe.form is Form.CONSTRAINED:
        return recipe, "the output is constrained already"
    return lab.fitted(replace(recipe, form=Form.CONSTRAINED), case.example), ""


def _instructed(case: Case, lab: Lab, recipe: Recipe) -> tuple[Recipe, str]:
    before = lab.fitted(recipe, case.example)
    form = Form.TOLD if recipe.form is Form.FREE else recipe.form
    try:
        fitted = lab.fitted(replace(recipe, form=form, shots=max(recipe.shots, SHOTS)), case.example)
    except UsageProblem:  # no train split to draw from
        fitted = lab.fitted(replace(recipe, form=form), case.example)
    words = told(case, recipe)
    if words:
        own = fitted.instructions or prompt.standard(fitted)
        fitted = replace(fitted, instructions=f"{own}\n{words}")
    if fitted == replace(before, form=form):
        return recipe, "there is nothing more to tell, and no worked example to show"
    return fitted, ""


def _freshly(case: Case, plan: _Plan, draw: int) -> tuple[Recipe, tuple[Hit, ...]]:
    recipe, hits = plan.recipe, plan.shows.hits
    if recipe.sampling.temperature > 0:
        return recipe, hits
    dice = random.Random(f"{case.example.id}/{draw}")
    shuffled = tuple(dice.sample(hits, len(hits)))
    own = recipe.instructions or prompt.standard(recipe)
    others = len(_OPENERS) * len(_CLOSERS) - 1  # all but the first, which says nothing
    at = draw * _STEP % others + 1
    around = (_OPENERS[at % len(_OPENERS)], own, _CLOSERS[at // len(_OPENERS)])
    return replace(recipe, instructions=" ".join(filter(None, around))), shuffled


# --- what came of it --------------------------------------------------------------------------------------


def _response(case: Case, plan: _Plan, row: Row, side: Side) -> Response:
    """How a side that had failed came out: it passes when none of its checks fails and one of them was measured."""
    if row.failure:
        return Response.UNMEASURED
    if plan.shows.swapped is not None and side is Side.KNOWLEDGE:
        return _followed(plan, row)
    outcomes = [row.verdicts[check].outcome for check in _looked_at(case, plan.move, side)]
    if Outcome.FAIL in outcomes:
        return Response.FAIL
    return Response.PASS if Outcome.PASS in outcomes else Response.UNMEASURED


def _looked_at(case: Case, move: Move, side: Side) -> Sequence[Check]:
    """The checks that had failed and those that a changed answer may newly fail; without context, no sources."""
    if side is Side.BEHAVIOUR:
        return [check for check in ANSWERED if check.side is side]
    failed = () if move is Move.NO_CONTEXT else tuple(check for check in case.failed if check.side is side)
    return list(dict.fromkeys((*_KNOWN, *failed)))


def _followed(plan: _Plan, row: Row) -> Response:
    """What the model itself replied, also where no sentence of it was borne out and the answer became a decline."""
    swapped = plan.shows.swapped
    record = plan.setup.records.get(TRACE, row.trace_id, frozenset({EVERYTHING}))
    said = Trace.from_json(record.body).raw if record else row.answer
    if swapped is None:
        return Response.UNMEASURED
    if mention(said, swapped.false) is Mention.STATED:
        return Response.FOLLOWED
    original = any(mention(said, one) is Mention.STATED for one in swapped.alternatives)
    return Response.REMEMBERED if original else Response.FAIL


def _reason(case: Case, plan: _Plan, row: Row) -> str:
    if row.failure:
        return row.failure
    if plan.shows.swapped is not None:
        return f'shown "{plan.shows.swapped.false}" instead of "{plan.shows.swapped.original}"'
    for side in sorted(case.sides):
        for check in _looked_at(case, plan.move, side):
            if row.verdicts[check].outcome is Outcome.FAIL:
                return f"{check}: {row.verdicts[check].reason}"
    return "all checks that had failed pass"
