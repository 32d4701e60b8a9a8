"""Reads PDF pages again as if they had been scanned, and scans, with the `ocr` extra.

    python bench/ocr.py ../shared/data [--pages 60]

Pages of real PDFs with a text layer are drawn at 150 dpi, turned by half a degree, blurred, given noise and stored as
JPEG in a PDF without text: their own words are the expected ones. Word recall is the share of those that the reader
gives, a word as often as it occurs; each page goes through the sandbox with its ordinary limits. `scans` are the files
of messy_docs that are pictures from the start; for those that show a text known from another file, recall against it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from knowhow.ingest.sandbox import Sandbox
from knowhow.types import Extract
from readers import recall, words

DPI = 150
LEAST_WORDS = 80
SCANS = {
    "docling/ocr/sources/ocr_test.pdf": "Docling bundles PDF document conversion to JSON and Markdown in an easy self "
    "contained package",
    "unstructured/pdf/loremipsum-flat.pdf": "",
    "unstructured/pdf/single_table.pdf": "",
    "unstructured/pdf/table-multi-row-column-cells.pdf": "",
    "unstructured/img/table-multi-row-column-cells.png": "",
    "unstructured/img/double-column-A.jpg": "",
    "unstructured/img/double-column-B.jpg": "",
    "unstructured/img/english-and-korean.png": "",
    "docling/ocr/sources/qr_bill_example.jpg": "",
    "docling/ocr/sources/sample_with_rotation_mismatch.pdf": "",
    "pypdf-sample-files/007-imagemagick-images/imagemagick-lzw.pdf": "",
    "pypdf-sample-files/019-grayscale-image/grayscale-image.pdf": "",
    "pypdf-sample-files/023-cmyk-image/cmyk-image.pdf": "",
}
"""Scan → the text it shows, where that is known."""
for turned in (90, 180, 270):
    SCANS[f"docling/ocr/sources/ocr_test_rotated_{turned}.pdf"] = SCANS["docling/ocr/sources/ocr_test.pdf"]


def scanned(path: Path, index: int, target: Path, draw: random.Random) -> str:
    """Writes a page as a scan; returns the words of its text layer."""
    import pypdfium2
    from PIL import Image, ImageFilter

    with pypdfium2.PdfDocument(path) as pdf:
        page = pdf[index]
        text = page.get_textpage().get_text_range().replace("\ufffe\r\n", "").replace("\x02", "")
        picture = page.render(scale=DPI / 72).to_pil().convert("L")
    picture = picture.rotate(draw.uniform(-0.5, 0.5), fillcolor=255).filter(ImageFilter.GaussianBlur(0.6))
    noise = np.random.default_rng(draw.randrange(10**9)).normal(0, 8, (picture.height, picture.width))
    Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)).save(
        target, "PDF", resolution=DPI, quality=60
    )
    return text


def chosen(data: Path, pages: int, draw: random.Random) -> list[tuple[Path, int]]:
    """Pages with enough text, drawn at random, at most three a file."""
    import pypdfium2

    found: list[tuple[Path, int]] = []
    files = sorted([*(data / "docugami_sec10q/docs").glob("*.pdf"), *(data / "messy_docs").rglob("*.pdf")])
    draw.shuffle(files)
    for path in files:
        try:
            pdf = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError:
            continue
        with pdf:
            sample = draw.sample(range(len(pdf)), min(3, len(pdf)))
            found += [(path, i) for i in sample if len(pdf[i].get_textpage().get_text_range().split()) >= LEAST_WORDS]
    return found[:pages]


def measure(data: Path, pages: int) -> dict[str, Any]:
    draw = random.Random(1)
    rows, scans = [], []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as home, Sandbox(2) as sandbox:
        wanted: dict[Path, tuple[str, str]] = {}
        for number, (path, index) in enumerate(chosen(data, pages, draw)):
            target = Path(home) / f"{number}.pdf"
            wanted[target] = (f"{path.name} page {index + 1}", scanned(path, index, target, draw))
        for target, outcome in sandbox.read(wanted):
            name, text = wanted[target]
            got = words(outcome.text) if isinstance(outcome, Extract) else words("")
            rows.append({"page": name, "words": sum(words(text).values()), "recall": recall(words(text), got)})
        seconds = time.perf_counter() - started
        for path, outcome in sandbox.read([data / "messy_docs" / name for name in SCANS]):
            name = path.relative_to(data / "messy_docs").as_posix()
            good = isinstance(outcome, Extract)
            row: dict[str, Any] = {"file": name, "outcome": "text" if good else outcome.reason.value}
            if isinstance(outcome, Extract):
                row["words"] = len(outcome.text.split())
                row["recall"] = recall(words(SCANS[name]), words(outcome.text)) if SCANS[name] else None
            scans.append(row)
    shares = [row["recall"] for row in rows]
    return {
        "pages": len(rows),
        "recall_median": round(median(shares), 4),
        "recall_mean": round(mean(shares), 4),
        "pages_under_0.9": [row for row in rows if row["recall"] < 0.9],
        "seconds_a_page": round(seconds / len(rows), 2),
        "peak_worker_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "scans": scans,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pages", type=int, default=60)
    options = parser.parse_args()
    print(json.dumps(measure(options.data, options.pages), indent=1))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
