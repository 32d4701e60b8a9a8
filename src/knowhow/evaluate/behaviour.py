"""Checks of what an answer does: format, label, style, and decisions that must follow rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from knowhow.answer.sentences import sentences
from knowhow.evaluate.form import json_of, missing_fields, same_json, schema_problem
from knowhow.evaluate.patterns import found
from knowhow.evaluate.said import said
from knowhow.evaluate.statements import Mention, mention
from knowhow.evaluate.verdicts import failed, passed, short, unmeasured
from knowhow.suites.rules import applying, holds
from knowhow.types import Answer, Condition, Expect, Reasoning, Rule, Scalar, Style, Verdict


def format_(expect: Expect, answer: Answer) -> Verdict:
    """Passes when the answer is JSON that fits the schema and has the named fields with the right types.

    Their values are `content`: a wrong number in a right form is a lack of knowledge.
    """
    if expect.schema is None and not expect.fields:
        return unmeasured("no form is asked for")
    value, problem = json_of(answer.text)
    if problem:
        return failed(problem)
    wrong = missing_fields(expect.fields, value)
    if expect.schema is not None:
        wrong = [text for text in [schema_problem(value, expect.schema)] if text] + wrong
    return failed("; ".join(wrong)) if wrong else passed("it is JSON as asked for")


def label(expect: Expect, answer: Answer) -> Verdict:
    """Passes when the answer is the label and nothing else; case, punctuation and `_`, `-` or space do not count.

    Measures `mentioned`: whether the right label, and no other, is named anywhere in the answer.
    """
    if expect.label is None:
        return unmeasured("no label is expected")
    labels = expect.labels or (expect.label,)
    text = said(answer).strip()
    named = {name for name in labels if mention(_plain(text), _plain(name)) is Mention.STATED}
    measures = {"mentioned": float(_longest(named) == {expect.label})}
    if text == expect.label:
        return passed("the label is right", measures)
    known = next((name for name in labels if _plain(name) == _plain(text)), None)
    if known == expect.label:
        return passed(f'the label is right, written "{short(text)}"', measures)
    if known is not None:
        return failed(f'the label is "{known}", must be "{expect.label}"', measures)
    near = get_close_matches(_plain(text), [_plain(name) for name in labels], n=1)
    hint = f' (nearest is "{near[0]}")' if near else ""
    return failed(f'"{short(text)}" is no known label{hint}; must be "{expect.label}"', measures)


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())


def _longest(names: set[str]) -> set[str]:
    """Without names that are part of another: "card" is named by "lost card" only as a part of it."""
    return {name for name in names if not any(name != other and _plain(name) in _plain(other) for other in names)}


# --- style ------------------------------------------------------------------------------------------------


def style(expect: Expect, answer: Answer) -> Verdict:
    """Passes when every style rule that is set holds; each broken one is named with what was counted."""
    if expect.style is None:
        return unmeasured("no style is asked for")
    if answer.abstained:
        return unmeasured("it declined, and a decline has its own words")
    rules, text = expect.style, said(answer)
    words, count = _words(text), len(sentences(text))
    measures: dict[str, float] = {"words": len(words), "sentences": count}
    ease = reading_ease(text)
    if ease is not None:
        measures["reading_ease"] = ease
    broken = _out_of_bounds("words", len(words), rules.min_words, rules.max_words)
    broken += _out_of_bounds("sentences", count, rules.min_sentences, rules.max_sentences)
    if rules.min_reading_ease is not None and ease is not None and ease < rules.min_reading_ease:
        broken.append(f"reading ease {ease:.0f}, must be at least {rules.min_reading_ease:g}")
    told, unclear = _patterns(rules, text)
    broken += told
    if broken:
        return failed("; ".join(broken), measures)
    return unmeasured("; ".join(unclear), measures) if unclear else passed("every style rule holds", measures)


def _out_of_bounds(what: str, count: int, least: int | None, most: int | None) -> list[str]:
    if most is not None and count > most:
        return [f"{count} {what}, at most {most} are allowed"]
    return [f"{count} {what}, at least {least} are asked for"] if least is not None and count < least else []


def _patterns(rules: Style, text: str) -> tuple[list[str], list[str]]:
    """Broken pattern rules, and patterns that could not be tried."""
    broken, unclear = [], []
    for pattern, must in [(p, True) for p in rules.must_match] + [(p, False) for p in rules.must_not_match]:
        match = found(pattern, text)
        if match.problem:
            unclear.append(match.problem)
        elif match.matched is not must:
            broken.append(f'"{pattern}" must {"" if must else "not "}be found')
    return broken, unclear


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_](?:[\w'’-]*[^\W_])?", text)


def reading_ease(text: str) -> float | None:
    """Flesch reading ease, English: 206.835 − 1.015 words/sentence − 84.6 syllables/word. None without words.

    Flesch (1948), Journal of Applied Psychology 32(3):221-233. Syllables are counted by vowel groups.
    """
    words, count = _words(text), len(sentences(text))
    if not words or not count:
        return None
    return 206.835 - 1.015 * len(words) / count - 84.6 * sum(map(_syllables, words)) / len(words)


def _syllables(word: str) -> int:
    """Groups of vowels, without a silent final e; at least one."""
    plain = word.casefold()
    groups = len(re.findall(r"[aeiouyäöüáéíóúàèâêî]+", plain))
    silent = plain.endswith("e") and not plain.endswith(("le", "ee", "ye")) and groups > 1
    return max(groups - silent, 1)


# --- decisions that follow rules --------------------------------------------------------------------------


def reasoning(expect: Expect, answer: Answer) -> Verdict:
    """Passes when the decision is the one the rules lead to; else names the rule that was broken.

    A JSON object is read by field. Of plain text, the one value that the rules know for a field and that is
    named is the decision; two different ones decide nothing.
    """
    if expect.reasoning is None:
        return unmeasured("no rules are given")
    rules = applying(expect.reasoning)
    value, _ = json_of(answer.text)
    decided = value if isinstance(value, dict) else _decided(expect.reasoning, said(answer))
    for rule in rules:
        for name, wanted in rule.then.items():
            if name not in decided:
                return failed(f'broke "{rule.name}"{_because(rule, expect.reasoning)}: it does not decide {name}')
            if not same_json(decided[name], wanted):
                told = _as_if(expect.reasoning, rules, name, decided[name])
                return failed(
                    f'broke "{rule.name}"{_because(rule, expect.reasoning)}: '
                    f"{name} is {decided[name]!r}, must be {wanted!r}{told}"
                )
    return passed(
        "as the rules say: " + ", ".join(f'"{rule.name}"{_because(rule, expect.reasoning)}' for rule in rules)
    )


def _decided(table: Reasoning, text: str) -> dict[str, Scalar]:
    """Field → the value that plain text names, for fields of which it names exactly one."""
    choices: dict[str, list[Scalar]] = {}
    for rule in table.rules:
        for name, value in rule.then.items():
            if not any(same_json(value, known) for known in choices.setdefault(name, [])):
                choices[name].append(value)
    decided = {}
    for name, values in choices.items():
        named = [value for value in values if mention(text, _word(value)) is Mention.STATED]
        if len(named) == 1:
            decided[name] = named[0]
    return decided


def _word(value: Scalar) -> str:
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else str(value)


def _because(rule: Rule, table: Reasoning) -> str:
    """The conditions that made a rule apply, e.g. " (days 38 at most 45)"."""
    told = [f"{c.name} {table.given[c.name]}" + _bound(c) for c in rule.when]
    return f" ({', '.join(told)})" if told else ""


def _bound(condition: Condition) -> str:
    if condition.test == "is":
        return ""
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return f" {condition.test.replace('_', ' ')} {value}"


def _as_if(table: Reasoning, applied: Sequence[Rule], name: str, value: Any) -> str:
    """The rule that the wrong decision would have followed, and why it does not apply."""
    for rule in table.rules:
        if rule not in applied and name in rule.then and same_json(rule.then[name], value):
            unmet = next((c for c in rule.when if not holds(c, table.given[c.name])), None)
            why = f"{unmet.name} is {table.given[unmet.name]}" if unmet else "an earlier rule binds"
            return f'; that is "{rule.name}", which does not apply ({why})'
    return ""
