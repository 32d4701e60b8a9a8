"""Data about persons in lessons, found by form and checksum: what a model would repeat to strangers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.+-])(?:(?:\+|\(0|0)\d[\d ()./-]{6,20}\d|\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4})(?![\w-])")
_CARD = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_RESERVED = re.compile(r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|test|invalid|localhost)$", re.I)
_LEAST_DIGITS, _MOST_DIGITS = 9, 15
"""Digits of a telephone number that is not merely a date or a range; the most by ITU-T E.164."""


def personal(text: str) -> Iterator[str]:
    """What kinds of personal data `text` holds, each once; never the data itself.

    E-mail addresses (not those reserved for examples, RFC 2606), payment cards (Luhn, ISO/IEC 7812-1), IBANs (mod 97,
    ISO 13616), US social security numbers, telephone numbers.
    """
    if any(not _RESERVED.search(match.group()) for match in _EMAIL.finditer(text)):
        yield "an e-mail address"
    accounts = list(_IBAN.finditer(text))
    cards = [card for card in _CARD.finditer(text) if _luhn(_digits(card.group())) and not _within(card, accounts)]
    if cards:
        yield "a payment card number"
    if any(_mod97(match.group().replace(" ", "")) for match in accounts):
        yield "an IBAN"
    if _SSN.search(text):
        yield "a social security number"
    free = (match for match in _PHONE.finditer(text) if not _within(match, [*cards, *accounts]))
    if any(_LEAST_DIGITS <= len(_digits(match.group())) <= _MOST_DIGITS for match in free):
        yield "a telephone number"


def _within(match: re.Match[str], others: Sequence[re.Match[str]]) -> bool:
    return any(match.start() < other.end() and match.end() > other.start() for other in others)


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _mod97(iban: str) -> bool:
    moved = iban[4:] + iban[:4]
    return len(iban) >= 15 and int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
