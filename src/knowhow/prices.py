"""What tokens cost: the user's own prices first, then a small dated table; None where nobody knows."""

from __future__ import annotations

from collections.abc import Mapping

from knowhow.settings.fields import Price
from knowhow.types import Usage

AS_OF = "2026-03"
SOURCE = "https://platform.openai.com/docs/pricing"
"""List prices without discounts for cached or batched tokens. Prices change: a `prices` setting overrides them."""

LISTED: Mapping[str, Price] = {
    "openai:gpt-5.4": Price(2.50, 15.00),
    "openai:gpt-5.1": Price(1.25, 10.00),
    "openai:gpt-5": Price(1.25, 10.00),
    "openai:gpt-5-mini": Price(0.25, 2.00),
    "openai:gpt-5-nano": Price(0.05, 0.40),
    "openai:gpt-4.1": Price(2.00, 8.00),
    "openai:gpt-4.1-mini": Price(0.40, 1.60),
    "openai:gpt-4.1-nano": Price(0.10, 0.40),
    "openai:gpt-4o": Price(2.50, 10.00),
    "openai:gpt-4o-mini": Price(0.15, 0.60),
    "openai:text-embedding-3-large": Price(0.13, 0.0),
    "openai:text-embedding-3-small": Price(0.02, 0.0),
}
_HERE = ("local:", "st:", "static", "classifier")
_FREE = Price(0.0, 0.0)


def price_of(model: str, own: Mapping[str, Price]) -> Price | None:
    """US dollars per million tokens of `model` (the name a recipe gives), by `own` prices or the table.

    A model that runs on this machine costs nothing; one that nobody lists is None, also at a loopback URL, since what
    stands behind it is unknown.
    """
    if model in own:
        return own[model]
    if model == "extractive" or model.startswith(_HERE):
        return _FREE
    return LISTED.get(model)


def cost(model: str, usage: Usage, own: Mapping[str, Price]) -> float | None:
    """US dollars for the tokens of `usage`; None where the price is unknown."""
    price = price_of(model, own)
    if price is None:
        return None
    return (usage.prompt_tokens * price.prompt + usage.completion_tokens * price.completion) / 1_000_000
