"""The figures of docs/results/tune.md from what `knowhow tune --json` printed.

python bench/tune_table.py WORKSPACE SUITE REPORT.json
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from knowhow.evaluate.form import json_of, schema_problem
from knowhow.types import Check, Example, Outcome, Row
from knowhow.workspace import Workspace

EVERYTHING = frozenset({"*"})


def chrf(said: str, wanted: str, order: int = 6, beta: float = 2.0) -> float:
    """Character n-gram F2 over orders 1 to 6, spaces left out (Popović 2015, WMT, pages 392-395); 0..1."""
    left, right = "".join(said.split()), "".join(wanted.split())
    scores = []
    for n in range(1, order + 1):
        a, b = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (left, right))
        if not a or not b:
            continue
        both = sum((a & b).values())
        precision, recall = both / sum(a.values()), both / sum(b.values())
        bottom = beta**2 * precision + recall
        scores.append((1 + beta**2) * precision * recall / bottom if bottom else 0.0)
    return sum(scores) / len(scores) if scores else 0.0


def figures(row: Row, example: Example) -> dict[str, float]:
    """Whatever can be said of one answer, 0..1."""
    found = {}
    for check in (Check.LABEL, Check.CONTENT):
        if row.verdicts[check].outcome is not Outcome.UNMEASURED:
            found[check.value] = float(row.verdicts[check].outcome is Outcome.PASS)
    expect = example.expect
    value, _ = json_of(row.answer)
    if expect.schema is not None:
        found["schema valid"] = float(value is not None and not schema_problem(value, expect.schema))
    if expect.fields:
        found["field F1"] = row.verdicts[Check.CONTENT].measures.get("fields_f1", 0.0)
    if "line" in expect.fields:
        held = value if isinstance(value, dict) else {}
        found["section"] = float(held.get("section") == expect.fields["section"])
        found["chrF of the line"] = chrf(str(held.get("line", "")), str(expect.fields["line"]))
    for tag in example.tags:
        if tag in ("learnt", "held-out") and "label" in found:
            found[f"label, {tag}"] = found["label"]
    return found


def main() -> None:
    folder, suite, report = sys.argv[1:4]
    runs = json.loads(Path(report).read_text("utf-8"))["runs"]
    with Workspace.open(folder) as opened:
        examples = {one.id: one for one in opened.evaluations.suite(suite).examples}
        table: dict[str, dict[str, list[float]]] = {}
        for recipe, run in runs.items():
            sums: dict[str, list[float]] = defaultdict(list)
            for row in opened.evaluations.rows(run, access=EVERYTHING):
                for name, value in figures(row, examples[row.id]).items():
                    sums[name].append(value)
            table[recipe] = sums
    names = list(dict.fromkeys(name for sums in table.values() for name in sums))
    print("| recipe | n | " + " | ".join(names) + " |")
    print("|---|---:|" + "---:|" * len(names))
    for recipe, sums in table.items():
        cells = [f"{sum(sums[name]) / len(sums[name]):.3f}" if sums[name] else "-" for name in names]
        print(f"| {recipe} | {max(map(len, sums.values()), default=0)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
