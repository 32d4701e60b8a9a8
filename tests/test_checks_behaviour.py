"""Checks of behaviour: JSON form, labels, style rules under hostile patterns, decisions that must follow rules."""

from __future__ import annotations

from typing import Any

import pytest

from checks_world import FAIL, PASS, UNMEASURED, verdict
from knowhow.evaluate import patterns
from knowhow.evaluate.behaviour import reading_ease
from knowhow.evaluate.form import json_of, same_json, schema_problem
from knowhow.types import Check, Outcome

ORDER = {"type": "object", "required": ["days"], "properties": {"days": {"type": "integer"}, "id": {"pattern": "^A"}}}


@pytest.mark.parametrize(
    ("text", "expect", "outcome", "reason"),
    [
        ('{"days": 45}', {"schema": ORDER}, PASS, "it is JSON as asked for"),
        ('{"days": "45"}', {"schema": ORDER}, FAIL, "days: '45' is not of type 'integer'"),
        ("{}", {"schema": ORDER}, FAIL, "'days' is a required property"),
        ('{"days": 1, "id": "B"}', {"schema": ORDER}, FAIL, "id: 'B' does not match '^A'"),
        ("You have 45 days", {"schema": ORDER}, FAIL, "it is no JSON: Expecting value"),
        ('```json\n{"days": 45}\n```', {"schema": ORDER}, FAIL, "it is wrapped in a code fence"),
        ('{"days": NaN}', {"fields": {"days": 1}}, FAIL, "NaN is not a JSON number"),
        ("[" * 100_000, {"schema": {}}, FAIL, "it is no JSON"),
        ('{"days": 30}', {"fields": {"days": 45}}, PASS, "it is JSON"),
        ('{"days": "45"}', {"fields": {"days": 45}}, FAIL, "`days` is text, must be a number"),
        ('{"days": true}', {"fields": {"days": 1}}, FAIL, "`days` is true or false, must be a number"),
        ('{"other": 1}', {"fields": {"days": 45}}, FAIL, "`days` is missing"),
        ("45", {"fields": {"days": 45}}, FAIL, "it must be an object with days"),
        ("45", {}, UNMEASURED, "no form is asked for"),
    ],
)
def test_format(text: str, expect: dict[str, Any], outcome: Outcome, reason: str) -> None:
    found = verdict(Check.FORMAT, text, expect)
    assert found.outcome is outcome, found.reason
    assert reason in found.reason


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (45, 45.0, True),
        (True, 1, False),
        ("45", 45, False),
        ([1, {"a": None}], [1.0, {"a": None}], True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [2, 1], False),
        ({"a": True}, {"a": 1}, False),
    ],
)
def test_json_equality_is_typed_at_any_depth(left: Any, right: Any, same: bool) -> None:
    assert same_json(left, right) is same


def test_a_schema_never_fetches_anything() -> None:
    problem = schema_problem(1, {"$ref": "http://127.0.0.1:9/schema.json"})
    assert problem.startswith("the schema cannot be used")


def test_json_of_says_what_it_is_not() -> None:
    assert json_of(' {"a": 1}\n') == ({"a": 1}, "")
    assert json_of("")[1].startswith("it is no JSON")


LABELS = ["returns", "lost_card", "card"]


@pytest.mark.parametrize(
    ("text", "outcome", "reason", "mentioned"),
    [
        ("lost_card", PASS, "the label is right", 1.0),
        (" Lost card. ", PASS, 'the label is right, written "Lost card."', 1.0),
        ("card", FAIL, 'the label is "card", must be "lost_card"', 0.0),
        ("lost_cart", FAIL, '"lost_cart" is no known label (nearest is "lost card"); must be "lost_card"', 0.0),
        ("The label is lost card", FAIL, "is no known label", 1.0),
        ("lost_card or returns", FAIL, "is no known label", 0.0),
        ("", FAIL, '"" is no known label', 0.0),
    ],
)
def test_label(text: str, outcome: Outcome, reason: str, mentioned: float) -> None:
    found = verdict(Check.LABEL, text, {"label": "lost_card", "labels": LABELS})
    assert found.outcome is outcome
    assert reason in found.reason
    assert found.measures == {"mentioned": mentioned}


