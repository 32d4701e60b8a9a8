"""Text to the terms that the keyword index counts: the same for documents and for questions."""

from __future__ import annotations

import re
import unicodedata
from itertools import chain

from knowhow.store.stem import stem

ANALYZER_REVISION = 1
"""Raised when `terms` changes, so that an index built with other terms is recognised."""

_LONGEST = 64
"""Characters of a term that are kept: longer ones are encodings and hashes, equal prefixes are enough."""
_LEAD_WEIGHT = 2
"""How often a title counts. Measured with 1, 2 and 3 (docs/search.md)."""
_CACHED = 400_000
"""Distinct tokens remembered (about 60 MB); the memory starts anew when it is full."""
_PARTS = 8
"""Terms of a token from which it is not remembered: whole sentences of scripts without spaces seldom come again."""

# Letters, digits and underscore, with combining marks, Indic and South-East Asian vowel signs, and the invisible
# characters (soft hyphen, zero-width) that must not cut a word in two.
_W = r"[\w\u00ad\u0300-\u036f\u0900-\u0e7f\u200b-\u200d\u2060]"
_TOKEN = re.compile(rf"[A-Za-z](?:\+\+|#)(?!\w)|{_W}+(?:[-./:@'’,]{_W}+)*")
# The same for text of ASCII alone, in half the time.
_ASCII_TOKEN = re.compile(r"[A-Za-z](?:\+\+|#)(?!\w)|\w+(?:[-./:@',]\w+)*", re.ASCII)
_INVISIBLE = re.compile("[\u0300-\u036f\u00ad\u200b-\u200d\u2060]")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?")
_DECIMAL = re.compile(r"\d+,\d{1,2}")
_DOTTED = re.compile(r"\d+(?:\.\d+)+")
_ACRONYM = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")
_JOINTS = re.compile(r"[-./:@_]+")
_LETTERS_DIGITS = re.compile(r"([^\W\d_]{2,})(\d+)")
_HUMPS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)

STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be been being but by can could did do does during for from "
    "had has have he her him his how i if in into is it its may me my no not of on or our out over she should so "
    "such than that the their them then there these they this those to under up was we were what when where which "
    "who whom whose why will with would you your "
    "aber als am an auch auf aus bei beim bin bis das dass dem den der des die doch ein eine einem einen einer "
    "eines er es für hat hatte ich ihr im in ist kann man mit nach nicht oder sich sie sind so über um und vom von "
    "vor war waren warum was welche welcher welches wenn wer wie wird wo wurde wurden zu zum zur".split()
)
"""English and German words that say nothing about what a question is after."""


def terms(text: str) -> list[str]:
    """The terms of `text` in order, repeated as often as they occur.

    Words are lowercased, stripped of accents and stemmed. Numbers stay whole ("1,000" and "1000" are one
    term). A compound with digits or inner capitals ("KB-1234", "maxRetries", "2023-01-05") gives itself without its
    joints and its parts; one of plain words gives its parts. Runs of scripts without spaces give their bigrams.
    """
    tokens = (_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text)
    return list(chain.from_iterable(map(_known.__getitem__, tokens)))


def searchable(lead: str, text: str) -> str:
    """What is counted and embedded for a passage: its lead (title, heading path) twice, then its text."""
    return f"{lead}\n" * _LEAD_WEIGHT + text if lead else text


def query_terms(text: str) -> list[str]:
    """The terms of a question without stop words, or all of them when nothing else is left ("The Who")."""
    found = terms(text)
    return [term for term in found if term not in STOP_TERMS] or found


class _Known(dict[str, tuple[str, ...]]):
    """Token → its terms, worked out once: a corpus has a thousand times more tokens than distinct ones."""

    def __missing__(self, token: str) -> tuple[str, ...]:
        found = tuple(term[:_LONGEST] for term in _analyze(token))
        if len(token) <= _LONGEST and len(found) <= _PARTS:
            if len(self) >= _CACHED:
                self.clear()
            self[token] = found
        return found


def _analyze(token: str) -> list[str]:
    if token.isascii():
        if token.isalpha() and (token.islower() or token.isupper() or token[1:].islower()):
            return [stem(token.lower())]
    else:
        token = _INVISIBLE.sub("", unicodedata.normalize("NFKD", token))
        token = unicodedata.normalize("NFC", token).replace("’", "'")
        if _UNSPACED.search(token):
            return _bigrams(token)
    return list(chain.from_iterable(map(_compound, token.split("'"))))


def _bigrams(token: str) -> list[str]:
    """Overlapping pairs of a run without spaces, and the terms of what stands between such runs."""
    found: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(token):
        found += _compound(token[end : run.start()])
        chars = run.group()
        found += [chars[i : i + 2] for i in range(len(chars) - 1)] or [chars]
        end = run.end()
    return found + _compound(token[end:])


def _compound(token: str) -> list[str]:
    number = _number(token)
    if number:
        return [number]
    if _ACRONYM.fullmatch(token):
        return [token.replace(".", "").casefold()]
    found: list[str] = []
    for piece in token.split(","):
        parts = [part for part in _JOINTS.split(piece) if part]
        pieces = [hump for part in parts for hump in _humps(part)]
        whole = "".join(parts).casefold()
        named = "_" in piece or len(pieces) > len(parts) or any(c.isdigit() for c in whole)
        if whole and (named or len(pieces) == 1):
            found.append(stem(whole))
        if len(pieces) > 1:
            found += [stem(part.casefold()) for part in pieces if len(part) > 1 or not named]
    return found


def _number(token: str) -> str:
    """`token` as a number in one spelling, "" when it is none."""
    if token.isdigit() or (_DOTTED.fullmatch(token) and not _THOUSANDS.fullmatch(token)):
        return token
    if _THOUSANDS.fullmatch(token):
        return token.replace(",", "") if token.rfind(",") < token.rfind(".") or "." not in token else _german(token)
    return token.replace(",", ".") if _DECIMAL.fullmatch(token) else ""


def _german(token: str) -> str:
    return token.replace(".", "").replace(",", ".")


def _humps(part: str) -> list[str]:
    """The words of a camelCase name, or letters and the digits after them; the part itself when it is neither."""
    mixed = _LETTERS_DIGITS.fullmatch(part)
    if mixed:
        return list(mixed.groups())
    if len(part) > _LONGEST or not part.isascii() or part.islower() or part.isupper() or part[1:].islower():
        return [part]
    return _HUMPS.findall(part) or [part]


_known = _Known()
STOP_TERMS = frozenset(chain.from_iterable(map(terms, STOP_WORDS)))
"""What `terms` makes of the stop words."""
