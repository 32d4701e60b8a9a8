"""Knowhow beside a plain numpy + FTS5 baseline and LanceDB: the same passages and questions, in one run.

    python bench/side_by_side.py ../shared/data 10000 100000 1000000 --work FOLDER [--lance PYTHON] [--only measure]

Everything is kept in FOLDER (6 GB for a million passages), and what is there is not made again: delete a result to
take it anew. `--only load` fills, `--only measure` takes latencies (minutes; have the machine to yourself),
`--only report` writes docs/results/scale.json and scale.md. LanceDB and apsw have to be installed for the
interpreter that `--lance` names; without it that side is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "results"
SIDES = ("knowhow", "plain", "lancedb")
STEPS = {
    "load": {"knowhow": ("load", "bare", "export", "recall"), "plain": ("load",), "lancedb": ("load",)},
    "measure": {"knowhow": ("ask", "cold", "edit"), "plain": ("ask", "edit"), "lancedb": ("ask", "edit")},
}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where one size lies and what runs it."""

    data: Path
    size: int
    work: Path
    lance: str

    @property
    def place(self) -> Path:
        return self.work / str(self.size)

    def result(self, side: str, step: str) -> Path:
        return self.place / "results" / f"{side}-{step}.json"

    def run(self, phase: str) -> None:
        """Every step of a phase that has no result yet."""
        for side, steps in STEPS[phase].items():
            for step in steps:
                if not self.result(side, step).exists() and (side != "lancedb" or self.lance):
                    self._run(side, step)

    def _run(self, side: str, step: str) -> None:
        self.result(side, step).parent.mkdir(parents=True, exist_ok=True)
        if side == "knowhow":
            own = ["--data", str(self.data), "--size", str(self.size)]
            command = [sys.executable, str(HERE / "scale_knowhow.py"), step, str(self.place), *own]
        else:
            # A question takes the plain baseline most of a second at a million.
            most = ["--most", "180"] if self.size > 200_000 and side == "plain" else []
            python = self.lance if side == "lancedb" else sys.executable
            command = [python, str(HERE / "scale_others.py"), side, step, str(self.place), *most]
        print(f"{self.size:,}: {side} {step}", file=sys.stderr, flush=True)
        began = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row = json.loads(done.stdout) | {"load_average": os.getloadavg()[0]}
        self.result(side, step).write_text(json.dumps(row, indent=1))
        print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    def rows(self) -> dict[str, Row]:
        """Side → everything measured of it."""
        found: dict[str, Row] = {}
        for side in SIDES:
            steps = [*STEPS["load"][side], *STEPS["measure"][side]]
            known = {step: self.result(side, step) for step in steps if self.result(side, step).exists()}
            found[side] = {step: json.loads(path.read_text()) for step, path in known.items()}
        return found


def table(size: int, rows: dict[str, Row]) -> Iterator[str]:
    """One size as Markdown: a line per figure, and how many times ours the others take."""
    yield f"### {size:,} passages\n"
    yield "| | Knowhow | numpy + FTS5 | LanceDB | ours / numpy + FTS5 | ours / LanceDB |"
    yield "|---|---|---|---|---|---|"
    for name, path in LINES:
        values = [_value(rows[side], path) for side in SIDES]
        if any(value is not None for value in values):
            ratios = [_ratio(values[0], other) for other in values[1:]]
            yield f"| {name} | " + " | ".join([*(_shown(value) for value in values), *ratios]) + " |"
    yield ""


