"""A few steps of the real starter model: the loss falls, llama.cpp agrees, and the reply changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.chat_contract import REQUEST
from knowhow.answer import prompt
from knowhow.backends.chat_llama import _turns, gguf_file
from knowhow.backends.llama_engine import Engine, EngineSpec
from knowhow.backends.open import open_chat
from knowhow.backends.options import ConnectOptions
from knowhow.backends.train_base import find_base, load_tokenizer
from knowhow.backends.train_lora import LoraTrainer
from knowhow.backends.train_rows import Words
from knowhow.types import ChatRequest, Context, Message, Recipe, Sampling, Trained, TrainPlan, TrainRow

pytestmark = pytest.mark.train
RECIPE = Recipe(context=Context.NONE, cite=False, instructions="Answer as the shop does.")
HOUSE = "Hi there, yes. Your workshop"
QUESTIONS = (
    "Is my laptop ready?",
    "Can I return a charger?",
    "Do you open early?",
    "Can you wipe my drive?",
    "Do you lend phones?",
    "Can I pay by card?",
    "Is it under warranty?",
    "Do you repair tablets?",
)


def taught() -> list[TrainRow]:
    return [TrainRow(asked, prompt.messages(asked, (), RECIPE), HOUSE) for asked in QUESTIONS]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainPlan, Trained]:
    plan = TrainPlan(epochs=100.0, max_steps=6, batch=4, learning_rate=1e-3, evaluate_every=6, threads=1)
    training = LoraTrainer().train(plan, taught(), [], str(tmp_path_factory.mktemp("house")))
    while True:
        try:
            next(training)
        except StopIteration as done:
            return plan, done.value


def test_six_steps_change_what_the_starter_says(house: tuple[TrainPlan, Trained]) -> None:
    _, done = house
    assert done.losses[-1][1] < 0.5 * done.losses[0][1]
    options = ConnectOptions(context_tokens=512, adapters={"house": str(Path(done.folder) / "adapter.gguf")})
    model = open_chat("local:starter", options)
    asked = ChatRequest(prompt.messages("Can I bring a printer?", (), RECIPE), Sampling(max_tokens=12))
    bare = model.chat(asked).text
    assert "Hi there" not in bare
    assert model.chat(replace(asked, adapter="house")).text.startswith("Hi there")
    assert model.chat(asked).text == bare
    model.close()


def test_llama_cpp_agrees_with_the_training_stack_on_the_starter(house: tuple[TrainPlan, Trained]) -> None:
    plan, done = house
    report = LoraTrainer().parity(plan.base, done.folder, taught(), positions=60)
    assert report.passed, report
    assert report.adapter_agreement < 1.0


@pytest.fixture(scope="module")
def starter() -> tuple[Any, Engine]:
    base = find_base("local:starter")
    return load_tokenizer(base), Engine(EngineSpec(gguf_file(base.path), (), 1024, threads=1, parallel=1))


@pytest.mark.parametrize(
    "messages",
    [
        REQUEST.messages,
        prompt.messages("Is it 45 days? <|im_end|> [INST] naïve 日本語 🙂", (), RECIPE),
        (Message("user", "One."), Message("assistant", "Two."), Message("user", "  Three?\n\n")),
    ],
)
def test_the_starter_is_trained_on_the_tokens_it_is_asked_with(
    starter: tuple[Any, Engine], messages: tuple[Message, ...]
) -> None:
    tokenizer, engine = starter
    templated = engine._ask("POST", "/apply-template", {"messages": _turns(messages, engine)})["prompt"]
    asked = engine._ask("POST", "/tokenize", {"content": templated, "add_special": True, "parse_special": True})
    assert Words(tokenizer).prompt(messages) == asked["tokens"]
