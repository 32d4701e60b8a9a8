"""Turns lessons into token sequences exactly as the model is asked, and counts every row and target token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knowhow.backends.control_tokens import broken_up
from knowhow.errors import UsageProblem
from knowhow.types import Counted, LeftOut, Mark, Message, Method, TrainPlan, TrainRow

_PROBE = "\u241fX\u241f"
"""A reply that no template changes, to see what stands after one."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row as token ids; `rejected` is empty where there is no worse reply."""

    id: str
    prompt: list[int]
    target: list[int]
    rejected: list[int]
    mark: Mark

    @property
    def length(self) -> int:
        """Tokens of the longer of its sequences."""
        return len(self.prompt) + max(len(self.target), len(self.rejected))


class Words:
    """A tokenizer of transformers, seen as the vocabulary that decides what is a control token."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids) | {
            number for number, token in tokenizer.added_tokens_decoder.items() if token.special
        }

    def has_control_tokens(self, text: str) -> bool:
        """Whether any part of `text` is read as one."""
        return not self._special.isdisjoint(self.ids(text))

    def is_control_token(self, piece: str) -> bool:
        """Whether `piece` is or holds one."""
        return self.has_control_tokens(piece)

    def ids(self, text: str) -> list[int]:
        """Token ids of text that already is what the template made; nothing is added."""
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation up to where the model's reply begins."""
        return self.ids(self._templated(messages, reply=True))

    def closing(self, messages: Sequence[Message]) -> str:
        """The token with which the template ends a reply; what follows it is the next turn's."""
        whole = self._templated([*messages, Message("assistant", _PROBE)], reply=False)
        _, _, rest = whole.partition(_PROBE)
        ends = [rest.find(token) + len(token) for token in self._tokenizer.all_special_tokens if token in rest]
        return rest[: min(ends)] if ends else str(self._tokenizer.eos_token)

    def _templated(self, messages: Sequence[Message], *, reply: bool) -> str:
        turns = [{"role": turn.role, "content": broken_up(turn.content, self)} for turn in messages]
        text: str = self._tokenizer.apply_chat_template(turns, add_generation_prompt=reply, tokenize=False)
        return text


def tokenize(rows: Sequence[TrainRow], plan: TrainPlan, tokenizer: Any) -> tuple[list[Tokens], Counted]:
    """Every row that can be trained on, in order, and the count of all. What is left out is named, never cut.

    The prompt is tokenised alone and the reply alone, since that is how a model writes one.
    """
    words = Words(tokenizer)
    kept: list[Tokens] = []
    left_out: list[LeftOut] = []
    targets = 0
    for row in rows:
        tokens = _tokens(row, words)
        size = len(tokens.target)
        targets += size
        reason = _fault(row, tokens, plan)
        if reason:
            left_out.append(LeftOut(row.id, reason, size))
        else:
            kept.append(tokens)
    counted = Counted(
        rows_in=len(rows),
        rows=len(kept),
        target_tokens_in=targets,
        target_tokens=sum(len(one.target) for one in kept),
        prompt_tokens=sum(len(one.prompt) for one in kept),
        longest=max((one.length for one in kept), default=0),
        left_out=tuple(left_out),
    )
    return kept, counted


def check_enough(kept: Sequence[Tokens], counted: Counted, plan: TrainPlan) -> None:
    """Raises `UsageProblem` where nothing is left to train on, or KTO sees only one kind of reply."""
    if not kept:
        reasons = Counter(one.reason.split(":")[0] for one in counted.left_out).most_common(3)
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons) or "there are none"
        raise UsageProblem(f"none of {counted.rows_in} lessons can be trained on ({told}); mend the lessons")
    if plan.method is Method.KTO and len({one.mark for one in kept}) < 2:
        raise UsageProblem(
            f"kto learns from good and bad replies, and all {len(kept)} are {kept[0].mark}; use sft, or mark others"
        )


def _tokens(row: TrainRow, words: Words) -> Tokens:
    closing = words.closing(row.prompt)

    def reply(text: str) -> list[int]:
        return words.ids(broken_up(text, words) + closing) if text.strip() else []

    return Tokens(row.id, words.prompt(row.prompt), reply(row.target), reply(row.rejected), row.mark)


def _fault(row: TrainRow, tokens: Tokens, plan: TrainPlan) -> str:
    """Why a row cannot be trained on; empty where it can."""
    if not tokens.target:
        return "empty target"
    if plan.method is not Method.KTO and row.mark is Mark.BAD:
        return f"marked bad: {plan.method} does not learn from such replies"
    if plan.method is Method.DPO and not tokens.rejected:
        return "no worse reply: dpo learns from pairs"
    lost = tokens.length - plan.max_tokens
    if lost > 0:
        share = f"all {len(tokens.target)}" if lost >= len(tokens.target) else f"{lost} of {len(tokens.target)}"
        return (
            f"too long: {tokens.length} tokens, with max_tokens = {plan.max_tokens} it would lose {share} of its reply"
        )
    return ""
