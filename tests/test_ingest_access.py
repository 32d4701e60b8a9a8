"""Access tags: rules by path and a document's own; what is not understood is an error, never an open door."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.errors import ReadProblem, UnreadableFile, UsageProblem
from knowhow.ingest.access_rules import Tagging, check_tags, load_rules, own_tags, parse_rules

names = st.text("abcdefgh", min_size=1, max_size=4)


def test_rules_add_up_and_patterns_are_those_of_gitignore() -> None:
    rules = parse_rules('"hr/**" = ["hr"]\n"salary*.xlsx" = ["finance"]\n"legal" = ["legal"]\n')
    assert rules.tags("hr/pay/salary-2024.xlsx") == {"hr", "finance"}
    assert rules.tags("legal/contracts/a.md") == {"legal"}
    assert rules.tags("handbook/hr.md") == frozenset()


@given(names, st.lists(names, min_size=1, max_size=3))
def test_a_folder_rule_covers_everything_below_however_it_is_spelled(folder: str, path: list[str]) -> None:
    below = "/".join([folder, *path])
    for pattern in (folder, f"{folder}/", f"{folder}/*", f"{folder}/**", f"/{folder}/**"):
        for spelled in (below, below.upper(), below.title()):
            assert parse_rules(f'"{pattern}" = ["hr"]').tags(spelled) == {"hr"}, pattern


@pytest.mark.parametrize(
    "text",
    [
        '"hr/**" = "hr"',
        '"hr/**" = []',
        '"hr/**" = [1]',
        '"hr/**" = ["*"]',
        '"hr/**" = ["a b"]',
        '"hr/**" = [""]',
        '"!hr/public" = ["hr"]',
        '"# hr" = ["hr"]',
        '"" = ["hr"]',
        '"/" = ["hr"]',
        'hr/** = ["hr"]',
        '[rules]\n"hr/**" = ["hr"]',
        "[[",
    ],
)
def test_rules_that_are_not_understood_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="my rules"):
        parse_rules(text, "my rules")


@given(st.text(max_size=60))
def test_any_text_is_rules_or_a_usage_problem(text: str) -> None:
    with suppress(UsageProblem):
        parse_rules(text).tags("a/b.md")


def test_a_rules_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"access\.toml"):
        load_rules(tmp_path / "access.toml")
    (tmp_path / "access.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageProblem, match="nothing was ingested"):
        load_rules(tmp_path / "access.toml")


def test_patterns_that_match_nothing_are_named() -> None:
    rules = parse_rules('"hr/**" = ["hr"]\n"hhr/**" = ["hr"]')
    assert rules.unmatched(["a.md", "hr/b.md"]) == ["hhr/**"]


@pytest.mark.parametrize("tag", ["*", "", "a b", "hr,legal", "-hr", "x" * 65, "a\n"])
def test_no_document_carries_a_tag_that_an_asker_could_misread(tag: str) -> None:
    with pytest.raises(UsageProblem, match="--access"):
        check_tags([tag], "--access")


@pytest.mark.parametrize(
    ("value", "tags"), [("hr", {"hr"}), ("hr, legal", {"hr", "legal"}), ("[hr; 'legal']", {"hr", "legal"}), (7, {"7"})]
)
def test_a_document_may_ask_for_tags(value: str | int, tags: set[str]) -> None:
    assert own_tags({"title": "x", "Access": value}) == tags


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"access": "*"}, ""),
        ({"access": "hr legal"}, ""),
        ({"access": "hr,,legal"}, ""),
        ({"access": True}, ""),
        ({"access": '{"tags": ["hr"]}'}, ""),
        ({"access.tags": "hr"}, ""),
        ({"access": "hr, " * 250}, ""),
        ({}, "---\ntitle: [broken\naccess: hr\n---\ntext"),
        ({}, "+++\naccess = hr\n+++\ntext"),
    ],
)
def test_a_document_whose_tags_are_not_understood_is_not_shown(metadata: dict[str, str | bool], text: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        own_tags(metadata, text)
    assert caught.value.reason is ReadProblem.ACCESS


def test_text_that_speaks_of_access_asks_for_nothing() -> None:
    assert own_tags({}, "access: everyone may enter") == frozenset()
    assert own_tags({}, "---\ntitle: x\n---\naccess: by the back door") == frozenset()


def test_tags_of_the_source_are_kept_where_none_are_given() -> None:
    rules = parse_rules('"hr/**" = ["hr"]')
    assert Tagging(frozenset({"a"}), rules, "own/").tags("own/hr/x.md", frozenset({"old"})) == {"a", "hr"}
    assert Tagging(None, rules).tags("x.md", frozenset({"old"})) == {"old"}
