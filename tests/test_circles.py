"""A reply that goes in circles is cut; one that says new things never is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knowhow.answer import prompt
from knowhow.answer.call import call
from knowhow.answer.circles import begins_again
from knowhow.backends.fake import FakeChat
from knowhow.types import ChatReply, ChatRequest, Message, Recipe, Sampling

LOOP = "The deposit is 75 euros. It is paid back on return. " * 9


def said(text: str, schema: dict[str, str] | None = None) -> tuple[list[str], ChatReply]:
    flow = call(
        FakeChat([text]),
        ChatRequest((Message("user", "how much?"),), schema=schema),
        None,
        draw=None,
        access=frozenset(),
        uris=frozenset(),
    )
    pieces = []
    while True:
        try:
            pieces.append(next(flow))
        except StopIteration as done:
            return pieces, done.value[0]


def test_a_loop_is_cut_where_it_begins_again_and_no_longer_written() -> None:
    pieces, reply = said(LOOP)
    assert reply.text == "The deposit is 75 euros. It is paid back on return."
    assert len("".join(pieces)) < 2 * len(reply.text) + 40
    assert reply.prompt_tokens > 0
    assert 0 < reply.completion_tokens <= len(pieces)


def test_list_items_lose_their_marker_with_their_text() -> None:
    assert said("1. Bring the device in.\n2. Pay the deposit now.\n3. Bring the device in.\n")[1].text == (
        "1. Bring the device in.\n2. Pay the deposit now."
    )


def test_a_heading_that_led_to_the_repetition_goes_with_it() -> None:
    reply = said("It lasts for 21 days.\n\n## How long\n\nIt lasts for 21 days.\n")[1]
    assert reply.text == "It lasts for 21 days."


def test_constrained_output_is_left_alone() -> None:
    assert said(LOOP, {"type": "object"})[1].text.count("75 euros") == 9


def test_short_and_unfinished_sentences_may_repeat() -> None:
    assert begins_again("See above. It costs 5 euros. See above.") is None
    assert begins_again("The loan lasts 21 days. The loan lasts 21 days") is None


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=12))
def test_sentences_that_differ_in_one_number_are_all_kept(numbers: list[int]) -> None:
    assert begins_again(" ".join(f"The fee for it is {n} euros." for n in numbers)) is None


def test_a_model_is_stopped_where_it_would_ask_itself_the_next_question() -> None:
    recipe = Recipe(sampling=Sampling(stop=("END",)))
    asked = prompt.messages("How much?", (), recipe)[-1].content
    own, mark = prompt.sampling(recipe).stop
    assert own == "END"
    assert f"{mark} How much?" in f"\n{asked}"
