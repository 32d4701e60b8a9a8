"""What a diagnoser must beat: a decision list over the findings, without any experiment."""

from __future__ import annotations

from collections.abc import Mapping

from knowhow.types import Cause, Check, Side, Signals

_EVIDENCE = {
    "in-source": Cause.LOST,
    "absent": Cause.MISSING,
    "in-index": Cause.UNFOUND,
    "hidden": Cause.UNFOUND,
    "in-candidates": Cause.OUTRANKED,
}
_BEHAVIOUR = {
    Check.FORMAT: Cause.FORMAT,
    Check.STYLE: Cause.STYLE,
    Check.LABEL: Cause.LABEL,
    Check.REASONING: Cause.REASONING,
}


def by_rules(signals: Signals) -> tuple[Cause, ...]:
    """The causes an engineer would read off the findings.

    The gold is doubted first, then draws that differ; a wrong form explains wrong content where the evidence was shown;
    evidence that was not shown explains a wrong decision.
    """
    found = signals.findings
    failed = {Check(name) for name in found.get("failed", "").split("+") if name}
    if found.get("gold") == "not-stated":
        return (Cause.MEASUREMENT,)
    if found.get("draws") == "mixed":
        return (Cause.UNSTABLE,)
    if found.get("abstained") == "not":
        return (Cause.REFUSAL,)
    behaviour = [cause for check, cause in _BEHAVIOUR.items() if check in failed]
    if found.get("form") == "enforced":
        behaviour = [cause for cause in behaviour if cause not in (Cause.FORMAT, Cause.LABEL)]
    knowledge = _knowledge(found) if any(check.side is Side.KNOWLEDGE for check in failed) else []
    if knowledge and Cause.REASONING in behaviour and found.get("rules") != "untold":
        behaviour.remove(Cause.REASONING)
    if behaviour and not knowledge:
        return tuple(behaviour[:2])
    if not knowledge:
        knowledge = [Cause.REFUSAL if found.get("abstained") == "wrongly" else Cause.UNUSED]
    return (*knowledge, *behaviour[:1])


def _knowledge(found: Mapping[str, str]) -> list[Cause]:
    if found.get("versions") in ("conflicting", "several") or found.get("said") == "superseded":
        return [Cause.STALE]
    cause = _EVIDENCE.get(found.get("evidence", ""))
    return [cause] if cause else []
