"""Files that cannot be used say so in one line with what to do, and lose nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from contract.store_model import ALL, SPEC, found_scores, put
from knowhow.errors import ConfigProblem, UsageProblem
from knowhow.store import files
from knowhow.store.files import STATE, Database
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore

OPENERS = [SqliteStore, SqliteRecords]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with one document."""
    path = tmp_path / "knowhow.db"
    store = SqliteStore(path)
    store.apply(store.create_index(SPEC), [put("a.md", "return a laptop within 30 days")])
    store.close()
    return path


def still_whole(path: Path) -> None:
    store = SqliteStore(path)
    assert [row.uri for row in store.documents(ALL)] == ["a.md"]
    assert found_scores(store, SPEC.id, "laptop", None, ALL) != {}
    assert [check for check in store.check() if not check.ok] == []
    store.close()


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    "content", [b"just some text, longer than a header" * 200, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_file_of_another_kind_is_refused_and_kept(
    tmp_path: Path, opener: Callable[[Path], object], content: bytes
) -> None:
    path = tmp_path / "knowhow.db"
    path.write_bytes(content)
    with pytest.raises(ConfigProblem, match=r"knowhow\.db.*(not a Knowhow file|damaged)"):
        opener(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("opener", OPENERS)
def test_another_programs_database_is_refused_and_kept(tmp_path: Path, opener: Callable[[Path], object]) -> None:
    path = tmp_path / "knowhow.db"
    other = apsw.Connection(str(path))
    other.execute("create table theirs (x); pragma user_version = 1")
    other.close()
    content = path.read_bytes()
    with pytest.raises(ConfigProblem, match="not a Knowhow file"):
        opener(path)
    assert path.read_bytes() == content


def test_the_corpus_is_not_taken_for_the_records(path: Path) -> None:
    with pytest.raises(ConfigProblem, match="not a Knowhow file"):
        SqliteRecords(path)
    still_whole(path)


def test_a_newer_format_names_the_upgrade(path: Path) -> None:
    database = Database(path, files.CORPUS)
    current = database.connection().execute("pragma user_version").get
    database.connection().execute("pragma user_version = 99")
    database.close()
    with pytest.raises(ConfigProblem, match=r"format 99.*pip install --upgrade"):
        SqliteStore(path)
    newer = apsw.Connection(str(path))
    assert newer.execute("select count(*) from item").get == 1
    newer.execute(f"pragma user_version = {current}")
    newer.close()
    still_whole(path)


def test_a_damaged_file_is_named_with_what_to_do(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(ConfigProblem, match=r"knowhow\.db.*(doctor|backup)"):
        found_scores(SqliteStore(path), SPEC.id, "laptop", None, ALL)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"nowhere.*folder exists"):
        SqliteStore(tmp_path / "nowhere" / "knowhow.db")


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "knowhow.db").touch()
    assert SqliteStore(tmp_path / "knowhow.db").indexes() == []


def test_a_full_disk_changes_nothing(path: Path) -> None:
    store = SqliteStore(path)
    connection = store._db.connection()
    pages = connection.execute("pragma page_count").get
    connection.execute(f"pragma max_page_count = {pages + 2}")
    revision = store.revision()
    with pytest.raises(ConfigProblem, match="disk is full"):
        store.apply(SPEC.id, [put("a.md", "laptop " * 2000), put("b.md", os.urandom(90_000).hex())])
    assert store.revision() == revision
    connection.execute(f"pragma max_page_count = {pages * 1000}")
    store.apply(SPEC.id, [put("a.md", "return a laptop within 45 days")])
    store.close()
    still_whole(path)


@pytest.fixture
def unprivileged() -> Iterator[Callable[[], None]]:
    """Gives up root's rights for the rest of the test, where it runs as root."""
    yield lambda: os.seteuid(65534) if os.geteuid() == 0 else None
    if os.getuid() == 0:
        os.seteuid(0)


@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_file_without_write_permission_is_kept_as_it_is(
    path: Path, unprivileged: Callable[[], None], folder_mode: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "knowhow.db"
        shutil.copy(path, copy)
        copy.chmod(0o444)
        copy.parent.chmod(folder_mode)
        unprivileged()
        with pytest.raises(ConfigProblem, match=r"knowhow\.db.*(permissions|may be read and written)"):
            SqliteStore(copy).apply(SPEC.id, [put("b.md", "more")])
        if os.getuid() == 0:
            os.seteuid(0)
        copy.parent.chmod(0o755)
        still_whole(copy)


def test_a_writer_that_holds_on_too_long_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.05)
    store = SqliteStore(path)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        other = Database(path, files.CORPUS)
        with other.writing():
            held.set()
            done.wait(10)
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with pytest.raises(ConfigProblem, match="another process has been writing"):
        store.apply(SPEC.id, [put("b.md", "more")])
    assert found_scores(store, SPEC.id, "laptop", None, ALL) != {}, "readers never wait"
    done.set()
    thread.join()
    store.apply(SPEC.id, [put("b.md", "more")])
    store.close()


def test_a_migration_that_fails_leaves_the_old_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    SqliteRecords(path).close()
    scripts = files.migrations("state")
    monkeypatch.setattr(
        files, "migrations", lambda folder: [*scripts, "create table extra (x); create table extra (x)"]
    )
    with pytest.raises(ConfigProblem):
        SqliteRecords(path)
    monkeypatch.setattr(files, "migrations", lambda folder: scripts)
    database = Database(path, STATE)
    assert database.connection().execute("select count(*) from sqlite_schema where name = 'extra'").get == 0
    monkeypatch.setattr(files, "migrations", lambda folder: [*scripts, "create table extra (x)"])
    SqliteRecords(path).close()
    assert database.connection().execute("pragma user_version").get == len(scripts) + 1
    database.close()


def test_two_processes_may_create_the_same_file(tmp_path: Path) -> None:
    problems: list[Exception] = []
    start = threading.Barrier(4)

    def open_it() -> None:
        start.wait()
        try:
            store = SqliteStore(tmp_path / "knowhow.db")
            store.apply(store.create_index(SPEC), [put(f"{threading.get_ident()}", "laptop")])
            store.close()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(list(SqliteStore(tmp_path / "knowhow.db").documents(ALL))) == 4


def test_a_backup_that_cannot_be_written_leaves_nothing(path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(ConfigProblem, match="backup"):
        store.backup(str(tmp_path / "nowhere" / "copy.db"))
    store.backup(str(tmp_path / "copy.db"))
    assert sorted(file.name for file in tmp_path.glob("copy*")) == ["copy.db"]
    store.close()
    shutil.move(tmp_path / "copy.db", path)
    for rest in ("-wal", "-shm"):
        Path(f"{path}{rest}").unlink(missing_ok=True)
    still_whole(path)


def test_a_forked_child_is_refused_before_it_writes_without_locks(path: Path) -> None:
    store = SqliteStore(path)
    child = os.fork()
    if child == 0:
        refused = 0
        for use in (lambda: store.apply(SPEC.id, [put("b.md", "more")]), lambda: SqliteStore(path)):
            try:
                use()
            except UsageProblem:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    store.close()
    still_whole(path)
