"""Facts in a reply that the documents hold and the lesson's own context does not: what must not go into weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowhow.answer.sentences import sentences
from knowhow.answer.values import agree, values
from knowhow.answer.verify import missing_names, missing_values, names
from knowhow.evaluate.said import unmarked
from knowhow.ports import Embedder, Store
from knowhow.search.search import search
from knowhow.store.analyze import query_terms, terms
from knowhow.types import EVERYTHING, Filter, Hit, Lesson, Mark, Recipe

_ALL = Filter(access=frozenset({EVERYTHING}))
_LOOKED_AT = 20
"""Passages that are looked through for a fact; more found no more (docs/results/lint.md)."""
RELATED = 0.2
"""Share of the question's and the sentence's words that a passage must hold beside the fact; chosen there too."""
STATED = 0.9
"""Share of a sentence's telling words from which a passage says the same, where it has no value and no name."""
_NEW = 0.4
"""Share of them that the lesson must not show itself."""
_SHORT = 6
"""Words of a reply that is looked for as a whole, names or not."""
_FORM = 3
"""Lessons with different questions that share a reply; where most replies are shared, they are a taxonomy."""
_COMMON = 0.05
"""Share of the lessons in which a name or value recurs that is part of the form: a greeting, the product's name."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A fact of lesson `lesson` (its place) that stands in document `uri` and not in what the lesson shows."""

    lesson: int
    fact: str
    uri: str


class Facts:
    """Looks for facts of the documents in the replies of lessons."""

    def __init__(self, lessons: Sequence[Lesson], store: Store, embedder: Embedder) -> None:
        self._lessons = lessons
        self._store = store
        self._embedder = embedder
        self._recipe = Recipe(k=_LOOKED_AT)
        self._form = _form(lessons)

    def leaks(self) -> Iterator[Leak]:
        """At most one for each lesson; replies to avoid are not learnt, so they leak nothing."""
        for place, lesson in enumerate(self._lessons):
            if lesson.mark is Mark.GOOD:
                found = self._leak(lesson)
                if found is not None:
                    yield Leak(place, *found)

    def _leak(self, lesson: Lesson) -> tuple[str, str] | None:
        own = self._own(lesson)
        for claim in _claims(lesson.target):
            facts = [fact for fact in novel(claim, own) if _key(fact) not in self._form]
            sentence = not facts and _key(claim) not in self._form and new_to(claim, own)
            if not (facts or sentence):
                continue
            found = search(self._store, self._embedder, f"{lesson.question} {claim}", self._recipe, _ALL)
            for hit in found.hits:
                for fact in facts:
                    if holds(hit, fact) and related(hit, lesson.question, claim, facts) >= RELATED:
                        return fact, hit.uri
                if sentence and covers(hit, claim) >= STATED:
                    return claim, hit.uri
        return None

    def _own(self, lesson: Lesson) -> str:
        """Everything the model would see: asking, instructions, conversation and context."""
        shown = []
        for place in lesson.context:
            document = self._store.document(place.uri, _ALL, version=place.version)
            if document is not None:
                shown += [document.title, document.text[place.start : place.end]]
        turns = [turn.content for turn in lesson.history]
        return "\n".join([lesson.system, *turns, *shown, lesson.attached, lesson.question])


def novel(claim: str, own: str) -> list[str]:
    """Numbers, dates and names of `claim` that `own` does not hold; a short claim without any, as a whole."""
    found = [reason.removesuffix(" is not in the range") for reason in missing_values(claim, own)]
    begun = f"It is {claim}" if len(claim.split()) <= _SHORT else claim
    found += [reason.removesuffix(" is not in the range") for reason in missing_names(begun, own)]
    if not found and len(claim.split()) <= _SHORT and not values(claim) and not names(begun):
        words = query_terms(claim)
        if words and not set(words) <= set(terms(own)):
            found = [claim.strip().rstrip(".")]
    return list(dict.fromkeys(found))


def new_to(claim: str, own: str) -> bool:
    """Whether much of what a whole sentence says, by its telling words, is not in `own`."""
    words = set(query_terms(claim))
    return len(words) > _SHORT and len(words - set(terms(own))) >= _NEW * len(words)


def covers(hit: Hit, claim: str) -> float:
    """Share of the claim's telling words that the passage holds; 0..1."""
    words = set(query_terms(claim))
    return len(words & set(terms(hit.text))) / max(len(words), 1)


def holds(hit: Hit, fact: str) -> bool:
    """Whether the passage gives the value, the name as it is written, or all words of the phrase in a row."""
    text = f"{hit.title}\n{hit.lead}\n{hit.text}"
    wanted = values(fact)
    if wanted:
        there = values(text)
        return all(any(agree(value, other) for other in there) for value in wanted)
    if fact[:1].isupper() and fact not in text:
        return False  # a capital that only begins a sentence makes no name
    words = terms(fact)
    have = terms(text)
    return bool(words) and any(have[i : i + len(words)] == words for i in range(len(have) - len(words) + 1))


def related(hit: Hit, question: str, claim: str, facts: Sequence[str]) -> float:
    """Share of the telling words of question and claim, the facts' own left out, that the passage holds; 0..1."""
    own = {term for fact in facts for term in terms(fact)}
    wanted = {term for term in query_terms(f"{question} {claim}") if term not in own}
    have = set(terms(f"{hit.title} {hit.lead} {hit.text}"))
    return len(wanted & have) / max(len(wanted), 1)


def _claims(target: str) -> list[str]:
    units = [unit for unit in sentences(target) if unit.kind != "heading"]
    return [unmarked(target[unit.start : unit.end]) for unit in units] or [target]


def _form(lessons: Sequence[Lesson]) -> frozenset[str]:
    """What is no fact of one lesson: labels, replies of a taxonomy, and what recurs all over the lessons."""
    asked = {(lesson.question, lesson.target) for lesson in lessons}
    targets = Counter(_key(target) for _, target in asked)
    shared = {target for target, count in targets.items() if count >= _FORM}
    taxonomy = sum(targets[target] for target in shared) > len(asked) / 2
    inside = Counter(key for question, target in asked for key in {_key(fact) for fact in _facts(target, question)})
    least = max(_FORM, _COMMON * len(asked))
    common = {key for key, count in inside.items() if count >= least}
    labels = {_key(label) for lesson in lessons for label in lesson.expect.labels}
    return frozenset(common | labels | (shared if taxonomy else set()))


def _facts(target: str, own: str) -> list[str]:
    return [fact for claim in _claims(target) for fact in novel(claim, own)]


def _key(fact: str) -> str:
    return " ".join(fact.casefold().split())
