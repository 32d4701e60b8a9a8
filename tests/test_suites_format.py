"""Suites: the JSONL format holds what it says, and every problem is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.errors import NotFound, UsageProblem
from knowhow.suites import check_suite, read_suite, write_suite
from knowhow.suites.jsonl import example_json
from knowhow.suites.parse import parse_example
from knowhow.types import (
    Condition,
    Evidence,
    Example,
    Expect,
    Message,
    Reasoning,
    Rule,
    Split,
    Style,
)

FULL: dict[str, Any] = {
    "id": "returns-01",
    "question": "How long do I have to return a laptop?",
    "access": ["shop"],
    "as_of": None,
    "expect": {
        "facts": [["45 days", "forty-five days"]],
        "forbidden": ["30 days"],
        "abstain": False,
        "evidence": [{"source": "policies/returns.md", "quote": "within 45 days of delivery"}],
        "label": "returns",
        "labels": ["returns", "shipping", "billing"],
        "schema": {"type": "object"},
        "fields": {"days": 45},
        "style": {"max_words": 60, "must_match": ["^Hi"], "must_not_match": ["!"]},
        "reference": "You have 45 days.",
        "rubric": "friendly",
    },
    "group": "policies/returns.md",
    "split": "test",
    "tags": ["policy"],
}


def suite(path: Path, *lines: object) -> Path:
    file = path / "suite.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(tmp_path: Path, *lines: object) -> list[str]:
    return [str(problem) for problem in check_suite(suite(tmp_path, *lines))[1]]


def test_the_whole_form_is_read(tmp_path: Path) -> None:
    (example,) = read_suite(suite(tmp_path, FULL)).examples
    assert example == Example(
        id="returns-01",
        question="How long do I have to return a laptop?",
        access=frozenset({"shop"}),
        expect=Expect(
            facts=(("45 days", "forty-five days"),),
            forbidden=("30 days",),
            abstain=False,
            evidence=(Evidence("policies/returns.md", "within 45 days of delivery"),),
            label="returns",
            labels=("returns", "shipping", "billing"),
            schema={"type": "object"},
            fields={"days": 45},
            style=Style(max_words=60, must_match=("^Hi",), must_not_match=("!",)),
            reference="You have 45 days.",
            rubric="friendly",
        ),
        group="policies/returns.md",
        split=Split.TEST,
        tags=("policy",),
    )


def test_the_group_is_the_evidence_or_else_the_example_itself(tmp_path: Path) -> None:
    evidence = {"expect": {"evidence": [{"source": "a.md"}, {"source": "b.md"}]}}
    file = suite(tmp_path, {"id": "x", "question": "q"} | evidence, {"id": 7, "question": "q"})
    assert [(e.id, e.group) for e in read_suite(file).examples] == [("x", "a.md"), ("7", "7")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": None}, "asks nothing; give it a `question`, an `input` or `messages`"),
        ({"input": "also"}, "has `question` and `input`; keep one of them"),
        ({"id": ""}, "`id` must be a text that names this example"),
        ({"quesion": "x"}, "`quesion` is unknown; did you mean `question`?"),
        ({"split": "prod"}, '`split` must be one of train, dev, test, not "prod"'),
        ({"tags": "policy"}, "`tags` must be a list of texts, not text"),
        ({"as_of": "soon"}, "`as_of` must be a date"),
        ({"as_of": True}, "`as_of` must be a date"),
        ({"expect": []}, "expect must be an object, not a list"),
        (
            {"expect": {"fact": [["x"]]}},
            "`expect.fact` is unknown; did you mean `facts`?",
        ),
        ({"expect": {"facts": "45 days"}}, "`expect.facts` must be a list, not text"),
        ({"expect": {"facts": [[]]}}, "`expect.facts` must be a list of lists of alternatives"),
        ({"expect": {"facts": [[" "]]}}, "`expect.facts` must hold texts only, none of them empty"),
        ({"expect": {"facts": [["x"]], "abstain": True}}, "`expect.abstain` is true, but `facts` say"),
        ({"expect": {"label": "a", "labels": ["b"]}}, '`expect.label` is "a", which is not among `labels`'),
        ({"expect": {"evidence": [{"quote": "x"}]}}, "`expect.evidence[0].source` must name a document"),
        ({"expect": {"schema": {"type": 3}}}, "`expect.schema` is no valid JSON schema"),
        ({"expect": {"style": {"max_word": 3}}}, "did you mean `max_words`?"),
        ({"expect": {"style": {"max_words": -1}}}, "`expect.style.max_words` must be a whole number ≥ 0"),
        ({"expect": {"style": {"min_words": 9, "max_words": 3}}}, "is 9, above `max_words`, which is 3"),
        ({"expect": {"style": {"must_match": ["("]}}}, 'holds "(", which is no regular expression'),
        ({"question": None, "messages": [{"role": "bot", "content": "x"}]}, "`messages[0].role` must be one of"),
        (
            {"question": None, "messages": [{"role": "assistant", "content": "x"}]},
            "`messages` must end with a user turn",
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    found = problems_of(tmp_path, {"id": "ok", "question": "q"}, {"id": "x", "question": "q"} | change)
    assert any(problem.startswith("line 2: ") and message in problem for problem in found), found


def test_every_problem_of_every_line_is_listed(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        {"id": "a", "question": "q", "tag": []},
        '{"id": "b", "question": }',
        "",
        {"id": "a2", "question": "q", "split": "x", "expect": {"facts": 3, "abstain": "no"}},
        '["not", "an object"]',
        "null",
        '{"id": "c", "id": "d", "question": "q"}',
        '{"id": "e", "question": "q", "expect": {"fields": {"x": NaN}}}',
        {"id": "f", "question": "q"},
        {"id": "f", "question": "again"},
    )
    assert [problem.split(":")[0] for problem in found] == [f"line {n}" for n in (1, 2, 4, 4, 4, 5, 6, 7, 8, 10)]
    assert found[1] == "line 2: is no JSON: Expecting value at column 25"
    assert found[-3] == "line 7: names `id` twice in one object"
    assert found[-1] == 'line 10: id "f" is already used on line 9'


def test_reading_names_the_problems_and_the_command(tmp_path: Path) -> None:
    file = suite(tmp_path, *({"id": f"x{n}"} for n in range(12)))
    with pytest.raises(UsageProblem, match=r"has 12 problems: line 1: .*; and 2 more \(`knowhow suite check"):
        read_suite(file)


def test_an_empty_suite_a_missing_one_and_bad_bytes(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "", "  ") == [
        "the suite is empty; write one example a line (docs/suites.md shows one)"
    ]
    with pytest.raises(NotFound, match="no suite"):
        read_suite(tmp_path / "absent.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"id": "ä"}'.encode("latin-1"))
    assert "is not UTF-8 (byte 9)" in str(check_suite(tmp_path / "latin.jsonl")[1][0])


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "suite.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"id": "a", "question": "q"}\r\n{"id": "b", "question": "q"}\r\n')
    assert [example.id for example in read_suite(file).examples] == ["a", "b"]


def test_deep_nesting_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "[" * 100_000)
    assert problem.startswith("line 1: is no JSON")


def test_few_groups_and_empty_expectations_are_noted(tmp_path: Path) -> None:
    notes = read_suite(suite(tmp_path, {"id": "a", "question": "q", "draft": True})).notes
    assert [note.split(" ")[0] for note in notes] == ["1", "1", "1"]
    assert "intervals need 10 groups" in notes[0]


RULES: dict[str, Any] = {
    "given": {"item": "laptop", "days": 38, "opened": True},
    "rules": [
        {"name": "opened software", "when": {"item": "software", "opened": True}, "then": {"decision": "reject"}},
        {"name": "laptops", "when": {"item": ["laptop"], "days": {"at_most": 45}}, "then": {"decision": "accept"}},
    ],
}


def test_a_decision_table_is_read() -> None:
    example, problems = parse_example({"id": "x", "question": "q", "expect": {"reasoning": RULES}})
    assert problems == []
    assert example is not None
    assert example.expect.reasoning == Reasoning(
        RULES["given"],
        (
            Rule(
                "opened software",
                (Condition("item", "is", "software"), Condition("opened", "is", True)),
                {"decision": "reject"},
            ),
            Rule(
                "laptops",
                (Condition("item", "in", ("laptop",)), Condition("days", "at_most", 45)),
                {"decision": "accept"},
            ),
        ),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"given": {"item": "phone"}}, 'tests "opened", which `given` does not hold'),
        ({"given": {"item": "phone", "days": 1, "opened": False}}, "do not decide this case"),
        ({"given": {"item": ["a"], "days": 1, "opened": False}}, 'must hold plain values; "item" is a list'),
        ({"rules": [{"when": {}, "then": {}}]}, "must say what follows"),
        ({"rules": [{"when": {"days": {"under": 3}}, "then": {"d": 1}}]}, 'tests "days" with "under"; known are'),
        ({"rules": [{"when": {"days": {"at_most": "3"}}, "then": {"d": 1}}]}, "needs a number, not text"),
        ({"rules": [{"when": {"days": {"in": 3}}, "then": {"d": 1}}]}, "in cannot be a number"),
        (
            {"policy": "every", "rules": [{"then": {"d": 1}}, {"then": {"d": 2}}]},
            'contradict each other on "d": "rule 1" and "rule 2" both apply',
        ),
    ],
)
def test_a_table_that_cannot_decide_is_refused(change: dict[str, Any], message: str) -> None:
    _, problems = parse_example({"id": "x", "question": "q", "expect": {"reasoning": RULES | change}})
    assert any(message in problem for problem in problems), problems


names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | names
examples = st.builds(
    Example,
    id=names,
    question=names,
    context=st.text(st.characters(blacklist_categories=["Cs"]), max_size=5),
    access=st.frozensets(names, max_size=2),
    where=st.dictionaries(names, scalars.filter(lambda value: value is not None), max_size=2),
    as_of=st.none() | st.integers(0, 2_000_000_000).map(float),
    group=names,
    split=st.none() | st.sampled_from(Split),
    tags=st.tuples(names),
    draft=st.booleans(),
    expect=st.builds(
        Expect,
        facts=st.lists(st.lists(names, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
        forbidden=st.lists(names, max_size=2).map(tuple),
        abstain=st.sampled_from([None, False]),
        evidence=st.lists(st.builds(Evidence, names, st.just("") | names, st.integers(1, 3)), max_size=2).map(tuple),
        evidence_needed=st.sampled_from(["all", "any"]),
        label=st.none() | names,
        schema=st.sampled_from([None, {}, {"type": "object"}]),
        fields=st.dictionaries(names, scalars, max_size=2),
        style=st.none() | st.builds(Style, max_words=st.none() | st.integers(0, 9)),
        reasoning=st.none()
        | st.builds(
            Reasoning,
            given=st.fixed_dictionaries({"a": st.integers()}),
            rules=st.just(
                (
                    Rule("r", (Condition("a", "above", 3), Condition("a", "in", (1, "x"))), {"d": 1}),
                    Rule("else", (), {"d": None}),
                )
            ),
        ),
        reference=st.just("") | names,
    ),
)


@given(examples)
def test_what_is_written_is_what_is_read(example: Example) -> None:
    line = json.dumps(example_json(example), ensure_ascii=False)
    again, problems = parse_example(json.loads(line))
    assert (again, problems) == (example, [])


@given(st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)))
def test_whatever_the_json_an_example_or_a_problem_comes_of_it(body: object) -> None:
    example, problems = parse_example(body)
    assert (example is None) is bool(problems)


field = st.sampled_from(
    "id question messages expect facts evidence style schema reasoning rules when then given".split()
)
odd = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(field, inner, max_size=3))


@given(st.dictionaries(field, odd, max_size=4), st.dictionaries(field, odd, max_size=4))
def test_odd_values_under_known_names_never_crash(body: dict[str, Any], expect: dict[str, Any]) -> None:
    example, problems = parse_example(body | {"expect": expect})
    assert (example is None) is bool(problems)


def test_a_file_is_replaced_only_when_complete(tmp_path: Path) -> None:
    file = suite(tmp_path, FULL)
    before = file.read_text()

    def broken() -> Any:
        yield read_suite(file).examples[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_suite(broken(), file)
    assert file.read_text() == before
    write_suite(read_suite(file).examples, file)
    assert read_suite(file).examples[0].id == "returns-01"


def test_messages_are_a_conversation() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    example, _ = parse_example({"id": "x", "messages": turns})
    assert example is not None
    assert example.messages[-1] == Message("user", "c")
    assert example.asked == "c"
