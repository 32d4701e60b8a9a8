"""Says in words what an answer must be like, where the recipe's own form does not: rules, declining, marks."""

from __future__ import annotations

from knowhow.diagnose.case import Case
from knowhow.types import Check, Condition, Context, Reasoning, Recipe, Rule

_TESTS = {
    "is": "is",
    "not": "is not",
    "at_least": "is at least",
    "at_most": "is at most",
    "above": "is above",
    "below": "is below",
    "in": "is one of",
    "not_in": "is none of",
}
ANSWER = "When any of the documents says it, answer; decline only when none does."
DECLINE = "Answer only what the documents say in so many words; when they do not, decline."
MARKS = "End every sentence with the mark of the document that says it, like [1]."


def told(case: Case, recipe: Recipe) -> str:
    """Instructions for what failed, in general words: nothing of what a right answer to this example holds."""
    expect = case.example.expect
    lines = []
    if Check.REASONING in case.failed and expect.reasoning is not None:
        lines.append(rules(expect.reasoning))
    if Check.ABSTENTION in case.failed and recipe.context is not Context.NONE:
        lines.append(DECLINE if expect.abstain else ANSWER)
    if Check.CITATION in case.failed and recipe.cite:
        lines.append(MARKS)
    return "\n".join(lines)


def rules(reasoning: Reasoning) -> str:
    """The decision table with the facts of the case, as a person would write them down."""
    which = "the first rule that applies decides" if reasoning.policy == "first" else "every rule that applies counts"
    given = ", ".join(f"{name}: {_plain(value)}" for name, value in reasoning.given.items())
    lines = [f"Decide by these rules; {which}.", *(f"- {_rule(rule)}" for rule in reasoning.rules)]
    return "\n".join([*lines, f"Given: {given}."])


def _rule(rule: Rule) -> str:
    when = " and ".join(_condition(one) for one in rule.when)
    then = ", ".join(f"{name} = {_plain(value)}" for name, value in rule.then.items())
    return f"{rule.name}: if {when}, then {then}." if when else f"{rule.name}: otherwise {then}."


def _condition(one: Condition) -> str:
    value = ", ".join(map(_plain, one.value)) if isinstance(one.value, tuple) else _plain(one.value)
    return f"{one.name} {_TESTS[one.test]} {value}"


def _plain(value: object) -> str:
    return (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    )
