"""A model that reads its prompt, answers from it and errs, all by rules known exactly: what diagnosis is proven on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from knowhow.types import ChatRequest, fingerprint

_THING = re.compile(r"\b[A-Z][a-z]+ [A-Z]{1,2}\d+\b")
_BLOCKS = re.compile(r"<documents (?P<fence>\w+)>\n(?P<body>.*?)\n</documents (?P=fence)>", re.S)
_BLOCK = re.compile(r"^\[(?P<mark>\d+)\] [^\n]*\n(?P<text>.*?)(?=^\[\d+\] |\Z)", re.S | re.M)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?](?=\s|$)|[^.!?\n]+$", re.M)
_SCHEMA = re.compile(r"valid for this schema: (\{.*\})")
_LABELS = re.compile(r"one of these labels[^:]*: ([^\n]+)")
_MOST_WORDS = re.compile(r"at most (\d+) words")
_BEGIN = re.compile(r"[Bb]egin (?:every answer )?with [\"“]([^\"”]+)[\"”]")
_RULE = re.compile(r"\bif ([^\n]+?), then (\w+) = (\w+)")
_CONDITION = re.compile(r"(\w+) is (at most |above |)(the return window|\w+)")
_CAUTIOUS = re.compile(r"unless you are absolutely certain|when in any doubt, decline", re.I)
_BOLD = re.compile(r"always give an answer|never say that", re.I)
_DECLINED = "The documents do not say."
_HOT = 0.7
"""Temperature from which it errs in half of what it reads."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Something a text can say of a thing: the words that show it is at issue, the shape of its value, its name."""

    name: str
    cues: tuple[str, ...]
    value: str
    """Regular expression of the value."""


@dataclass(frozen=True, slots=True)
class Mind:
    """What a scripted model understands, knows by heart, and how well it works.

    `noise` is the range of its error rates: each question has one of its own, and at that rate every single thing it
    does for it goes wrong: reading, obeying each instruction, keeping a form.
    """

    topics: tuple[Topic, ...]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Meaning of a message → words that show it; what a label is called is only known from the prompt."""
    rules: str = ""
    """House rules it can guess from worked examples, in the form "if A and B, then field = value"."""
    heart: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(thing, topic name) → the value it believes, whatever documents say."""
    stubborn: frozenset[tuple[str, str]] = frozenset()
    """What it says from heart even where a document says otherwise."""
    noise: tuple[float, float] = (0.05, 0.2)
    span: int = 6
    """Passages it reads well; of more, those in the middle are mostly lost."""
    guesses: float = 0.55
    """How often it infers rules or form from worked examples rightly."""
    seed: int = 0


class Scripted:
    """The script of a `FakeChat`: the same request always gets the same reply, another wording of it a fresh draw."""

    def __init__(self, mind: Mind) -> None:
        self._mind = mind

    def __call__(self, request: ChatRequest) -> str:
        return _Reply(self._mind, request).text()


@dataclass(frozen=True, slots=True)
class _Said:
    """One statement read in a passage."""

    thing: str
    value: str
    mark: str
    sentence: str
    place: float
    """Where its passage stands among the others: 0 first, 1 last."""

    def written(self, thing: str, topic: str) -> str:
        """As an answer says it: the sentence itself with its mark, or what it remembers."""
        if self.sentence:
            return f"{self.sentence.rstrip('.')} [{self.mark}]."
        return f"The {topic} of the {thing} is {self.value}."


