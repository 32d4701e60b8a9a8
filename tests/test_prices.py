"""What tokens cost: own prices before the table, nothing on this machine, None where nobody knows."""

from __future__ import annotations

import re

import pytest

from knowhow.prices import AS_OF, LISTED, SOURCE, cost, price_of
from knowhow.settings import Price
from knowhow.types import Usage

USAGE = Usage(prompt_tokens=2_000_000, completion_tokens=500_000)


def test_tokens_are_priced_per_million_by_kind() -> None:
    assert cost("openai:gpt-4o-mini", USAGE, {}) == pytest.approx(2 * 0.15 + 0.5 * 0.60)


def test_own_prices_come_first() -> None:
    own = {"openai:gpt-4o-mini": Price(1.0, 2.0), "local:starter": Price(0.1, 0.0), "http://h/v1#m": Price(0.5, 0.5)}
    assert cost("openai:gpt-4o-mini", USAGE, own) == pytest.approx(3.0)
    assert cost("local:starter", USAGE, own) == pytest.approx(0.2)
    assert cost("http://h/v1#m", USAGE, own) == pytest.approx(1.25)


@pytest.mark.parametrize("model", ["extractive", "local:starter", "local:/models/a.gguf", "static", "st:minilm"])
def test_this_machine_is_free(model: str) -> None:
    assert cost(model, USAGE, {}) == 0.0


@pytest.mark.parametrize("model", ["openai:gpt-99", "http://127.0.0.1:8080/v1#m", "gpt-4o", "", "extractive2"])
def test_an_unknown_price_is_none_and_never_zero(model: str) -> None:
    assert price_of(model, {}) is None
    assert cost(model, USAGE, {}) is None


def test_the_table_says_where_it_is_from_and_of_when() -> None:
    assert SOURCE.startswith("https://")
    assert re.fullmatch(r"20\d\d-\d\d", AS_OF)
    assert all(price.prompt > 0 and price.completion >= 0 for price in LISTED.values())
