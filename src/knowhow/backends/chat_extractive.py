"""No model at all: quotes the sentences that share most with the question. The fallback, and an honest baseline."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from knowhow.backends.tokens import estimate, estimate_messages
from knowhow.types import ChatReply, ChatRequest, Message

NOT_STATED = "The documents do not say."

_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+•|#>]|\d{1,3}[.)]\s))")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[^\W_a-z])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|Inc|Ltd|Co|Gen|Col|Sen|Rep))\.$"
)
_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_CAPITAL = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w’'-]*")
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|hundred|thousand|million|billion)\b",
    re.I,
)
_TIME = re.compile(
    r"\b(?:1\d|20)\d\d\b|\b(?:january|february|march|april|june|july|august|september|october|november|december|monday|tuesday|"
    r"wednesday|thursday|friday|saturday|sunday|century|today|daily|weekly|monthly|annually)\b|\b\d+(?:st|nd|rd|th)?\s+(?:hours?|days?|weeks?|"
    r"months?|years?|minutes?)\b|\d\s?[ap]\.?m\b",
    re.I,
)
_PLACE = re.compile(r"\b(?:in|at|near|from|to|of|on)\s+(?:the\s+)?[A-Z]")
_STOP = frozenset(
    "a about after all also am an and any are as at be been being but by can could did do does during for from had has "
    "have he her him his how i if in into is it its may me my no not of on or our out over s she should so such t than "
    "that the their them then there these they this those to under up was we were what when where which who whom whose "
    "why will with would you your".split()
)
_SUFFIX = re.compile(r"(?:'s|ies|es|s|ing|ed|ly|e|y)$")

_ENOUGH = 0.3
"""Least share of the question's weight that the passage of the best sentence must hold; below it nothing is quoted.
Between answering and declining; docs/answers.md has the trade."""
_CUE = 0.25
"""What an answer of the kind asked for adds, as a share of the question's weight."""
_RANK = 0.02
"""What each place further down the list of passages takes away."""
_HEAD = 0.5
"""How much of a term's weight counts when it stands in the passage's other sentences."""
_SECOND = 0.8
"""A second sentence is quoted when it scores at least this share of the best."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One sentence of passage number `passage`, from 0, with its terms."""

    passage: int
    text: str
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Score:
    """How well a sentence answers, and which share of the question's weight its passage holds."""

    score: float
    coverage: float
    sentence: _Sentence


class ExtractiveChat:
    """Answers `request.question` from `request.passages`; of the rest only `sampling.max_tokens` (in words) counts."""

    name = "extractive"
    context_tokens = 0

    def chat(self, request: ChatRequest) -> ChatReply:
        began = time.perf_counter()
        question = request.question or (request.messages[-1].content if request.messages else "")
        text = quote(question, request.passages)
        words = text.split(" ")
        kept = words[: request.sampling.max_tokens]
        read = sum(map(estimate, (question, *request.passages)))
        return ChatReply(
            " ".join(kept),
            read,
            len(kept),
            "length" if len(kept) < len(words) else "stop",
            ms=(time.perf_counter() - began) * 1000,
        )

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        reply = self.chat(request)
        yield reply.text
        return reply

    def count(self, messages: Sequence[Message]) -> int:
        return estimate_messages(messages)

    def close(self) -> None:
        """Nothing to free."""


def quote(question: str, passages: Sequence[str]) -> str:
    """The best sentence of `passages`, at times two, each with its mark; `NOT_STATED` where none is near enough.

    A sentence scores the inverse-frequency weight of the question's terms it holds, in part those its passage holds
    elsewhere, and more when it has what is asked for: a name, a number, a time, a place.
    """
    asked = _terms(question)
    sentences = [
        _Sentence(i, text, _terms(text)) for i, passage in enumerate(passages) for text in split_sentences(passage)
    ]
    if not asked or not sentences:
        return NOT_STATED
    scores = _scores(question, asked, sentences)
    best, *rest = sorted(scores, key=lambda score: -score.score)
    if best.coverage < _ENOUGH:
        return NOT_STATED
    chosen = [best.sentence]
    if rest and rest[0].score >= _SECOND * best.score and rest[0].sentence.text != best.sentence.text:
        chosen.append(rest[0].sentence)
    return " ".join(f"{sentence.text} [{sentence.passage + 1}]" for sentence in chosen)


def split_sentences(text: str) -> list[str]:
    """Sentences, list items and table rows of `text` with their white space collapsed."""
    found: list[str] = []
    for block in _BLOCK.split(text):
        open_end = False
        for piece in _SENTENCE_END.split(block):
            words = " ".join(piece.split())
            if not words:
                continue
            if open_end:
                found[-1] += " " + words
            else:
                found.append(words)
            open_end = bool(_ABBREVIATION.search(words))
    return found


def _scores(question: str, asked: frozenset[str], sentences: Sequence[_Sentence]) -> list[_Score]:
    held = Counter(term for sentence in sentences for term in sentence.terms)
    weight = {term: math.log(1 + len(sentences) / (1 + held[term])) for term in asked}
    whole = sum(weight.values())
    in_passage: dict[int, frozenset[str]] = {}
    for sentence in sentences:
        in_passage[sentence.passage] = in_passage.get(sentence.passage, frozenset()) | sentence.terms & asked
    scores = []
    for sentence in sentences:
        here = sum(weight[term] for term in sentence.terms & asked) / whole
        coverage = sum(weight[term] for term in in_passage[sentence.passage]) / whole
        score = here + _HEAD * (coverage - here) if here else 0.0
        if here and _has_what_is_asked(question, sentence.text):
            score += _CUE
        scores.append(_Score(score - _RANK * sentence.passage, coverage if here else 0.0, sentence))
    return scores


def _has_what_is_asked(question: str, sentence: str) -> bool:
    """Whether the sentence holds the kind of thing the question word asks for and the question does not give."""
    words = question.casefold()
    if re.search(r"\bhow (?:many|much|long|often|old|far|big|tall|high)\b|\bwhat (?:percent|number|amount)", words):
        return bool(_NUMBER.search(sentence))
    if re.search(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|time)\b", words):
        return bool(_TIME.search(sentence))
    if re.search(r"\bwhere\b|\b(?:what|which) (?:city|country|state|place)\b", words):
        return bool(_PLACE.search(sentence))
    if re.search(r"\bwho(?:m|se)?\b", words):
        return any(name.casefold() not in words for name in _CAPITAL.findall(sentence))
    return False


def _terms(text: str) -> frozenset[str]:
    """Lowercase words without stop words and common endings; numbers whole."""
    words = (word.casefold() for word in _WORD.findall(text))
    return frozenset(_SUFFIX.sub("", word) if len(word) > 3 else word for word in words if word not in _STOP)
