"""Ask, end to end with a scripted model: answers with exact citations, and declines with reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from answer_world import OPEN, RETURNS, World, shop
from knowhow.answer import Trace, answer_json, story, stream
from knowhow.backends.fake import FakeChat
from knowhow.errors import ProviderKind, ProviderProblem, UsageProblem
from knowhow.types import Context, Decline, Filter, Message, Range, Recipe, Sampling, Support

QUESTION = "How long can I return a laptop?"
HONEST = "You can return a laptop within 45 days [1]."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shop(tmp_path_factory.mktemp("shop"))


def test_an_answer_is_cited_to_exact_ranges(world: World) -> None:
    answer = world.ask("How long can I return a laptop?", "You can return a laptop within 45 days [1].")
    assert not answer.abstained
    assert answer.text == "You can return a laptop within 45 days [1]."
    (citation,) = answer.citations
    assert (citation.uri, citation.mark, citation.supported, citation.by) == (
        "policies/returns.md",
        "1",
        Support.YES,
        "model",
    )
    assert RETURNS[citation.start : citation.end] == citation.quote
    assert citation.quote == "Laptops can be returned within 45 business days of delivery."
    assert answer.text[slice(*citation.sentence)] == answer.text


def test_a_sentence_without_a_mark_is_attributed(world: World) -> None:
    answer = world.ask("How long does shipping take?", "Standard shipping takes 3 days.")
    (citation,) = answer.citations
    assert citation.by == "attributed"
    assert citation.quote.startswith("Standard shipping takes 3 days")
    assert answer.text == f"Standard shipping takes 3 days [{citation.mark}]."


def test_an_unsupported_sentence_is_marked_and_kept(world: World) -> None:
    answer = world.ask(
        "How long can I return a laptop?", "Laptops can be returned within 45 days [1]. Phones within 90 days [1]."
    )
    assert not answer.abstained
    assert [answer.text[a:b] for a, b in answer.unsupported] == ["Phones within 90 days [1]."]
    assert [c.supported for c in answer.citations] == [Support.YES, Support.NO]
    assert "90 days is not in the range" in answer.citations[1].reason


def test_a_reply_that_nothing_bears_out_is_declined(world: World) -> None:
    answer = world.ask("How long can I return a laptop?", "You can return a laptop within 30 days [1].")
    assert answer.reason is Decline.NOT_STATED
    assert "30 days is not in the range" in answer.explanation
    assert "30" not in answer.text
    assert answer.citations == ()


def test_a_reply_that_says_nothing_is_declined(world: World) -> None:
    answer = world.ask(QUESTION, "The answer to your question is:")
    assert answer.reason is Decline.NOT_STATED


def test_a_reply_without_marks_that_nothing_bears_out_says_what_is_missing(world: World) -> None:
    answer = world.ask(QUESTION, "Laptops can be returned within 30 days.")
    assert answer.reason is Decline.NOT_STATED
    assert "(30 days is not in the range)" in answer.explanation
    record = world.records.get("trace", answer.trace_id, frozenset())
    assert record is not None
    assert "30 days is not in the range" in story(Trace.from_json(record.body))


@pytest.mark.parametrize(
    "reply",
    [
        "The documents do not say.",
        "I'm sorry, but the provided documents do not mention the warranty [1].",
        "There is no information about this in the passages. They describe returns within 45 days [1].",
        "Die Dokumente enthalten dazu keine Angaben.",
    ],
)
def test_a_model_that_declines_is_taken_at_its_word(world: World, reply: str) -> None:
    answer = world.ask("How long is the laptop warranty?", reply)
    assert answer.abstained
    assert answer.reason is Decline.NOT_STATED
    assert answer.explanation


def test_nothing_relevant_declines_without_calling_the_model(world: World) -> None:
    model = FakeChat(["never said"])
    answer = world.ask("Qui a gagné le tournoi xyzzy?", model, Recipe(relevance=0.5))
    assert answer.reason is Decline.NOTHING_RELEVANT
    assert model.requests == []
    assert answer.shown == ()
    trace = world.records.get("trace", answer.trace_id, frozenset())
    assert trace is not None
    assert {row["fate"] for row in trace.body["cut"]} <= {"below-relevance"}


def test_a_mark_that_points_at_nothing_shown_is_dropped_and_recorded(world: World) -> None:
    answer = world.ask("How long can I return a laptop?", "Laptops can be returned within 45 days [1][9].")
    assert answer.text == "Laptops can be returned within 45 days [1]."
    trace = world.records.get("trace", answer.trace_id, frozenset())
    assert trace is not None
    assert trace.body["dropped"] == [9]


def test_a_wrong_mark_is_moved_to_the_passage_that_holds(world: World) -> None:
    answer = world.ask("How long can I return a laptop?", "Laptops can be returned within 45 days [2].")
    (citation,) = answer.citations
    assert citation.uri == "policies/returns.md"
    assert citation.by == "attributed"


def test_streaming_gives_the_same_answer_in_pieces(world: World) -> None:
    reply = "You can return a laptop within 45 days [1]."
    pieces = stream(
        "How long can I return a laptop?",
        Recipe(),
        store=world.store,
        records=world.records,
        embedder=world.embedder,
        model=FakeChat([reply]),
    )
    said = []
    try:
        while True:
            said.append(next(pieces))
    except StopIteration as end:
        answer = end.value
    assert "".join(said) == reply
    assert len(said) > 3
    whole = world.ask("How long can I return a laptop?", reply)
    assert (answer.text, answer.citations) == (whole.text, whole.citations)


def test_a_question_longer_than_the_window_is_one_clear_problem(world: World) -> None:
    model = FakeChat(["x"], context_tokens=600)
    with pytest.raises(ProviderProblem, match=r"takes \d+ tokens.*Shorten the question") as problem:
        world.ask("why " * 700, model)
    assert problem.value.kind is ProviderKind.CONTEXT_TOO_LONG
    with pytest.raises(UsageProblem, match="empty"):
        world.ask("  ", model)


def test_the_window_bounds_what_is_shown(world: World) -> None:
    model = FakeChat(["Laptops can be returned within 45 days [1]."], context_tokens=200)
    answer = world.ask("How long can I return a laptop?", model, replace(OPEN, sampling=Sampling(max_tokens=60)))
    assert model.count(model.requests[0].messages) <= 140
    assert len(answer.shown) < 4


def test_the_budget_cuts_at_a_sentence_and_names_what_did_not_fit(world: World) -> None:
    recipe = replace(OPEN, budget=26)
    answer = world.ask("How long can I return a laptop?", "Laptops can be returned within 45 days [1].", recipe)
    assert answer.shown[-1].text.endswith(".")
    assert answer.shown[0].hit.text.startswith(answer.shown[0].text)
    trace = world.records.get("trace", answer.trace_id, frozenset())
    assert trace is not None
    assert "over-budget" in {row["fate"] for row in trace.body["cut"]}
    assert "over-budget" in {row["fate"] for row in trace.body["candidates"]}


def test_a_budget_below_one_sentence_is_a_usage_problem(world: World) -> None:
    with pytest.raises(UsageProblem, match="raise the budget"):
        world.ask("How long can I return a laptop?", "x", replace(OPEN, budget=3))


def test_text_given_with_the_question_can_be_cited(world: World) -> None:
    answer = world.ask(
        "When does my contract end?",
        "It ends on 2027-03-01 [1].",
        context="Customer 77. The contract ends on 1 March 2027.",
    )
    (citation,) = answer.citations
    assert (citation.uri, citation.quote) == ("context:", "The contract ends on 1 March 2027.")


def test_gold_shows_only_the_given_evidence(world: World) -> None:
    start = RETURNS.index("Refunds")
    gold = [Range("policies/returns.md", 1, start, len(RETURNS)), Range("gone.md", 1, 0, 5)]
    answer = world.ask(
        "What is the late fee?", "The fee for late returns is $20.", replace(OPEN, context=Context.GOLD), gold=gold
    )
    assert [p.text for p in answer.shown] == [RETURNS[start:]]
    assert answer.citations[0].quote == "The fee for late returns is $20."
    assert RETURNS[answer.citations[0].start : answer.citations[0].end] == answer.citations[0].quote


def test_the_whole_corpus_is_shown_by_uri_as_far_as_it_fits(world: World) -> None:
    model = FakeChat(["Orders ship from Hamburg."])
    answer = world.ask("Where do orders ship from?", model, replace(OPEN, context=Context.FULL, budget=500))
    assert [p.hit.uri for p in answer.shown] == ["people/ceo.md", "policies/returns.md", "policies/shipping.md"]
    small = world.ask("Where do orders ship from?", "x y z", replace(OPEN, context=Context.FULL, budget=25))
    assert [p.hit.uri for p in small.shown] == ["people/ceo.md"]


def test_closed_book_shows_nothing_and_checks_nothing(world: World) -> None:
    answer = world.ask("Who is Ada?", "Ada Lovelace wrote a program.", replace(OPEN, context=Context.NONE, cite=False))
    assert (answer.text, answer.citations, answer.unsupported, answer.shown) == (
        "Ada Lovelace wrote a program.",
        (),
        (),
        (),
    )
    unknown = world.ask("Who is Ada?", "I do not know.", replace(OPEN, context=Context.NONE, cite=False))
    assert unknown.reason is Decline.NOT_STATED


def test_a_follow_up_is_searched_in_context(world: World) -> None:
    history = [
        Message("user", "Who is the chief executive?"),
        Message("assistant", "Ada Lindqvist is chief executive [1]."),
    ]
    model = FakeChat(["She lives in Malmö [1]."])
    answer = world.ask("Where does she live?", model, replace(OPEN, k=1), history=history)
    assert answer.shown[0].hit.uri == "people/ceo.md"
    assert [m.content for m in model.requests[0].messages][1:3] == [
        "Who is the chief executive?",
        "Ada Lindqvist is chief executive (1).",
    ]


def test_access_tags_hold_for_answers_and_traces(tmp_path: Path) -> None:
    world = shop(tmp_path)
    world.put("hr/pay.md", "Salaries are reviewed in October 2031.", access=frozenset({"hr"}))
    reply = "Salaries are reviewed in October 2031 [1]."
    hidden = world.ask("When are salaries reviewed?", reply)
    assert hidden.abstained
    assert all(p.hit.uri != "hr/pay.md" for p in hidden.shown)
    seen = world.ask("When are salaries reviewed?", reply, filter=Filter(access=frozenset({"hr"})))
    assert seen.citations[0].uri == "hr/pay.md"
    assert world.records.get("trace", seen.trace_id, frozenset()) is None
    trace = world.records.get("trace", seen.trace_id, frozenset({"hr"}))
    assert trace is not None
    assert "hr/pay.md" in trace.uris
    assert world.records.get("trace", hidden.trace_id, frozenset()) is not None


def test_a_conversation_makes_the_trace_need_the_askers_tags(world: World) -> None:
    history = [Message("user", "And pay?"), Message("assistant", "Secret figures.")]
    answer = world.ask(
        "How long can I return a laptop?", "45 days [1].", history=history, filter=Filter(access=frozenset({"hr"}))
    )
    assert world.records.get("trace", answer.trace_id, frozenset()) is None


def test_a_remembered_draw_is_not_asked_again(world: World) -> None:
    model = FakeChat(["Laptops can be returned within 45 days [1]."])
    first = world.ask("How long can I return a laptop?", model, draw=0)
    again = world.ask("How long can I return a laptop?", model, draw=0)
    assert len(model.requests) == 1
    assert again.text == first.text
    assert (first.remembered, again.remembered) == (False, True)
    assert again.usage == first.usage
    assert again.usage.prompt_tokens > 0
    with pytest.raises(ProviderProblem):
        world.ask("How long can I return a laptop?", model)


def test_a_schema_reply_stays_json_and_its_values_are_cited(world: World) -> None:
    recipe = replace(OPEN, schema={"type": "object", "properties": {"days": {"type": "integer"}}})
    answer = world.ask("How long can I return a laptop?", '{"period": "45 business days", "tone": "kind"}', recipe)
    assert answer.text == '{"period": "45 business days", "tone": "kind"}'
    assert [answer.text[slice(*c.sentence)] for c in answer.citations] == ["45 business days"]


def test_an_overlay_answers_from_what_it_adds(world: World) -> None:
    from knowhow.ports import Overlay
    from knowhow.types import Document

    added = world.change(Document(uri="policies/returns.md", text="Laptops can be returned within 60 days.", title="r"))
    overlay = Overlay(frozenset({"policies/returns.md"}), [added])
    answer = world.ask("How long can I return a laptop?", "Laptops can be returned within 60 days.", overlay=overlay)
    assert answer.citations[0].quote == "Laptops can be returned within 60 days."


def test_the_trace_is_complete_and_its_story_reads(world: World) -> None:
    answer = world.ask("How long can I return a laptop?", "You can return a laptop within 45 days [1]. In Peru too.")
    record = world.records.get("trace", answer.trace_id, frozenset())
    assert record is not None
    trace = Trace.from_json(record.body)
    assert trace.to_json() == record.body
    assert trace.raw == "You can return a laptop within 45 days [1]. In Peru too."
    assert trace.prompt[-1]["content"].endswith("Question: How long can I return a laptop?")
    assert trace.revision == world.store.revision()
    assert trace.recipe_hash == OPEN.hash
    told = story(trace)
    for words in ("Asked:", "Looked at", "Shown to the model", "Supported:", "Not supported:", "Peru", "milliseconds"):
        assert words in told


def test_the_json_has_the_agreed_keys(world: World) -> None:
    body = answer_json(world.ask("How long can I return a laptop?", "You can return a laptop within 45 days [1]."))
    assert set(body) >= set("answer abstained reason citations shown model recipe usage ms trace_id".split())
    assert set(body["citations"][0]) >= set("mark uri page heading start end quote supported".split())
    assert body["citations"][0]["supported"] == "yes"
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens", "cost_usd"}


def test_reply_and_trace_are_closed_when_their_document_is_hidden_meanwhile(tmp_path: Path) -> None:
    world = shop(tmp_path)
    seen = world.store.versions
    calls = iter(range(100))
    shown = len(world.ask(QUESTION, HONEST).shown)
    world.store.versions = lambda uri, filter: seen(uri, filter) if next(calls) < shown else []  # type: ignore[method-assign]
    answer = world.ask(QUESTION, HONEST, draw=0)
    assert world.records.get("trace", answer.trace_id, frozenset()) is None
    assert list(world.records.select("call", frozenset())) == []
    assert len(list(world.records.select("call", frozenset({"*"})))) == 1
