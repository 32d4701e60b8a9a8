"""What the design expects of each cause before anything was learned: findings it shows and interventions that mend it.

All figures are judgements, not measurements. They count as `STRENGTH` observations beside what planted faults teach
about the model in use (docs/diagnose.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from knowhow.types import Cause, Move, Response

STRENGTH = 6.0
"""Observations that an expected distribution counts as, beside those that were learned."""
HEALTHY = "healthy"
"""The column of a case in which nothing is wrong: what a finding is where the cause has no part in it."""

C = Cause
KNOWLEDGE = (C.LOST, C.MISSING, C.UNFOUND, C.OUTRANKED, C.STALE, C.UNUSED)
BEHAVIOUR = (C.FORMAT, C.STYLE, C.LABEL, C.REASONING)
SINGLE = (*KNOWLEDGE, *BEHAVIOUR, C.UNSTABLE, C.REFUSAL, C.MEASUREMENT)
PAIRS = (*((a, b) for a in KNOWLEDGE for b in BEHAVIOUR), (C.FORMAT, C.STYLE))
"""Compounds that are considered: what is not known together with how it is not said."""
ASKED = {C.FORMAT: "format", C.STYLE: "style", C.LABEL: "label", C.REASONING: "reasoning"}
"""Cause → what an example must expect for it to be possible."""
COMPOUND = 0.2
"""Share of failures with two causes, before anything is seen."""

_DECLINED = {"wrongly": 0.5, "no": 0.48, "not": 0.02}

FINDINGS: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "evidence": {
        HEALTHY: {"in-context": 0.88, "in-candidates": 0.04, "in-index": 0.02, "unnamed": 0.06},
        C.LOST: {"in-source": 0.85, "absent": 0.05, "unnamed": 0.08, "in-index": 0.02},
        C.MISSING: {"absent": 0.8, "unnamed": 0.18, "in-source": 0.02},
        C.UNFOUND: {"in-index": 0.82, "hidden": 0.1, "unnamed": 0.06, "in-candidates": 0.02},
        C.OUTRANKED: {"in-candidates": 0.9, "unnamed": 0.06, "in-index": 0.02, "in-context": 0.02},
        C.STALE: {"in-context": 0.6, "in-candidates": 0.25, "in-index": 0.08, "unnamed": 0.07},
        C.MEASUREMENT: {"in-context": 0.66, "absent": 0.22, "unnamed": 0.08, "in-candidates": 0.04},
    },
    "cut-by": {
        HEALTHY: {"none": 0.96, "below-k": 0.02, "over-budget": 0.01, "near-duplicate": 0.01},
        C.OUTRANKED: {"below-k": 0.5, "over-budget": 0.3, "below-relevance": 0.05, "none": 0.1, "near-duplicate": 0.05},
        C.STALE: {"none": 0.7, "below-k": 0.15, "near-duplicate": 0.1, "over-budget": 0.05},
    },
    "gold": {
        HEALTHY: {"stated": 0.7, "unknown": 0.28, "not-stated": 0.02},
        C.MISSING: {"stated": 0.45, "unknown": 0.5, "not-stated": 0.05},
        C.MEASUREMENT: {"not-stated": 0.55, "stated": 0.2, "unknown": 0.25},
    },
    "versions": {
        HEALTHY: {"one": 0.85, "several": 0.1, "conflicting": 0.05},
        C.STALE: {"conflicting": 0.6, "several": 0.33, "one": 0.07},
    },
    "said": {HEALTHY: {"no": 0.97, "superseded": 0.03}, C.STALE: {"superseded": 0.6, "no": 0.4}},
    "forbidden": {HEALTHY: {"no": 0.97, "said": 0.03}, C.STALE: {"no": 0.8, "said": 0.2}},
    "abstained": {
        HEALTHY: {"no": 0.95, "wrongly": 0.04, "not": 0.01},
        C.LOST: _DECLINED,
        C.MISSING: _DECLINED,
        C.UNFOUND: _DECLINED,
        C.OUTRANKED: _DECLINED,
        C.STALE: {"wrongly": 0.4, "no": 0.6},
        C.UNUSED: {"wrongly": 0.3, "no": 0.7},
        C.UNSTABLE: {"wrongly": 0.2, "no": 0.7, "not": 0.1},
        C.REFUSAL: {"wrongly": 0.55, "not": 0.43, "no": 0.02},
    },
    "decline": {
        HEALTHY: {"none": 0.95, "not-stated": 0.04, "nothing-relevant": 0.01},
        C.LOST: {"none": 0.5, "not-stated": 0.35, "nothing-relevant": 0.15},
        C.MISSING: {"none": 0.5, "not-stated": 0.3, "nothing-relevant": 0.2},
        C.UNFOUND: {"none": 0.5, "not-stated": 0.35, "nothing-relevant": 0.15},
        C.OUTRANKED: {"none": 0.5, "not-stated": 0.45, "nothing-relevant": 0.05},
        C.STALE: {"none": 0.6, "sources-conflict": 0.36, "not-stated": 0.04},
        C.UNUSED: {"none": 0.7, "not-stated": 0.3},
        C.UNSTABLE: {"none": 0.8, "not-stated": 0.2},
        C.REFUSAL: {"not-stated": 0.55, "none": 0.45},
    },
    "truncated": {
        HEALTHY: {"no": 0.95, "reply": 0.03, "evidence": 0.02},
        C.OUTRANKED: {"no": 0.75, "evidence": 0.22, "reply": 0.03},
        C.FORMAT: {"no": 0.88, "reply": 0.12},
        C.STYLE: {"no": 0.88, "reply": 0.12},
    },
    "form": {
        HEALTHY: {"none": 0.5, "told": 0.25, "enforced": 0.2, "untold": 0.05},
        C.FORMAT: {"untold": 0.7, "told": 0.25, "enforced": 0.05},
        C.STYLE: {"untold": 0.6, "told": 0.35, "enforced": 0.05},
        C.LABEL: {"untold": 0.55, "told": 0.4, "enforced": 0.05},
        C.REASONING: {"none": 0.35, "told": 0.25, "enforced": 0.2, "untold": 0.2},
    },
    "schema": {
        HEALTHY: {"none": 0.7, "valid": 0.28, "invalid": 0.02},
        C.FORMAT: {"invalid": 0.95, "valid": 0.03, "none": 0.02},
    },
    "label": {
        HEALTHY: {"none": 0.8, "known": 0.17, "unknown": 0.03},
        C.LABEL: {"unknown": 0.5, "known": 0.48, "none": 0.02},
    },
    "rules": {
        HEALTHY: {"none": 0.8, "told": 0.18, "untold": 0.02},
        C.REASONING: {"untold": 0.6, "told": 0.38, "none": 0.02},
    },
    "sampling": {HEALTHY: {"fixed": 0.6, "drawn": 0.4}, C.UNSTABLE: {"drawn": 0.8, "fixed": 0.2}},
    "draws": {HEALTHY: {"all-fail": 0.85, "mixed": 0.15}, C.UNSTABLE: {"mixed": 0.8, "all-fail": 0.2}},
    "fails.content": {
        HEALTHY: {"no": 0.97, "yes": 0.03},
        **{cause: {"yes": 0.95, "no": 0.05} for cause in KNOWLEDGE},
        C.FORMAT: {"yes": 0.6, "no": 0.4},
        C.UNSTABLE: {"yes": 0.6, "no": 0.4},
        C.REFUSAL: {"yes": 0.55, "no": 0.45},
        C.MEASUREMENT: {"yes": 0.6, "no": 0.4},
    },
    "fails.sources": {
        HEALTHY: {"no": 0.9, "yes": 0.1},
        **{cause: {"yes": 0.5, "no": 0.5} for cause in KNOWLEDGE},
        C.MEASUREMENT: {"yes": 0.4, "no": 0.6},
    },
    "fails.format": {HEALTHY: {"no": 0.98, "yes": 0.02}, C.FORMAT: {"yes": 0.96, "no": 0.04}},
    "fails.style": {
        HEALTHY: {"no": 0.97, "yes": 0.03},
        C.STYLE: {"yes": 0.97, "no": 0.03},
        C.UNSTABLE: {"no": 0.8, "yes": 0.2},
    },
    "fails.label": {
        HEALTHY: {"no": 0.98, "yes": 0.02},
        C.LABEL: {"yes": 0.97, "no": 0.03},
        C.UNSTABLE: {"no": 0.8, "yes": 0.2},
        C.MEASUREMENT: {"no": 0.75, "yes": 0.25},
    },
    "fails.reasoning": {
        HEALTHY: {"no": 0.97, "yes": 0.03},
        C.REASONING: {"yes": 0.97, "no": 0.03},
        C.UNSTABLE: {"no": 0.8, "yes": 0.2},
        C.MEASUREMENT: {"no": 0.85, "yes": 0.15},
    },
}
"""Finding → cause (or `HEALTHY`, which stands for every cause not named) → value → how often."""

SIDES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(KNOWLEDGE, (0.98, 0.05)),
    C.FORMAT: (0.6, 0.97),
    C.STYLE: (0.05, 0.97),
    C.LABEL: (0.1, 0.97),
    C.REASONING: (0.15, 0.97),
    C.UNSTABLE: (0.75, 0.4),
    C.REFUSAL: (0.98, 0.15),
    C.MEASUREMENT: (0.65, 0.4),
}
"""Cause → how often it makes a check of the knowledge side, and one of the behaviour side, fail."""

MOVES = tuple(Move)
_PASSES: Mapping[str, str] = {
    # replay, none, gold, +gold, +placebo, swapped, wide, focused, current, constr, instr, g+c, g+i, strong, probe
    HEALTHY: "90 12 88 88 85 10 80 85 88 88 88 88 88 95 90",
    C.LOST: "08 12 85 82 08 05 10 08 08 08 10 84 85 12 10",
    C.MISSING: "08 12 85 82 08 05 08 08 08 08 10 84 85 12 10",
    C.UNFOUND: "10 12 85 82 10 05 30 10 10 10 12 84 85 14 12",
    C.OUTRANKED: "10 12 85 82 10 05 72 15 10 10 12 84 85 14 12",
    C.STALE: "15 12 85 50 15 05 15 30 80 15 22 84 85 30 15",
    C.UNUSED: "15 12 60 45 15 05 12 55 15 15 35 62 68 65 35",
    C.FORMAT: "08 08 10 08 08 03 08 08 08 94 80 94 82 35 85",
    C.STYLE: "10 10 12 10 10 05 10 10 10 15 82 15 84 30 85",
    C.LABEL: "10 10 10 10 10 05 10 10 10 70 80 70 80 35 85",
    C.REASONING: "12 10 15 12 12 05 12 12 12 18 65 20 68 55 60",
    C.UNSTABLE: "50 20 58 52 50 10 48 54 50 56 60 62 64 75 60",
    C.REFUSAL: "10 15 30 22 10 10 12 14 10 22 75 35 80 45 60",
    C.MEASUREMENT: "04 03 04 04 04 05 04 04 04 05 05 05 05 04 05",
}
"""Cause → percent of draws in which a failed side passes, per move in the order of `MOVES`."""
_SWAPPED: Mapping[str, tuple[float, float, float]] = {
    # follows the swap, says the original, neither
    **dict.fromkeys((HEALTHY, C.LOST, C.MISSING, C.UNFOUND, C.OUTRANKED, C.STALE), (0.82, 0.04, 0.14)),
    C.UNUSED: (0.45, 0.25, 0.3),
    C.FORMAT: (0.4, 0.04, 0.56),
    C.UNSTABLE: (0.5, 0.05, 0.45),
    C.REFUSAL: (0.3, 0.03, 0.67),
    C.MEASUREMENT: (0.7, 0.05, 0.25),
}


def expected_response(cause: str, move: Move) -> dict[Response, float]:
    """How a failed side responds to `move` where `cause` made it fail; sums to 1."""
    if move is Move.SWAPPED:
        followed, remembered, neither = _SWAPPED.get(cause, (0.3, 0.05, 0.65))
        return {
            Response.FOLLOWED: followed * 0.97,
            Response.REMEMBERED: remembered * 0.97,
            Response.FAIL: neither * 0.97,
            Response.PASS: 0.03,
        }
    passes = int(_PASSES[cause].split()[MOVES.index(move)]) / 100
    return {Response.PASS: passes, Response.FAIL: 1 - passes}


def expected_finding(cause: str, finding: str) -> Mapping[str, float]:
    """The values `finding` takes where `cause` is at work; empty where the design says nothing about it."""
    table = FINDINGS.get(finding, {})
    return table.get(cause, table.get(HEALTHY, {}))