# --- style ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "reason"),
    [
        ({"max_words": 4}, "5 words, at most 4 are allowed"),
        ({"min_words": 6}, "5 words, at least 6 are asked for"),
        ({"max_sentences": 1}, "2 sentences, at most 1 are allowed"),
        ({"must_match": ["^Dear"]}, '"^Dear" must be found'),
        ({"must_not_match": ["(?i)hi"]}, '"(?i)hi" must not be found'),
        ({"max_words": 4, "must_match": ["!"]}, '5 words, at most 4 are allowed; "!" must be found'),
    ],
)
def test_each_broken_style_rule_is_named(style: dict[str, Any], reason: str) -> None:
    found = verdict(Check.STYLE, "Hi there. See you soon.", {"style": style})
    assert (found.outcome, found.reason) == (FAIL, reason)


def test_kept_style_rules_pass_with_what_was_counted() -> None:
    rules = {"max_words": 5, "min_sentences": 2, "must_match": ["^Hi"], "must_not_match": ["!"], "min_reading_ease": 80}
    found = verdict(Check.STYLE, "Hi there. See you soon.", {"style": rules})
    assert found.outcome is PASS
    assert (found.measures["words"], found.measures["sentences"]) == (5, 2)


def test_reading_ease_is_fleschs_formula() -> None:
    # 6 words, 1 sentence, 6 syllables
    assert reading_ease("The cat sat on the mat.") == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    # 4 words, 1 sentence: or-gan-i-za-tion-al 6, re-spon-si-bil-i-ty 6 (vowel groups), with 1, de-le-gates 3
    hard = reading_ease("Organizational responsibility precedes delegation.")
    assert hard is not None
    assert hard < 0
    assert reading_ease("… !") is None


def test_a_pattern_without_end_is_stopped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.05)
    found = verdict(Check.STYLE, "a" * 60 + "b", {"style": {"must_match": ["^(?:a|aa)+$"]}})
    assert found.outcome is UNMEASURED
    assert "backtracks without end" in found.reason


# --- reasoning --------------------------------------------------------------------------------------------

TABLE = {
    "given": {"item": "laptop", "days": 38, "opened": True},
    "rules": [
        {"name": "opened software", "when": {"item": "software", "opened": True}, "then": {"decision": "reject"}},
        {
            "name": "electronics 45",
            "when": {"item": ["laptop", "phone"], "days": {"at_most": 45}},
            "then": {"decision": "accept", "refund": 100},
        },
        {"name": "otherwise", "when": {}, "then": {"decision": "reject"}},
    ],
}


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ('{"decision": "accept", "refund": 100}', PASS, '"electronics 45" (item laptop in'),
        ("We accept it with a refund of 100.", PASS, "as the rules say"),
        (
            '{"decision": "reject", "refund": 100}',
            FAIL,
            "must be 'accept'; that is \"opened software\", which does not apply (item is laptop)",
        ),
        ('{"decision": "accept", "refund": 50}', FAIL, "refund is 50, must be 100"),
        ('{"decision": "accept"}', FAIL, "it does not decide refund"),
        ("We accept or reject it, refund 100.", FAIL, 'broke "electronics 45"'),
        ("Hm.", FAIL, "it does not decide decision"),
    ],
)
def test_a_decision_names_the_rule_it_broke(text: str, outcome: Outcome, reason: str) -> None:
    found = verdict(Check.REASONING, text, {"reasoning": TABLE})
    assert found.outcome is outcome, found.reason
    assert reason in found.reason


def test_every_rule_that_applies_binds_where_the_policy_says_so() -> None:
    table = {
        "given": {"amount": 900, "new": True},
        "policy": "every",
        "rules": [
            {"name": "large", "when": {"amount": {"above": 500}}, "then": {"approval": "manager"}},
            {"name": "new customer", "when": {"new": True}, "then": {"deposit": True}},
            {"name": "small", "when": {"amount": {"at_most": 500}}, "then": {"approval": "none"}},
        ],
    }
    assert verdict(Check.REASONING, '{"approval": "manager", "deposit": true}', {"reasoning": table}).outcome is PASS
    found = verdict(Check.REASONING, '{"approval": "manager", "deposit": false}', {"reasoning": table})
    assert found.reason == 'broke "new customer" (new True): deposit is False, must be True'
