"""Faults of what the product does, and of the tests themselves: form, wording, labels, rules, sampling, gold."""

# ruff: noqa: ARG001 - every fault takes the ground and the site, whether it needs both or not
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from knowhow.diagnose.ground import Ground, Site
from knowhow.diagnose.swap import swap
from knowhow.types import Evidence, Form, Recipe

HOT = 1.0
"""A temperature at which a model is not itself."""
_CHATTY = (
    "Answer the question from the documents at length and in several sentences, as in a letter to a customer: repeat "
    "the question, explain the background, and close with friendly wishes."
)
_PROSE = "Answer in one full English sentence with facts from the documents. Never write lists, code or JSON."
_CAUTIOUS = (
    'Reply only: "The documents do not say.", unless you are absolutely certain of every detail. When in any doubt, '
    "decline."
)
_BOLD = (
    "Always give an answer, the closest one that the documents have, even if it is about something else. Never say "
    "that the documents do not say."
)


def schema_omitted(ground: Ground, site: Site) -> Site | None:
    """Nobody tells the model what form is expected."""
    if site.example.expect.schema is None or site.recipe.form is Form.FREE:
        return None
    return replace(site, recipe=replace(site.recipe, form=Form.FREE, schema=None))


def prose_asked(ground: Ground, site: Site) -> Site | None:
    """The instructions ask for prose where JSON is expected."""
    bare = schema_omitted(ground, site)
    return bare and replace(bare, recipe=replace(bare.recipe, instructions=_PROSE))


def style_hidden(ground: Ground, site: Site) -> Site | None:
    """The house style is in no prompt."""
    if site.example.expect.style is None:
        return None
    return replace(site, recipe=replace(site.recipe, form=Form.FREE, instructions="", examples=(), shots=0))


def style_contradicted(ground: Ground, site: Site) -> Site | None:
    """The prompt asks for another style than the house's."""
    bare = style_hidden(ground, site)
    return bare and replace(bare, recipe=replace(bare.recipe, instructions=_CHATTY))


def labels_hidden(ground: Ground, site: Site) -> Site | None:
    """Nobody tells the model what the labels are called."""
    if site.example.expect.label is None or site.recipe.form is Form.FREE:
        return None
    return replace(site, recipe=replace(site.recipe, form=Form.FREE, shots=0, examples=()))


def labels_renamed(ground: Ground, site: Site) -> Site | None:
    """The prompt lists the labels under names they no longer have."""
    bare = labels_hidden(ground, site)
    if bare is None or not site.example.expect.labels:
        return None
    dice = ground.dice(site, "labels-renamed")
    names = [
        f"{'_'.join(reversed(re.split(r'[_ ]+', name)))}_{dice.randrange(10, 99)}"
        for name in site.example.expect.labels
    ]
    told = f"Choose what fits the text. Reply with exactly one of these labels and nothing else: {', '.join(names)}"
    return replace(bare, recipe=replace(bare.recipe, instructions=told))


def rules_hidden(ground: Ground, site: Site) -> Site | None:
    """The rules that decide stand in no prompt."""
    if site.example.expect.reasoning is None or not site.recipe.instructions:
        return None
    kept = [line for line in site.recipe.instructions.splitlines() if not _rule_line(line)]
    return replace(site, recipe=replace(site.recipe, instructions="\n".join(kept), form=Form.FREE))


def rules_outdated(ground: Ground, site: Site) -> Site | None:
    """The prompt holds the rules with their outcomes mixed up."""
    table = site.example.expect.reasoning
    if table is None or not site.recipe.instructions:
        return None
    values = list(dict.fromkeys(str(value) for rule in table.rules for value in rule.then.values()))
    if len(values) < 2:
        return None
    turned = dict(zip(values, [*values[1:], values[0]], strict=True))
    word = re.compile(r"\b(" + "|".join(map(re.escape, values)) + r")\b")
    lines = [
        word.sub(lambda m: turned[m[0]], line) if _rule_line(line) else line
        for line in site.recipe.instructions.splitlines()
    ]
    return replace(site, recipe=replace(site.recipe, instructions="\n".join(lines)))


def hot(ground: Ground, site: Site) -> Site | None:
    """The temperature is far too high."""
    if site.recipe.form is Form.CONSTRAINED:
        return None
    seed = ground.dice(site, "hot").randrange(1000)
    return replace(site, recipe=_sampled(site.recipe, temperature=HOT, seed=seed))


def over_cautious(ground: Ground, site: Site) -> Site | None:
    """The instructions scare the model into declining."""
    if not site.searches or site.example.expect.schema is not None:
        return None
    return replace(site, recipe=_told(site.recipe, _CAUTIOUS))


def over_bold(ground: Ground, site: Site) -> Site | None:
    """The instructions forbid the model to decline."""
    if not site.example.expect.abstain:
        return None
    return replace(site, recipe=_told(site.recipe, _BOLD))


# --- the test is wrong -------------------------------------------------------------------------------------


def gold_corrupted(ground: Ground, site: Site) -> Site | None:
    """The suite expects a value that its own evidence does not state."""
    expect = site.example.expect
    made = swap(site.example, [" ".join(fact[0] for fact in expect.facts)], ground.lab.suite.examples)
    if made is None:
        return None
    facts = tuple((made.false,) if made.original in fact else fact for fact in expect.facts)
    return replace(site, example=replace(site.example, expect=replace(expect, facts=facts)))


def label_corrupted(ground: Ground, site: Site) -> Site | None:
    """The suite expects a label that does not fit."""
    expect = site.example.expect
    others = sorted(set(expect.labels) - {expect.label})
    if expect.label is None or not others:
        return None
    wrong = ground.dice(site, "label-corrupted").choice(others)
    return replace(site, example=replace(site.example, expect=replace(expect, label=wrong)))


def field_corrupted(ground: Ground, site: Site) -> Site | None:
    """The suite expects a wrong value in one field."""
    expect = site.example.expect
    numbers = [name for name, value in expect.fields.items() if isinstance(value, int) and not isinstance(value, bool)]
    if not numbers:
        return None
    name = ground.dice(site, "field-corrupted").choice(numbers)
    fields: Mapping[str, Any] = {**expect.fields, name: expect.fields[name] + 3}
    return replace(site, example=replace(site.example, expect=replace(expect, fields=fields)))


def evidence_corrupted(ground: Ground, site: Site) -> Site | None:
    """The suite names a sentence of another document as the evidence."""
    expect = site.example.expect
    lenders = [
        one
        for one in ground.lab.suite.examples
        if one.group != site.example.group and one.expect.evidence and one.expect.evidence[0].quote
    ]
    if not expect.evidence or not lenders:
        return None
    lent = ground.dice(site, "evidence-corrupted").choice(lenders).expect.evidence[0]
    changed = replace(expect, evidence=(Evidence(lent.source, lent.quote),))
    return replace(site, example=replace(site.example, expect=changed))


# --- how ---------------------------------------------------------------------------------------------------


def _told(recipe: Recipe, words: str) -> Recipe:
    """The recipe's instructions with an order in front; the built-in ones give way to it."""
    rest = f"\n{recipe.instructions}" if recipe.instructions else ""
    return replace(recipe, instructions=f"Answer the question briefly with facts from the documents.\n{words}{rest}")


def _sampled(recipe: Recipe, *, temperature: float, seed: int) -> Recipe:
    return replace(recipe, sampling=replace(recipe.sampling, temperature=temperature, seed=seed))


def _rule_line(line: str) -> bool:
    return line.lstrip().startswith(("-", "*", "Rules"))