class _Reply:
    """One reply in the making."""

    def __init__(self, mind: Mind, request: ChatRequest) -> None:
        self.mind = mind
        self.request = request
        self.system = "\n".join(m.content for m in request.messages if m.role == "system")
        self.shots = [m.content for m in request.messages if m.role == "assistant"]
        last = request.messages[-1].content
        fenced = _BLOCKS.search(last)
        blocks = list(_BLOCK.finditer(fenced["body"])) if fenced else []
        self.passages = [(block["mark"], block["text"]) for block in blocks]
        self.question = last[fenced.end() if fenced else 0 :].strip().removeprefix("Question:").strip()
        case = Random(fingerprint([mind.seed, sorted(self.question.split())]))
        self.rate = mind.noise[0] + case.random() * (mind.noise[1] - mind.noise[0])
        self.dice = Random(fingerprint([mind.seed, request.messages, request.schema, request.sampling]))

    def text(self) -> str:
        thing = _THING.search(self.question)
        topics = [topic for topic in self.mind.topics if _about(self.question, topic)]
        if thing and ("refund applies" in self.question):
            return self._decide(thing.group())
        if thing and topics:
            return self._state(thing.group(), topics)
        return self._label()

    def slips(self, rate: float | None = None) -> bool:
        """Whether this one thing goes wrong."""
        return self.dice.random() < (self.rate if rate is None else rate)

    # reading

    def statements(self, topic: Topic) -> list[_Said]:
        """Everything the passages say on a topic, in the order of the prompt."""
        found = []
        for i, (mark, text) in enumerate(self.passages):
            thing = ""
            for match in _SENTENCE.finditer(text):
                sentence = match.group().strip()
                named = _THING.search(sentence)
                thing = named.group() if named else thing
                value = re.search(topic.value, sentence)
                if value and _about(sentence, topic):
                    place = i / max(len(self.passages) - 1, 1)
                    found.append(_Said(thing, value.group(), mark, sentence, place))
        return found

    def read(self, thing: str, topic: Topic) -> _Said | None:
        """What it takes the documents to say, or what it remembers; None where it finds nothing."""
        key = (thing, topic.name)
        said = self.statements(topic)
        own = [one for one in said if one.thing == thing]
        if not own and len({one.thing for one in said}) == 1 and "" in {one.thing for one in said}:
            own = said  # a passage that names no thing at all is taken to be about the one in question
        own = [one for one in own if not self._lost(one)]
        others = [one for one in said if one.thing != thing]
        if key in self.mind.stubborn and not self.slips():
            return _Said(thing, self.mind.heart[key], "", "", 1.0)
        if own and self.slips(0.5 if self.request.sampling.temperature >= _HOT else None):
            return self.dice.choice(others) if others and self.slips(0.7) else None  # the wrong line, or none at all
        if own:
            return own[-1] if not self.slips(0.3) else own[0]  # of several it mostly takes the nearest
        if key in self.mind.heart and not self.slips(0.5 if self.passages else 0.1):
            return _Said(thing, self.mind.heart[key], "", "", 1.0)
        bold = 0.9 if _BOLD.search(self.system) else 0.35
        return self.dice.choice(others) if others and self.slips(bold) else None

    def _lost(self, one: _Said) -> bool:
        """Whether it overlooks a passage in the middle of many."""
        return len(self.passages) > self.mind.span and 0.15 < one.place < 0.85 and not self.slips(0.12)

    # answering

    def _state(self, thing: str, topics: Sequence[Topic]) -> str:
        said = {topic.name: self.read(thing, topic) for topic in topics}
        schema = self._schema()
        if schema is not None:
            return json.dumps(_filled(schema, {name: one.value for name, one in said.items() if one}))
        if None in said.values() or (_CAUTIOUS.search(self.system) and not self.slips()):
            return _DECLINED
        return self._prose(thing, {name: one for name, one in said.items() if one})

    def _prose(self, thing: str, said: Mapping[str, _Said]) -> str:
        """One sentence a fact, in the words of its source; chatty unless told or shown how to write."""
        sentences = [one.written(thing, name) for name, one in said.items()]
        greeting = self._greeting()
        if greeting and not self.slips():
            sentences[0] = f"{greeting} {sentences[0][0].lower()}{sentences[0][1:]}"
        if not (self._short() and not self.slips()):
            marks = [one.mark for one in said.values() if one.mark]
            texts = [(mark, text) for mark, text in self.passages if mark in marks]
            others = [(mark, m.group().strip()) for mark, text in texts for m in _SENTENCE.finditer(text)]
            sentences += [f"{text.rstrip('.')} [{mark}]." for mark, text in others if thing in text][:3]
        return " ".join(sentences)

    def _greeting(self) -> str:
        told = _BEGIN.search(self.system)
        firsts = {shot.split(" ", 1)[0] for shot in self.shots}
        shown = firsts.pop() if len(firsts) == 1 and len(self.shots) > 1 and not self.shots[0].startswith("{") else ""
        return told[1] if told else shown if shown.endswith(",") else ""

    def _short(self) -> bool:
        shown = bool(self.shots) and max(len(shot.split()) for shot in self.shots) <= 20
        return bool(_MOST_WORDS.search(self.system)) or shown

    def _schema(self) -> Mapping[str, Any] | None:
        """The JSON it will write: enforced, or told or shown and obeyed."""
        if self.request.schema is not None:
            return self.request.schema
        told = _SCHEMA.search(self.system)
        if told and not self.slips():
            found: dict[str, Any] = json.loads(told[1])
            return found
        if self.shots and all(shot.startswith("{") for shot in self.shots) and not self.slips():
            shown = json.loads(self.shots[-1])
            kinds = {str: "string", int: "integer"}
            properties = {name: {"type": kinds.get(type(value), "string")} for name, value in shown.items()}
            return {"type": "object", "properties": properties}
        return None

    # deciding by rules

    def _decide(self, thing: str) -> str:
        window = next(topic for topic in self.mind.topics if topic.name == "return window")
        said = self.read(thing, window)
        if said is None:
            return _DECLINED
        days = re.search(r"(\d+) days", self.question)
        given = {
            "days": days[1] if days else "0",
            "window": "".join(filter(str.isdigit, said.value)),
            "opened": "no" if "unopened" in self.question else "yes",
        }
        rules = _RULE.findall(self.system)
        if not rules and self.shots and self.slips(self.mind.guesses):
            rules = _RULE.findall(self.mind.rules)
        decided = _applied(rules, given) if rules and not self.slips() else ""
        decided = decided or self.dice.choice(["full", "none"])
        return f"{said.written(thing, window.name)} The refund is {decided}."

    # naming what a message is about

    def _label(self) -> str:
        words = self.question.lower()
        hits = {name: sum(cue in words for cue in cues) for name, cues in self.mind.labels.items()}
        meant = max(sorted(hits), key=lambda name: hits[name], default="")
        if self.slips(0.5 if self.request.sampling.temperature >= _HOT else None):
            meant = self.dice.choice(sorted(hits))
        schema = self.request.schema
        if schema is not None:
            return json.dumps(_nearest(meant, schema.get("enum", [])) or meant)
        told = _LABELS.search(self.system)
        if told and not self.slips():
            return _nearest(meant, [name.strip() for name in told[1].split(",")]) or meant
        shown = _nearest(meant, self.shots)
        if shown and not self.slips():
            return shown
        return f"The message is about {meant.replace('_', ' ')} and should go to the team in charge."


