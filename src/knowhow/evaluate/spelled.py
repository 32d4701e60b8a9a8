"""English numbers written in words, turned into digits."""

from __future__ import annotations

import re

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split()  # noqa: E501
_VALUES = {word: n for n, word in enumerate(_UNITS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_BELOW_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[-\s](?:{'|'.join(_UNITS[1:10])}))?|{'|'.join(reversed(_UNITS))})\b"
_BELOW_1000 = rf"(?:(?:a\s|{_BELOW_100}\s)hundred\b(?:\s(?:and\s)?{_BELOW_100})?|{_BELOW_100})"
_NUMBER = re.compile(
    rf"\b{_BELOW_1000}(?:\s(?:{'|'.join(_SCALES)})\b(?:\s(?:and\s)?{_BELOW_1000})?)*",
    re.IGNORECASE,
)
_TENTHS = re.compile(rf"\b(?:({'|'.join(_TENS)})[-\s])({'|'.join(_ORDINALS[1:10])})\b", re.IGNORECASE)


def in_digits(text: str) -> str:
    """`text` with "two hundred and fifty" as "250" and "twenty-first" as "21st"; everything else as it was.

    A lone ordinal such as "second" stays a word, for it is a unit of time as well.
    """
    text = _TENTHS.sub(lambda m: _ordinal(_VALUES[m[1].lower()] + _ORDINALS.index(m[2].lower())), text)
    return _NUMBER.sub(lambda m: str(_amount(m.group())), text)


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _amount(words: str) -> int:
    total = part = 0
    for word in re.split(r"[-\s]+", words.lower()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            total, part = total + part * _SCALES[word], 0
        else:
            part += _VALUES.get(word, 0)
    return total + part
