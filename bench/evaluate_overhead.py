"""What scoring and bookkeeping of many rows take beside the model: `python bench/evaluate_overhead.py 1000 10000`.

The model answers at once. Prints JSON: seconds and peak memory for each number of rows.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from knowhow.backends.fake import FakeChat
from knowhow.evaluate.evaluate import evaluate
from knowhow.evaluate.single import Setup
from knowhow.types import ChatReply, ChatRequest, Context, Evidence, Example, Expect, Recipe, Row, Suite
from knowhow.workspace import Workspace


class Forgetful(FakeChat):
    """Repeats what it was asked about, and keeps no request: what it holds would count as memory of the run."""

    def chat(self, request: ChatRequest) -> ChatReply:
        laptop = request.question.split()[4]
        return ChatReply(f"Laptop {laptop} can be returned within 45 days.", self.count(request.messages), 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--grounding", action="store_true", help="also look every sentence up in the corpus")
    args = parser.parse_args()
    print(json.dumps([measure(count, args.grounding) for count in args.rows], indent=2))


def measure(count: int, grounding: bool) -> dict[str, float]:
    """Closed-book rows with facts and evidence, no two with the same answer, over a corpus of one document."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "documents"
        folder.mkdir()
        (folder / "returns.md").write_text("# Returns\n\nLaptops can be returned within 45 days of delivery.\n")
        with Workspace.init(Path(scratch) / "desk") as workspace:
            workspace.ingest(folder)
            parts = workspace._parts
            model = Forgetful(["Laptops can be returned within 45 days."])
            setup = Setup(parts.store, parts.records, parts.embedder(), model)
            expect = Expect(facts=(("45 days",),), evidence=(Evidence("returns.md", "within 45 days of delivery"),))
            examples = tuple(
                Example(f"e{i}", expect, question=f"How long can laptop {i} be returned?", group=f"g{i // 4}")
                for i in range(count)
            )
            recipe = Recipe("closed-book", context=Context.NONE, cite=False)
            before = _memory_mb()
            started, cpu = time.perf_counter(), time.process_time()
            rows = sum(
                isinstance(event, Row)
                for event in evaluate(Suite("overhead", examples), recipe, setup, grounding=grounding)
            )
            return {
                "rows": rows,
                "seconds": round(time.perf_counter() - started, 1),
                "cpu_seconds": round(time.process_time() - cpu, 1),
                "before_mb": before,
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }


def _memory_mb() -> int:
    """What the process holds now, in MB: the suite and what is loaded are there already."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20)


if __name__ == "__main__":
    main()
