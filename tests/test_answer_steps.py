"""The steps of ask by themselves: follow-ups, declines, conflicts, packing, feedback, secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_world import OPEN, World, make_hit, make_world
from knowhow.answer import Feedback, Trace, Verdict, story
from knowhow.answer.conflict import Force, conflicts
from knowhow.answer.decline import declines
from knowhow.answer.feedback import give
from knowhow.answer.followup import leans, understand
from knowhow.answer.pack import pack
from knowhow.answer.trace import without_secrets
from knowhow.backends.fake import FakeChat
from knowhow.errors import NotFound, UsageProblem
from knowhow.ports import Record
from knowhow.types import Decline, Message, Shown


def turns(*said: str) -> list[Message]:
    return [Message("assistant" if i % 2 else "user", text) for i, text in enumerate(said)]


@pytest.mark.parametrize(
    ("history", "question", "carried"),
    [
        (turns("How long can I return a laptop?", "45 days."), "What about phones?", {"return", "laptop"}),
        (turns("Who is the chief executive?", "It is Ada Lindqvist."), "Where does she live?", {"chief", "Lindqvist"}),
        (turns("What does shipping to Germany cost?", "4.90 euros."), "And to Austria?", {"shipping", "cost"}),
        (turns("Wie lange ist die Garantie für Laptops?", "2 Jahre."), "Und für Telefone?", {"Garantie", "Laptops"}),
        (turns("Who leads Acme?", "Eva.", "Since when?", "2019."), "Why?", {"Acme"}),
    ],
)
def test_a_follow_up_carries_what_it_leans_on(history: list[Message], question: str, carried: set[str]) -> None:
    understood = understand(question, history)
    assert carried <= set(understood.carried)
    assert understood.search.endswith(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the postal address for privacy requests?",
        "How many vacation days does a new employee get in Germany?",
        "Which chip does the 64 GB MacBook Pro have?",
    ],
)
def test_a_question_of_its_own_is_searched_as_it_is(question: str) -> None:
    history = turns("How long can I return a laptop?", "45 days.")
    assert not leans(question)
    assert understand(question, history).search == question
    assert understand("And then?", []).search == "And then?"


@pytest.mark.parametrize(
    "reply",
    [
        "The documents do not say.",
        "The document does not state the year.",
        "The provided context doesn't mention any warranty [2].",
        "I don't know.",
        "I'm sorry, but I cannot answer this from the documents.",
        "Sorry. There is no information about that.",
        "Based on the provided documents, I could not find the price.",
        "Unfortunately, the passages do not contain this.",
        "It is not specified in the documents.",
        "Not stated.",
        "The text does not specifically mention the starting point. However, it describes the river [1].",
        "No information is available on this.",
        "Die Dokumente enthalten dazu keine Angaben.",
        "Dazu kann ich keine Auskunft geben, ich weiß es nicht.",
        "Je ne sais pas.",
        "文档中没有提到。",
        "",
    ],
)
def test_declining_is_recognised(reply: str) -> None:
    assert declines(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "You do not need a receipt.",
        "No, opened software is not refundable.",
        "Employees do not have to work on Sundays. The policy does not say why.",
        "The contract does not include VAT of 19%, which is added.",
        "Ada did not find the keys until 2019.",
        "The warranty is not transferable.",
        "It cannot be returned after 45 days.",
    ],
)
def test_an_answer_with_a_negation_is_no_decline(reply: str) -> None:
    assert not declines(reply)


def side(mark: str, text: str, uri: str, title: str = "", at: float | None = None) -> Shown:
    return Shown(mark, make_hit(text, uri=uri, title=title, effective_at=at), text)


OLD = "Laptops can be returned within 30 days of delivery."
NEW = "Laptops can be returned within 45 days of delivery."
HOW_LONG = "Within how many days can laptops be returned?"


def test_two_documents_with_different_values_conflict() -> None:
    (found,) = conflicts(HOW_LONG, [side("1", OLD, "a.md", "Returns"), side("2", NEW, "b.md", "FAQ")])
    assert found.force is Force.OPEN
    assert {found.first.value, found.second.value} == {"30 days", "45 days"}


def test_the_newer_document_is_in_force() -> None:
    (found,) = conflicts(HOW_LONG, [side("1", OLD, "a.md", at=1.0), side("2", NEW, "b.md", at=2.0)])
    assert (found.force, found.first.value) == (Force.NEWER, "45 days")
    (said,) = conflicts(HOW_LONG, [side("1", OLD, "a.md", at=9.0), side("2", NEW, "b.md", at=2.0)], [("b.md", "a.md")])
    assert (said.force, said.first.value) == (Force.SUPERSEDES, "45 days")


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (HOW_LONG, OLD, "Phones can be returned within 45 days of delivery."),
        (HOW_LONG, OLD, "Laptops can be returned within thirty days of delivery."),
        (HOW_LONG, OLD, "Our office in Hamburg opened 45 days after delivery of the furniture."),
        ("What was the revenue in 2023?", "Revenue in 2023 was $5 million.", "Revenue in 2022 was $4 million."),
        (HOW_LONG, OLD, "Refurbished laptops can be returned within 45 days of delivery."),
        (HOW_LONG, OLD, "Laptops from Lenovo can be returned within 45 days of delivery."),
        ("Where do laptops go?", OLD, "Laptops are kept for 45 days in Berlin, Paris and Rome."),
    ],
)
def test_merely_different_numbers_do_not_conflict(question: str, one: str, other: str) -> None:
    assert conflicts(question, [side("1", one, "a.md", "Returns"), side("2", other, "b.md", "FAQ")]) == []


def test_one_document_does_not_conflict_with_itself_nor_two_models_of_a_product() -> None:
    assert conflicts(HOW_LONG, [side("1", OLD, "a.md"), side("2", NEW, "a.md")]) == []
    question = "How long does the battery last?"
    models = [
        side("1", "The battery lasts 10 hours.", "x.md", "Model X manual"),
        side("2", "The battery lasts 8 hours.", "y.md", "Model Y manual"),
    ]
    assert conflicts(question, models) == []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def test_an_open_conflict_is_declined_with_both_sides_newest_first(world: World) -> None:
    world.put("a.md", OLD, title="Returns")
    world.put("b.md", NEW, title="FAQ")
    model = FakeChat([])
    answer = world.ask(HOW_LONG, model)
    assert answer.reason is Decline.CONFLICT
    assert model.requests == []
    assert [c.uri for c in answer.citations] == ["b.md", "a.md"]
    assert [c.quote for c in answer.citations] == [NEW, OLD]
    assert "45 days" in answer.text.splitlines()[1]
    assert "30 days" in answer.explanation


def test_a_dated_conflict_is_settled_for_the_newest_and_mentioned(world: World) -> None:
    world.put("a.md", OLD, title="Returns", effective_at=1_600_000_000.0)
    world.put("b.md", NEW, title="FAQ", effective_at=1_700_000_000.0)
    answer = world.ask(HOW_LONG, "Laptops can be returned within 45 days [1].")
    assert not answer.abstained
    assert [p.hit.uri for p in answer.shown] == ["b.md"]
    assert "30 days (a.md, 2020-09-13)" in answer.explanation
    record = world.records.get("trace", answer.trace_id, frozenset())
    assert record is not None
    assert "superseded" in {row["fate"] for row in record.body["candidates"]}
    assert "taken back" in story(Trace.from_json(record.body))


def test_a_document_that_says_what_it_supersedes_wins_whatever_the_dates(world: World) -> None:
    world.put("a.md", OLD, title="Returns")
    world.put("b.md", NEW, title="FAQ", supersedes="a.md")
    answer = world.ask(HOW_LONG, "Laptops can be returned within 45 days [1].")
    assert answer.citations[0].uri == "b.md"
    assert [p.hit.uri for p in answer.shown] == ["b.md"]


def test_current_only_shows_nothing_of_a_superseded_document_whatever_it_says(world: World) -> None:
    world.put("a.md", "Laptops: how long? Bring the old form to the desk.", title="Returns")
    world.put("b.md", NEW, title="FAQ", supersedes="a.md")
    both = world.ask(HOW_LONG, "Laptops can be returned within 45 days [1].")
    assert {p.hit.uri for p in both.shown} == {"a.md", "b.md"}
    answer = world.ask(HOW_LONG, "Laptops can be returned within 45 days [1].", replace(OPEN, current_only=True))
    assert [p.hit.uri for p in answer.shown] == ["b.md"]
    record = world.records.get("trace", answer.trace_id, frozenset())
    assert record is not None
    assert [(row["uri"], row["fate"]) for row in record.body["cut"]] == [("a.md", "superseded")]


words = st.lists(
    st.sampled_from(["One two three.", "Four!", "Five six seven eight nine.", "ten"]), min_size=1, max_size=6
)


@given(st.lists(words, min_size=1, max_size=5), st.integers(1, 60))
def test_packing_keeps_the_order_the_budget_and_every_hit(texts: list[list[str]], tokens: int) -> None:
    hits = [make_hit(" ".join(parts), uri=f"{n}.md") for n, parts in enumerate(texts)]
    model = FakeChat([])
    try:
        packed = pack(hits, model, tokens)
    except UsageProblem:
        assert tokens < 12
        return
    assert packed.tokens <= tokens
    assert [p.mark for p in packed.shown] == [str(n) for n in range(1, len(packed.shown) + 1)]
    assert [p.hit.uri for p in packed.shown] + [hit.uri for hit in packed.over] == [hit.uri for hit in hits]
    assert all(p.hit.text.startswith(p.text) for p in packed.shown)
    assert all(p.text == p.hit.text for p in packed.shown[:-1])


def test_feedback_is_kept_with_its_trace_and_its_access(world: World) -> None:
    world.put("a.md", NEW, access=frozenset({"hr"}))
    world.records.put([Record("trace", "t1", {"id": "t1"}, access=frozenset({"hr"}), uris=frozenset({"a.md"}))])
    tags = frozenset({"hr"})
    given_ = give(world.records, "t1", Verdict.CORRECT, tags, text=" 45 days ", by="eva", at=5.0)
    (row,) = world.records.select("feedback", tags, parent="t1")
    assert Feedback.from_json(row.body) == given_
    assert (given_.text, given_.verdict) == ("45 days", Verdict.CORRECT)
    assert list(world.records.select("feedback", frozenset(), parent="t1")) == []
    with pytest.raises(NotFound, match="traces list"):
        give(world.records, "t1", Verdict.UP, frozenset())
    with pytest.raises(UsageProblem, match="right answer"):
        give(world.records, "t1", Verdict.CORRECT, tags)
    world.records.purge("a.md")
    assert list(world.records.select("feedback", tags, parent="t1")) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("http://eva:s3cret@host/v1#m", "http://host/v1#m"),
        ("https://host/v1?api_key=s3cret&x=1#m", "https://host/v1?api_key=…&x=1#m"),
        ("local:starter", "local:starter"),
    ],
)
def test_a_model_name_loses_its_secrets(name: str, shown: str) -> None:
    assert without_secrets(name) == shown


def test_no_secret_reaches_the_trace(world: World) -> None:
    world.put("a.md", NEW)
    model = FakeChat(["Laptops can be returned within 45 days [1]."], name="http://eva:s3cret@host/v1#m")
    answer = world.ask(HOW_LONG, model, replace(OPEN, model="http://eva:s3cret@host/v1#m"))
    record = world.records.get("trace", answer.trace_id, frozenset())
    assert record is not None
    assert "s3cret" not in str(record.body)
