"""All deterministic checks of one answer, as a vector of verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from knowhow.evaluate.behaviour import format_, label, reasoning, style
from knowhow.evaluate.knowledge import Seen, abstention, citation, content, grounded, retrieval
from knowhow.types import Answer, Check, Example, Located, Outcome, Recipe, Support, Verdict


def check(
    example: Example,
    recipe: Recipe,
    answer: Answer,
    *,
    evidence: Sequence[Located] = (),
    seen: Seen | None = None,
    support: Callable[[str], tuple[Support, str]] | None = None,
) -> dict[Check, Verdict]:
    """Every check with its verdict; what cannot be measured says why.

    `evidence` is the example's, located; `seen` what search brought up (None where the recipe does not search);
    `support` looks a claim up in the corpus.
    """
    expect = example.expect
    verdicts = {
        Check.RETRIEVAL: retrieval(expect, evidence, seen, recipe.k),
        Check.CONTENT: content(expect, answer),
        Check.ABSTENTION: abstention(expect, answer),
        Check.CITATION: citation(expect, evidence, answer, cites=recipe.cite),
        Check.GROUNDED: grounded(answer, support),
    }
    if answer.abstained and example.expect.abstain:
        declined = Verdict(Outcome.UNMEASURED, "it was right to decline, so there is nothing to look at")
        return verdicts | dict.fromkeys((Check.FORMAT, Check.LABEL, Check.STYLE, Check.REASONING), declined)
    return verdicts | {
        Check.FORMAT: format_(expect, answer),
        Check.LABEL: label(expect, answer),
        Check.STYLE: style(expect, answer),
        Check.REASONING: reasoning(expect, answer),
    }


def unanswered(reason: str) -> dict[Check, Verdict]:
    """The verdicts of a row that has no answer, because the model failed."""
    return dict.fromkeys(Check, Verdict(Outcome.UNMEASURED, reason))