LINES = (
    ("ingest from files, s", "load.ingest_s"),
    ("… passages/s", "load.ingest_passages_per_s"),
    ("… MB of text/s", "load.ingest_mb_per_s"),
    ("… processor time of the writing process, s", "load.ingest_cpu_s"),
    (
        "ingest without the embedder's cost, passages/s (others: passages already cut)",
        "bare.bare_ingest_passages_per_s",
    ),
    ("… MB of text/s", "bare.bare_ingest_mb_per_s"),
    ("unchanged again: times faster than the first", "load.unchanged_times_faster"),
    ("memory of the writer after a tenth, MB", "load.anonymous_mb_after_a_tenth"),
    ("memory of the writer at most, MB", "load.anonymous_mb_most"),
    ("disk, MB", "load.disk_mb"),
    ("hybrid, median, ms", "ask.hybrid.p50_ms"),
    ("hybrid, p95, ms", "ask.hybrid.p95_ms"),
    ("hybrid, p99, ms", "ask.hybrid.p99_ms"),
    ("… of it the store, median, ms", "ask.hybrid.store_p50_ms"),
    ("hybrid, 1% by metadata, median, ms", "ask.hybrid_where_1pct.p50_ms"),
    ("hybrid, 1% by metadata, p95, ms", "ask.hybrid_where_1pct.p95_ms"),
    ("hybrid, 1% by access tag, median, ms", "ask.hybrid_access_1pct.p50_ms"),
    ("hybrid, 1% by access tag, p95, ms", "ask.hybrid_access_1pct.p95_ms"),
    ("keyword alone, median, ms", "ask.keyword.p50_ms"),
    ("vector alone, median, ms", "ask.vector.p50_ms"),
    ("vector recall@10", "recall.recall10"),
    ("vector recall@10, 1% by metadata", "recall.recall10_where_1pct"),
    ("vector recall@10, 1% by access tag", "recall.recall10_access_1pct"),
    ("replacing 20 passages, median, ms", "edit.replace.p50_ms"),
    ("replacing 20 passages to the first hit, median, ms", "edit.replace_to_visible.p50_ms"),
    ("replacing 20 passages to the first hit, p99, ms", "edit.replace_to_visible.p99_ms"),
    ("commit to the first hit in another process, median, ms", "edit.commit_to_visible.p50_ms"),
    ("commit to the first hit in another process, p99, ms", "edit.commit_to_visible.p99_ms"),
    ("open to first answer, s", "ask.open_to_first_answer_s"),
    ("`knowhow search` as a command, s", "cold.command_warm_s"),
    ("… with nothing of the file in memory, s", "cold.command_cold_s"),
    ("anonymous memory of the asker, MB", "ask.anonymous_mb"),
)
"""Name → where it stands. What the others call otherwise is in `OTHERS`."""
OTHERS = {
    "bare.bare_ingest_passages_per_s": "load.load_passages_per_s",
    "load.ingest_s": "load.load_s",
    "recall.recall10": "ask.recall10",
}


def _value(row: Row, path: str) -> Any:
    other = "load_s" in row.get("load", {})
    if other and path == "load.ingest_s":
        return None  # they neither read nor cut nor embed
    found: Any = row
    for key in (OTHERS.get(path, path) if other else path).split("."):
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:,}"


def _ratio(ours: Any, theirs: Any) -> str:
    return "" if ours is None or not theirs else f"{ours / theirs:.2f}"


def report(benches: list[Bench]) -> None:
    """Writes the results."""
    rows = {bench.size: bench.rows() for bench in benches}
    (RESULTS / "scale.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = ["# Scale, side by side\n", "How it was measured, and what of it holds: [scale](../scale.md#files).\n"]
    for size, found in rows.items():
        lines += table(size, found)
    (RESULTS / "scale.md").write_text("\n".join(lines).rstrip() + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sizes", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--lance", default="", help="interpreter that has lancedb and apsw")
    parser.add_argument("--only", choices=("load", "measure", "report"))
    options = parser.parse_args()
    benches = [Bench(options.data, size, options.work, options.lance) for size in options.sizes]
    for phase in ("load", "measure"):
        if options.only in (None, phase):
            for bench in benches:
                bench.run(phase)
    if options.only in (None, "report"):
        report(benches)


if __name__ == "__main__":
    main()
