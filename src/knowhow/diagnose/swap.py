"""Swaps the key fact of a passage for another of its type, so that an answer from it differs from one out of memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from knowhow.answer.values import Date, Value, agree, values
from knowhow.evaluate.statements import Mention, mention
from knowhow.suites import locate
from knowhow.types import Example, fingerprint

_FIGURE = re.compile(r"\d")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SPELLED = ("seventeen", "nineteen", "thirteen", "eleven")
_NAMES = ("Velmora Castine", "Tarsoline Brandt", "Quendry Hallow", "Ostravik Pell", "Pellworth Dane", "Junaresk Moll")
"""Invented, for names that no other example of the suite can lend one."""


@dataclass(frozen=True, slots=True)
class Swap:
    """What was swapped: `original` (as the example states it) for `false`, in every place of the texts."""

    original: str
    alternatives: tuple[str, ...]
    false: str
    texts: tuple[str, ...]
    """The texts with the swap, in their order."""


def swap(example: Example, texts: Sequence[str], others: Iterable[Example]) -> Swap | None:
    """The first fact of `example` that stands in `texts` with another in its place; None where none can be swapped.

    Numbers and dates become other numbers and dates, names and phrases those of `others` that look alike (else, for
    names, invented ones). A swap after which the original still stands, or that the question mentions, is no swap.
    """
    lenders = list(others)
    for fact in example.expect.facts:
        if _states(example.asked, fact):
            continue
        for alternative in fact:
            found = _of_value(alternative, texts) or _of_phrase(alternative, fact, texts, lenders)
            if found is None:
                continue
            false, changed = found
            told = any(mention(text, false) is Mention.STATED for text in changed)
            if told and not any(_states(text, fact) for text in changed) and not _states(false, fact):
                return Swap(alternative, fact, false, tuple(changed))
    return None


def _states(text: str, fact: Sequence[str]) -> bool:
    return any(mention(text, alternative) is not Mention.ABSENT for alternative in fact)


# --- values -----------------------------------------------------------------------------------------------


def _of_value(alternative: str, texts: Sequence[str]) -> tuple[str, list[str]] | None:
    wanted = values(alternative)
    if not wanted:
        return None
    key = wanted[0]
    changed, false = [], ""
    for text in texts:
        same = [value for value in values(text) if agree(key, value) or agree(value, key)]
        for value in reversed(same):
            other = _another(text[value.start : value.end], value)
            false = other
            text = text[: value.start] + other + text[value.end :]
        changed.append(text)
    return (false, changed) if false else None


def _another(words: str, value: Value) -> str:
    """The same figure with another amount, written alike: `45 days` → `55 days`, `March 2021` → `March 2024`."""
    if isinstance(value, Date):
        return _other_date(words, value)
    if not _FIGURE.search(words):
        return _other_word(words)
    at = _FIGURE.search(words)
    first = next((i for i, c in enumerate(words) if c.isdigit() and c != "0"), at.start() if at else 0)
    return words[:first] + str(int(words[first]) % 9 + 1) + words[first + 1 :]


def _other_date(words: str, value: Date) -> str:
    if value.year and str(value.year) in words:
        return words.replace(str(value.year), str(value.year + 3))
    month = _MONTHS[value.month - 1] if value.month else ""
    if month and month.casefold() in words.casefold():
        return re.sub(month, _MONTHS[(value.month + 4) % 12], words, flags=re.I)
    return re.sub(r"\d+", lambda match: str(int(match.group()) % 27 + 1), words, count=1)


def _other_word(words: str) -> str:
    first, *rest = words.split(" ", 1)
    other = next(word for word in _SPELLED if word != first.casefold())
    return " ".join([other.capitalize() if first[:1].isupper() else other, *rest])


# --- names and phrases ------------------------------------------------------------------------------------


def _of_phrase(
    alternative: str, fact: Sequence[str], texts: Sequence[str], others: Sequence[Example]
) -> tuple[str, list[str]] | None:
    if not any(locate(text, alternative) for text in texts):
        return None
    false = _lent(alternative, texts, others)
    if not false:
        return None
    changed = []
    for text in texts:
        for phrase in sorted(fact, key=len, reverse=True):
            for start, end in reversed(locate(text, phrase)):
                text = text[:start] + false + text[end:]
        changed.append(text)
    return false, changed


def _lent(phrase: str, texts: Sequence[str], others: Sequence[Example]) -> str:
    """A fact of another example with as many words and the same capitals; for a name an invented one; "" if none."""
    shape = _shape(phrase)
    lent = {fact[0] for other in others for fact in other.expect.facts if _shape(fact[0]) == shape}
    fresh = [one for one in lent if not any(_states(text, [one]) for text in texts)]
    if fresh:
        return min(fresh, key=lambda one: fingerprint([phrase, one]))
    if not shape or not all(word.istitle() for word in phrase.split()):
        return ""
    invented = min(_NAMES, key=lambda one: fingerprint([phrase, one])).split()
    return " ".join(invented[: max(1, min(len(shape), 2))])


def _shape(phrase: str) -> tuple[bool, ...]:
    """For each word whether it has a capital; empty for what is no plain phrase."""
    words = phrase.split()
    if not words or any(c.isdigit() for c in phrase) or phrase.casefold() in ("yes", "no", "true", "false"):
        return ()
    return tuple(word[0].isupper() for word in words)
