"""What a run will take before it is started: calls, tokens and a price range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from knowhow.answer import prompt
from knowhow.evaluate.evaluate import chosen, known_rows, run_id
from knowhow.evaluate.fit import Fit
from knowhow.evaluate.judge import LONGEST, Judge, Labelled, may_need_judge, requests
from knowhow.evaluate.single import Setup
from knowhow.search.search import search
from knowhow.settings import Price
from knowhow.types import ChatRequest, Context, Example, Filter, Message, Recipe, Split, Suite

SAMPLE = 20
"""Examples whose prompts are measured."""
LEAST_REPLY = 8
"""Tokens of the shortest reply that is reckoned with."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Calls still to make and what they take; costs in US dollars, None where the price is unknown.

    `known` answers are there already. The range is that of the reply: from a few words to `max_tokens`. Tokens are the
    recipe's model's; costs include what a judge may be asked in `judge_calls`.
    """

    recipe: str
    model: str
    calls: int
    known: int
    prompt_tokens: int
    completion_low: int
    completion_high: int
    cost_low: float | None
    cost_high: float | None
    judge_calls: int = 0
    unpriced: tuple[str, ...] = ()
    """Models among them whose price is unknown."""
    at_most: bool = False
    """`calls` is a bound, and fewer may do."""


def preview_labels(judge: Judge, name: str, labels: Sequence[Labelled]) -> Preview:
    """What calibrating a judge takes; verdicts it has given before are counted too."""
    asked = [request for item in labels for request in requests(item, 0)]
    bill = _Bill(name, judge.price, len(asked), sum(judge.count(request) for request in asked), LONGEST)
    return _preview("judge", [bill], 0)


def preview(suite: Suite, recipe: Recipe, setup: Setup, *, split: Split | None = None, draws: int = 1) -> Preview:
    """Measures the prompts of up to 20 examples, searching as the recipe does and asking no model.

    Replies that another run has already made are counted as calls, so the range is an upper one.
    """
    examples = chosen(suite, split)
    fit = Fit(recipe, suite, setup.embedder)
    judge = setup.judge.id if setup.judge else ""
    run = run_id(suite, recipe, split, draws, setup.store.revision(), judge=judge)
    known = sum(1 for _ in known_rows(setup, run))
    calls = draws * len(examples) - known
    sample = examples[:: max(1, len(examples) // SAMPLE)][:SAMPLE]
    sizes = [_tokens(setup, fit(example), example) for example in sample]
    prompts = round(calls * sum(sizes) / len(sizes))
    bills = [_Bill(recipe.model, setup.price, calls, prompts, recipe.sampling.max_tokens)]
    judged = _judged(setup, examples, calls)
    return _preview(recipe.name, [*bills, judged] if judged else bills, known)


def _preview(name: str, bills: Sequence[_Bill], known: int) -> Preview:
    """The first bill is the recipe's model's, a second one the judge's."""
    own, *others = bills
    unpriced = tuple(bill.model for bill in bills if bill.price is None)
    return Preview(
        name,
        own.model,
        own.calls,
        known,
        own.prompts,
        own.least,
        own.most,
        None if unpriced else sum(bill.cost(bill.least) for bill in bills),
        None if unpriced else sum(bill.cost(bill.most) for bill in bills),
        sum(bill.calls for bill in others),
        unpriced,
    )


@dataclass(frozen=True, slots=True)
class _Bill:
    """What one model is asked: `calls` with `prompts` tokens together and at most `longest` tokens a reply."""

    model: str
    price: Price | None
    calls: int
    prompts: int
    longest: int

    @property
    def least(self) -> int:
        return self.calls * min(LEAST_REPLY, self.longest)

    @property
    def most(self) -> int:
        return self.calls * self.longest

    def cost(self, completions: int) -> float:
        """US dollars; 0 without a price."""
        price = self.price or Price(0.0, 0.0)
        return (self.prompts * price.prompt + completions * price.completion) / 1e6


def _judged(setup: Setup, examples: Sequence[Example], calls: int) -> _Bill | None:
    """What a judge may be asked at most. The reference stands in for the answer, which nobody knows yet."""
    judge = setup.judge
    asked = [request for one in examples for request in _judge_requests(one)]
    if judge is None or not asked:
        return None
    sample = asked[:: max(1, len(asked) // SAMPLE)][:SAMPLE]
    many = ceil(calls / len(examples) * len(asked))
    tokens = sum(judge.count(request) for request in sample) / len(sample)
    return _Bill(judge.name, judge.price, many, round(many * tokens), LONGEST)


def _judge_requests(example: Example) -> list[ChatRequest]:
    expect = example.expect
    if not may_need_judge(example):
        return []
    return requests(Labelled(example.id, example.asked, expect.reference, True, expect.reference, expect.rubric), 0)


def _tokens(setup: Setup, recipe: Recipe, example: Example) -> int:
    """Tokens of one prompt: instructions, worked examples and question, and the context up to its budget."""
    bare = setup.model.count(prompt.messages(example.asked, (), recipe))
    window = setup.model.context_tokens
    budget = min(recipe.budget, window - bare) if window else recipe.budget
    return bare + max(
        0, min(budget, setup.model.count([Message("user", text) for text in _shown(setup, recipe, example)]))
    )


def _shown(setup: Setup, recipe: Recipe, example: Example) -> Sequence[str]:
    filter = Filter(access=example.access, where=example.where, as_of=example.as_of)
    if recipe.context is Context.RETRIEVED:
        found = search(setup.store, setup.embedder, example.asked, recipe, filter, reranker=setup.reranker)
        return [hit.text for hit in found.hits]
    if recipe.context is Context.GOLD:
        return [item.quote for item in example.expect.evidence]
    if recipe.context is Context.FULL:
        documents = (setup.store.document(info.uri, filter) for info in setup.store.documents(filter) if info.version)
        texts: list[str] = []
        left = 8 * recipe.budget  # more characters than the budget's tokens ever hold
        for document in documents:
            if left <= 0:
                break
            if document is not None:
                texts.append(document.text[:left])
                left -= len(document.text)
        return texts
    return ()
