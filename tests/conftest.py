"""Shared fixtures: where the larger data is, when it is present."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def data() -> Path:
    """The folder with larger real data; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("needs the larger data sets beside the repository")
    return DATA
