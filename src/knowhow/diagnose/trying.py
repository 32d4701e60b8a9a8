"""The cheapest fixes that need no person, as recipes: chosen on the dev split, proven on the sealed test split."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from knowhow.answer import prompt
from knowhow.diagnose.case import failures
from knowhow.diagnose.interventions import SHOTS
from knowhow.diagnose.telling import ANSWER, DECLINE
from knowhow.evaluate.compare import pair
from knowhow.types import (
    Cause,
    Check,
    Context,
    Diagnosis,
    Form,
    Home,
    Json,
    Pair,
    Recipe,
    Row,
    SearchMode,
    Split,
    Suite,
    fingerprint,
)

KIND = "proposal"
LEAST = 0.05
"""Share of the failures that a cause must have for its fixes to be tried."""
SURE = 0.05
"""Chance of calling a fix better that is not, as `compare` has it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One cheap fix: what it changes of the run's recipe, and in which home."""

    what: str
    home: Home
    changes: Mapping[str, Any]

    def of(self, recipe: Recipe) -> Recipe:
        """The recipe with the fix, named after it."""
        return replace(recipe, name=f"{recipe.name}, {self.what}", **self.changes)


class Outcome(StrEnum):
    """What came of trying."""

    PROVEN = "proven"
    NOT_PROVEN = "not-proven"
    """Better on dev, but the test split does not show it, or shows harm."""
    NOTHING_BETTER = "nothing-better"
    """No candidate did better on dev than the recipe as it is."""
    NOTHING_TO_TRY = "nothing-to-try"
    """No cause was found that a search setting, the prompt, examples or a schema could mend."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How every candidate did on dev (share of examples without a failed check), and the proof of the best on test."""

    outcome: Outcome
    baseline: float | None = None
    candidates: tuple[tuple[str, float], ...] = ()
    recipe: Recipe | None = None
    """The best one."""
    check: Check | None = None
    """What it had to improve: the check that failed most."""
    pairs: tuple[Pair, ...] = ()
    reason: str = ""
    proposal: str = ""
    """The id by which it can be adopted; only of a proven one."""


def candidates(recipe: Recipe, found: Diagnosis, suite: Suite) -> list[Candidate]:
    """What could mend the causes found, without a person and without changing the documents or the index."""
    causes = {one.cause for one in found.causes if one.share >= LEAST}
    made: list[Candidate] = []
    if recipe.context is Context.RETRIEVED:
        made += _searching(recipe, causes)
    made += _telling(recipe, found, causes, suite)
    return made


