"""When a document took effect and what it replaces, as the document itself says; never from file times.

The rules, in order; the first that gives a date wins:

1. metadata (front matter, document properties, mail headers): the keys of `EFFECTIVE`, then `UPDATED`, then
   `PUBLISHED`, each in the order listed;
2. the file name: one full date in it, as `2024-03-01`, `2024_03_01`, `2024.03.01` or `20240301`. Two different
   dates in one name (a period) give none.

A value whose day and month cannot be told apart (`03/04/2024`) gives no date: a fact, not a guess. Dates without
a zone are UTC, dates without a time are midnight, years outside 1900-2100 are not dates.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from knowhow.types import MetaValue

REVISION = 1
"""Raised when the rules change, so that unchanged files are read again."""
EFFECTIVE = ("effective_at", "effective", "effective_date", "effective_from", "valid_from", "in_force_from")
UPDATED = ("updated", "updated_at", "last_updated", "last_modified", "modified", "lastmod", "last_reviewed", "revised")
PUBLISHED = ("date", "published", "published_at", "publish_date", "issued", "created", "created_at")
SUPERSEDES = ("supersedes", "replaces")

_MONTHS = {
    name: number
    for number, names in enumerate(
        "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sep sept|"
        "october oct|november nov|december dec".split("|"),
        start=1,
    )
    for name in names.split()
}
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)")
_PDF = re.compile(
    r"D:(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?)?(?P<zone>Z|[+-]\d\d)?(?:'?(?P<zone_minute>\d\d)'?)?.*"
)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[/._](?P<month>\d{1,2})[/._](?P<day>\d{1,2})")
_YEAR_LAST = re.compile(r"(?P<a>\d{1,2})(?P<dot>[/.-])(?P<b>\d{1,2})(?P=dot)(?P<year>\d{4})")
_DAY_NAME = re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?\s+(?P<name>[a-z]+)\.?,?\s+(?P<year>\d{4})", re.I)
_NAME_DAY = re.compile(r"(?P<name>[a-z]+)\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})", re.I)
_YEAR_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)")
_IN_NAME = re.compile(r"(?<!\d)(\d{4})([-_.]?)(\d\d)\2(\d\d)(?!\d)")


def effective_at(metadata: Mapping[str, MetaValue], uri: str) -> float | None:
    """UTC seconds by the rules above, or None."""
    values = {_key(key): value for key, value in metadata.items()}
    for key in EFFECTIVE + UPDATED + PUBLISHED:
        if key in values and (at := parse_date(values[key])) is not None:
            return at
    return date_in_name(posixpath.basename(uri))


def parse_date(value: MetaValue) -> float | None:
    """UTC seconds of a date as people, PDF writers and mail programs write it; None where it is none or ambiguous.

    Whole numbers count only as YYYYMMDD.
    """
    if isinstance(value, bool | float):
        return None
    text = str(value).strip()
    if not text or len(text) > 64:
        return None
    for moment in _readings(text):
        if moment is not None and 1900 <= moment.year <= 2100:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def date_in_name(name: str) -> float | None:
    """UTC seconds of the one full date in a file name, or None."""
    found = {
        at for year, _, month, day in _IN_NAME.findall(name) if (at := parse_date(f"{year}-{month}-{day}")) is not None
    }
    return found.pop() if len(found) == 1 else None


def supersedes(metadata: Mapping[str, MetaValue], uri: str, prefix: str = "") -> str:
    """uri of the document this one replaces, or "".

    A bare file name is looked for beside the document, `./` and `../` from its folder, anything else from the
    root of the source (`prefix`). A URL or a path out of the root gives "".
    """
    values = {_key(key): value for key, value in metadata.items()}
    value = next((str(values[key]).strip() for key in SUPERSEDES if key in values), "")
    if not value or "://" in value:
        return ""
    own = uri.removeprefix(prefix)
    beside = "/" not in value or value.startswith(("./", "../"))
    path = posixpath.normpath(posixpath.join(posixpath.dirname(own) if beside else "", value.lstrip("/")))
    return "" if path.startswith("..") or path in (".", own) else prefix + path


def _key(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower().replace("-", "_").replace(" ", "_")


def _readings(text: str) -> Iterator[datetime | None]:
    """Every way `text` may be meant, most exact first; None for a way that doesn't fit."""
    if match := _COMPACT.fullmatch(text):
        yield _date(match["year"], match["month"], match["day"])
        return
    if text.isdigit():
        return
    yield _attempt(lambda: datetime.fromisoformat(text))
    if match := _PDF.fullmatch(text):
        yield _pdf(match)
    if match := _YEAR_FIRST.fullmatch(text):
        yield _date(match["year"], match["month"], match["day"])
    if match := _YEAR_LAST.fullmatch(text):
        yield _year_last(match)
    if match := _DAY_NAME.fullmatch(text) or _NAME_DAY.fullmatch(text):
        yield _date(match["year"], str(_MONTHS.get(match["name"].lower(), 0)), match["day"])
    if match := _YEAR_MONTH.fullmatch(text):
        yield _date(match["year"], match["month"], "1")
    if ":" in text:
        from email.utils import parsedate_to_datetime  # here, since importing it takes long and few dates need it

        yield _attempt(lambda: parsedate_to_datetime(text))


def _date(year: str, month: str, day: str) -> datetime | None:
    return _attempt(lambda: datetime(int(year), int(month), int(day), tzinfo=UTC))


def _year_last(match: re.Match[str]) -> datetime | None:
    """Day first with dots; with slashes or dashes only where one of the two cannot be a month, or both are equal."""
    a, b = int(match["a"]), int(match["b"])
    if match["dot"] == "." or a > 12 or a == b:
        return _date(match["year"], match["b"], match["a"])
    return _date(match["year"], match["a"], match["b"]) if b > 12 else None


def _pdf(match: re.Match[str]) -> datetime | None:
    """ISO 32000-1, 7.9.4: D:YYYYMMDDHHmmSSOHH'mm'."""
    zone = match["zone"] or "Z"
    offset = "+00:00" if zone == "Z" else f"{zone}:{match['zone_minute'] or '00'}"
    day = f"{match['year']}-{match['month']}-{match['day']}"
    clock = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}"
    return _attempt(lambda: datetime.fromisoformat(f"{day}T{clock}{offset}"))


def _attempt(make: Callable[[], datetime]) -> datetime | None:
    try:
        return make()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
