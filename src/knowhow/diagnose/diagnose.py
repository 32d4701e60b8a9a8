"""Diagnose: a run's failures traced to their causes, case by case and cluster by cluster, within a bound of calls."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from knowhow.diagnose.case import Case, Lab
from knowhow.diagnose.clusters import Group, grouped, shares
from knowhow.diagnose.fixes import Names, cluster_fix, fix_of, mended_by
from knowhow.diagnose.posterior import Sets, pooled
from knowhow.diagnose.rates import Rates
from knowhow.diagnose.solve import MOST, Opened, opened, remembered
from knowhow.diagnose.words import why
from knowhow.errors import ProviderProblem
from knowhow.evaluate.evaluate import code_version
from knowhow.evaluate.journal import Journal
from knowhow.types import CaseDiagnosis, Cause, Cluster, Diagnosis, Fix, Move, Progress, Trial, fingerprint

POOLED = 3
"""Model calls for one case where the cases of a cluster are judged together."""
MANY = 30
"""Failures from which they are, unless it is said otherwise."""
_AT_ONCE = 4
"""Every how manieth case of a cluster is tried in one round, where they are judged together: the others learn."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried. `calls` bounds the model calls altogether and is never exceeded; 0 = signals only."""

    run: str
    suite: str
    examples: int
    """Examples of the run, which gains are measured in."""
    calls: int
    most: int = MOST
    """Calls for one case."""
    pooled: bool = False
    workers: int = 4
    max_cost: float | None = None
    """US dollars after which no more is tried; the last round may end a little above it."""


def planned(
    run: str, suite: str, examples: int, failures: int, *, max_calls: int | None = None, pool: bool | None = None
) -> Plan:
    """The plan for so many failures: one by one where they are few, together where they are many (`pool` decides)."""
    together = failures > MANY if pool is None else pool
    most = POOLED if together else MOST
    bound = failures * most
    return Plan(run, suite, examples, bound if max_calls is None else min(bound, max_calls), most, together)


def diagnose(
    cases: Sequence[Case], lab: Lab, rates: Rates, plan: Plan
) -> Generator[Progress | CaseDiagnosis, None, Diagnosis]:
    """Yields progress, then every case's diagnosis, and returns the whole; closing it keeps the trials made.

    Trials are made in rounds, one per open case, so that neither the number of workers nor an interruption changes
    what is found; what was tried before is read from the journal. A model that fails ends the trying, not the
    diagnosis: what was found until then stands, with the reason in `stopped`.
    """
    journal = Journal(lab.setup.records)
    stronger = replace(lab.stronger, records=journal) if lab.stronger else None
    lab = replace(lab, setup=replace(lab.setup, records=journal), stronger=stronger)
    key = fingerprint([plan.run, lab.setup.store.revision(), lab.setup.model.name, code_version(), _stronger(lab)])
    yield Progress(0, plan.calls, "calls", "reading what is known")
    sets = Sets(rates)
    known = _opened(cases, lab, sets, plan)
    groups = grouped(known)
    stopped = ""
    try:
        while wanted := _wanted(known, groups, plan):
            for i, trial in _tried(known, wanted, lab, plan, key):
                if isinstance(trial, ProviderProblem):
                    stopped = stopped or f"the model failed: {trial}"
                else:
                    known[i] = known[i].after(trial)
            known = _together(known, groups) if plan.pooled else known
            yield Progress(_calls(known), plan.calls, "calls")
            stopped = stopped or _over(known, plan)
            if stopped:
                break
    finally:
        journal.flush()
    found = [_case(one, plan, stopped) for one in known]
    yield from found
    return _diagnosis(known, found, groups, plan, key, stopped)


# --- rounds -----------------------------------------------------------------------------------------------


def _opened(cases: Sequence[Case], lab: Lab, sets: Sets, plan: Plan) -> list[Opened]:
    with ThreadPoolExecutor(max(plan.workers, 1), "signals") as pool:
        try:
            return list(pool.map(lambda case: opened(case, lab, sets), cases))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _wanted(known: Sequence[Opened], groups: Sequence[Group], plan: Plan) -> list[tuple[int, Move]]:
    """The next trial of every case that is open, the least sure first where not enough calls are left for all."""
    left = plan.calls - _calls(known)
    if left <= 0:
        return []
    moves = {i: one.next(plan.most - len(one.trials)) for i, one in enumerate(known)}
    open_ = {i: move for i, move in moves.items() if move is not None}
    chosen = [i for group in groups for i in _first(group, known, open_, plan)]
    chosen.sort(key=lambda i: (known[i].belief.best[1], i))
    return [(i, open_[i]) for i in sorted(chosen[:left])]


