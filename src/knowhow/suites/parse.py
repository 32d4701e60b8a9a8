"""Turns one JSON object of a suite into an `Example`, with every problem it has in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from knowhow.suites.fields import Fields
from knowhow.suites.rules import parse_reasoning
from knowhow.types import Evidence, Example, Expect, Message, Role, Split, Style

_SPLITS = tuple(split.value for split in Split)


def parse_example(body: object) -> tuple[Example | None, list[str]]:
    """The example and its problems; None as soon as there is one problem."""
    problems: list[str] = []
    fields = Fields(body, "", problems)
    id = _id(fields)
    expect = _expect(fields)
    group = fields.text("group") or (expect.evidence[0].source if expect.evidence else id)
    split = fields.one_of("split", _SPLITS, "")
    example = Example(
        id=id,
        expect=expect,
        question=fields.text("question"),
        input=fields.text("input"),
        messages=_messages(fields),
        context=fields.text("context"),
        access=frozenset(fields.texts("access")),
        where={key: value for key, value in fields.scalars("where").items() if value is not None},
        as_of=_moment(fields),
        group=group,
        split=Split(split) if split else None,
        tags=fields.texts("tags"),
        draft=fields.flag("draft") or False,
    )
    asked = [name for name in ("question", "input", "messages") if getattr(example, name)]
    if len(asked) != 1 and isinstance(body, dict):
        problems.append(
            f"has {' and '.join(f'`{name}`' for name in asked)}; keep one of them"
            if asked
            else "asks nothing; give it a `question`, an `input` or `messages`"
        )
    if isinstance(body, dict):
        fields.end()
    return (None if problems else example), problems


def _id(fields: Fields) -> str:
    value = fields.take("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        if fields.body:
            fields.wrong("id", "must be a text that names this example")
        return ""
    return value


def _expect(outer: Fields) -> Expect:
    fields = outer.nested("expect")
    if fields is None:
        return Expect()
    labels = fields.texts("labels")
    label = fields.text("label") or None
    if label is not None and labels and label not in labels:
        fields.wrong("label", f'is "{label}", which is not among `labels`')
    named = fields.mapping("fields")
    needed = fields.one_of("evidence_needed", ("all", "any"), "all")
    expect = Expect(
        facts=_facts(fields),
        forbidden=fields.texts("forbidden"),
        abstain=fields.flag("abstain"),
        evidence=_evidence(fields),
        evidence_needed=cast(Literal["all", "any"], needed),
        label=label,
        labels=labels,
        schema=_schema(fields),
        fields=dict(named),
        style=_style(fields),
        reasoning=parse_reasoning(fields),
        reference=fields.text("reference"),
        rubric=fields.text("rubric"),
    )
    if expect.abstain and expect.facts:
        fields.wrong("abstain", "is true, but `facts` say what the answer must hold; keep one of them")
    fields.end()
    return expect


def _facts(fields: Fields) -> tuple[tuple[str, ...], ...]:
    """A list of lists of alternatives; a bare text stands for a list of one."""
    facts: list[tuple[str, ...]] = []
    for fact in fields.items("facts"):
        alternatives = [fact] if isinstance(fact, str) else fact
        if not isinstance(alternatives, list) or not alternatives:
            fields.wrong("facts", 'must be a list of lists of alternatives, like [["45 days", "forty-five days"]]')
            return ()
        if not all(isinstance(item, str) and item.strip() for item in alternatives):
            fields.wrong("facts", "must hold texts only, none of them empty")
            return ()
        facts.append(tuple(alternatives))
    return tuple(facts)


def _evidence(fields: Fields) -> tuple[Evidence, ...]:
    found = []
    for number, item in enumerate(fields.items("evidence")):
        entry = Fields(item, fields.name(f"evidence[{number}]").strip("`"), fields.problems)
        source = entry.text("source")
        if entry.body and not source:
            entry.wrong("source", "must name a document (its uri)")
        relevance = entry.whole("relevance", 1)
        found.append(Evidence(source, entry.text("quote"), 1 if relevance is None else relevance))
        entry.end()
    return tuple(found)


def _schema(fields: Fields) -> dict[str, object] | None:
    schema = fields.take("schema")
    if schema is None:
        return None
    if not isinstance(schema, dict):
        fields.wrong("schema", "must be a JSON schema, which is an object")
        return None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        fields.wrong("schema", f"is no valid JSON schema: {error.message}")
    return schema


def _style(outer: Fields) -> Style | None:
    fields = outer.nested("style")
    if fields is None:
        return None
    style = Style(
        min_words=fields.whole("min_words", 0),
        max_words=fields.whole("max_words", 0),
        min_sentences=fields.whole("min_sentences", 0),
        max_sentences=fields.whole("max_sentences", 0),
        min_reading_ease=fields.number("min_reading_ease"),
        must_match=fields.patterns("must_match"),
        must_not_match=fields.patterns("must_not_match"),
    )
    bounds = (("words", style.min_words, style.max_words), ("sentences", style.min_sentences, style.max_sentences))
    for what, least, most in bounds:
        if least is not None and most is not None and least > most:
            fields.wrong(f"min_{what}", f"is {least}, above `max_{what}`, which is {most}")
    fields.end()
    return style


def _messages(fields: Fields) -> tuple[Message, ...]:
    messages: Sequence[object] = fields.items("messages")
    found = []
    for number, item in enumerate(messages):
        entry = Fields(item, f"messages[{number}]", fields.problems)
        role = entry.one_of("role", ("system", "user", "assistant"), "")
        if entry.body and not role:
            entry.wrong("role", "must be system, user or assistant")
        found.append(Message(cast(Role, role), entry.text("content")))
        entry.end()
    if found and found[-1].role != "user":
        fields.wrong("messages", "must end with a user turn; what was answered belongs in `expect.reference`")
    return tuple(found)


def _moment(fields: Fields) -> float | None:
    """UTC seconds from a number or an ISO date; a date without a zone is UTC."""
    value = fields.take("as_of")
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None if value is None else float(value)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        fields.wrong("as_of", 'must be a date like "2026-03-01" or "2026-03-01T12:00:00Z", or UTC seconds')
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