def _about(text: str, topic: Topic) -> bool:
    lower = text.lower()
    return any(cue in lower for cue in topic.cues)


def _applied(rules: Sequence[tuple[str, str, str]], given: Mapping[str, str]) -> str:
    """What the first rule decides whose conditions hold."""
    for conditions, _, value in rules:
        if all(_holds(condition, given) for condition in conditions.split(" and ")):
            return value
    return ""


def _holds(condition: str, given: Mapping[str, str]) -> bool:
    found = _CONDITION.search(condition)
    if found is None:
        return False
    left, test = given.get(found[1], ""), found[2].strip()
    right = given["window"] if found[3] == "the return window" else found[3]
    if not test:
        return left == right
    if not (left.isdigit() and right.isdigit()):
        return False
    return int(left) <= int(right) if test == "at most" else int(left) > int(right)


def _filled(schema: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """An object of the schema's properties; numbers as numbers, null where nothing was found."""
    filled: dict[str, Any] = {}
    for name, kind in schema.get("properties", {}).items():
        value = next((found for topic, found in values.items() if set(topic.split()) & set(name.split("_"))), None)
        digits = "".join(filter(str.isdigit, value or ""))
        number = kind.get("type") in ("integer", "number")
        filled[name] = (int(digits) if digits else 0) if number else value or ""
    return filled


def _nearest(meant: str, names: Sequence[str]) -> str:
    """The name that shares most words with what is meant; empty where none shares any."""
    words = set(meant.lower().split("_"))
    best = max(names, key=lambda name: len(words & set(re.split(r"[\W_]+", name.lower()))), default="")
    return best if words & set(re.split(r"[\W_]+", best.lower())) else ""
