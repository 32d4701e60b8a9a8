"""The server store keeps the contract of every store, on a real server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from contract.history_contract import HistoryContract
from contract.store_contract import StoreContract
from knowhow.ports import Store
from knowhow.store.postgres import PostgresRecords, PostgresStore
from knowhow.store.postgres_address import Address, read_address
from knowhow.store.transfer import transfer
from postgres_server import Server

pytestmark = pytest.mark.real


def address(server: Server, place: Path) -> Address:
    """A schema of its own for every place."""
    name = hashlib.sha256(str(place).encode()).hexdigest()[:16]
    return read_address(server.url(f"t_{name}"), {})


class OnServer:
    server: Server

    @pytest.fixture(autouse=True)
    def on_server(self, server: Server) -> None:
        self.server = server

    def open(self, place: Path) -> Store:
        return PostgresStore(address(self.server, place))


class TestPostgresStore(OnServer, StoreContract):
    def backup(self, store: Store, place: Path) -> None:
        """A copy in another schema: backups themselves are PostgreSQL's own business."""
        assert isinstance(store, PostgresStore)
        there, journal = PostgresStore(address(self.server, place)), PostgresRecords(address(self.server, place))
        own = PostgresRecords(address(self.server, place.parent))
        try:
            list(transfer((store, own), (there, journal), questions=3))
        finally:
            for part in (there, journal, own):
                part.close()


@pytest.mark.usefixtures("tiny_segments")
class TestPostgresStoreMergingAllTheTime(TestPostgresStore):
    pass


class TestPostgresHistory(OnServer, HistoryContract):
    pass
