"""A workspace whose model is scripted and whose trainer makes files: everything of tuning but the sums."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from knowhow.answer.decline import NOT_STATED
from knowhow.backends.fake import FakeChat
from knowhow.evaluate.fit import right_answer
from knowhow.evaluate.single import Setup
from knowhow.tune import probes
from knowhow.tune.make import Course
from knowhow.tune.registry import CONFIG, GGUF, WEIGHTS
from knowhow.types import (
    ChatRequest,
    Counted,
    Device,
    Example,
    Expect,
    Lessons,
    Message,
    ParityReport,
    Precision,
    Recipe,
    Saved,
    Split,
    Step,
    Stopped,
    Style,
    Suite,
    Trained,
    TrainEvent,
    TrainPlan,
    TrainPrice,
    TrainRow,
)
from knowhow.workspace.evaluating import Evaluations

LABELS = ("billing", "returns", "shipping")
WORDS = {"billing": "invoice", "returns": "send back", "shipping": "parcel"}
PROBES = 45
Script = Callable[[ChatRequest], str]


def tickets(train: int = 60, dev: int = 30, test: int = 45, labels: Sequence[str] = LABELS) -> Suite:
    """Messages in which one word decides the label, and every one has words of its own."""
    examples = []
    for split, count in ((Split.TRAIN, train), (Split.DEV, dev), (Split.TEST, test)):
        for i in range(count):
            label = labels[i % len(labels)]
            own = " ".join(f"{split[:2]}{i * 7 % 1000}x{j}" for j in range(6))
            expect = Expect(label=label, labels=tuple(labels))
            examples.append(
                Example(f"{split}-{i}", expect, input=f"{own} {WORDS[label]} {i}", group=f"{split}-{i}", split=split)
            )
    return Suite("tickets", tuple(examples))


def letters(train: int = 60, dev: int = 30, test: int = 45) -> Suite:
    """Cases that must be answered with a salutation and their own deadline."""
    examples = []
    for split, count in ((Split.TRAIN, train), (Split.DEV, dev), (Split.TEST, test)):
        for i in range(count):
            days, case = 11 + 7 * i % 83, f"{split[:2].upper()}{i * 37 % 1009}"
            expect = Expect(
                facts=((f"{days} days",),),
                style=Style(must_match=("^Dear customer",)),
                reference=f"Dear customer, the deadline is {days} days.",
            )
            question = f"What is the deadline of case {case} from {case.lower()}{i}?"
            examples.append(Example(f"{split}-{i}", expect, question=question, group=f"{split}-{i}", split=split))
    return Suite("letters", tuple(examples))


def evidence(suite: Suite) -> dict[str, str]:
    """What the documents say of each case."""
    return {one.id: f"The deadline of this case is {one.expect.facts[0][0]}. It is final." for one in suite.examples}


def right(examples: Sequence[Example]) -> dict[str, str]:
    """What a perfect assistant says to each of these, by question."""
    return {one.asked: _right(one.expect) for one in examples}


def _right(expect: Expect) -> str:
    if expect.abstain:
        return NOT_STATED
    if expect.style is not None:
        return expect.reference or expect.style.must_match[0]
    return right_answer(expect)


def assistant() -> dict[str, str]:
    """Right answers to every small task; the question alone tells which, except where a text decides."""
    return {
        one.asked + one.context: _right(one.expect)
        for suite in (probes.ability(PROBES), probes.reading(PROBES), probes.declining(PROBES))
        for one in suite.examples
    }


def perfect(suite: Suite) -> Script:
    """Answers everything rightly."""
    known = right(suite.examples)
    tasks = assistant()

    def say(request: ChatRequest) -> str:
        if request.question in known:
            return known[request.question]
        return tasks.get(request.question + "".join(request.passages), "I have no idea.")

    return say


def untrained(suite: Suite) -> Script:
    """Like `perfect`, but blind to what the suite is about."""
    good, known = perfect(suite), right(suite.examples)
    return lambda request: "hm" if request.question in known else good(request)


@dataclass
class FakeBench:
    """Where `before` answers without an adapter and `after` with one."""

    evaluations: Evaluations
    before: Script
    after: Script
    called: str = ""
    """What tells the model without an adapter apart from that of another test."""
    calls: list[str] = field(default_factory=list)

    def setup(self, recipe: Recipe, suite: Suite, judge: str = "") -> Setup:
        found = self.evaluations.setup(replace(recipe, model="extractive", adapter=""), suite, judge)
        if recipe.model == "classifier":
            return self.evaluations.setup(recipe, suite)
        script = self.after if recipe.adapter else self.before

        def say(request: ChatRequest) -> str:
            self.calls.append(request.adapter)
            return script(request)

        return replace(
            found, model=FakeChat(say, name=f"after {recipe.adapter}" if recipe.adapter else f"before {self.called}")
        )


class FakeTrainer:
    """`knowhow.ports.Trainer` that writes weights without training; `parity_kl` is what it says of llama.cpp."""

    name = "fake"

    def __init__(self, parity_kl: float = 0.001) -> None:
        self.parity_kl = parity_kl
        self.courses: list[Course] = []
        self.trainings = 0

    def course(self, lessons: Lessons, recipe: Recipe, suite: Suite | None = None) -> Course:
        rows = tuple(
            TrainRow(one.id, (Message("system", one.system), Message("user", one.question)), one.target)
            for one in lessons.lessons
        )
        self.courses.append(Course(recipe, lessons, rows))
        return self.courses[-1]

    def trainer(self) -> FakeTrainer:
        return self

    def key(self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> str:
        return f"{len(rows)}-{len(validation)}-{plan.seed}"

    def price(self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> TrainPrice:
        counted = Counted(len(rows), len(rows), 5 * len(rows), 5 * len(rows), 9 * len(rows), 20)
        return TrainPrice(Device.CPU, Precision.FLOAT32, 2, 10, 30.0, 10**9, 99.0, 4, counted)

    def train(
        self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow], folder: str
    ) -> Generator[TrainEvent, None, Trained]:
        self.trainings += 1
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        (home / WEIGHTS).write_bytes(f"{plan.seed} {[row.id for row in rows]}".encode())
        (home / CONFIG).write_text(json.dumps({"r": plan.rank, "lora_alpha": plan.alpha, "use_rslora": False}))
        (home / GGUF).write_bytes(b"GGUF")
        yield Step(1, 2, 0.5, 2.0, 1e-4, 99.0, 1.0)
        yield Saved(2, folder)
        counted = self.price(plan, rows, validation).counted
        return Trained(
            folder, 2, 2, Stopped.DONE, 0.1, 0.2, counted, None, 100, 3.0, Device.CPU, Precision.FLOAT32, 2, "b" * 16,
            versions={}, losses=((1, 2.0), (2, 0.1)), validation_losses=((2, 0.2),),
        )  # fmt: skip

    def choose(self, plan: TrainPlan, folder: str, step: int) -> Trained:
        raise NotImplementedError

    def parity(self, base: str, adapter: str, rows: Sequence[TrainRow], positions: int = 300) -> ParityReport:
        return ParityReport(positions, 0.99, self.parity_kl, Precision.FLOAT32, 0.5)
