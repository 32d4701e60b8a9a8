"""Before many model calls: says how many, how many tokens and what they cost, and asks where money is at stake."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from knowhow.cli.output import note, write_json
from knowhow.errors import BudgetExceeded, ConfigProblem

if TYPE_CHECKING:
    from knowhow.evaluate.preview import Preview


DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost", min=0, metavar="USD", help="Stop when so much is spent.")]
Yes = Annotated[bool, typer.Option("--yes", help="Spend without asking.")]


@dataclass(frozen=True, slots=True)
class Spending:
    """What the options say: only look, spend without asking, at most so many US dollars."""

    dry_run: bool
    yes: bool
    max_cost: float | None


def agree(previews: Sequence[Preview], spending: Spending, as_json: bool) -> bool:
    """Shows the plan and returns whether to go on: not after a dry run or a no on a terminal.

    Raises `BudgetExceeded` where the price is not zero and nobody can be asked, or where even the low estimate is
    above the limit; `ConfigProblem` where there is a limit but no price.
    """
    for preview in previews:
        note(_told(preview))
    if spending.dry_run:
        if as_json:
            write_json({"dry_run": True, "recipes": [asdict(preview) for preview in previews]})
        return False
    asking = [preview for preview in previews if preview.calls]
    unknown = [preview for preview in asking if preview.cost_low is None]
    if spending.max_cost is not None:
        if unknown:
            raise ConfigProblem(
                f'--max-cost needs the price of {unknown[0].unpriced[0]}; put prices."{unknown[0].unpriced[0]}" = '
                "{prompt = DOLLARS, completion = DOLLARS} (per million tokens) into knowhow.toml"
            )
        low = sum(preview.cost_low or 0.0 for preview in asking)
        if low > spending.max_cost:
            raise BudgetExceeded(
                f"it would cost at least ${low:.4f}, more than --max-cost {spending.max_cost:g}; raise it, or ask "
                f"fewer examples with --limit"
            )
    costs = [p for p in asking if (p.cost_high or 0) > 0 or not all(map(_here, p.unpriced))]
    if not costs or spending.yes:
        return True
    if not sys.stdin.isatty():
        raise BudgetExceeded(f"{_price(costs)}, and nobody is there to ask; add --yes to spend it")
    return typer.confirm(f"{_price(costs)}. Go on?", err=True)


def _told(preview: Preview) -> str:
    known = f" ({preview.known} answers are there already)" if preview.known else ""
    tokens = f"about {preview.prompt_tokens:,} + {preview.completion_low:,} to {preview.completion_high:,} tokens"
    judge = f", up to {preview.judge_calls} calls of the judge" if preview.judge_calls else ""
    calls = f"at most {preview.calls} calls" if preview.at_most else f"{preview.calls} calls"
    return f"{preview.recipe} with {preview.model}: {calls}{known}, {tokens}{judge}, {_range(preview)}"


def _range(preview: Preview) -> str:
    if preview.cost_low is None or preview.cost_high is None:
        return "price unknown"
    return "no cost" if not preview.cost_high else f"${preview.cost_low:.4f} to ${preview.cost_high:.4f}"


def _price(costs: Sequence[Preview]) -> str:
    unknown = [model for preview in costs for model in preview.unpriced]
    if unknown:
        return f"the price of {unknown[0]} is unknown"
    low, high = (sum(getattr(preview, end) or 0.0 for preview in costs) for end in ("cost_low", "cost_high"))
    return f"it would cost ${low:.4f} to ${high:.4f}"


def _here(model: str) -> bool:
    """Whether a URL names this machine: what it runs on its own hardware has no price per token."""
    host = urlsplit(model).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
