"""Proves diagnosis on a scripted model whose behaviour is known exactly: `bench/planted_scripted.py --out DIR`.

Learns on the products of the `dev` split, scores on those of `test`; one kind of fault is never learned. Figures in
docs/results/diagnosis.md; choose on one seed and report on another.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from knowhow.backends.embed_static import load_static
from knowhow.diagnose import proof_report as report
from knowhow.diagnose.case import Lab
from knowhow.diagnose.planted import FAULTS, plant
from knowhow.diagnose.proving import Bench, experience, learned, prove
from knowhow.diagnose.score import said_json, truth_json
from knowhow.suites.jsonl import write_lines
from knowhow.types import Example, Progress, Recipe, Split
from knowhow.workspace.planting import survival
from scripted_world import World, make_world

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--families", type=int, default=24)
    parser.add_argument("--per-fault", type=int, default=32)
    parser.add_argument("--to-learn", type=int, default=24)
    parser.add_argument("--hold-out", default="cut-short")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    world = make_world(args.seed, families=args.families)
    with tempfile.TemporaryDirectory() as folder:
        setup = world.setup(Path(folder), load_static())
        stronger, weaker = (replace(setup, model=world.model(f"scripted:{name}")) for name in ("strong", "weak"))
        lab = Lab(world.suite, setup, {one.uri: one.text for one in world.documents}, stronger)
        faults = [fault for fault in FAULTS if fault.name != args.hold_out]
        beds = {split: _beds(world, split) for split in (Split.DEV, Split.TEST)}
        taught = _run(
            plant(lab, beds[Split.DEV], per_fault=args.to_learn, seed=args.seed, weaker=weaker, faults=faults)
        )
        known = _run(experience(Bench(taught.cases), draws=1))
        rates = learned("scripted", known, taught.healthy, lab)
        print(f"{len(known)} cases learned, {rates.temper}", flush=True)
        planting = _run(plant(lab, beds[Split.TEST], per_fault=args.per_fault, seed=args.seed + 1, weaker=weaker))
        proof = _run(prove(Bench(planting.cases), rates))
    rows = survival(planting)
    args.out.mkdir(parents=True, exist_ok=True)
    title = f"Diagnosis of planted faults, scripted model, seed {args.seed}"
    (args.out / "report.md").write_text(report.markdown(proof, rows, title), "utf-8")
    (args.out / "report.html").write_text(report.html(proof, rows, title), "utf-8")
    (args.out / "report.json").write_text(json.dumps(report.proof_json(proof, rows), indent=1) + "\n", "utf-8")
    write_lines((truth_json(one) for one in proof.truth), args.out / "cases.jsonl")
    for name, said in proof.said.items():
        write_lines((said_json(one) for one in said), args.out / f"verdicts-{name.replace(' ', '-')}.jsonl")
    print(report.markdown(proof, rows, title))


def _beds(world: World, split: Split) -> list[tuple[Example, Recipe]]:
    return [(one, world.recipes[one.id]) for one in world.suite.examples if one.split is split]


def _run(flow: Generator[Progress, None, T]) -> T:
    told = time.monotonic()
    while True:
        try:
            event = next(flow)
        except StopIteration as done:
            result: T = done.value
            return result
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{event.unit} {event.done}/{event.total} {event.note}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
