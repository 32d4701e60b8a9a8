"""Shared fixtures: where the larger data is, when it is present."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowhow.store import postings, segments, upkeep
from postgres_server import MISSING, Server, find_binaries, running

# A run in a shell's background ignores Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def data() -> Path:
    """The folder with larger real data; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("needs the larger data sets beside the repository")
    return DATA


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL server for all tests of a run; each takes a schema of its own."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(MISSING)
    with running(binaries) as started:
        yield started


@pytest.fixture
def tiny_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes nearly every commit merge, and every segment have many pages."""
    monkeypatch.setattr(upkeep, "FLUSH", 5)
    monkeypatch.setattr(upkeep, "_TIERS", (8, 12))
    monkeypatch.setattr(upkeep, "MOST", 16)
    monkeypatch.setattr(segments, "MOST", 16)
    monkeypatch.setattr(postings, "PAGE_BYTES", 64)