def _first(group: Group, known: Sequence[Opened], open_: Iterable[int], plan: Plan) -> list[int]:
    members = [i for i in group.members if i in set(open_)]
    if not plan.pooled:
        return members
    members.sort(key=lambda i: (known[i].belief.best[1], i))
    return members[: -(-len(group.members) // _AT_ONCE)]


def _tried(
    known: Sequence[Opened], wanted: Sequence[tuple[int, Move]], lab: Lab, plan: Plan, key: str
) -> Iterator[tuple[int, Trial | ProviderProblem]]:
    """Every trial of a round in its order; once the model cannot be used, the rest of them is not begun."""
    problems: list[ProviderProblem] = []

    def one(item: tuple[int, Move]) -> tuple[int, Trial | ProviderProblem]:
        i, move = item
        if problems:
            return i, problems[0]
        try:
            return i, remembered(known[i].case, lab, move, len(known[i].trials), key)
        except ProviderProblem as problem:
            problems.append(problem)
            return i, problem

    with ThreadPoolExecutor(max(plan.workers, 1), "diagnose") as pool:
        try:
            yield from pool.map(one, wanted)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _together(known: Sequence[Opened], groups: Sequence[Group]) -> list[Opened]:
    """Every case seen from what was found of the others in its cluster."""
    seen = list(known)
    for group in groups:
        beliefs = pooled([known[i].belief for i in group.members])
        for i, belief in zip(group.members, beliefs, strict=True):
            seen[i] = replace(known[i], belief=belief)
    return seen


def _calls(known: Sequence[Opened]) -> int:
    return sum(len(one.trials) for one in known)


def _over(known: Sequence[Opened], plan: Plan) -> str:
    spent = sum(trial.cost_usd or 0.0 for one in known for trial in one.trials)
    if plan.max_cost is None or spent <= plan.max_cost:
        return ""
    return f"${spent:.4f} are spent, more than --max-cost {plan.max_cost:g}"


def _stronger(lab: Lab) -> str:
    return lab.stronger.model.name if lab.stronger else ""


# --- the result -------------------------------------------------------------------------------------------


def _case(one: Opened, plan: Plan, stopped: str) -> CaseDiagnosis:
    causes = one.causes
    unfinished = stopped and not one.belief.sure and len(one.trials) < plan.most
    return CaseDiagnosis(
        id=one.case.example.id,
        group=one.case.example.group,
        failed=tuple(check.value for check in one.case.failed),
        causes=causes,
        posterior=one.belief.posterior,
        signals=one.signals,
        trials=one.trials,
        why=why(one, causes),
        fix=fix_of(causes, one, Names(plan.run, plan.suite)),
        mended_by=mended_by(one),
        calls=len(one.trials),
        stopped=stopped if unfinished else _ended(one, plan),
    )


def _ended(one: Opened, plan: Plan) -> str:
    if plan.calls == 0:
        return "no calls were allowed: signals only"
    used_up = not one.belief.sure and len(one.trials) < plan.most and one.next(plan.most - len(one.trials))
    return f"the bound of {plan.calls} calls was reached" if used_up else one.stopped(plan.most)


def _diagnosis(
    known: Sequence[Opened],
    found: Sequence[CaseDiagnosis],
    groups: Sequence[Group],
    plan: Plan,
    key: str,
    stopped: str,
) -> Diagnosis:
    names = Names(plan.run, plan.suite)
    clusters = []
    for group in groups:
        members = [known[i] for i in group.members]
        fix: Fix | None = cluster_fix(members, names, plan.examples)
        ids = tuple(known[i].case.example.id for i in group.members)
        clusters.append(Cluster(group.name, len(ids), shares(members), fix, ids))
    costs = [trial.cost_usd for one in known for trial in one.trials]
    spent = [cost for cost in costs if cost is not None]
    return Diagnosis(
        id=fingerprint([key, plan.calls, plan.most, plan.pooled, [one.case.example.id for one in known]], 12),
        run=plan.run,
        n=plan.examples,
        failed=len(known),
        calls=_calls(known),
        cost_usd=sum(spent) if len(spent) == len(costs) else None,
        clusters=tuple(clusters),
        cases=tuple(found),
        causes=shares(known),
        stopped=stopped,
        notes=tuple(_notes(known, plan)),
    )


def _notes(known: Sequence[Opened], plan: Plan) -> Iterator[str]:
    if not known:
        return
    if plan.calls == 0:
        yield "no calls were allowed, so this rests on signals alone"
    assumed = sum(1 for one in known if one.signals.details["assumed"])
    depth = known[0].signals.details["depth"]
    if assumed:
        yield (
            f"the suite names no evidence for {assumed} of {len(known)} failures; passages that state the facts were "
            f"looked for among the best {depth} for the question and for the facts"
        )
    unsure = sum(1 for one in known if one.causes == (Cause.UNDETERMINED,))
    if unsure:
        yield f"{unsure} of {len(known)} failures are undetermined"
    for move in (Move.STRONGER, Move.PROBE):
        reason = known[0].reasons[move]
        if reason:
            yield f"not tried: {move.value}, {reason}"
