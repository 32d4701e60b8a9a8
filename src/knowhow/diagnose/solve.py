"""One case: from what is known without a call, one intervention at a time, until the cause is sure or calls run out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from knowhow.answer.trace import KIND as TRACE
from knowhow.diagnose.case import Case, Lab
from knowhow.diagnose.interventions import attempt, moves
from knowhow.diagnose.posterior import Belief, Sets, next_move, verdict
from knowhow.diagnose.signals import signals
from knowhow.ports import Record
from knowhow.types import EVERYTHING, Cause, Json, Move, Response, Side, Signals, Trial, fingerprint

MOST = 10
"""Model calls for one case."""
KIND = "trial"
_ALL = frozenset({EVERYTHING})


@dataclass(frozen=True, slots=True)
class Opened:
    """How far a case has come: what is known of it, what can be tried and what was."""

    case: Case
    signals: Signals
    belief: Belief
    reasons: Mapping[Move, str]
    """Every move with "", or why it is not possible."""
    trials: tuple[Trial, ...] = ()

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes to name, or `UNDETERMINED` alone."""
        return verdict(self.belief)

    def next(self, left: int) -> Move | None:
        """The move to try with `left` calls; None where it is sure, no call is left, or none would tell more."""
        if left < 1:
            return None
        return next_move(self.belief, [move for move, reason in self.reasons.items() if not reason], float(left))

    def after(self, trial: Trial) -> Opened:
        """The case once a trial is seen; a move the model failed on altogether is not tried again."""
        failed = all(response is Response.UNMEASURED for response in trial.responses.values())
        reasons = {**self.reasons, trial.move: trial.reason} if failed else self.reasons
        return replace(self, belief=self.belief.after(trial), reasons=reasons, trials=(*self.trials, trial))

    def stopped(self, most: int) -> str:
        """Why no more was tried, in words."""
        if self.belief.sure:
            return "sure enough"
        return f"{most} calls were made" if len(self.trials) >= most else "nothing that is left would tell more"


def opened(case: Case, lab: Lab, sets: Sets) -> Opened:
    """The case before anything is tried."""
    found = signals(case, lab)
    return Opened(case, found, Belief.start(found, case.sides, sets), moves(case, lab))


def solve(case: Case, lab: Lab, sets: Sets, *, most: int = MOST) -> Opened:
    """Tries what tells most about the cause per call, until it is sure or `most` calls are made.

    Raises `ProviderProblem` where the model cannot be used.
    """
    now = opened(case, lab, sets)
    while move := now.next(most - len(now.trials)):
        now = now.after(attempt(case, lab, move, len(now.trials)))
    return now


def remembered(case: Case, lab: Lab, move: Move, draw: int, key: str) -> Trial:
    """Like `attempt`, but a trial that was made before under the same `key` is read from the journal, trace and all.

    Kept under the tags and documents of its trace, so that it is hidden and purged with them.
    """
    id = fingerprint([key, case.example, case.recipe.hash, move, draw], 32)
    known = lab.setup.records.get(KIND, id, _ALL)
    if known is not None:
        return trial_of(known.body)
    trial = attempt(case, lab, move, draw)
    trace = lab.setup.records.get(TRACE, trial.trace_id, _ALL) if trial.trace_id else None
    if trace is not None:
        lab.setup.records.put([Record(KIND, id, trial_json(trial), access=trace.access, uris=trace.uris)])
    return trial


def trial_json(trial: Trial) -> Json:
    """A trial as the journal keeps it."""
    return {**asdict(trial), "responses": {side.value: found.value for side, found in trial.responses.items()}}


def trial_of(body: Json) -> Trial:
    """The trial that `trial_json` wrote."""
    responses = {Side(side): Response(found) for side, found in body["responses"].items()}
    return Trial(**{**body, "move": Move(body["move"]), "responses": responses})