def _searching(recipe: Recipe, causes: set[Cause]) -> list[Candidate]:
    made: list[Candidate] = []
    if Cause.UNFOUND in causes:
        modes = [mode for mode in SearchMode if mode is not recipe.mode]
        made += [Candidate(f"{mode} search", Home.RETRIEVAL, {"mode": mode}) for mode in modes]
    if causes & {Cause.UNFOUND, Cause.OUTRANKED}:
        for times in (2, 4):
            more = {"k": times * recipe.k, "budget": times * recipe.budget}
            made.append(Candidate(f"{times} times the context", Home.CONTEXT, more))
        if recipe.relevance > 0:
            made.append(Candidate("no gate of relevance", Home.CONTEXT, {"relevance": 0.0}))
    if Cause.UNUSED in causes and recipe.k > 1:
        made.append(Candidate("half the context", Home.CONTEXT, {"k": (recipe.k + 1) // 2}))
    if Cause.STALE in causes and not recipe.newest_first:
        made.append(Candidate("newest first", Home.CONTEXT, {"newest_first": True}))
    if Cause.STALE in causes and not recipe.current_only:
        made.append(Candidate("current versions only", Home.CONTEXT, {"current_only": True}))
    return made


def _telling(recipe: Recipe, found: Diagnosis, causes: set[Cause], suite: Suite) -> list[Candidate]:
    made: list[Candidate] = []
    kept = [example for example in suite.examples if not example.draft]
    formed = any(one.expect.schema is not None or one.expect.labels for one in kept)
    behaviour = causes & {Cause.FORMAT, Cause.LABEL, Cause.STYLE, Cause.REASONING}
    if behaviour and recipe.form is Form.FREE:
        made.append(Candidate("the form told", Home.PROMPT, {"form": Form.TOLD}))
    if causes & {Cause.FORMAT, Cause.LABEL} and formed and recipe.form is not Form.CONSTRAINED:
        made.append(Candidate("the form enforced", Home.SCHEMA, {"form": Form.CONSTRAINED}))
    if (behaviour or Cause.UNUSED in causes) and any(one.split is Split.TRAIN for one in kept) and not recipe.shots:
        form = Form.TOLD if recipe.form is Form.FREE else recipe.form
        made.append(Candidate("worked examples", Home.EXAMPLES, {"form": form, "shots": SHOTS}))
    if Cause.REFUSAL in causes:
        made += [_refusing(recipe, found)]
    return made


def _refusing(recipe: Recipe, found: Diagnosis) -> Candidate:
    """Told more plainly when to decline, in the direction in which most went wrong."""
    wrongly = sum(one.signals.findings["abstained"] == "wrongly" for one in found.cases)
    words = ANSWER if 2 * wrongly >= len(found.cases) else DECLINE
    return Candidate(
        "when to decline", Home.PROMPT, {"instructions": f"{recipe.instructions or prompt.standard(recipe)}\n{words}"}
    )


def best_of_homes(tried: Sequence[tuple[Candidate, float]], baseline: float) -> list[Candidate]:
    """Of each home the candidate that did best on dev, where it did better than the recipe as it is."""
    best: dict[Home, tuple[Candidate, float]] = {}
    for candidate, share in tried:
        if share > baseline and share > best.get(candidate.home, (candidate, baseline))[1]:
            best[candidate.home] = (candidate, share)
    return [candidate for candidate, _ in best.values()]


def together(parts: Sequence[Candidate]) -> Candidate:
    """Several fixes at once."""
    changes = {name: value for part in parts for name, value in part.changes.items()}
    return Candidate(" + ".join(part.what for part in parts), parts[0].home, changes)


def whole(rows: Sequence[Row]) -> float:
    """Share of rows that have an answer in which no check failed; 0 without any row."""
    return sum(not row.failure and not failures(row) for row in rows) / len(rows) if rows else 0.0


def main_check(found: Diagnosis) -> Check:
    """The check that failed most often."""
    counts = {check: sum(check.value in one.failed for one in found.cases) for check in Check}
    return max(Check, key=lambda check: counts[check])


def prove(before: Sequence[Row], after: Sequence[Row], names: tuple[str, str], main: Check) -> tuple[Pair, ...]:
    """The main check and every other that both have measured, paired over the test split.

    One fix is held against one check, so nothing is adjusted; the other checks only guard against harm.
    """
    checks = [main, *(check for check in Check if check is not main and check is not Check.RETRIEVAL)]
    found = (pair(before, after, check, names) for check in checks)
    return tuple(replace(one, p_adjusted=one.p) for one in found if one.n)


def judged(pairs: Sequence[Pair], main: Check) -> tuple[Outcome, str]:
    """Proven where the main check got better beyond chance and no other got worse beyond it."""
    first = next((one for one in pairs if one.check is main), None)
    if first is None or first.difference is None:
        return Outcome.NOT_PROVEN, f"the test split does not measure {main}"
    worse = [one for one in pairs if one.p is not None and one.p <= SURE and (one.difference or 0) < 0]
    if worse:
        return Outcome.NOT_PROVEN, f"{worse[0].check} got worse on the test split"
    if first.p is None:
        return Outcome.NOT_PROVEN, f"the test split is too small to tell: {first.reason}"
    if first.p > SURE or first.difference <= 0:
        seen = f"; {first.n} examples can show {first.detectable:.0%} or more" if first.detectable else ""
        return Outcome.NOT_PROVEN, f"the test split shows no difference in {main} (p = {first.p:.2f}){seen}"
    return Outcome.PROVEN, f"{main} is {100 * first.difference:+.0f} points on the test split (p = {first.p:.3f})"


# --- adopting ---------------------------------------------------------------------------------------------


def proposal_id(recipe: Recipe) -> str:
    """8 hex digits by which a proven recipe is adopted."""
    return fingerprint(recipe.hash, 8)


def proposal_json(tried: Tried, base: Recipe, run: str) -> Json:
    """As the journal keeps it until somebody adopts it."""
    assert tried.recipe is not None
    return {"run": run, "extends": base.name, "changes": changes(base, tried.recipe), "reason": tried.reason}


def changes(base: Recipe, better: Recipe) -> Json:
    """The fields in which a recipe differs from its base, but for the name."""
    names = [one.name for one in fields(Recipe) if one.name != "name"]
    differing = {name: getattr(better, name) for name in names if getattr(better, name) != getattr(base, name)}
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in differing.items()}


def toml_table(name: str, extends: str, differing: Mapping[str, Any]) -> str:
    """`[recipes.NAME]` with the changed fields; JSON's texts and numbers are TOML's too."""
    key = name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)
    lines = [f"[recipes.{key}]", f"extends = {json.dumps(extends)}"]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in differing.items()]
    return "\n".join(lines) + "\n"


def tried_json(tried: Tried) -> Json:
    """As `diagnose --try --json` prints it."""
    return {
        "outcome": tried.outcome.value,
        "reason": tried.reason,
        "baseline_dev": tried.baseline,
        "candidates": [{"name": name, "dev": share} for name, share in tried.candidates],
        "recipe": tried.recipe.name if tried.recipe else None,
        "check": tried.check.value if tried.check else None,
        "pairs": [{**asdict(one), "check": one.check.value} for one in tried.pairs],
        "adopt": f"knowhow recipes adopt {tried.proposal}" if tried.proposal else None,
    }
