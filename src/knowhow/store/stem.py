"""Words to stems: Porter's algorithm for English, then German endings."""

from __future__ import annotations

_UNTOUCHED = 3
"""Words up to this length are left alone."""

# Rules of M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980: ending → replacement.
_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "abli": "able", "alli": "al",
    "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
    "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
}  # fmt: skip
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP_4 = tuple("ement ance ence able ible ment sion tion ant ent ism ate iti ous ive ize al er ic ou".split())
_ENDS_2, _ENDS_3 = tuple(_STEP_2), tuple(_STEP_3)
_GERMAN = ("ern", "em", "en", "er", "es", "e")
_GERMAN_STEM = 5
"""Letters that must be left; chosen by measurement like the endings (docs/search.md)."""


def stem(word: str) -> str:
    """The stem of one lowercase word."""
    if len(word) <= _UNTOUCHED or not word.isalpha():
        return word
    word = _plural(word)
    word = _past(word)
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    # Asking for all endings at once is cheap, and most words have none of them.
    if word.endswith(_ENDS_2):
        word = _replace(word, _STEP_2)
    if word.endswith(_ENDS_3):
        word = _replace(word, _STEP_3)
    if word.endswith(_STEP_4):
        word = _drop(word)
    word = _tidy(word)
    return _german(word)


def _kinds(stem: str) -> str:
    """One letter for each: c for a consonant, v for a vowel; y is a vowel after a consonant."""
    kinds = ""
    for i, letter in enumerate(stem):
        vowel = letter in "aeiou" or (letter == "y" and i > 0 and kinds[-1] == "c")
        kinds += "v" if vowel else "c"
    return kinds


def _measure(stem: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return _kinds(stem).count("vc")


def _has_vowel(stem: str) -> bool:
    return "v" in _kinds(stem)


def _short(stem: str) -> bool:
    """Porter's *o: ends consonant, vowel, consonant other than w, x or y ("hop")."""
    return _kinds(stem)[-3:] == "cvc" and stem[-1] not in "wxy"


def _plural(word: str) -> str:
    for ending, new in (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")):
        if word.endswith(ending):
            return word.removesuffix(ending) + new
    return word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word and _has_vowel(stem):
            if stem.endswith(("at", "bl", "iz")):
                return stem + "e"
            if stem[-1:] == stem[-2:-1] and stem[-1] not in "aeioulsz":
                return stem[:-1]
            return stem + "e" if _measure(stem) == 1 and _short(stem) else stem
    return word


def _replace(word: str, rules: dict[str, str]) -> str:
    """The longest ending of `rules` replaced where something with a measure is left."""
    for size in range(7, 2, -1):
        ending = word[-size:]
        if len(word) > size and ending in rules:
            stem = word[:-size]
            return stem + rules[ending] if _measure(stem) > 0 else word
    return word


def _drop(word: str) -> str:
    for ending in _STEP_4:
        if word.endswith(ending):
            stem = word.removesuffix(ending.removeprefix("s").removeprefix("t") if ending.endswith("ion") else ending)
            return stem if _measure(stem) > 1 else word
    return word


def _tidy(word: str) -> str:
    if word.endswith("e"):
        stem = word[:-1]
        if _measure(stem) > 1 or (_measure(stem) == 1 and not _short(stem)):
            word = stem
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word


def _german(word: str) -> str:
    for ending in _GERMAN:
        if word.endswith(ending) and len(word) - len(ending) >= _GERMAN_STEM:
            return word.removesuffix(ending)
    return word
