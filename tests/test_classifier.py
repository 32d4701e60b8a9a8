"""The linear classifier: learns, is the same every time, and stands where a model stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from knowhow.backends.fake import FakeEmbedder
from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.evaluate.classifier import (
    ClassifierChat,
    learn,
    load_classifier,
    save_classifier,
    suite_classifier,
)
from knowhow.types import ChatRequest, Example, Expect, Message, Split, Suite
from knowhow.workspace import Workspace

TEXTS = [f"{word} {i}" for word in ("refund money back", "late parcel lost", "change my address") for i in range(12)]
LABELS = [label for label in ("refund", "delivery", "account") for _ in range(12)]


def suite(*, test: bool = True) -> Suite:
    rows = [
        Example(f"{label}-{i}", Expect(label=label, labels=("account", "delivery", "refund")), input=text,
                group=f"{label}-{i}", split=Split.TRAIN if i % 12 < 9 or not test else Split.TEST)
        for i, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))
    ]  # fmt: skip
    return Suite("mail", tuple(rows))


def asked(text: str) -> ChatRequest:
    return ChatRequest((Message("user", text),), question=text)


def test_it_learns_what_can_be_told_apart() -> None:
    embedder = FakeEmbedder()
    vectors = embedder.documents(TEXTS)
    assert learn(vectors, LABELS, embedder.name).says(vectors) == LABELS


def test_equal_input_gives_equal_weights_and_a_name_that_tells_them_apart() -> None:
    embedder = FakeEmbedder()
    vectors = embedder.documents(TEXTS)
    one, other = (learn(vectors, LABELS, embedder.name) for _ in range(2))
    assert np.array_equal(one.weights, other.weights)
    assert ClassifierChat(one, embedder).name == ClassifierChat(other, embedder).name
    swapped = learn(vectors, LABELS[::-1], embedder.name)
    assert ClassifierChat(swapped, embedder).name != ClassifierChat(one, embedder).name


def test_the_penalty_keeps_weights_small() -> None:
    embedder = FakeEmbedder()
    vectors = embedder.documents(TEXTS)
    strict, loose = (learn(vectors, LABELS, "e", strength=strength).weights[:-1] for strength in (1.0, 0.003))
    assert np.abs(strict).sum() < np.abs(loose).sum()


def test_one_label_is_nothing_to_learn() -> None:
    with pytest.raises(UsageProblem, match="two labels, not refund"):
        learn(FakeEmbedder().documents(["a", "b"]), ["refund", "refund"], "e")


def test_it_reads_only_the_train_split() -> None:
    whole = suite()
    turned = Suite("mail", tuple(
        one if one.split is Split.TRAIN else Example(one.id, Expect(label="refund"), input=one.input, split=Split.TEST)
        for one in whole.examples
    ))  # fmt: skip
    embedder = FakeEmbedder()
    assert suite_classifier(whole, embedder).name == suite_classifier(turned, embedder).name
    empty = Suite("mail", tuple(one for one in whole.examples if one.split is Split.TEST))
    with pytest.raises(UsageProblem, match="knowhow suite split"):
        suite_classifier(empty, embedder)


def test_a_file_brings_it_back_and_guards_its_embedder(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    linear = learn(embedder.documents(TEXTS), LABELS, embedder.name)
    save_classifier(linear, tmp_path / "mail.npz")
    kept = load_classifier(tmp_path / "mail.npz", embedder)
    assert kept.chat(asked("where is my lost parcel")).text == "delivery"
    with pytest.raises(ConfigProblem, match="fake:64, but fake:32"):
        load_classifier(tmp_path / "mail.npz", FakeEmbedder(32))
    with pytest.raises(NotFound):
        load_classifier(tmp_path / "none.npz", embedder)
    (tmp_path / "bad.npz").write_text("no")
    with pytest.raises(ConfigProblem, match="is no classifier"):
        load_classifier(tmp_path / "bad.npz", embedder)


def test_it_is_a_recipe_in_evaluate(tmp_path: Path) -> None:
    with Workspace.init(tmp_path) as workspace:
        plan = workspace.evaluations.plan(suite(), ["classifier"])
        flow = workspace.evaluations.evaluate(plan, plan.recipes[0])
        try:
            while True:
                next(flow)
        except StopIteration as end:
            run = end.value.run
        assert {check.value: found.mean for check, found in run.checks.items()}["label"] == 1.0
        assert run.usage.cost_usd == 0.0
        with pytest.raises(ConfigProblem, match="learns from a suite"):
            workspace.ask("Where is my parcel?", workspace.recipe("classifier"))
