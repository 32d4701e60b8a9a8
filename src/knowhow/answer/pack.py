"""Fits passages into the token budget, in order: the last one cut at a sentence, the rest named as left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowhow.answer import prompt
from knowhow.answer.sentences import sentences
from knowhow.errors import ProviderKind, ProviderProblem, UsageProblem
from knowhow.ports import ChatModel
from knowhow.types import Hit, Message, Recipe, Shown


@dataclass(frozen=True, slots=True)
class Room:
    """What is left for passages, in tokens, and the part of the conversation that is kept."""

    tokens: int
    history: tuple[Message, ...]
    forgotten: int
    """Turns of the conversation left out, oldest first, because they did not fit."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The passages shown, under marks counted from 1, and those that did not fit."""

    shown: tuple[Shown, ...]
    over: tuple[Hit, ...]
    tokens: int


def room(model: ChatModel, recipe: Recipe, question: str, history: Sequence[Message]) -> Room:
    """How many tokens of passages fit beside question, conversation and reply.

    Old turns give way first. Raises `ProviderProblem` (context-too-long) when the question alone fills the window.
    """
    if not model.context_tokens:
        return Room(recipe.budget, tuple(history), 0)
    turns = list(history)
    wanted = min(recipe.budget, model.context_tokens // 4)
    reply = recipe.sampling.max_tokens
    while True:
        used = model.count(prompt.messages(question, (), recipe, turns))
        left = model.context_tokens - reply - used
        if left >= wanted or not turns:
            break
        del turns[0]
    if left <= 0:
        raise ProviderProblem(
            f"the question with its instructions takes {used} tokens; with {reply} for the reply that is more than the "
            f"{model.context_tokens} {model.name} can read. Shorten the question, lower sampling.max_tokens, or "
            f"name a model "
            "with a longer context",
            ProviderKind.CONTEXT_TOO_LONG,
        )
    return Room(min(recipe.budget, left), tuple(turns), len(history) - len(turns))


def pack(hits: Sequence[Hit], model: ChatModel, tokens: int) -> Packed:
    """As many of `hits` as `tokens` hold, in their order; the first that does not fit is cut, the rest left out."""
    shown: list[Shown] = []
    used = 0
    for i, hit in enumerate(hits):
        whole = Shown(str(len(shown) + 1), hit, hit.text)
        cost = _cost(model, whole)
        if used + cost <= tokens:
            shown.append(whole)
            used += cost
            continue
        part = _cut(model, whole, tokens - used)
        if part is not None:
            shown.append(part)
            used += _cost(model, part)
        if not shown:
            raise UsageProblem(f"a budget of {tokens} tokens holds not one sentence of {hit.uri}; raise the budget")
        return Packed(tuple(shown), tuple(hits[i + (part is not None) :]), used)
    return Packed(tuple(shown), (), used)


def _cost(model: ChatModel, passage: Shown) -> int:
    """Tokens one passage adds to the prompt, without the chat template around a message."""
    return model.count([Message("user", prompt.block(passage) + "\n\n")]) - model.count([Message("user", "")])


def _cut(model: ChatModel, passage: Shown, tokens: int) -> Shown | None:
    """The longest start of the passage that ends with a sentence (or, in a long one, a word) and fits; else None."""
    ends = [unit.end for unit in sentences(passage.text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        fits = _cost(model, Shown(passage.mark, passage.hit, passage.text[: ends[middle - 1]])) <= tokens
        low, high = (middle, high) if fits else (low, middle - 1)
    return Shown(passage.mark, passage.hit, passage.text[: ends[low - 1]]) if low else None
