"""The journal of records: order, pages, tags, purging, and its neighbour's peace."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowhow.ports import Record, Records
from knowhow.store.postgres import PostgresRecords
from knowhow.store.postgres_address import read_address
from knowhow.store.records import SqliteRecords
from postgres_server import Server

ANYONE: frozenset[str] = frozenset()
EVERYONE = frozenset({"*"})


@pytest.fixture(params=["files", pytest.param("server", marks=pytest.mark.real)])
def opener(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Records]:
    """Opens one journal, as often as it is called."""
    if request.param == "files":
        return lambda: SqliteRecords(tmp_path / "state.db")
    server: Server = request.getfixturevalue("server")
    address = read_address(server.url(f"r_{secrets.token_hex(8)}"), {})
    return lambda: PostgresRecords(address)


@pytest.fixture
def records(opener: Callable[[], Records]) -> Iterator[Records]:
    records = opener()
    yield records
    records.close()


def trace(name: str, at: float, access: set[str] | None = None, uris: set[str] | None = None) -> Record:
    return Record("trace", name, {"name": name}, at, access=frozenset(access or ()), uris=frozenset(uris or ()))


def test_a_record_comes_back_as_it_was_put(records: Records) -> None:
    body = {"text": "Ünï 😀", "n": [1, 2.5, None, True], "deep": {"a": {"b": "c"}}}
    record = Record("trace", "t1", body, 5.0, "run-1", frozenset({"hr", "it"}), frozenset({"a.md", "b.md"}))
    records.put([record])
    assert records.get("trace", "t1", EVERYONE) == record
    assert records.get("run", "t1", EVERYONE) is None
    assert records.get("trace", "t2", EVERYONE) is None


def test_putting_again_replaces_body_tags_and_mentions(records: Records) -> None:
    records.put([trace("a", 1, {"hr"}, {"old.md"})])
    records.put([Record("trace", "a", {"new": 1}, 2, uris=frozenset({"new.md"}))])
    found = records.get("trace", "a", ANYONE)
    assert found is not None
    assert (found.body, found.at, found.access) == ({"new": 1}, 2, frozenset())
    assert records.purge("old.md") == 0
    assert records.purge("new.md") == 1


def test_zero_means_now(records: Records) -> None:
    before = time.time()
    records.put([Record("run", "r", {})])
    found = records.get("run", "r", ANYONE)
    assert found is not None
    assert before <= found.at <= time.time()


def test_pages_follow_each_other_without_gaps_or_repeats(records: Records) -> None:
    records.put([trace(f"{i:03}", at=1.0 + i // 3) for i in range(100)])
    for oldest_first in (False, True):
        whole = [record.id for record in records.select("trace", ANYONE, oldest_first=oldest_first)]
        assert whole == sorted(whole, reverse=not oldest_first)
        seen: list[str] = []
        cursor: tuple[float, str] | None = None
        while page := list(records.select("trace", ANYONE, before=cursor, limit=7, oldest_first=oldest_first)):
            seen += [record.id for record in page]
            cursor = (page[-1].at, page[-1].id)
        assert seen == whole
    assert list(records.select("trace", ANYONE, limit=0)) == []


def test_selecting_by_parent_and_time(records: Records) -> None:
    records.put([Record("row", f"{i}", {}, at=float(i + 1), parent=f"run{i % 2}") for i in range(10)])
    records.put([Record("row", "orphan", {}, at=3.5)])
    assert [r.id for r in records.select("row", ANYONE, parent="run1", oldest_first=True)] == ["1", "3", "5", "7", "9"]
    assert [r.id for r in records.select("row", ANYONE, parent="")] == ["orphan"]
    assert [r.id for r in records.select("row", ANYONE, since=9.0)] == ["9", "8"]
    assert [r.id for r in records.select("row", ANYONE, parent="run0", since=8.0)] == ["8"]


def test_more_records_than_a_page_come_in_order(records: Records) -> None:
    records.put([trace(f"{i:05}", at=1.0 + i % 3, access={"hr"} if i % 5 else set()) for i in range(1200)])
    found = [(record.at, record.id) for record in records.select("trace", frozenset({"hr"}))]
    assert len(found) == 1200
    assert found == sorted(found, reverse=True)
    assert len(list(records.select("trace", ANYONE))) == 240
    assert len(list(records.select("trace", frozenset({"hr"}), limit=900))) == 900


def test_a_selection_left_open_blocks_nobody(records: Records) -> None:
    records.put([trace(f"{i}", at=float(i + 1)) for i in range(1500)])
    left_open = records.select("trace", ANYONE)
    next(left_open)
    records.put([trace("new", at=9999.0)])
    assert records.erase("trace", ["new", "0", "no such"]) == 2
    assert len(list(left_open)) == 1498


@settings(max_examples=15, deadline=None)
@given(
    demands=st.lists(st.frozensets(st.sampled_from(["hr", "legal", "it", "a,b", '"'])), min_size=1, max_size=8),
    held=st.frozensets(st.sampled_from(["hr", "legal", "it", "a,b", '"', ""])),
)
def test_no_record_is_seen_without_all_of_its_tags(
    tmp_path_factory: pytest.TempPathFactory, demands: list[frozenset[str]], held: frozenset[str]
) -> None:
    records = SqliteRecords(tmp_path_factory.mktemp("records") / "state.db")
    records.put([Record("trace", str(i), {}, float(i + 1), access=access) for i, access in enumerate(demands)])
    visible = {str(i) for i, access in enumerate(demands) if access <= held}
    assert {record.id for record in records.select("trace", held)} == visible
    assert {str(i) for i in range(len(demands)) if records.get("trace", str(i), held)} == visible
    assert len(list(records.select("trace", EVERYONE))) == len(demands)
    records.close()


def test_a_purge_takes_what_hangs_on_what_it_takes(records: Records) -> None:
    records.put(
        [
            trace("t1", 1, uris={"secret.md", "other.md"}),
            trace("t2", 2, uris={"other.md"}),
            Record("feedback", "f1", {}, 3, parent="t1"),
            Record("note", "n1", {}, 4, parent="f1"),
            Record("feedback", "f2", {}, 5, parent="t2"),
            Record("feedback", "f3", {}, 6),
        ]
    )
    assert records.purge("secret.md") == 3
    left = {r.id for kind in ("trace", "feedback", "note") for r in records.select(kind, EVERYONE)}
    assert left == {"t2", "f2", "f3"}
    assert records.purge("secret.md") == 0


def test_a_failed_put_changes_nothing(records: Records) -> None:
    records.put([trace("a", 1)])
    with pytest.raises(TypeError):
        records.put([trace("b", 2), Record("trace", "c", {"bad": object()}, 3)])
    assert [record.id for record in records.select("trace", EVERYONE)] == ["a"]


def test_handles_and_threads_share_one_journal(records: Records, opener: Callable[[], Records]) -> None:
    def write(name: str) -> None:
        own = opener()
        for i in range(10):
            own.put([trace(f"{name}{i}", at=float(i + 1))])
        own.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(records.select("trace", ANYONE))) == 30


def test_ten_thousand_rows_are_one_quick_commit(records: Records) -> None:
    rows = [Record("row", f"{i}", {"answer": "x" * 200, "n": i}, parent="run") for i in range(10_000)]
    began = time.process_time()
    records.put(rows)
    print(f"10,000 rows: {time.process_time() - began:.2f} s of processor time")
    assert sum(1 for _ in records.select("row", ANYONE, parent="run")) == 10_000
