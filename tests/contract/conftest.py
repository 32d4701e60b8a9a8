"""What the contract tests of real servers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from postgres_server import MISSING, Server, find_binaries, running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL server for all tests of a run; each takes a schema of its own."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(MISSING)
    with running(binaries) as started:
        yield started
