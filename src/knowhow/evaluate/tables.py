"""Runs and comparisons as tables and sentences that a person reads; the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knowhow.report import Table
from knowhow.types import Check, Estimate, Pair, Run

SHOWN_IDS = 8
_MEASURES = ("recall@", "ndcg@", "mrr", "abstention.", "em", "f1")


def overview(runs: Sequence[Run]) -> Table:
    """One row a recipe: every measured check with its interval, latency, tokens and money."""
    checks = [check for check in Check if any(check in run.checks for run in runs)]
    columns = ["recipe", *(check.value for check in checks), "p50", "p95", "tokens", "$/1,000"]
    rows = []
    for run in runs:
        cells = [share(run.checks[check]) if check in run.checks else "-" for check in checks]
        rows.append((run.recipe.name, *cells, *_taken(run)))
    return Table(columns, rows, frozenset(columns[1:]))


def detail(run: Run) -> Table:
    """One row a check: share that passes, interval, how many were measured, and, with several draws, all-pass."""
    rows = []
    for check, found in run.checks.items():
        every = share(run.every_draw[check]) if check in run.every_draw else "-"
        rows.append((check.value, share(found), every, str(found.n), str(found.unmeasured), found.reason))
    columns = ("check", "passes", f"in all {run.draws} draws", "measured", "unmeasured", "remark")
    if run.draws == 1:
        columns, rows = columns[:2] + columns[3:], [row[:2] + row[3:] for row in rows]  # type: ignore[assignment,misc]
    return Table(columns, rows, frozenset(columns[1:-1]))


def graded(run: Run) -> Table:
    """The graded numbers a reader asks for first: recall, nDCG, MRR, EM, F1, precision and recall of declines."""
    names = [name for name in run.measures if any(part in name for part in _MEASURES)]
    rows = [(name, _number(run.measures[name]), str(run.measures[name].n)) for name in names]
    return Table(("measure", "mean", "n"), rows, frozenset({"mean", "n"}))


def share(found: Estimate) -> str:
    """ "82% (75-88)", without the bracket where there is no interval."""
    if found.mean is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{100 * found.mean:.0f}%"
    return f"{100 * found.mean:.0f}% ({100 * found.low:.0f}-{100 * found.high:.0f})"


def _number(found: Estimate) -> str:
    if found.mean is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} ({found.low:.3f}-{found.high:.3f})"


def _taken(run: Run) -> tuple[str, str, str, str]:
    tokens = (run.usage.prompt_tokens + run.usage.completion_tokens) / run.timed if run.timed else None
    return (
        milliseconds(run.latency_ms.get("p50")),
        milliseconds(run.latency_ms.get("p95")),
        "-" if tokens is None else f"{tokens:,.0f}",
        money(per_thousand(run)),
    )


def per_thousand(run: Run) -> float | None:
    """US dollars for 1,000 answers; None where no price is known or every reply came from memory."""
    return None if run.usage.cost_usd is None or not run.timed else 1000 * run.usage.cost_usd / run.timed


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def money(value: float | None) -> str:
    if value is None:
        return "?"
    return "0" if value == 0 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def verdict(pair: Pair) -> str:
    """What a comparison shows, in a few words: better, worse, no difference shown, not measured."""
    if pair.difference is None or pair.p_adjusted is None:
        return "not measured"
    if pair.p_adjusted <= 0.05 and pair.difference:
        return "better" if pair.difference > 0 else "worse"
    return "no difference shown"


def against(pairs: Sequence[Pair]) -> Table:
    """One row a recipe and check: the difference with its interval, whether it is real, what got fixed and broken."""
    rows = []
    for pair in pairs:
        rows.append(
            (
                pair.b,
                pair.check.value,
                _points(pair),
                _p(pair),
                verdict(pair),
                str(len(pair.fixed)),
                str(len(pair.broken)),
                seen(pair),
            )
        )
    columns = ("recipe", "check", "difference", "p", "so it is", "fixed", "broken", "remark")
    return Table(columns, rows, frozenset({"difference", "p"}))


def _points(pair: Pair) -> str:
    if pair.difference is None:
        return "-"
    if pair.low is None or pair.high is None:
        return f"{100 * pair.difference:+.0f} points"
    return f"{100 * pair.difference:+.0f} points ({100 * pair.low:+.0f} to {100 * pair.high:+.0f})"


def _p(pair: Pair) -> str:
    if pair.p_adjusted is None:
        return "-"
    return "<0.001" if pair.p_adjusted < 0.001 else f"{pair.p_adjusted:.3f}"


def seen(pair: Pair) -> str:
    """Why there is no interval, or, where nothing was found, what could have been seen."""
    if pair.reason:
        return pair.reason
    if verdict(pair) == "no difference shown" and pair.detectable is not None:
        return f"n={pair.n} in {pair.groups} groups can show ≥ {np.ceil(100 * pair.detectable):.0f} points"
    return ""


def changed(pair: Pair) -> str:
    """The ids that changed, named: "fixed a, b; broken c"; empty where nothing did."""
    parts = [f"{word} {_named(ids)}" for word, ids in (("fixed", pair.fixed), ("broken", pair.broken)) if ids]
    return "; ".join(parts)


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return ", ".join(ids[:SHOWN_IDS]) + more
