"""When a document took effect and what it replaces: stated rules, never a guess."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.ingest.dates import date_in_name, effective_at, parse_date, supersedes

days = st.dates(date(1900, 1, 1), date(2100, 12, 31))


def midnight(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()


MARCH = midnight(date(2024, 3, 1))


@given(days)
def test_every_unambiguous_way_to_write_a_day_gives_that_day(day: date) -> None:
    spellings = [
        day.isoformat(),
        day.strftime("%Y/%m/%d"),
        day.strftime("%Y.%m.%d"),
        day.strftime("%Y%m%d"),
        day.strftime("%d.%m.%Y"),
        day.strftime("%B %d, %Y"),
        day.strftime("%d %b %Y"),
        day.strftime("D:%Y%m%d"),
        day.strftime("D:%Y%m%d000000Z"),
        day.strftime("%a, %d %b %Y 00:00:00 +0000"),
        day.isoformat() + "T00:00:00Z",
    ]
    assert {spelling: parse_date(spelling) for spelling in spellings} == dict.fromkeys(spellings, midnight(day))
    assert parse_date(int(day.strftime("%Y%m%d"))) == midnight(day)


@given(days)
def test_day_and_month_that_cannot_be_told_apart_give_no_date(day: date) -> None:
    read = parse_date(day.strftime("%d/%m/%Y"))
    assert read == (midnight(day) if day.day > 12 or day.day == day.month else None)
    assert read == parse_date(day.strftime("%m/%d/%Y"))


@given(st.text(max_size=80) | st.integers() | st.floats(allow_nan=True) | st.booleans())
def test_any_value_gives_a_date_within_two_centuries_or_none(value: str | int | float | bool) -> None:
    read = parse_date(value)
    assert read is None or midnight(date(1899, 12, 31)) <= read < midnight(date(2101, 1, 2))


def test_a_zone_is_kept() -> None:
    assert parse_date("2024-03-01T02:00:00+02:00") == MARCH
    assert parse_date("D:20240301013000+01'30'") == MARCH


@pytest.mark.parametrize("value", ["2024", 2024, "v2", "soon", "", "2024-02-30", "31/02/2024", 1709251200, 1.5, True])
def test_what_is_no_full_date_gives_none(value: str | int | float | bool) -> None:
    assert parse_date(value) is None


def test_what_took_effect_counts_before_what_was_edited_and_that_before_publication() -> None:
    metadata = {"date": "2020-01-01", "Last-Modified": "2024-03-01", "title": "x"}
    assert effective_at(metadata, "a.md") == MARCH
    assert effective_at({**metadata, "effective-date": "2019-05-01"}, "a.md") == midnight(date(2019, 5, 1))
    assert effective_at({"lastModified": "2024-03-01"}, "a.md") == MARCH


def test_an_unreadable_date_lets_the_next_rule_speak() -> None:
    assert effective_at({"effective": "next spring"}, "2023/policy-2024-03-01.md") == MARCH


@given(days, st.sampled_from("-_."), st.text("abc -", max_size=5))
def test_one_full_date_in_a_file_name_counts(day: date, gap: str, words: str) -> None:
    for spelling in (day.strftime(f"%Y{gap}%m{gap}%d"), day.strftime("%Y%m%d")):
        assert date_in_name(f"{words}{spelling}{words}.md") == midnight(day)


@pytest.mark.parametrize(
    "name", ["policy-v2.md", "2024.md", "2024-01-01_2024-12-31.xlsx", "12024030112.pdf", "2024-13-01.md", "2024-03.md"]
)
def test_a_file_name_without_one_full_date_gives_none(name: str) -> None:
    assert date_in_name(name) is None


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("returns-2023.md", "hr/policies/returns-2023.md"),
        ("./returns-2023.md", "hr/policies/returns-2023.md"),
        ("../old/returns.md", "hr/old/returns.md"),
        ("archive/returns.md", "hr/archive/returns.md"),
        ("/returns.md", "hr/returns.md"),
        ("https://example.org/returns.md", ""),
        ("../../../etc/passwd", ""),
        ("returns.md", ""),
        ("", ""),
    ],
)
def test_supersedes_is_a_uri_of_the_same_source(value: str, uri: str) -> None:
    assert supersedes({"Supersedes": value}, "hr/policies/returns.md", "hr/") == uri


@given(st.text(max_size=30), st.text(max_size=30))
def test_supersedes_never_leaves_the_source(value: str, uri: str) -> None:
    found = supersedes({"replaces": value}, f"own/{uri}", "own/")
    assert found == "" or (found.startswith("own/") and "/../" not in found)
