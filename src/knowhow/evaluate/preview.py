"""What a run will take before it is started: calls, tokens and a price range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowhow.answer import prompt
from knowhow.evaluate.evaluate import chosen, known_rows, run_id
from knowhow.evaluate.fit import Fit
from knowhow.evaluate.single import Setup
from knowhow.search.search import search
from knowhow.types import Context, Example, Filter, Message, Recipe, Split, Suite

SAMPLE = 20
"""Examples whose prompts are measured."""
LEAST_REPLY = 8
"""Tokens of the shortest reply that is reckoned with."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Calls still to make and what they take; costs in US dollars, None where the price is unknown.

    `known` answers are there already. The range is that of the reply: from a few words to `max_tokens`.
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
    low, high = calls * min(LEAST_REPLY, recipe.sampling.max_tokens), calls * recipe.sampling.max_tokens
    return Preview(
        recipe.name,
        recipe.model,
        calls,
        known,
        prompts,
        low,
        high,
        _cost(setup, prompts, low),
        _cost(setup, prompts, high),
    )


def _cost(setup: Setup, prompts: int, completions: int) -> float | None:
    if setup.price is None:
        return None
    return (prompts * setup.price.prompt + completions * setup.price.completion) / 1e6


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
