"""The embedded store keeps the contract of every store, also when each commit makes it merge."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.store_contract import StoreContract
from knowhow.ports import Store
from knowhow.store.sqlite import SqliteStore


class TestSqliteStore(StoreContract):
    def open(self, place: Path) -> Store:
        return SqliteStore(place / "knowhow.db")

    def backup(self, store: Store, place: Path) -> None:
        store.backup(str(place / "knowhow.db"))


@pytest.mark.usefixtures("tiny_segments")
class TestSqliteStoreMergingAllTheTime(TestSqliteStore):
    pass
