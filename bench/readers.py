"""Reads 293 odd files in the sandbox and compares with their known classes and expected Markdown.

    python bench/readers.py ../shared/data/messy_docs [--json]

Word recall is the share of the expected text's words (a word as often as it occurs) that the reader gives. For PDFs,
which have no expected text, the words are those of pdfium's plain extraction: what layout must not lose.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from knowhow.ingest.sandbox import Limits, Sandbox
from knowhow.types import Extract

COMMENT = re.compile(r"<!--.*?-->", re.S)
TARGET = re.compile(r"\]\([^)\s]*\)|https?://\S+")
ACCEPTED = {
    "text": {"text", "empty", "no-text-layer", "encrypted-needs-password"},
    "binary": {"text", "legacy-format", "unsupported-format", "no-text-layer"},
    "unreadable": {"text", "damaged", "unreadable", "encrypted-needs-password"},
}
"""Class in the manifest → outcomes that are right. `text` there means only that some library opened the file."""


def words(text: str) -> Counter[str]:
    """Words without what Markdown adds: comments for pictures and the targets of links."""
    return Counter(re.findall(r"\w+", TARGET.sub(" ", COMMENT.sub(" ", text)).lower()))


def recall(wanted: Counter[str], got: Counter[str]) -> float | None:
    """Share of `wanted` that is in `got`; None where nothing is wanted."""
    total = sum(wanted.values())
    return sum(min(count, got[word]) for word, count in wanted.items()) / total if total else None


def pdfium_words(path: Path) -> Counter[str]:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as pdf:
        pages = [page.get_textpage().get_text_range().replace("\ufffe\r\n", "").replace("\x02", "") for page in pdf]
    return words("\n".join(pages))


def measure(folder: Path) -> dict[str, Any]:
    with (folder / "manifest.csv").open(newline="") as file:
        rows = {folder / row["path"]: row for row in csv.DictReader(file)}
    start = time.perf_counter()
    results = []
    with Sandbox(2, Limits(seconds=60)) as sandbox:
        for path, outcome in sandbox.read(rows):
            row = rows[path]
            found = "text" if isinstance(outcome, Extract) else outcome.reason.value
            result: dict[str, Any] = {"path": row["path"], "class": row["probe"], "outcome": found}
            if isinstance(outcome, Extract):
                got = words(outcome.text)
                if row["gold"]:
                    result["recall"] = recall(words((folder / row["gold"]).read_text("utf-8")), got)
                if row["ext"] == "pdf":
                    result["pdf_recall"] = recall(pdfium_words(path), got)
            else:
                result["detail"] = outcome.detail
            results.append(result)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    wrong = [r for r in results if r["outcome"] not in ACCEPTED.get(r["class"], {r["class"]})]
    gold = [r for r in results if r.get("recall") is not None]
    pdfs = [r["pdf_recall"] for r in results if r.get("pdf_recall") is not None]
    return {
        "files": len(results),
        "seconds": round(seconds, 1),
        "peak_worker_mb": round(peak / 1e6),
        "outcomes": dict(Counter(f"{r['class']} -> {r['outcome']}" for r in results)),
        "wrong": wrong,
        "text_refused": [r for r in results if r["class"] == "text" and r["outcome"] != "text"],
        "crashed_or_hung": [r for r in results if r["outcome"] in {"timed-out", "out-of-memory"}],
        "gold_files": len(gold),
        "gold_median": median(r["recall"] for r in gold),
        "gold_under_0.95": {r["path"]: round(r["recall"], 3) for r in gold if r["recall"] < 0.95},
        "pdf_files": len(pdfs),
        "pdf_median": median(pdfs),
        "pdf_under_0.95": {r["path"]: round(r["pdf_recall"], 3) for r in results if (r.get("pdf_recall") or 1) < 0.95},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of an indented report")
    options = parser.parse_args()
    report = measure(options.folder)
    print(json.dumps(report, indent=None if options.json else 1, ensure_ascii=False))
    sys.exit(1 if report["wrong"] or report["crashed_or_hung"] else 0)


if __name__ == "__main__":
    main()
