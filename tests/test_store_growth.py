"""What a question and a change cost in the database does not grow with the corpus."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from contract.store_model import ALL, SPEC, put, vector_of
from knowhow.store import upkeep
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Filter


class Steps:
    """Counts what SQLite does on one connection, by statement."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.taken: dict[str, int] = {}
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._add)

    def _add(self, event: dict[str, object]) -> None:
        status, sql = event["stmt_status"], str(event["sql"])
        assert isinstance(status, dict)
        self.taken[sql] = self.taken.get(sql, 0) + int(status["SQLITE_STMTSTATUS_VM_STEP"])


def steps(folder: Path, documents: int) -> dict[str, int]:
    """Steps of two questions and one change to the seventh document, by statement."""
    store = SqliteStore(folder / f"{documents}.db")
    index = store.create_index(SPEC)
    puts = [put(f"{i:03}.md", f"the laptop of office {i} " * 3, metadata={"office": i}) for i in range(documents)]
    store.apply(index, puts)
    counted = Steps(store._db.connection())
    for filter in (ALL, Filter(where={"office": 5})):
        found = store.candidates(index, "laptop of office 5", vector_of("laptop"), 10, filter)
        assert store.passages(index, found.ids[:10].tolist(), filter)
    counted.taken.clear()  # the first question of each kind fills what is remembered
    for filter in (ALL, Filter(where={"office": 5})):
        found = store.candidates(index, "laptop of office 5", vector_of("laptop"), 10, filter)
        assert store.passages(index, found.ids[:10].tolist(), filter)
    store.apply(index, [put("007.md", "another text", metadata={"office": 7})])
    store.candidates(index, "another text", vector_of("laptop"), 10, ALL)
    store.close()
    # Vectors are read for at most the pool that is compared exactly, and which of equals are in it is chance.
    return {sql: taken for sql, taken in counted.taken.items() if "vector from passage" not in sql}


def test_statements_do_the_same_work_in_a_corpus_ten_times_as_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without statistics for the planner, as right after an ingest."""
    monkeypatch.setattr(upkeep, "FLUSH", 8)
    small, large = steps(tmp_path, 60), steps(tmp_path, 600)
    grown = {sql: (few, large[sql]) for sql, few in small.items() if large.get(sql, 0) > 1.5 * few + 100}
    assert not grown
    assert sum(large.values()) == pytest.approx(sum(small.values()), rel=0.5)
