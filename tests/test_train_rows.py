"""What the model is trained on: the very tokens it is asked with, and every row and target token counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowhow.backends.chat_llama import gguf_file
from knowhow.backends.llama_engine import Engine, EngineSpec
from knowhow.backends.train_base import find_base, load_tokenizer
from knowhow.backends.train_rows import Words, check_enough, tokenize
from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.types import Mark, Message, Method, TrainPlan
from tiny_model import write_tiny
from train_world import row

pytestmark = pytest.mark.train

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60) | st.sampled_from(
    ["<|im_end|>", "a <|im_start|>user b", "<|endoftext|>", "<b>x</b> [1] <|im_end|", "  the\n\nthe ", "é🙂"]
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Any:
    return load_tokenizer(find_base(f"local:{base}"))


@pytest.fixture(scope="module")
def engine(base: Path) -> Engine:
    return Engine(EngineSpec(gguf_file(base), (), 512, threads=1, parallel=1))


@settings(max_examples=60, deadline=None)
@given(system=TEXT, question=TEXT)
def test_training_sees_the_tokens_that_llama_cpp_is_asked_with(
    tokenizer: Any, engine: Engine, system: str, question: str
) -> None:
    from knowhow.backends.chat_llama import _turns

    messages = [Message("system", system), Message("user", question)]
    templated = engine._ask("POST", "/apply-template", {"messages": _turns(messages, engine)})["prompt"]
    asked = engine._ask("POST", "/tokenize", {"content": templated, "add_special": True, "parse_special": True})
    assert Words(tokenizer).prompt(messages) == asked["tokens"]


def test_a_reply_ends_where_the_model_must_stop_and_holds_no_control_token_before(tokenizer: Any) -> None:
    kept, _ = tokenize([row("a", target="x <|im_end|> y")], TrainPlan(), tokenizer)
    text = tokenizer.decode(kept[0].target)
    assert text == "x < |im_end|> y<|im_end|>"
    assert kept[0].target.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(kept[0].prompt).endswith("<|im_start|>assistant\n")


def test_a_template_that_writes_more_around_replies_is_followed(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}"
        "{% if m['role'] == 'assistant' %}<|endoftext|>\n--\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    tokenizer = load_tokenizer(find_base(f"local:{write_tiny(tmp_path / 'odd.gguf', template=template)}"))
    kept, _ = tokenize([row("a", target="yes")], TrainPlan(), tokenizer)
    assert tokenizer.decode(kept[0].target) == "yes<|endoftext|>"


def test_every_row_and_target_token_is_counted(tokenizer: Any) -> None:
    taught = [
        row("good", target="yes"),
        row("blank", target=" \n"),
        row("long reply", target="z" * 300),
        row("long prompt", question="z" * 300, target="four"),
        row("bad", target="no", mark=Mark.BAD),
    ]
    kept, counted = tokenize(taught, TrainPlan(max_tokens=256), tokenizer)
    assert [one.id for one in kept] == ["good"]
    assert (counted.rows_in, counted.rows) == (5, 1)
    assert {one.id: one.reason.split(":")[0] for one in counted.left_out} == {
        "blank": "empty target",
        "long reply": "too long",
        "long prompt": "too long",
        "bad": "marked bad",
    }
    reasons = {one.id: one.reason for one in counted.left_out}
    assert "lose all 5 of its reply" in reasons["long prompt"]
    assert "of 301 of its reply" in reasons["long reply"]
    assert counted.target_tokens == len(kept[0].target) == 4
    assert counted.target_tokens_in == counted.target_tokens + sum(one.target_tokens for one in counted.left_out)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, st.sampled_from(Mark), TEXT), max_size=8), st.sampled_from(Method))
def test_counts_add_up_whatever_the_rows(tokenizer: Any, given_rows: list[Any], method: Method) -> None:
    taught = [
        row(str(i), question, target, mark=mark, rejected=rejected)
        for i, (question, target, mark, rejected) in enumerate(given_rows)
    ]
    kept, counted = tokenize(taught, TrainPlan(method=method, max_tokens=90), tokenizer)
    assert counted.rows_in == counted.rows + len(counted.left_out) == len(taught)
    assert [one.id for one in kept] == [one.id for one in taught if one.id not in {out.id for out in counted.left_out}]
    assert counted.target_tokens_in == counted.target_tokens + sum(out.target_tokens for out in counted.left_out)
    assert counted.target_tokens == sum(len(one.target) for one in kept)
    assert all(one.target and one.length <= 90 for one in kept)


def test_nothing_to_train_on_is_said_with_the_reasons(tokenizer: Any) -> None:
    wanted = TrainPlan(max_tokens=20)
    kept, counted = tokenize([row("a", target="z" * 50), row("b", target="")], wanted, tokenizer)
    with pytest.raises(UsageProblem, match=r"none of 2 lessons can be trained on .*1 x too long; 1 x empty target"):
        check_enough(kept, counted, wanted)
    with pytest.raises(UsageProblem, match="none of 0 lessons"):
        check_enough(*tokenize([], wanted, tokenizer), wanted)
    kto = TrainPlan(method=Method.KTO)
    with pytest.raises(UsageProblem, match="all 1 are good"):
        check_enough(*tokenize([row("a")], kto, tokenizer), kto)


def test_dpo_takes_pairs_only(tokenizer: Any) -> None:
    kept, counted = tokenize([row("a"), row("b", rejected="A ship.")], TrainPlan(method=Method.DPO), tokenizer)
    assert [one.id for one in kept] == ["b"]
    assert counted.left_out[0].reason == "no worse reply: dpo learns from pairs"


def test_a_base_without_a_chat_template_is_refused_by_name(tmp_path: Path) -> None:
    bare = write_tiny(tmp_path / "bare.gguf", template="")
    with pytest.raises(ConfigProblem, match=r"bare\.gguf has no chat template.*instruct"):
        load_tokenizer(find_base(f"local:{bare}"))


def test_only_weights_on_this_machine_can_be_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be trained here"):
        find_base("openai:gpt-5-mini")
    with pytest.raises(UsageProblem):
        find_base("extractive")
    with pytest.raises(NotFound):
        find_base(f"local:{tmp_path / 'none.gguf'}")
    with pytest.raises(NotFound, match=r"config\.json"):
        find_base(f"hf:{tmp_path}")
