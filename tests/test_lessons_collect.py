"""Lessons from files, suites and judged answers: what each format means, and every wrong line named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.answer.decline import NOT_STATED
from knowhow.errors import NotFound, UsageProblem
from knowhow.lessons.collect import (
    by_split,
    check_lessons,
    held_out,
    joined,
    read_lessons,
    suite_lessons,
    trace_lessons,
    write_lessons,
)
from knowhow.lessons.parse import parse_line
from knowhow.types import (
    Evidence,
    Example,
    Expect,
    Form,
    Lesson,
    Lessons,
    Located,
    Mark,
    Message,
    Origin,
    Range,
    Recipe,
    Split,
    Suite,
)

U, A, S = (
    {"role": role, "content": text} for role, text in (("user", "Hi?"), ("assistant", "Yes."), ("system", "Be kind."))
)


def file(folder: Path, *lines: object, name: str = "chat.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_every_turn_of_the_assistant_is_a_lesson(tmp_path: Path) -> None:
    more = [S, U, A, {"role": "user", "content": "And now?"}, {"role": "assistant", "content": "No."}]
    one, two = read_lessons(file(tmp_path, {"messages": more})).lessons
    assert (one.system, one.question, one.target, one.history) == ("Be kind.", "Hi?", "Yes.", ())
    assert (two.question, two.target) == ("And now?", "No.")
    assert two.history == (Message("user", "Hi?"), Message("assistant", "Yes."))
    assert (one.source, one.origin, one.group) == ("chat.jsonl:1", Origin.FILE, two.group)
    assert one.id != two.id


def test_a_weight_of_zero_teaches_nothing_but_stays_in_the_history(tmp_path: Path) -> None:
    turns = [U, {**A, "weight": 0}, {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Quite."}]
    (only,) = read_lessons(file(tmp_path, {"messages": turns})).lessons
    assert only.target == "Quite."
    assert only.history[1].content == "Yes."


@pytest.mark.parametrize(
    "body",
    [
        {"input": {"messages": [S, U]}, "preferred_output": [A], "non_preferred_output": [{**A, "content": "Nope."}]},
        {"prompt": [S, U], "chosen": [A], "rejected": [{**A, "content": "Nope."}]},
        {"chosen": [S, U, A], "rejected": [S, U, {**A, "content": "Nope."}]},
    ],
)
def test_preferences_come_as_pairs(tmp_path: Path, body: dict[str, object]) -> None:
    (only,) = read_lessons(file(tmp_path, body)).lessons
    assert (only.system, only.question, only.target, only.rejected) == ("Be kind.", "Hi?", "Yes.", "Nope.")


def test_marked_completions(tmp_path: Path) -> None:
    lines = [{"prompt": "Hi?", "completion": "Yes.", "label": label} for label in (True, False)]
    assert [one.mark for one in read_lessons(file(tmp_path, *lines)).lessons] == [Mark.GOOD, Mark.BAD]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is no JSON"),
        ("[]", "must be an object, not a list"),
        ({"text": "x"}, "is none of the formats"),
        ({"messages": []}, "not an empty one"),
        ({"messages": [U]}, "no turn of the assistant"),
        ({"messages": [A]}, "must follow a turn of the user"),
        ({"messages": [U, {**A, "content": " "}]}, "nothing to learn"),
        ({"messages": [{**U, "content": ""}, A]}, "user's turn before the reply is empty"),
        ({"messages": [U, {"role": "assistant", "content": "x", "tool_calls": [1]}]}, "calls a tool"),
        ({"messages": [U, {"role": "ghost", "content": "x"}]}, "needs a role"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "both replies are the same"),
        ({"prompt": "a", "completion": ""}, "completion is empty"),
    ],
)
def test_wrong_lines_are_named_and_the_others_kept(tmp_path: Path, line: object, told: str) -> None:
    path = file(tmp_path, {"messages": [U, A]}, "", line, {"messages": [U, {**A, "content": "Maybe."}]})
    found, problems = check_lessons(path)
    assert [one.target for one in found.lessons] == ["Yes.", "Maybe."]
    assert [problem.line for problem in problems] == [3]
    assert told in str(problems[0])
    with pytest.raises(UsageProblem, match=r"1 problem: line 3: .*knowhow lessons lint"):
        read_lessons(path)


def test_an_empty_file_says_what_a_line_is(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="the file is empty; write one lesson a line"):
        read_lessons(file(tmp_path))
    with pytest.raises(NotFound, match=r"docs/lessons\.md"):
        read_lessons(tmp_path / "none.jsonl")


def test_bytes_that_are_no_text_are_a_problem_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(b'{"messages": [\xff]}\n' + json.dumps({"messages": [U, A]}).encode())
    found, problems = check_lessons(path)
    assert len(found.lessons) == 1
    assert "is not UTF-8 (byte 15)" in str(problems[0])


def test_csv_with_labels_knows_them_all_and_counts_lines_with_breaks_inside(tmp_path: Path) -> None:
    path = tmp_path / "mail.csv"
    path.write_text('text,label\n"two\nlines",late\n,late\nlost,gone\n')
    found, problems = check_lessons(path)
    assert [(one.question, one.target, one.source) for one in found.lessons] == [
        ("two\nlines", "late", "mail.csv:2"),
        ("lost", "gone", "mail.csv:5"),
    ]
    assert found.lessons[0].expect.labels == ("gone", "late")
    assert [problem.line for problem in problems] == [4]
    path.write_text("a,b\n1,2\n")
    assert "question and answer; it has a, b" in str(check_lessons(path)[1][0])


KEYS = "messages role content prompt chosen rejected completion input preferred_output weight".split()
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
ANY_JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(ANY_JSON)
def test_no_line_is_ever_more_than_a_problem(body: object) -> None:
    parsed = parse_line(body, "f:1")
    assert bool(parsed.lessons) != bool(parsed.problems)
    assert all(one.target.strip() and one.question.strip() for one in parsed.lessons)


def test_written_and_read_back_with_everything(tmp_path: Path) -> None:
    lesson = Lesson(
        "a", "Q?", "T", Origin.MADE, "s", history=(Message("user", "x"),), context=(Range("d.md", 2, 3, 9),),
        expect=Expect(label="T", labels=("T", "U")), split=Split.DEV, access=frozenset({"hr"}),
        uris=frozenset({"d.md"}),
    )  # fmt: skip
    write_lessons(Lessons("mine", (lesson,)), tmp_path / "mine.jsonl")
    assert read_lessons(tmp_path / "mine.jsonl") == Lessons("mine", (lesson,))


# --- suites -----------------------------------------------------------------------------------------------


def example(id: str, split: Split | None, **expect: object) -> Example:
    return Example(id, Expect(**expect), question=f"What is {id}?", group=id, split=split)  # type: ignore[arg-type]


def test_a_suite_teaches_from_train_validates_on_dev_and_never_touches_test() -> None:
    quote = Evidence("d.md", "x")
    suite = Suite("s", (
        example("a", Split.TRAIN, label="x", labels=("x", "y")),
        example("b", Split.DEV, reference="B.", evidence=(quote,)),
        example("c", Split.TEST, reference="C."),
        example("d", None, reference="D."),
        example("e", Split.TRAIN),
        example("f", Split.TRAIN, abstain=True, evidence=(quote,)),
        replace(example("g", Split.TRAIN, reference="G."), draft=True),
    ))  # fmt: skip
    place = Range("d.md", 1, 0, 4)
    found = suite_lessons(suite, {id: (Located(quote, (place,)),) for id in "bf"}, Recipe())
    assert [(one.id, one.target, one.split) for one in found.lessons] == [
        ("s/a", "x", Split.TRAIN), ("s/b", "B.", Split.DEV), ("s/f", NOT_STATED, Split.TRAIN),
    ]  # fmt: skip
    assert [one.context for one in found.lessons] == [(), (place,), ()]
    assert found.notes == ("1 examples of the train and dev splits say nothing about a right answer",)
    assert suite_lessons(suite, {}, Recipe(form=Form.CONSTRAINED)).lessons[0].target == '"x"'


def test_without_a_suite_a_part_is_kept_for_the_proof() -> None:
    lessons = Lessons(
        "l", tuple(Lesson(str(i), f"q{i}", f"t{i}", Origin.FILE, "f", group=f"g{i // 2}") for i in range(100))
    )
    suite = held_out(lessons)
    kept = by_split(lessons, suite)
    proof = {one.id for one in suite.examples if one.split is Split.TEST}
    assert not proof & {one.id for one in kept.lessons}
    assert 25 <= len(proof) <= 35
    groups = {split: {one.group for one in suite.examples if one.split is split} for split in Split}
    assert not groups[Split.TRAIN] & groups[Split.TEST]


# --- judged answers ---------------------------------------------------------------------------------------


def trace(id: str, **changes: object) -> dict[str, object]:
    shown = [
        {"uri": "d.md", "version": 3, "start": 5, "end": 9},
        {"uri": "context:", "version": 0, "start": 0, "end": 3},
    ]
    body = {
        "id": id, "question": "How long?", "answer": "30 days [1].", "abstained": False, "history": [],
        "context": "abc", "shown": shown, "filter": {"access": ["hr"]}, "uris": ["d.md"],
    }  # fmt: skip
    return {**body, **changes}


def test_what_people_said_becomes_lessons() -> None:
    words = {
        "up": ("up", ""), "down": ("down", ""), "fix": ("correct", "45 days."), "no": ("should-decline", ""),
        "src": ("wrong-source", ""),
    }  # fmt: skip
    feedback = {id: [{"verdict": verdict, "text": text}] for id, (verdict, text) in words.items()}
    found = {one.id: one for one in trace_lessons([trace(id) for id in (*words, "silent")], feedback).lessons}
    assert set(found) == {"trace/up", "trace/down", "trace/fix", "trace/no"}
    assert (found["trace/up"].target, found["trace/up"].mark) == ("30 days [1].", Mark.GOOD)
    assert found["trace/down"].mark is Mark.BAD
    assert (found["trace/fix"].target, found["trace/fix"].rejected) == ("45 days.", "30 days.")
    assert found["trace/fix"].origin is Origin.CORRECTION
    assert found["trace/no"].target == NOT_STATED
    one = found["trace/up"]
    assert one.context == (Range("d.md", 3, 5, 9),)
    assert (one.attached, one.access, one.uris) == ("abc", frozenset({"hr"}), frozenset({"d.md"}))


def test_the_last_word_counts() -> None:
    said = [{"verdict": "down", "text": ""}, {"verdict": "correct", "text": "45 days."}]
    (only,) = trace_lessons([trace("a")], {"a": said}).lessons
    assert only.target == "45 days."


def test_two_sources_may_not_share_an_id() -> None:
    one = Lessons("a", (Lesson("x", "q", "t", Origin.FILE, "f"),), ("note",))
    assert joined("all", one).notes == ("note",)
    with pytest.raises(UsageProblem, match='the id "x"'):
        joined("all", one, one)
