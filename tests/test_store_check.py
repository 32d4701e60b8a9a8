"""Every kind of damage is found and named; what follows from the documents is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.store_model import ALL, SPEC, Model, assert_search_agrees, found_scores, put
from knowhow.errors import ConfigProblem
from knowhow.ports import Record, StoreCheck
from knowhow.store import analyze, check, corpus
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore

CHANGES = [put(f"{i}.md", f"laptop number {i} " * (i + 1), access={"hr"} if i == 3 else ()) for i in range(6)]

OLDER = put("0.md", "an older text")


@pytest.fixture
def model() -> Model:
    model = Model()
    model.apply([OLDER, *CHANGES[1:]])
    model.apply(CHANGES[:1])
    return model


@pytest.fixture(params=["blocks", "segments"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "knowhow.db")
    store.create_index(SPEC)
    store.apply(SPEC.id, [OLDER, *CHANGES[1:]])
    store.apply(SPEC.id, CHANGES[:1])
    if request.param == "segments":
        store.optimize()
    yield store
    store.close()


def damage(store: SqliteStore, sql: str, *values: object) -> None:
    connection = store._db.connection()
    connection.execute("begin immediate")
    connection.execute(sql, values)  # type: ignore[arg-type]
    assert connection.changes() > 0, "the damage was not done"
    connection.execute("update counter set value = value + 1 where name = 'generation'; commit")


def failing(store: SqliteStore, *, repair: bool = False) -> list[StoreCheck]:
    return [found for found in store.check(repair=repair) if not found.ok]


@pytest.mark.parametrize(
    ("sql", "name", "words"),
    [
        ("update item set open = 0 where uri = '1.md'", "documents", "ready without a current version"),
        ("update item set state = 'failed' where uri = '1.md'", "documents", "not listed as ready"),
        ("update version set valid_to = valid_from where number = 2", "documents", "closed or gone"),
        ("update body set version = 0 where id = 2", "documents", "answers for another version"),
        ("update body set tagset = 0 where tagset > 0", "documents", "answers for another version"),
        ("update version set valid_to = null where valid_to is not null", "documents", "two current versions"),
        ("delete from text where body = 2", "texts", "incomplete"),
        ("delete from spans where body = 2", "texts", "incomplete"),
        ("update body set chars = chars - 1 where id = 2", "passages of", "reach beyond"),
        ("delete from passage where id = 2", "passages of", "miss passages"),
        ("delete from cut where body = 2", "passages of", "not in this index"),
        ("update passage set vector = x'00' where id = 2", "vectors of", "1 vectors are cut short"),
    ],
)
def test_damage_is_found_and_named(store: SqliteStore, sql: str, name: str, words: str) -> None:
    assert failing(store) == []
    damage(store, sql)
    found = failing(store)
    assert any(finding.name.startswith(name) and words in finding.detail for finding in found), found
    assert all(finding.mend for finding in found)


def test_a_vector_that_is_not_finite_is_found(store: SqliteStore) -> None:
    damage(store, "update passage set vector = ? where id = 3", np.full(8, np.nan, np.float16).tobytes())
    assert any("not finite" in finding.detail for finding in failing(store))


@pytest.mark.parametrize(
    "sql",
    [
        "delete from block where id = (select min(id) from block)",
        "update block set postings = (select postings from block b where b.id <> block.id limit 1) where id = 3",
        "update block set codes = zeroblob(length(codes)) where id = 3",
        "delete from segment where id = (select min(id) from segment)",
        "update segment set codes = zeroblob(length(codes)) where history = 0",
        "delete from page where id = 1",
        "insert into block (idx, body, first, passages, codes, lengths, postings) "
        "select idx, body, first, passages, codes, lengths, postings from block where id = 3",
    ],
)
def test_a_damaged_search_index_is_rebuilt(store: SqliteStore, model: Model, sql: str) -> None:
    table = sql.split()[1] if sql.startswith("update") else sql.split()[2]
    if not store._db.connection().execute(f"select count(*) from {table}").get:
        pytest.skip("this damage belongs to the other layout")
    before = found_scores(store, SPEC.id, "laptop 3", None, ALL)
    damage(store, sql)
    found = failing(store)
    assert [finding.name for finding in found if "--repair" in finding.mend] == [f"search index of {SPEC.id}"]
    mended = store.check(repair=True)
    assert [finding for finding in mended if not finding.ok] == []
    assert any(finding.repaired for finding in mended)
    assert failing(store) == []
    assert found_scores(store, SPEC.id, "laptop 3", None, ALL) == before
    assert_search_agrees(store, SPEC.id, model, "laptop number 3", ALL)


def test_another_analyzer_is_named_and_the_keyword_side_rebuilt(
    store: SqliteStore, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (analyze, check, corpus):
        monkeypatch.setattr(module, "ANALYZER_REVISION", 99)
    with pytest.raises(ConfigProblem, match="doctor --repair"):
        store.candidates(SPEC.id, "laptop", None, 10, ALL)
    with pytest.raises(ConfigProblem, match="doctor --repair"):
        store.apply(SPEC.id, [put("new.md", "laptop")])
    assert any("revision 1" in finding.detail for finding in failing(store))
    assert [finding for finding in store.check(repair=True) if not finding.ok] == []
    assert_search_agrees(store, SPEC.id, model, "laptop number 3", ALL)


def test_a_replaced_index_left_behind_by_a_crash_is_cleared(store: SqliteStore) -> None:
    damage(store, "update idx set dropped = 1, active = 0")
    assert [finding.name for finding in failing(store)] == ["leftovers"]
    assert [finding for finding in store.check(repair=True) if not finding.ok] == []
    rows = store._db.connection().execute(
        "select (select count(*) from passage) + (select count(*) from block) + (select count(*) from segment) "
        "+ (select count(*) from page) + (select count(*) from cut)"
    )
    assert rows.get == 0
    assert store.check() == [found for found in store.check() if found.ok]


def test_damage_on_the_disk_is_found(tmp_path: Path) -> None:
    path = tmp_path / "knowhow.db"
    store = SqliteStore(path)
    store.apply(store.create_index(SPEC), [put(f"{i}", "laptop " * 200) for i in range(60)])
    root = store._db.connection().execute("select rootpage from sqlite_schema where name = 'passage_hash'").get
    store.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 8192 + 100 : root * 8192] = b"\xff" * (8192 - 100)
    path.write_bytes(content)
    store = SqliteStore(path)
    found = failing(store)
    assert found
    assert found[0].name == "file"
    assert "backup" in found[0].mend
    store.close()
    assert apsw.Connection(str(path)).execute("select count(*) from item").get == 60


# --- damaged pages ---------------------------------------------------------------------------------------


def spoil(path: Path, name: str) -> None:
    """Overwrites the last page of a table or index."""
    file = apsw.Connection(str(path))
    file.execute("pragma wal_checkpoint(truncate)").fetchall()
    page = file.execute("select max(pageno) from dbstat where name = ?", (name,)).get
    size = file.execute("pragma page_size").get
    file.close()
    with path.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xee" * 600)


@pytest.mark.parametrize("name", ["block", "segment", "page", "passage_hash", "version_opened", "audit_uri"])
def test_a_damaged_index_is_made_again_from_what_it_follows(
    store: SqliteStore, model: Model, tmp_path: Path, name: str
) -> None:
    store.close()
    path = tmp_path / "knowhow.db"
    spoil(path, name)
    with_damage = SqliteStore(path)
    (found,) = failing(with_damage)
    assert found.name == "file"
    assert found.mend.startswith("run `knowhow doctor --repair`")
    mended = with_damage.check(repair=True)
    assert all(finding.ok for finding in mended), mended
    assert mended[0].repaired
    assert failing(with_damage) == []
    assert_search_agrees(with_damage, SPEC.id, model, "laptop number text", ALL)
    assert (tmp_path / "knowhow.db.damaged").exists()
    assert not list(tmp_path.glob("*.mended*"))
    with_damage.apply(SPEC.id, [put("new.md", "one more")])
    with_damage.close()


@pytest.mark.parametrize("name", ["passage", "text", "version", "item"])
def test_what_nothing_follows_from_is_left_as_it_is_and_sent_to_the_backup(
    store: SqliteStore, tmp_path: Path, name: str
) -> None:
    store.close()
    path = tmp_path / "knowhow.db"
    spoil(path, name)
    before = path.read_bytes()
    with_damage = SqliteStore(path)
    (found,) = failing(with_damage, repair=True)
    assert "restore a backup" in found.mend
    with_damage.close()
    assert path.read_bytes() == before
    assert [other.name for other in tmp_path.iterdir()] == ["knowhow.db"]


def test_the_journal_is_looked_at_and_mended_too(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path / "state.db")
    records.put([Record("trace", str(number), {"n": number}, uris=frozenset({"a.md"})) for number in range(50)])
    assert [finding.ok for finding in records.check()] == [True]
    records.close()
    file = apsw.Connection(str(tmp_path / "state.db"))
    (index,) = [row[0] for row in file.execute("select min(name) from sqlite_schema where type = 'index'")]
    file.close()
    spoil(tmp_path / "state.db", index)
    records = SqliteRecords(tmp_path / "state.db")
    (found,) = records.check()
    assert (found.name, found.ok) == ("journal", False)
    (mended,) = records.check(repair=True)
    assert mended.ok
    assert mended.repaired
    assert len(list(records.select("trace", frozenset({"*"})))) == 50
    records.close()
