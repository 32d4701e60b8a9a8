"""A trace told as a story: what was asked, looked at, shown, said, checked and decided."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from knowhow.answer.trace import Trace
from knowhow.types import Json

_BEST = 5


def story(trace: Trace) -> str:
    """Lines a person reads from top to bottom; `trace.to_json()` holds what is left out here."""
    when = datetime.fromtimestamp(trace.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        f"Trace {trace.id}, {when}",
        f'Asked: "{trace.question}"',
        *_understood(trace),
        f"Recipe {trace.recipe['name']} ({trace.recipe_hash}), model {trace.model}, index {trace.index}, "
        f"store revision {trace.revision}.",
        "",
        *_looked(trace),
        "",
        *_shown(trace),
        *_dangers(trace),
        "",
        *_said(trace),
        *_checked(trace),
        "",
        *_decided(trace),
        _spent(trace),
    ]
    return "\n".join(parts)


def _understood(trace: Trace) -> list[str]:
    lines = []
    if trace.carried:
        lines.append(f'Understood with {len(trace.history)} earlier turns; searched for: "{trace.search_text}"')
    if trace.forgotten:
        lines.append(f"The oldest {trace.forgotten} turns of the conversation did not fit and were left out.")
    tags = trace.filter["access"]
    limits = [f"{key}={value}" for key, value in trace.filter["where"].items()]
    if trace.filter["as_of"] is not None:
        limits.append(f"as of {datetime.fromtimestamp(trace.filter['as_of'], UTC):%Y-%m-%d %H:%M}")
    seen = "everything" if tags == ["*"] else f"documents open to {', '.join(tags)}" if tags else "untagged documents"
    return [*lines, f"Could see {seen}{' with ' + ', '.join(limits) if limits else ''}."]


def _looked(trace: Trace) -> list[str]:
    if not trace.candidates:
        return [f"Context: {trace.order}."]
    fates = Counter(row["fate"] for row in trace.candidates)
    told = ", ".join(f"{count} {fate}" for fate, count in fates.most_common())
    lines = [f"Looked at {len(trace.candidates)} candidates, {trace.order} ({told}). The best:"]
    for row in trace.candidates[:_BEST]:
        rerank = f", reranked {row['rerank']:.2f}" if row["rerank"] is not None else ""
        lines.append(
            f"  {row['fused']:.2f} (keyword {row['keyword']:.1f}, vector {row['vector']:.2f}{rerank}) "
            f"{row['uri']} {row['start']}-{row['end']}: {row['fate']}"
        )
    return lines


def _shown(trace: Trace) -> list[str]:
    lines = [f"Shown to the model: {len(trace.shown)} passages." if trace.shown else "Nothing was shown to a model."]
    for row in trace.shown:
        place = f", {row['place']}" if row["place"] else ""
        part = ", cut to fit" if row["cut"] else ""
        lines.append(
            f"  [{row['mark']}] {row['uri']} v{row['version']}{place}, characters {row['start']}-{row['end']}{part}"
        )
    lines += [f"  left out: {row['uri']} {row['start']}-{row['end']}, {row['why']}" for row in trace.cut]
    if trace.unread:
        lines.append(f"  {trace.unread} more documents were not opened: the budget was full.")
    for pair in trace.conflicts:
        first, second = pair["first"], pair["second"]
        lines.append(
            f"  {second['value']} ({second['source']}) was taken back by {first['value']} ({first['source']})."
        )
    return lines


def _dangers(trace: Trace) -> list[str]:
    return [f"  ! {row['danger']} in [{row['mark']}], {row['done']}: {row['excerpt']}" for row in trace.flags]


def _said(trace: Trace) -> list[str]:
    if not trace.prompt:
        return ["No model was called."]
    came = " (remembered from an earlier call)" if trace.remembered else ""
    stopped = " It was cut off at the token limit." if trace.finish == "length" else ""
    return [
        f"The model replied{came}:",
        *(f"  | {line}" for line in trace.raw.splitlines()),
        *([stopped.strip()] if stopped else []),
    ]


def _checked(trace: Trace) -> list[str]:
    lines = []
    if trace.dropped:
        lines.append(f"Marks that point at nothing shown were dropped: {', '.join(map(str, trace.dropped))}.")
    for row in trace.checks:
        lines.append(f'{_WORDS[row["support"]]}: "{row["sentence"]}"{_ranges(row)}')
    return lines


_WORDS = {"yes": "Supported", "no": "Not supported", "unchecked": "Not checked"}


def _ranges(row: Json) -> str:
    found = [f"[{r['mark']}] {r['start']}-{r['end']}" for r in row["ranges"]]
    told = [*row["ranges"], *([row["nearest"]] if row["nearest"] else [])]
    why = [reason for r in told if r["support"] == "no" for reason in r["reasons"]]
    moved = " (the model marked another passage)" if row["moved"] else ""
    return f"{' by ' + ', '.join(found) if found else ''}{moved}{'; ' + '; '.join(why) if why else ''}"


def _decided(trace: Trace) -> list[str]:
    if trace.abstained:
        return [f"Declined ({trace.reason}): {trace.explanation}"]
    lines = ["Answered:", *(f"  {line}" for line in trace.answer.splitlines())]
    return [*lines, trace.explanation] if trace.explanation else lines


def _spent(trace: Trace) -> str:
    usage = trace.usage
    cost = "no known price" if usage["cost_usd"] is None else f"${usage['cost_usd']:.4f}"
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in trace.ms.items() if "." not in stage)
    return f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens, {cost}; milliseconds: {stages}."
