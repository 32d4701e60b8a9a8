"""The decision tables of a suite: their JSON form, and whether the case they are given to can be decided."""

from __future__ import annotations

from typing import Literal, cast

from knowhow.suites.fields import Fields, kind
from knowhow.types import Condition, Reasoning, Rule, Scalar

TESTS = ("is", "not", "at_least", "at_most", "above", "below", "in", "not_in")
Test = Literal["is", "not", "at_least", "at_most", "above", "below", "in", "not_in"]


def holds(condition: Condition, value: Scalar) -> bool:
    """Whether `value` meets the condition. Text and numbers never equal each other; nor do true and 1."""
    wanted = condition.value
    if isinstance(wanted, tuple):
        return any(same(value, item) for item in wanted) is (condition.test == "in")
    if condition.test in ("is", "not"):
        return same(value, wanted) is (condition.test == "is")
    if not isinstance(value, int | float) or not isinstance(wanted, int | float):
        return False
    if condition.test == "at_least":
        return value >= wanted
    if condition.test == "at_most":
        return value <= wanted
    return value > wanted if condition.test == "above" else value < wanted


def same(left: Scalar, right: Scalar) -> bool:
    """JSON equality: 1 equals 1.0, but neither true nor "1"."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def applying(reasoning: Reasoning) -> tuple[Rule, ...]:
    """The rules that bind this case, in order: all whose conditions hold, or only the first of them."""
    met = tuple(r for r in reasoning.rules if all(holds(c, reasoning.given[c.name]) for c in r.when))
    return met[:1] if reasoning.policy == "first" else met


def parse_reasoning(outer: Fields) -> Reasoning | None:
    """The table under `reasoning`, or None where there is none; problems go where `outer` keeps them."""
    fields = outer.nested("reasoning")
    if fields is None:
        return None
    before = len(fields.problems)
    given = fields.scalars("given")
    policy = fields.one_of("policy", ("first", "every"), "first")
    rules = []
    for number, item in enumerate(fields.items("rules")):
        entry = Fields(item, f"{fields.path}.rules[{number}]", fields.problems)
        name = entry.text("name") or f"rule {number + 1}"
        rule = Rule(name, _conditions(entry, given), entry.scalars("then"))
        if entry.body and not rule.then:
            entry.wrong("then", 'must say what follows, like {"decision": "accept"}')
        rules.append(rule)
        entry.end()
    fields.end()
    reasoning = Reasoning(given, tuple(rules), cast(Literal["first", "every"], policy))
    if len(fields.problems) == before:
        _decide(fields, reasoning)
    return reasoning


def _conditions(entry: Fields, given: dict[str, Scalar]) -> tuple[Condition, ...]:
    """`{"days": {"at_most": 45}}`, `{"item": "laptop"}` (is) or `{"item": ["laptop", "phone"]}` (in)."""
    found: list[Condition] = []
    for name, value in entry.mapping("when").items():
        if name not in given:
            entry.wrong("when", f'tests "{name}", which `given` does not hold')
        tests = value if isinstance(value, dict) else {"in" if isinstance(value, list) else "is": value}
        for test, wanted in tests.items():
            if test not in TESTS:
                entry.wrong("when", f'tests "{name}" with "{test}"; known are {", ".join(TESTS)}')
            elif (test in ("in", "not_in")) is not isinstance(wanted, list) or isinstance(wanted, dict):
                entry.wrong("when", f'"{name}" {test} cannot be {kind(wanted)}')
            elif test not in ("is", "not", "in", "not_in") and (
                not isinstance(wanted, int | float) or isinstance(wanted, bool)
            ):
                entry.wrong("when", f'"{name}" {test} needs a number, not {kind(wanted)}')
            else:
                found.append(Condition(name, cast(Test, test), tuple(wanted) if isinstance(wanted, list) else wanted))
    return tuple(found)


def _decide(fields: Fields, reasoning: Reasoning) -> None:
    """A case that no rule decides, or that two rules decide differently, measures nothing."""
    bound: dict[str, tuple[str, Scalar]] = {}
    applies = applying(reasoning)
    if not applies:
        fields.wrong("rules", "do not decide this case; add a last rule with an empty `when`")
    for rule in applies:
        for name, value in rule.then.items():
            other, earlier = bound.setdefault(name, (rule.name, value))
            if not same(earlier, value):
                fields.wrong("rules", f'contradict each other on "{name}": "{other}" and "{rule.name}" both apply')
