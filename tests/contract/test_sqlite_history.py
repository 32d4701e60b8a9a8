"""The embedded store keeps the contract of the past, and what it erased is in none of its files."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import apsw
import pytest

from contract.history_contract import HistoryContract
from contract.store_model import ALL, SPEC, put
from knowhow.errors import ConfigProblem
from knowhow.ports import Put, Record, Remove, Store
from knowhow.store import files
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore


class TestSqliteHistory(HistoryContract):
    def open(self, place: Path) -> Store:
        return SqliteStore(place / "knowhow.db")


@pytest.mark.usefixtures("tiny_segments")
class TestSqliteHistoryMergingAllTheTime(TestSqliteHistory):
    pass


def bytes_of(folder: Path) -> bytes:
    """Everything that lies on the disk."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def traces_of(change: Put) -> list[bytes]:
    """Stretches of bytes by which the document can be told in the file: its text, leads, title and vectors."""
    document = change.document
    packed = zlib.compress(document.text.encode(), 4)
    vectors = [passage.vector.astype("float16").tobytes() for passage in change.passages]
    return [packed[2:40], packed[-40:-4], document.title.encode(), document.content_hash.encode(), *vectors]


@pytest.mark.parametrize("seed", range(6))
def test_no_byte_of_a_purged_document_is_left_in_any_file(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    store = SqliteStore(tmp_path / "knowhow.db")
    index = store.create_index(SPEC)
    versions: dict[str, list[Put]] = {f"d{i}": [] for i in range(6)}
    for step in range(40):
        uri = draw.choice(sorted(versions))
        words = " ".join(f"{draw.getrandbits(40):x}" for _ in range(draw.randrange(1, 60)))
        change = put(uri, words, title=f"title {draw.getrandbits(80):x}", metadata={"k": f"{draw.getrandbits(80):x}"})
        store.apply(index, [change if draw.random() < 0.85 else Remove(uri)])
        versions[uri].append(change)
        if step % 13 == 7:
            store.optimize()
    doomed = draw.choice([uri for uri in sorted(versions) if store.versions(uri, ALL)])
    stored = [version for version in versions[doomed] if any(t in bytes_of(tmp_path) for t in traces_of(version))]
    assert stored, "the test must be able to see what it looks for"
    store.purge(doomed)
    store.wipe()
    left = bytes_of(tmp_path)
    for version in versions[doomed]:
        assert not [trace for trace in traces_of(version) if trace in left]
        assert str(version.document.metadata["k"]).encode() not in left
    others = {uri: store.document(uri, ALL) for uri in versions if uri != doomed}
    assert all(found is None or found.text == versions[uri][-1].document.text for uri, found in others.items())
    store.close()
    reopened = SqliteStore(tmp_path / "knowhow.db")
    assert [check for check in reopened.check() if not check.ok] == []
    reopened.close()


def test_no_byte_of_a_purged_record_is_left(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "state.db")
    for number in range(200):
        body = {"answer": f"canary-{number} " * 50}
        records.put([Record("trace", str(number), body, uris=frozenset({f"d{number % 7}"}))])
        records.put(
            [Record("trace", str(number), {"answer": "short"}, uris=frozenset({f"d{number % 7}"}))][: number % 2]
        )
    assert b"canary-6 " in bytes_of(tmp_path)
    assert records.purge("d6") == 28
    records.wipe()
    left = bytes_of(tmp_path)
    assert not [n for n in range(6, 200, 7) if f"canary-{n} ".encode() in left]
    assert b"canary-8 " in left
    records.close()


def test_a_reader_that_stays_is_named_and_wiping_again_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.2)
    store, other = (SqliteStore(tmp_path / "knowhow.db") for _ in range(2))
    index = store.create_index(SPEC)
    store.apply(index, [put("a", "The secret kettle. " * 20, title="canary"), put("b", "Another text. " * 20)])
    reader: apsw.Connection = other._db.connection()
    reader.execute("begin; select count(*) from item").fetchall()
    store.purge("a")
    with pytest.raises(ConfigProblem, match="run the same again"):
        store.wipe()
    reader.execute("rollback")
    store.wipe()
    assert b"canary" not in bytes_of(tmp_path)
    store.close()
    other.close()
