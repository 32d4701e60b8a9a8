"""What mends a failure: where the fix belongs, what to do, with which command, and how much the experiments promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from knowhow.diagnose.clusters import marginals
from knowhow.diagnose.signals import Signal
from knowhow.diagnose.solve import Opened
from knowhow.evaluate.stats import estimate
from knowhow.types import Cause, Fate, Fix, Form, Home, Move, Response

_CHANGES: Mapping[Move, tuple[Move, ...]] = {
    Move.GOLD_CONSTRAINED: (Move.GOLD, Move.CONSTRAINED),
    Move.GOLD_INSTRUCTED: (Move.GOLD, Move.INSTRUCTED),
}
"""The single changes that a move of several is made of."""
_CONTROLS = (Move.REPLAY, Move.NO_CONTEXT, Move.WITH_PLACEBO, Move.SWAPPED)
"""What tells causes apart but mends nothing that could be adopted."""
STANDS: Mapping[Cause, tuple[Move, ...]] = {
    Cause.LOST: (Move.WITH_GOLD, Move.GOLD),
    Cause.MISSING: (Move.WITH_GOLD, Move.GOLD),
    Cause.UNFOUND: (Move.WITH_GOLD, Move.WIDE, Move.GOLD),
    Cause.OUTRANKED: (Move.WIDE, Move.WITH_GOLD, Move.GOLD),
    Cause.STALE: (Move.CURRENT, Move.GOLD),
    Cause.UNUSED: (Move.FOCUSED, Move.STRONGER, Move.INSTRUCTED),
    Cause.FORMAT: (Move.CONSTRAINED, Move.INSTRUCTED),
    Cause.STYLE: (Move.INSTRUCTED, Move.PROBE),
    Cause.LABEL: (Move.CONSTRAINED, Move.INSTRUCTED, Move.PROBE),
    Cause.REASONING: (Move.INSTRUCTED, Move.STRONGER, Move.PROBE),
    Cause.UNSTABLE: (Move.STRONGER,),
    Cause.REFUSAL: (Move.INSTRUCTED, Move.STRONGER),
}
"""The interventions that stand for a cause's fix, the one most like it first."""
_TOGETHER = {Move.CONSTRAINED: Move.GOLD_CONSTRAINED, Move.INSTRUCTED: Move.GOLD_INSTRUCTED}
_OFTEN = 0.5
"""Share of a move's draws that must pass for it to count as mending a case."""


@dataclass(frozen=True, slots=True)
class Names:
    """What commands are about: the run and its suite."""

    run: str
    """Its id; where there is none, the option that named the failures: nothing can be tried on those."""
    suite: str


def mended_by(one: Opened) -> tuple[Move, ...]:
    """The fewest changes under which every failed check passed in most draws; empty where none did."""
    tried: dict[Move, list[bool]] = {}
    for trial in one.trials:
        if trial.move not in _CONTROLS:
            tried.setdefault(trial.move, []).append(passed(trial.responses.values()))
    mending = [move for move, came in tried.items() if sum(came) / len(came) > _OFTEN]
    best = min(mending, key=lambda move: (len(_CHANGES.get(move, (move,))), list(Move).index(move)), default=None)
    return () if best is None else _CHANGES.get(best, (best,))


def passed(responses: Iterable[Response]) -> bool:
    """Whether every failed side passed."""
    found = list(responses)
    return bool(found) and all(response is Response.PASS for response in found)


def fix_of(causes: Sequence[Cause], one: Opened, names: Names) -> Fix | None:
    """The fix of one case; None where nothing was determined."""
    parts = [_fix(cause, one, names) for cause in causes if cause is not Cause.UNDETERMINED]
    if not parts:
        return None
    first, *others = parts
    if not others:
        return first
    action = "; and ".join(part.action for part in parts)
    return replace(
        first, action=action, command=next((p.command for p in parts if "--try" in p.command), first.command)
    )


