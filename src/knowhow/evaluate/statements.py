"""Whether a text states something, however its numbers, dates, units, articles and case are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from math import isclose

from knowhow.answer.values import Date, Number, agree, values
from knowhow.evaluate.spelled import in_digits


class Mention(StrEnum):
    """How a text holds a statement. `denied`: every mention is directly negated ("not 30 days")."""

    STATED = "stated"
    DENIED = "denied"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Token:
    """A word in its plain form, or a number or date; `opens` marks the first of a clause."""

    value: str | Number | Date
    opens: bool = False


_WORD = re.compile(r"[^\W_](?:[\w.&/@]*[^\W_])?(?:['’][^\W_]+)*[+#]*|_\w+")
_CLAUSE = re.compile(r"[.!?;:,\n()–—]|\s-\s")
_ARTICLES = {"a", "an", "the"}
_QUALIFIERS = {"business", "working", "calendar", "consecutive"}
_SPELT_OUT = {"person", "degree"}
"""Unit families whose members are not the same thing: users are no patients, and °C is not °F."""
_SHORT = {"celsius": "c", "fahrenheit": "f"}
_NEGATORS = {"not", "never", "neither", "nor", "non", "instead"}
_LINKS = set("be is are was were been being within for in at by on of to about exactly as have has longer".split())
"""Words that may stand between a negation and what it negates: "not within 30 days", "no longer 30 days"."""


def mention(text: str, statement: str) -> Mention:
    """Whether `text` states `statement`: the same words in a row, values compared as values.

    Numbers agree as digits or words, with any thousands separator, scale word or currency sign, and across units
    of one kind (24 hours and 1 day, but never 30 days and 1 month); a bare number also agrees with one that has a
    unit. Dates agree in any spelling, a month or year also with a full date. Case, accents, punctuation, articles
    and a final "'s" do not count. "yes" and "no" must be the first word.

    A mention is denied when a negation stands directly before it, with nothing but small words like "within"
    between: "not 30 days", "isn't 30 days", "no longer 30 days", "rather than 30 days". "not only 30 days" and
    "not more than 30 days" state it; so does a negation further away, which nobody can tell for certain.
    """
    wanted = _of_statement(statement)
    held = _of_text(text)
    if not wanted:
        found = statement.strip().casefold()
        return Mention.STATED if found and found in text.casefold() else Mention.ABSENT
    if [token.value for token in wanted] in (["yes"], ["no"]):
        return Mention.STATED if held and held[0].value == wanted[0].value else Mention.ABSENT
    places = [i for i in range(len(held) - len(wanted) + 1) if _stands(held, i, wanted)]
    if not places:
        return Mention.ABSENT
    return Mention.DENIED if all(_denied(held, i) for i in places) else Mention.STATED


def _stands(held: Sequence[Token], at: int, wanted: Sequence[Token]) -> bool:
    return all(_same(held[at + i].value, token.value) for i, token in enumerate(wanted))


def _same(held: str | Number | Date, wanted: str | Number | Date) -> bool:
    if isinstance(held, str) or isinstance(wanted, str):
        return held == wanted
    if isinstance(held, Date) and isinstance(wanted, Date):
        return agree(wanted, held)
    if isinstance(wanted, Date):  # a year, or a count that looks like one
        return isinstance(held, Number) and not wanted.month and held.plain == wanted.year
    if isinstance(held, Date):
        return not held.month and wanted.unit == "" and wanted.amount == held.year
    if wanted.unit == "" != held.unit:
        # without a unit the figure as written counts, and for money that is the amount
        return isclose(wanted.amount, held.amount if held.unit.isupper() else held.plain, rel_tol=1e-13)
    return wanted.unit == held.unit and isclose(wanted.amount, held.amount, rel_tol=1e-13)


def _denied(held: Sequence[Token], at: int) -> bool:
    """Whether a negation governs the token at `at`, looking back over small words within its clause."""
    while at > 0 and not held[at].opens:
        at -= 1
        word = held[at].value
        if not isinstance(word, str):
            return False
        before = held[at - 1].value if at > 0 and not held[at].opens else ""
        if word in _NEGATORS or word.endswith("n't") or word == "cannot":
            return True
        if (before, word) in (("no", "longer"), ("rather", "than")):
            return True
        if word not in _LINKS:
            return False
    return False


def _tokens(text: str) -> tuple[Token, ...]:
    tokens = list(_read(in_digits(text.replace("’", "'"))))
    if tokens:
        tokens[0] = replace(tokens[0], opens=True)
    plain = tuple(token for i, token in enumerate(tokens) if not _is_article(tokens, i) and not _is_degree(tokens, i))
    return tuple(_lowered(token) for token in plain or tokens)


# many answers meet few statements, and one answer meets all of its statements in a row
_of_statement = lru_cache(maxsize=4096)(_tokens)
_of_text = lru_cache(maxsize=64)(_tokens)


def _read(text: str) -> Iterator[Token]:
    """Words and values in order, words still as they are written."""
    at = 0
    for value in values(text):
        yield from _words(text, at, value.start)
        opens = bool(_CLAUSE.search(text[_last_word_end(text, at, value.start) : value.start]))
        figure = text[value.start : value.end]
        if isinstance(value, Number) and value.unit in _SPELT_OUT:
            yield Token(Number(value.start, value.end, value.amount, value.amount, "", value.digits), opens)
            yield from (Token(word) for word in _WORD.findall(figure)[-1:] if not word[0].isdigit())
        else:
            yield Token(_qualified(value, figure), opens)
        at = value.end
    yield from _words(text, at, len(text))


def _qualified(value: Number | Date, figure: str) -> Number | Date:
    """A number of days keeps what kind of days they are: 5 business days are not 5 days."""
    kinds = _QUALIFIERS.intersection(figure.casefold().split())
    return replace(value, unit=f"{min(kinds)} {value.unit}") if isinstance(value, Number) and kinds else value


def _words(text: str, start: int, end: int) -> Iterator[Token]:
    last = start
    for match in _WORD.finditer(text, start, end):
        opens = bool(_CLAUSE.search(text[last : match.start()]))
        yield Token(match.group(), opens)
        last = match.end()


def _last_word_end(text: str, start: int, end: int) -> int:
    return max((match.end() for match in _WORD.finditer(text, start, end)), default=start)


def _is_article(tokens: Sequence[Token], i: int) -> bool:
    """Whether a token is an article; a capital "A" only where it opens a clause of more words, as in no "vitamin A"."""
    value = tokens[i].value
    if not isinstance(value, str) or value.casefold() not in _ARTICLES:
        return False
    if value != "A":
        return True
    return tokens[i].opens and i + 1 < len(tokens) and not tokens[i + 1].opens


def _is_degree(tokens: Sequence[Token], i: int) -> bool:
    """Whether a token is "degrees" after a figure, which "°" says as well."""
    return i > 0 and tokens[i].value in ("degree", "degrees") and isinstance(tokens[i - 1].value, Number)


def _lowered(token: Token) -> Token:
    if not isinstance(token.value, str):
        return token
    letters = unicodedata.normalize("NFKD", token.value.casefold())
    plain = "".join(c for c in letters if not unicodedata.combining(c)).removesuffix("'s")
    plain = _SHORT.get(plain, plain)
    initials = plain.replace(".", "") if re.fullmatch(r"(?:\w\.)+\w\.?", plain) else plain
    return Token(initials, token.opens)
