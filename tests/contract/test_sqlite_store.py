"""The embedded store keeps the contract of every store, also when each commit makes it merge."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.store_contract import StoreContract
from knowhow.ports import Store
from knowhow.store import postings, segments, upkeep
from knowhow.store.sqlite import SqliteStore


class TestSqliteStore(StoreContract):
    def open(self, place: Path) -> Store:
        return SqliteStore(place / "knowhow.db")

    def backup(self, store: Store, place: Path) -> None:
        store.backup(str(place / "knowhow.db"))


class TestSqliteStoreMergingAllTheTime(TestSqliteStore):
    @pytest.fixture(autouse=True)
    def tiny_segments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(upkeep, "FLUSH", 5)
        monkeypatch.setattr(upkeep, "_TIERS", (8, 12))
        monkeypatch.setattr(upkeep, "MOST", 16)
        monkeypatch.setattr(segments, "MOST", 16)
        monkeypatch.setattr(postings, "PAGE_BYTES", 64)