def cluster_fix(cases: Sequence[Opened], names: Names, n: int) -> Fix | None:
    """The fix of the cause that makes up most of a cluster, with its gain in points of the `n` examples asked.

    The gain is the share of the cluster that the intervention standing for the fix recovered, times the cluster's
    share of the examples; the interval is that of the share, by group. Of the cases with this cause, those in which it
    was not tried count with the mean of those in which it was; cases with another cause gain nothing. Without any trial
    of it the gain is unmeasured.
    """
    weights: dict[Cause, float] = {}
    for one in cases:
        for cause, weight in marginals(one).items():
            weights[cause] = weights.get(cause, 0.0) + weight
    known = {cause: weight for cause, weight in weights.items() if cause is not Cause.UNDETERMINED}
    if not known or max(known.values()) < weights.get(Cause.UNDETERMINED, 0.0):
        return None
    main = max(known, key=lambda cause: (known[cause], cause.value))
    most_typical = max(cases, key=lambda one: marginals(one).get(main, 0.0))
    fix = _fix(main, most_typical, names)
    found = _recovered(cases, main)
    if found is None or n == 0:
        return fix
    mean, low, high = (None if end is None else end * len(cases) / n for end in found)
    return replace(fix, expected_gain=mean, low=low, high=high)


def _recovered(cases: Sequence[Opened], cause: Cause) -> tuple[float, float | None, float | None] | None:
    """Share of the cases that the cause's fix recovers, with its interval where there are groups enough."""
    having = [cause in one.causes for one in cases]
    rates = [_rate(one, cause) if has else 0.0 for one, has in zip(cases, having, strict=True)]
    tried = [rate for rate, has in zip(rates, having, strict=True) if has and rate is not None]
    if not tried:
        return None
    mean = sum(tried) / len(tried)
    groups = [one.case.example.group or one.case.example.id for one in cases]
    of = estimate([mean if rate is None else rate for rate in rates], groups)
    return (of.mean, of.low, of.high) if of.mean is not None else None


def _rate(one: Opened, cause: Cause) -> float | None:
    """Share of the draws of the cause's fix that mended the whole case; None where it was not tried."""
    moves = STANDS.get(cause, ())
    if len(one.case.sides) > 1:
        moves = (*(_TOGETHER[move] for move in _TOGETHER if (Move.GOLD in moves or move in moves)), *moves)
    for move in moves:
        came = [passed(trial.responses.values()) for trial in one.trials if trial.move is move]
        if came:
            return sum(came) / len(came)
    return None


# --- one cause --------------------------------------------------------------------------------------------


def _fix(cause: Cause, one: Opened, names: Names) -> Fix:
    trying = "" if names.run.startswith("--") else f"knowhow diagnose {names.run} --try"
    match cause:
        case Cause.LOST:
            return Fix(Home.INGESTION, _lost(one), "knowhow ingest FOLDER")
        case Cause.MISSING:
            return _missing(one)
        case Cause.UNFOUND:
            return Fix(Home.RETRIEVAL, "change how documents are searched: mode, weights, embedder or reranker", trying)
        case Cause.OUTRANKED:
            return Fix(Home.CONTEXT, _outranked(one), trying)
        case Cause.STALE:
            return Fix(Home.DOCUMENTS, _stale(one), trying)
        case Cause.UNUSED:
            return _unused(one, names, trying)
        case Cause.FORMAT:
            return Fix(Home.SCHEMA, 'constrain the output to the schema (form = "constrained")', trying)
        case Cause.LABEL if one.case.recipe.form is not Form.CONSTRAINED and not _failed(one, Move.CONSTRAINED):
            return Fix(Home.SCHEMA, 'constrain the output to the labels (form = "constrained")', trying)
        case Cause.STYLE | Cause.LABEL | Cause.REASONING:
            return _behaviour(one, names, trying)
        case Cause.UNSTABLE:
            return _unstable(one, names, trying)
        case Cause.REFUSAL:
            return Fix(Home.PROMPT, "say in the instructions when to answer and when to decline", trying)
        case _:
            return Fix(Home.TEST, _measurement(one), f"knowhow suite check {names.suite}")


def _source(one: Opened) -> str:
    sources = list(dict.fromkeys(piece.evidence.source for piece in one.case.found.pieces))
    return ", ".join(sources[:2]) or "a document"


def _lost(one: Opened) -> str:
    return f"ingest {_source(one)} again; if its text is still lost, the reader or the split loses it: convert the file"


