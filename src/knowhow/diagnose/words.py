"""The finding of a case in a sentence that a person reads: the cause, and the experiment that shows it."""

from __future__ import annotations

from collections.abc import Sequence

from knowhow.diagnose.fixes import passed
from knowhow.diagnose.signals import Signal
from knowhow.diagnose.solve import Opened
from knowhow.types import Cause, Check, Move, Response, Trial

MOVES = {
    Move.REPLAY: "asked again",
    Move.NO_CONTEXT: "without context",
    Move.GOLD: "with the evidence alone",
    Move.WITH_GOLD: "with the evidence added",
    Move.WITH_PLACEBO: "with an irrelevant passage instead",
    Move.SWAPPED: "with the key fact swapped",
    Move.WIDE: "with a wide context",
    Move.FOCUSED: "without the distractors",
    Move.CURRENT: "with current versions only",
    Move.CONSTRAINED: "with constrained output",
    Move.INSTRUCTED: "with plain instructions and worked examples",
    Move.GOLD_CONSTRAINED: "with the evidence and constrained output",
    Move.GOLD_INSTRUCTED: "with the evidence and plain instructions",
    Move.STRONGER: "with a stronger model",
    Move.PROBE: "with a small trained adapter",
}


def why(one: Opened, causes: Sequence[Cause]) -> str:
    """The finding, and what the experiments showed that changed the most."""
    told = " ".join(_cause(cause, one) for cause in causes)
    shown = _experiments(one.trials)
    return f"{told} {shown}".strip()


def _cause(cause: Cause, one: Opened) -> str:
    pieces = one.signals.details["evidence"]
    source = pieces[0]["uri"] if pieces else "the documents"
    match cause:
        case Cause.LOST:
            return f"The source of {source} says it, the index does not."
        case Cause.MISSING:
            return _missing(one, source)
        case Cause.UNFOUND:
            return f"{source} says it and is indexed, but {_rank(one)}."
        case Cause.OUTRANKED:
            return f"{source} says it and was found, but not shown: {one.signals.findings[Signal.CUT_BY]}{_at(one)}."
        case Cause.STALE:
            return _stale(one)
        case Cause.UNUSED:
            return f"{source} was shown and says it, and the answer does not."
        case Cause.UNSTABLE:
            return _unstable(one)
        case Cause.REFUSAL:
            wrongly = one.signals.findings[Signal.ABSTAINED] == "wrongly"
            return (
                "It declined although it had what it needs." if wrongly else "It answered what it should have declined."
            )
        case Cause.MEASUREMENT:
            return _measurement(one, source)
        case Cause.UNDETERMINED:
            named, chance = next(iter(one.belief.posterior.items()))
            return f"The cause cannot be told; likeliest is {named} ({chance:.0%})."
        case _:
            return f"{_behaviour(cause, one)}."


def _missing(one: Opened, source: str) -> str:
    reached = one.signals.findings[Signal.EVIDENCE]
    if reached == "hidden":
        return f"{source} says it, but the asker may not see it."
    if reached == "unnamed":
        depth = one.signals.details["depth"]
        return f"No document seems to say it: the best {depth} passages for the question and the facts do not."
    return f"No document says it: neither the index nor the source of {source} does."


def _measurement(one: Opened, source: str) -> str:
    outdated = [piece["outdated_version"] for piece in one.signals.details["evidence"] if piece["outdated_version"]]
    if outdated:
        return f"The example is outdated: its evidence stands in version {outdated[0]} of {source}, which was replaced."
    if one.signals.findings[Signal.GOLD] == "not-stated":
        return "The example seems wrong: its own evidence does not state what it expects."
    return "The example may be wrong, or nothing this model can do: it fails whatever it is given."


def _rank(one: Opened) -> str:
    ranks = [piece["rank"] for piece in one.signals.details["evidence"] if piece["reached"] == "in-index"]
    depth = one.signals.details["depth"]
    known = [rank for rank in ranks if rank]
    where = f"it ranks {max(known)} of the best {depth}" if known else f"it is not among the best {depth} passages"
    return f"was not brought up: for this question {where}"


def _at(one: Opened) -> str:
    ranks = [p["rank"] for p in one.signals.details["evidence"] if p["rank"] and p["reached"] == "in-candidates"]
    return f" (rank {max(ranks)})" if ranks else ""


def _stale(one: Opened) -> str:
    old = one.signals.details["superseded"]
    if not old:
        gone = one.signals.details["replaced"]
        return (
            f"A superseded document was shown: {gone[0]}."
            if gone
            else "A superseded or conflicting version was followed."
        )
    first = next((version for version in old if version["followed"]), old[0])
    version = f" (version {first['version']})" if first["version"] else ""
    verb = "It follows" if first["followed"] else "It was shown"
    reason = f", which {first['why']}" if first["why"] else ""
    return f'{verb} {first["uri"]}{version}{reason} and says "{first["says"]}".'


def _unstable(one: Opened) -> str:
    draws = one.signals.details["draws"]
    again = [trial for trial in one.trials if trial.move is Move.REPLAY]
    fine = sum(passed(trial.responses.values()) for trial in again) + draws["asked"] - draws["failed"]
    return f"The same prompt passes in {fine} of {len(again) + draws['asked']} draws."


def _behaviour(cause: Cause, one: Opened) -> str:
    check = {
        Cause.FORMAT: Check.FORMAT,
        Cause.STYLE: Check.STYLE,
        Cause.LABEL: Check.LABEL,
        Cause.REASONING: Check.REASONING,
    }[cause]
    said = one.signals.details["failed"].get(check.value, "it fails in some draws")
    asked = one.signals.findings[Signal.FORM] == "untold" and cause is not Cause.REASONING
    return f"{check.value.capitalize()}: {said}" + ("; the prompt never asks for it" if asked else "")


def _experiments(trials: Sequence[Trial]) -> str:
    """What mended it, or what it gives way to, in a sentence."""
    told = []
    for move in dict.fromkeys(trial.move for trial in trials):
        of = [trial for trial in trials if trial.move is move]
        good = sum(passed(trial.responses.values()) for trial in of)
        followed = sum(Response.FOLLOWED in trial.responses.values() for trial in of)
        if move is Move.SWAPPED and followed:
            told.append(f"it follows the false fact {MOVES[move]}")
        elif good:
            told.append(f"it passes {MOVES[move]}" + (f" in {good} of {len(of)} draws" if good < len(of) else ""))
    if told:
        sentence = ", ".join(told)
        return f"{sentence[0].upper()}{sentence[1:]}."
    return "Nothing that was tried mends it." if trials else ""
