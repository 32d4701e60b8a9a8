"""Lint: every fault is found in its rows, and what is not wrong is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.answer.decline import NOT_STATED
from knowhow.backends.fake import FakeEmbedder
from knowhow.cli.main import execute
from knowhow.lessons.grounding import Grounding, grounded
from knowhow.lessons.lint import ENOUGH, FEW, Beside, Fault, LintReport, Weight, lint
from knowhow.lessons.near import Texts, across, pieces, plain, similarity, within
from knowhow.lessons.personal import personal
from knowhow.lessons.prompts import Prompter
from knowhow.types import (
    Context,
    Example,
    Expect,
    LeftOut,
    Lesson,
    Lessons,
    Mark,
    Origin,
    Range,
    Recipe,
    Suite,
    SuiteProblem,
)
from knowhow.workspace import Workspace

EMBEDDER = FakeEmbedder()
WORDS = "amber birch cedar delta ember frost grove haven inlet jolly knoll larch maple north ocean pearl".split()


def lesson(question: str, target: str = "ok", row: int = 0, **changes: object) -> Lesson:
    made = Lesson(f"l{row}", question, target, Origin.FILE, f"f.jsonl:{row}")
    return replace(made, **changes)  # type: ignore[arg-type]


def unlike(count: int) -> list[Lesson]:
    """Lessons that have nothing in common."""
    return [
        lesson(f"{WORDS[i % 16]}{i * 7919} {WORDS[i // 16 % 16]}{i * 104729} {i * 1299709}", f"reply {i}", i)
        for i in range(count)
    ]


def linted(lessons: list[Lesson], **beside: object) -> LintReport:
    return lint(Lessons("l", tuple(lessons)), EMBEDDER, Beside(**beside))  # type: ignore[arg-type]


def found(report: LintReport, fault: Fault, weight: Weight | None = None) -> list[int]:
    return [row for one in report.findings if one.fault is fault and weight in (None, one.weight) for row in one.rows]


def test_nothing_is_wrong_with_enough_lessons_that_differ() -> None:
    report = linted(unlike(ENOUGH))
    assert report.findings == ()
    assert len(report.notes) == 4


def test_too_few_warn_and_far_too_few_stop() -> None:
    assert linted(unlike(ENOUGH - 1)).findings[0].weight is Weight.WARNING
    (few,) = linted(unlike(FEW - 1)).errors
    assert few.fault is Fault.FEW
    twice = unlike(FEW - 1) + [replace(one, id="x") for one in unlike(3)]
    assert Fault.FEW in {one.fault for one in linted(twice).errors}, "a repeated lesson is no further lesson"


def test_repetitions_name_the_later_row() -> None:
    base = unlike(60)
    base[5] = lesson("Where is my new card, please?", "card_arrival", 5)
    same = lesson("where is MY new card please", "card_arrival", 60)
    near = lesson("Where is my new crd, please?", "card_arrival", 61)
    report = linted([*base, same, near])
    assert found(report, Fault.DUPLICATE) == [61]
    assert found(report, Fault.NEAR) == [62]
    assert report.findings[-1].where == ("f.jsonl:61",)


def test_contradictions_name_both_rows() -> None:
    labelled = {"expect": Expect(label="a", labels=("a", "b"))}
    base = unlike(60)
    base[3] = lesson("Where is my new card?", "a", 3, **labelled)
    base[9] = lesson("How do I change my PIN code?", "a", 9, **labelled)
    exact = lesson("where is my new card", "b", 60, expect=Expect(label="b", labels=("a", "b")))
    near = lesson("How do I change the PIN code?", "b", 61, expect=Expect(label="b", labels=("a", "b")))
    report = linted([*base, exact, near])
    assert found(report, Fault.CONTRADICTION, Weight.ERROR) == [4, 61]
    assert found(report, Fault.CONTRADICTION, Weight.WARNING) == [10, 62]


def test_one_question_over_two_contexts_may_have_two_answers() -> None:
    base = unlike(60)
    base[0] = lesson("How long?", "30 days", 0, context=(Range("a.md", 1, 0, 5),))
    base[1] = lesson("How long?", "45 days", 1, context=(Range("b.md", 1, 0, 5),))
    assert found(linted(base), Fault.CONTRADICTION) == []


def test_test_rows_are_found_exactly_and_nearly() -> None:
    base = unlike(60)
    base[7] = lesson("Why was my payment declined?", "x", 7, expect=Expect(label="x"))
    base[8] = lesson("Can I have a second card for my wife", "x", 8)
    test = [
        Example("t1", Expect(label="y"), input="why was my payment declined"),
        Example("t2", Expect(), input="Can I have a second crd for my wife?"),
    ]
    report = linted(base, test=test)
    assert found(report, Fault.IN_TEST) == [8]
    assert found(report, Fault.NEAR_TEST) == [9]
    assert found(report, Fault.CONTRADICTION) == [8]
    assert report.faulty == {8}


def test_what_would_not_be_trained_on_is_named_with_its_reason() -> None:
    report = linted(unlike(60), left_out=[LeftOut("l4", "more than 64 tokens", 9)])
    assert found(report, Fault.LEFT_OUT, Weight.WARNING) == [5]
    whole = linted(unlike(60), left_out=[LeftOut(f"l{i}", "more than 8 tokens", 9) for i in range(60)])
    assert len(found(whole, Fault.LEFT_OUT, Weight.ERROR)) == 60


def test_broken_lines_and_known_lessons_are_part_of_the_report() -> None:
    report = linted(unlike(60), problems=[SuiteProblem(3, "is no JSON")], known=frozenset({"l2"}))
    assert "line 3: is no JSON" in report.errors[0].message
    assert found(report, Fault.KNOWN) == [3]
    assert json.loads(json.dumps(report.to_json()))["findings"][0]["fault"] == "broken"


# --- personal data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to jo.doe@corp-mail.de now", ["an e-mail address"]),
        ("write to jo@example.com now", []),
        ("card 4111 1111 1111 1111", ["a payment card number"]),
        ("card 4111 1111 1111 1112", []),
        ("DE89 3704 0044 0532 0130 00", ["an IBAN"]),
        ("DE89 3704 0044 0532 0130 01", []),
        ("ssn 219-09-9999", ["a social security number"]),
        ("call +49 30 901820 445", ["a telephone number"]),
        ("from 2024-03-01 to 2024-04-01, rows 10 20 30", []),
        ("version 10.13.4, order 12345678", []),
    ],
)
def test_personal_data_is_told_by_form_and_checksum(text: str, kinds: list[str]) -> None:
    assert list(personal(text)) == kinds


def test_teaching_personal_data_is_an_error_reading_it_a_warning() -> None:
    base = unlike(60)
    base[1] = lesson("amber?", "Ask jo.doe@corp-mail.de", 1)
    base[2] = lesson("I am jo.doe@corp-mail.de, help", "ok sure", 2)
    report = linted(base)
    assert found(report, Fault.PERSONAL, Weight.ERROR) == [2]
    assert found(report, Fault.PERSONAL, Weight.WARNING) == [3]
    assert "jo.doe" not in json.dumps(report.to_json())


# --- facts of the documents -------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "returns.md").write_text(
        "# Returns\n\nCustomers may return a laptop within 45 days of delivery. Refunds are approved by Mara Quell.\n"
    )
    with Workspace.init(tmp_path) as opened:
        opened.ingest(tmp_path / "docs")
        yield opened


def facts(corpus: Workspace, *lessons: Lesson) -> list[int]:
    store = corpus._parts.store
    report = lint(Lessons("l", lessons), corpus._parts.embedder(), Beside(store=store))
    return found(report, Fault.FACT)


def test_a_value_or_name_of_the_documents_must_be_shown_by_the_lesson(corpus: Workspace) -> None:
    asked = "How long may customers return a laptop?"
    place = Range("returns.md", 1, 0, 120)
    assert facts(
        corpus,
        lesson(asked, "Within 45 days.", 0),
        lesson(asked, "Within 45 days.", 1, context=(place,)),
        lesson(asked, "Within 45 days.", 2, attached="Laptops: 45 days."),
        lesson(asked, "I will look it up for you.", 3),
        lesson("Who approves refunds?", "Our colleague Mara Quell does.", 4),
        lesson(asked, "Within 45 days.", 5, mark=Mark.BAD),
        lesson("How many legs has a beetle pair?", "It has 45 legs.", 6),
    ) == [1, 5]


def test_what_is_part_of_the_form_is_no_fact(corpus: Workspace) -> None:
    signed = [
        lesson(f"Question about {WORDS[i]} {i * 31}?", f"Sure. Yours, Mara Quell, refunds {i}", i) for i in range(12)
    ]
    assert facts(corpus, *signed) == []


def test_a_context_that_is_gone_leaves_the_lesson_out(corpus: Workspace) -> None:
    parts = corpus._parts
    recipe = Recipe(name="r", model="extractive")
    prompter = Prompter(
        recipe, Suite("s", ()), store=parts.store, embedder=parts.embedder(), model=parts.chat("extractive")
    )
    here, gone = (Range(uri, 1, 0, 80) for uri in ("returns.md", "gone.md"))
    made = prompter([lesson("How long?", "45 days.", 0, context=(here,)), lesson("x?", "y.", 1, context=(gone,))])
    assert [one.id for one in made.left_out] == ["l1"]
    (row,) = made.rows
    assert "45 days" in row.prompt[-1].content
    assert row.target == "45 days."


def test_a_row_is_the_very_prompt_that_ask_sends(corpus: Workspace) -> None:
    parts = corpus._parts
    recipe = Recipe(name="r", model="extractive", context=Context.GOLD)
    place = Range("returns.md", 1, 0, 80)
    answer = corpus.ask("How long may I return it?", recipe, gold=(place,))
    prompter = Prompter(
        recipe, Suite("s", ()), store=parts.store, embedder=parts.embedder(), model=parts.chat("extractive")
    )
    (row,) = prompter([lesson("How long may I return it?", "x", context=(place,))]).rows
    sent = corpus.trace(answer.trace_id)["prompt"]
    assert [(turn.role, turn.content) for turn in row.prompt] == [(turn["role"], turn["content"]) for turn in sent]


def test_grounding_lessons_hide_the_evidence_among_others_or_decline_without_it(corpus: Workspace) -> None:
    for i in range(8):
        (corpus.folder / "docs" / f"more{i}.md").write_text(f"# Laptops {i}\n\nA laptop may return in model {i}.\n")
    corpus.ingest(corpus.folder / "docs")
    place = Range("returns.md", 1, 0, 80)
    asked = Lessons(
        "l", tuple(lesson(f"May a laptop return, {i}?", "45 days.", i, context=(place,)) for i in range(40))
    )
    parts = corpus._parts
    made = grounded(asked, Recipe(), parts.store, parts.embedder(), Grounding(distractors=2, without=0.25))
    bare = [one for one in made.lessons if one.target == NOT_STATED]
    shown = [one for one in made.lessons if one.target != NOT_STATED]
    assert 4 <= len(bare) <= 17
    assert all(place not in one.context and one.context and one.rejected == "45 days." for one in bare)
    assert all(place in one.context and len(one.context) == 3 for one in shown)
    assert len({one.context.index(place) for one in shown}) == 3, "its place teaches nothing"
    assert made == grounded(asked, Recipe(), parts.store, parts.embedder(), Grounding(distractors=2, without=0.25))
    assert {place.uri for one in made.lessons for place in one.context} == {u for one in made.lessons for u in one.uris}


def test_the_command_names_rows_writes_the_clean_ones_and_ends_with_5(
    corpus: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus.folder / "knowhow.toml").write_text('[recipes.plain]\nextends = "closed-book"\nmodel = "extractive"\n')
    rows = [{"messages": [{"role": "user", "content": one.question}, {"role": "assistant", "content": one.target}]}
            for one in unlike(60)]  # fmt: skip
    rows[4]["messages"] = [
        {"role": "user", "content": "How long may customers return a laptop?"},
        {"role": "assistant", "content": "Within 45 days."},
    ]
    file, clean = tmp_path / "chats.jsonl", tmp_path / "clean.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    command = ["lessons", "lint", str(file), "-w", str(corpus.folder), "--recipe", "plain", "--clean", str(clean)]
    capsys.readouterr()
    assert execute([*command, "--json"]) == 5
    body = json.loads(capsys.readouterr().out)
    faults = {one["fault"]: one for one in body["findings"]}
    assert set(faults) == {"broken", "volatile-fact", "too-few"}
    assert faults["volatile-fact"]["where"] == ["chats.jsonl:5"]
    assert "line 61" in faults["broken"]["message"]
    assert len(clean.read_text().splitlines()) == 59
    assert execute(["lessons", "lint", str(clean), "-w", str(corpus.folder), "--recipe", "plain"]) == 0


# --- near ------------------------------------------------------------------------------------------------


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_symmetric_and_1_only_for_equal_words(left: str, right: str) -> None:
    a, b = plain(left), plain(right)
    one, other = similarity(a, b, pieces(a), pieces(b)), similarity(b, a, pieces(b), pieces(a))
    assert one == other
    assert (one == 1.0) == (a == b)
    assert 0 <= one <= 1


def test_each_pair_is_named_once_and_texts_are_not_like_themselves() -> None:
    texts = Texts(["one two three", "One, two three!", "one two three four", "else"], EMBEDDER)
    pairs = [(near.left, near.right) for near in within(texts)]
    assert sorted(pairs) == [(0, 1), (0, 2), (1, 2)] or sorted(pairs) == [(0, 1)]
    assert len(pairs) == len(set(pairs))
    assert list(across(texts, Texts([], EMBEDDER))) == []