def _missing(one: Opened) -> Fix:
    if one.signals.findings[Signal.EVIDENCE] == "hidden":
        return Fix(Home.DOCUMENTS, f"open {_source(one)} to these askers, or ask with its tags", "knowhow documents")
    return Fix(Home.DOCUMENTS, "add a document that says it", "knowhow ingest FOLDER")


def _outranked(one: Opened) -> str:
    recipe = one.case.recipe
    cut = one.signals.findings[Signal.CUT_BY]
    if cut == Fate.OVER_BUDGET or one.signals.findings[Signal.TRUNCATED] == "evidence":
        return f"give the context more room: budget above {recipe.budget}"
    if cut == Fate.IRRELEVANT:
        return f"lower the gate of relevance below {recipe.relevance:g}"
    return f"show more passages or rank them better: k above {recipe.k}, or a reranker"


def _stale(one: Opened) -> str:
    old = one.signals.details["superseded"] or one.signals.details["replaced"]
    if not old:
        return "say which document is in force: `supersedes` or `effective_at` in its front matter"
    uri = old[0]["uri"] if isinstance(old[0], dict) else old[0]
    version = f" (version {old[0]['version']})" if isinstance(old[0], dict) and old[0]["version"] else ""
    if not isinstance(old[0], dict) or "replaced" in old[0]["why"]:
        return f"take {uri}{version} out of the documents that are searched: a newer one says that it replaces it"
    return f"remove {uri}{version}, or say in the newer document that it supersedes it"


def _unused(one: Opened, names: Names, trying: str) -> Fix:
    if _mends(one, Move.FOCUSED):
        return Fix(Home.CONTEXT, f"show fewer passages beside the evidence: k below {one.case.recipe.k}", trying)
    if _mends(one, Move.INSTRUCTED):
        return Fix(Home.PROMPT, "instruct more plainly and show worked examples", trying)
    action = "use a model that reads what it is shown"
    return Fix(Home.MODEL, action, f"knowhow compare {names.suite} --models {one.case.recipe.model},STRONGER")


def _behaviour(one: Opened, names: Names, trying: str) -> Fix:
    if _failed(one, Move.INSTRUCTED):
        if _mends(one, Move.STRONGER):
            models = f"{one.case.recipe.model},STRONGER"
            return Fix(Home.MODEL, "use a stronger model", f"knowhow compare {names.suite} --models {models}")
        told = "neither telling nor showing it was enough: tune on examples, once cheaper homes were measured"
        return Fix(Home.WEIGHTS, told, f"knowhow tune --suite {names.suite}")
    if one.case.recipe.form is Form.FREE and one.signals.findings[Signal.FORM] == "untold":
        return Fix(Home.PROMPT, 'tell what is expected in the instructions (form = "told") and show examples', trying)
    return Fix(Home.EXAMPLES, "show worked examples (shots) beside the instructions", trying)


def _unstable(one: Opened, names: Names, trying: str) -> Fix:
    warmth = one.case.recipe.sampling.temperature
    if warmth > 0:
        return Fix(Home.PROMPT, f"lower sampling.temperature from {warmth:g}", trying)
    models = f"{one.case.recipe.model},STRONGER"
    told = "the order of passages or words decides: use a steadier model or fewer passages"
    return Fix(Home.MODEL, told, f"knowhow compare {names.suite} --models {models}")


def _measurement(one: Opened) -> str:
    outdated = next((piece for piece in one.case.found.pieces if piece.outdated), None)
    if outdated is not None:
        version = f"version {outdated.outdated} of {outdated.evidence.source}"
        return f"correct the example: its evidence stands only in {version}, which was replaced"
    if one.signals.findings[Signal.GOLD] == "not-stated":
        return "correct the example: its evidence does not state the facts it expects"
    return "look at the example first: nothing that helps elsewhere helps here; if it is right, try a stronger model"


def _mends(one: Opened, move: Move) -> bool:
    came = [passed(trial.responses.values()) for trial in one.trials if trial.move is move]
    return bool(came) and sum(came) / len(came) > _OFTEN


def _failed(one: Opened, move: Move) -> bool:
    """Whether it was tried and did not mend the case in most draws."""
    return any(trial.move is move for trial in one.trials) and not _mends(one, move)
