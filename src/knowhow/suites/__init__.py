"""Suites: the file formats of examples, their splits, and their evidence found in the documents."""

from knowhow.suites.evidence import locate, locate_evidence
from knowhow.suites.imports import Imported, import_suite
from knowhow.suites.jsonl import check_suite, read_suite, write_suite
from knowhow.suites.split import split_suite

__all__ = [
    "Imported",
    "check_suite",
    "import_suite",
    "locate",
    "locate_evidence",
    "read_suite",
    "split_suite",
    "write_suite",
]
