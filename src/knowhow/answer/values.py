"""Numbers, amounts and dates in a text, in one form whatever way they are written, and when two of them agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Number:
    """`text[start:end]` read as `amount` (scale applied) of `unit`; `plain` is the figure before its scale word."""

    start: int
    end: int
    amount: float
    plain: float
    unit: str
    """`%`, a currency code, a unit in its family's base ("second", "metre"), or "" where none is known."""
    digits: int
    """Significant digits written, which bounds how far a rounded figure may be off."""
    grouped: bool = False
    """The point may group thousands, as in the German 2.200."""


@dataclass(frozen=True, slots=True)
class Date:
    """`text[start:end]` read as a date; 0 stands for a part that is not given."""

    start: int
    end: int
    year: int
    month: int = 0
    day: int = 0
    swapped: bool = False
    """Day and month could be the other way round, as in 03/05/2024."""


Value = Number | Date
REMEMBERED = 20_000
"""Characters of a text up to which its values are remembered."""

_MONTHS = {
    name[:length]: number
    for number, names in enumerate(
        (
            "january januar janvier enero",
            "february februar février febrero",
            "march märz mars marzo",
            "april avril abril",
            "may mai mayo",
            "june juni juin junio",
            "july juli juillet julio",
            "august août agosto",
            "september septembre septiembre",
            "october oktober octobre octubre",
            "november novembre noviembre",
            "december dezember décembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
    for length in {len(name), 3 if name not in ("juni", "juin", "juillet", "juli") else len(name)}
} | {"sept": 9}
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_DATES = (
    (re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)"), False),
    (re.compile(r"(?<![\d.])(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})(?!\d)"), False),
    (re.compile(r"(?<![\d/])(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4}|\d{2})(?![\d/])"), True),
    (
        re.compile(
            rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?(?P<n>{_MONTH}),?\s+(?:de\s+)?(?P<y>\d{{4}})\b",
            re.I,
        ),
        False,
    ),
    (re.compile(rf"\b(?P<n>{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(?P<y>\d{{4}})\b", re.I), False),
    (re.compile(rf"\b(?P<n>{_MONTH}),?\s+(?:of\s+|de\s+)?(?P<y>\d{{4}})\b", re.I), False),
    (re.compile(rf"\b(?P<n>{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*(?:%|[,.]\d))", re.I), False),
    (re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<n>{_MONTH})", re.I), False),
)

_FIGURE = r"\d{1,3}(?:[,'’\u00a0\u202f ]\d{3})+(?:\.\d+)?(?!\d)|\d{1,3}(?:\.\d{3})+(?:,\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_SPELLED = (
    {
        word: n
        for n, word in enumerate(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen "
            "eighteen nineteen twenty".split()
        )
    }
    | {word: 10 * n for n, word in enumerate("thirty forty fifty sixty seventy eighty ninety".split(), start=3)}
    | {word: n for n, word in enumerate("zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split(), start=2)}
    | {"dozen": 12}
)
_WORD = "(?:" + "|".join(sorted(_SPELLED, key=len, reverse=True)) + ")"
_SCALES = {
    name: size
    for size, names in (
        (1e2, "hundred"),
        (1e3, "thousand k tausend"),
        (1e6, "million millions m mn mm mio millionen"),
        (1e9, "billion billions bn b mrd milliarden"),
        (1e12, "trillion tn"),
    )
    for name in names.split()
}
_SCALE = (
    r"(?:hundred|thousand|tausend|millions?|millionen|mio\.?|mn|mm|billions?|milliarden|mrd\.?|bn|trillion|tn|"
    r"(?<=\d)[kKmMbB])\b"
)
_CURRENCY = {
    "$": "USD", "us$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "€": "EUR", "eur": "EUR", "euro": "EUR",
    "euros": "EUR", "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP", "¥": "JPY", "jpy": "JPY", "yen": "JPY",
    "chf": "CHF", "francs": "CHF", "inr": "INR", "₹": "INR",
}  # fmt: skip
_FAMILIES = {
    name: (base, float(size))
    for base, family in (
        (
            "second",
            "second=1 sekunde=1 sec=1 s=1 minute=60 min=60 minuten=60 hour=3600 hr=3600 h=3600 stunde=3600 day=86400 "
            "tag=86400 tagen=86400 week=604800 woche=604800 fortnight=1209600",
        ),
        ("month", "month=1 monat=1 quarter=3 year=12 yr=12 jahr=12 decade=120 century=1200"),
        (
            "metre",
            "metre=1 meter=1 m=1 km=1000 kilometre=1000 kilometer=1000 cm=.01 centimeter=.01 mm=.001 mile=1609.344 "
            "foot=.3048 feet=.3048 ft=.3048 inch=.0254 inche=.0254 yard=.9144",
        ),
        (
            "gram",
            "gram=1 g=1 kg=1000 kilogram=1000 mg=.001 milligram=.001 tonne=1e6 pound=453.592 lb=453.592 ounce=28.35 "
            "oz=28.35",
        ),
        ("byte", "byte=1 kb=1e3 kilobyte=1e3 mb=1e6 megabyte=1e6 gb=1e9 gigabyte=1e9 tb=1e12 terabyte=1e12"),
        ("degree", "degree=1 °c=1 °f=1 °=1 celsius=1"),
        ("person", "people=1 person=1 employee=1 teammate=1 user=1 patient=1 resident=1"),
    )
    for name, size in (entry.split("=") for entry in family.split())
}
"""Unit → its family's base and how many of it one is. Metric and avoirdupois definitions."""
_NUMBER = re.compile(
    rf"(?P<before>(?:us)?[$€£¥₹]|\b(?:usd|eur|gbp|chf|jpy|"
    rf"inr)\b)?\s{{0,1}}(?<![\w.,])(?<![A-Za-z]-)(?P<sign>[-−–](?=\d))?"
    rf"(?:(?P<figure>{_FIGURE})|(?P<word>\b{_WORD}(?:[- ]{_WORD})?\b))(?P<ordinal>(?:st|nd|rd|th)\b)?"
    rf"(?:[ -]?(?P<scale>{_SCALE}))?",
    re.I,
)
_UNIT = re.compile(
    r"[ \u00a0-]?(?:(?P<percent>%|per ?cent\b|percentage points?\b|prozent\b)|(?P<money>[€£$¥])|"
    r"(?P<unit>°?[^\W\d_]+|°))",
    re.I,
)
_GROUPED = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_SKIPPED = frozenset("business working calendar consecutive full more additional further paid square whole".split())


def values(text: str) -> list[Value]:
    """Every number and date of `text` in order. A year alone is a date; digits of an identifier are no number."""
    return list(_values(text) if len(text) <= REMEMBERED else _values.__wrapped__(text))


# One question asks this of the same sentences again and again: for conflicts, for marks, for support.
@lru_cache(maxsize=4096)
def _values(text: str) -> tuple[Value, ...]:
    found: list[Value] = []
    taken: list[tuple[int, int]] = []
    for pattern, swapped in _DATES:
        for match in pattern.finditer(text):
            date = _date(match, swapped)
            if date and not _overlaps(date.start, date.end, taken):
                found.append(date)
                taken.append((date.start, date.end))
    found += [number for number in _numbers(text) if not _overlaps(number.start, number.end, taken)]
    return tuple(sorted(found, key=lambda value: value.start))


def agree(claim: Value, other: Value) -> bool:
    """Whether `other` bears out `claim`: the same date at the claim's precision, or the same amount in the same unit.

    A claim may round: two or more significant digits of `other`, rounded to as many digits, must give the claim.
    """
    if isinstance(claim, Date) and isinstance(other, Date):
        return any(
            all(mine in (0, theirs) for mine, theirs in zip(parts, (other.year, other.month, other.day), strict=True))
            for parts in _readings(claim)
        ) or any(
            all(mine in (0, theirs) for mine, theirs in zip((claim.year, claim.month, claim.day), parts, strict=True))
            for parts in _readings(other)
        )
    if isinstance(claim, Number) and isinstance(other, Number):
        if claim.unit and other.unit and claim.unit != other.unit:
            return False
        if any(_equal(mine, theirs) for mine in _sizes(claim) for theirs in _sizes(other)):
            return True
        if _equal(claim.plain, other.plain):
            return claim.plain != claim.amount and other.plain == other.amount and other.unit in ("", claim.unit)
        return 2 <= claim.digits < other.digits and _equal(float(f"%.{claim.digits}g" % other.amount), claim.amount)
    if isinstance(claim, Number):
        claim, other = other, claim
    return (
        isinstance(claim, Date) and isinstance(other, Number) and not claim.month and _equal(claim.year, other.amount)
    )


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1.0)


def _sizes(number: Number) -> list[float]:
    return [number.amount, number.amount * 1000] if number.grouped else [number.amount]


def _readings(date: Date) -> list[tuple[int, int, int]]:
    given = (date.year, date.month, date.day)
    return [given, (date.year, date.day, date.month)] if date.swapped else [given]


def _date(match: re.Match[str], swapped: bool) -> Date | None:
    parts = match.groupdict()
    month = _MONTHS.get(parts["n"].casefold().rstrip("."), 0) if parts.get("n") else int(parts.get("m") or 0)
    day, year = int(parts.get("d") or 0), int(parts.get("y") or 0)
    if 0 < year < 100:
        year += 2000 if year < 70 else 1900
    if swapped and month > 12 >= day:
        month, day, swapped = day, month, False
    if not 1 <= month <= 12 or day > 31:
        return None
    return Date(match.start(), match.end(), year, month, day, swapped and day <= 12)


def _numbers(text: str) -> Iterator[Value]:
    for match in _NUMBER.finditer(text):
        plain, digits = _plain(match)
        if plain is None or (match.end() < len(text) and text[match.end()] == "_"):
            continue
        after = _UNIT.match(text, match.end())
        joined = after.group("unit") if after and after.start("unit") == match.end() else ""
        if match.group("figure") and joined and joined.casefold() not in _FAMILIES:
            continue  # "3a", "2xlarge": an identifier
        if match.group("sign"):
            plain = -plain
        amount = plain * _SCALES[match.group("scale").casefold().rstrip(".")] if match.group("scale") else plain
        unit, factor, end = _unit(text, match, after)
        bare = not unit and not match.group("scale")
        if bare and match.group("word") and plain < 2:
            continue  # "one" is a pronoun more often than a count
        figure = match.group("figure") or ""
        if bare and len(figure) == 4 and figure.isdigit() and 1000 <= plain <= 2199:
            yield Date(match.start("figure"), match.end("figure"), int(plain))
            continue
        start = (
            match.start("before") if match.group("before") else match.start("figure") if figure else match.start("word")
        )
        yield Number(start, end, amount * factor, plain, unit, digits, bool(_GROUPED.fullmatch(figure)))


def _plain(match: re.Match[str]) -> tuple[float | None, int]:
    """The figure before scale and unit, and how many significant digits it has."""
    word = match.group("word")
    if word:
        parts = [_SPELLED[part] for part in re.split(r"[- ]", word.casefold())]
        if len(parts) == 2 and not (parts[0] >= 20 and parts[0] % 10 == 0 and 0 < parts[1] < 10):
            return None, 0
        return float(sum(parts)), 9
    figure = re.sub(r"['’\u00a0\u202f ]", "", match.group("figure"))
    dot, comma = figure.rfind("."), figure.rfind(",")
    if (
        comma > dot >= 0
        or (dot >= 0 and figure.count(".") > 1)
        or (comma >= 0 and dot < 0 and len(figure) - comma - 1 != 3)
    ):
        figure = figure.replace(".", "").replace(",", ".")
    figure = figure.replace(",", "")
    whole = figure.replace(".", "").lstrip("0")
    digits = len(whole) if "." in figure else len(whole.rstrip("0"))
    return float(figure), max(digits, 1)


def _unit(text: str, match: re.Match[str], after: re.Match[str] | None) -> tuple[str, float, int]:
    """Base unit, factor to it, and where the number ends with its unit."""
    if match.group("before"):
        return _CURRENCY[match.group("before").casefold()], 1.0, match.end()
    if not after or match.group("ordinal"):
        return "", 1.0, match.end()
    if after.group("percent"):
        return "%", 1.0, after.end()
    if after.group("money"):
        return _CURRENCY[after.group("money")], 1.0, after.end()
    word = after.group("unit").casefold()
    if word in _SKIPPED:
        further = _UNIT.match(text, after.end())
        if further and further.group("unit"):
            word, after = further.group("unit").casefold(), further
    if word in _CURRENCY:
        return _CURRENCY[word], 1.0, after.end()
    for name in (word, word.removesuffix("s"), word.removesuffix("n"), word.removesuffix("e"), word.removesuffix("en")):
        if name in _FAMILIES:
            base, factor = _FAMILIES[name]
            return base, factor, after.end()
    return "", 1.0, match.end()


def _overlaps(start: int, end: int, taken: list[tuple[int, int]]) -> bool:
    return any(a < end and b > start for a, b in taken)
