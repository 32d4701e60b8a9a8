"""One SQLite file: opening, migrating, a connection per thread, transactions, and its failures in clear words."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from weakref import WeakSet

import apsw

from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem

BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction; merges hold the lock for about a second."""
_MAPPED = 1 << 36
"""Upper bound of the memory-mapped part; mapped pages belong to the page cache, not to the process."""


FOLLOWING = frozenset({"block", "segment", "page"})
"""Tables of the search index: all of it follows from the passages."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a file must be: `folder` of numbered migrations under `migrations/` and SQLite's application id."""

    folder: str
    application: int


CORPUS = Format("corpus", 0x4B6E6F77)
STATE = Format("state", 0x4B6E6F73)


class FileConnection(apsw.Connection):
    """One thread's connection to a file; see `knowhow.store.connection.Connection`."""

    def reserve(self, table: str, many: int) -> int:  # noqa: ARG002
        """The row id after the highest that was ever given out; inserting the rows takes them."""
        return self.last_id(table) + 1

    def last_id(self, table: str) -> int:
        """The highest row id that was ever given out, as far as the table remembers those that are gone."""
        given = 0
        if self._remembers():
            given = self.execute("select seq from sqlite_sequence where name = ?", (table,)).get
        return int(given or self.execute(f"select coalesce(max(id), 0) from {table}").get)

    def set_last_id(self, table: str, last: int) -> None:
        """Gives out only ids above `last`, where the table remembers what it gave out."""
        if self._remembers():
            self.execute("update sqlite_sequence set seq = ? where name = ?", (last, table))

    def _remembers(self) -> bool:
        """Whether any table of the file is of the kind that does."""
        return bool(self.execute("select count(*) from sqlite_schema where name = 'sqlite_sequence'").get)


class Database:
    """Connections to one file. Thread-safe, but not to be used across a fork.

    Nothing else may open the file in this process: closing any other handle to it drops SQLite's POSIX locks.
    """

    def __init__(self, path: str | os.PathLike[str], form: Format) -> None:
        """Opens or creates the file and brings its format up to date. Raises `ConfigProblem`."""
        self.path = os.fspath(path)
        self._form = form
        self._local = threading.local()
        # A thread that ends takes its connection with it.
        self._open: WeakSet[apsw.Connection] = WeakSet()
        self._lock = threading.Lock()
        self._process = os.getpid()
        _check_not_forked(_opened)
        _opened.add(self)
        with self._translated():
            self._migrate(self.connection())

    def connection(self) -> FileConnection:
        """This thread's connection."""
        held: FileConnection | None = getattr(self._local, "held", None)
        _check_not_forked((self,))
        if held is not None:
            return held
        connection = FileConnection(self.path)
        connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
        connection.execute(f"pragma mmap_size={_MAPPED}; pragma cache_size=-16384; pragma temp_store=memory")
        connection.execute("pragma synchronous=full; pragma foreign_keys=off")
        self._local.held = connection
        with self._lock:
            self._open.add(connection)
        return connection

    @contextmanager
    def reading(self) -> Iterator[FileConnection]:
        """A transaction that sees one state of the file throughout."""
        with self._translated():
            connection = self.connection()
            connection.execute("begin")
            try:
                yield connection
            finally:
                connection.execute("rollback")

    @contextmanager
    def writing(self) -> Iterator[FileConnection]:
        """A transaction that is on the disk when the block ends, or undone when it raises."""
        with self._translated():
            connection = self.connection()
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")

    def tidy(self) -> None:
        """Moves the write-ahead log into the file as far as readers allow, and refreshes the planner's statistics."""
        with self._translated():
            self.connection().execute("pragma wal_checkpoint(passive); pragma optimize").fetchall()

    def wipe(self) -> None:
        """Rewrites the file and empties its log. Takes as much free space as the file has; a writer waits for it."""
        connection = self.connection()
        left = f"{self.path}: what was erased answers no more, but may still lie in the file"
        try:
            # The new file is made on the disk: memory would have to hold all of it.
            connection.execute("pragma temp_store = file; vacuum; pragma temp_store = memory").fetchall()
        except apsw.Error as error:
            raise ConfigProblem(
                f"{left} ({error}): free some space, stop other writers and run the same again"
            ) from error
        # Waits for the readers of the log as long as a writer waits for another.
        busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchall()[0]
        if busy:
            raise ConfigProblem(f"{left}-wal, which another process is reading: end it and run the same again")

    def damage(self) -> tuple[list[str], str]:
        """(what SQLite finds wrong with the file, what to say when that is nothing)."""
        with self.reading() as connection:
            found = [str(text) for (text,) in connection.execute("pragma integrity_check(10)").fetchall()]
        return [text for text in found if text != "ok"], "SQLite finds no damage"

    def mend(self) -> str:
        """Makes a damaged file whole where all that cannot be made again can be read, and says how; "" where not.

        All tables are copied into a new file, with new indexes, but for those that follow from others and cannot be
        read. The damaged file stays beside it.
        """
        kept, copy = f"{self.path}.damaged", f"{self.path}.mended"
        for path in (kept, copy):
            Path(path).unlink(missing_ok=True)
        try:
            made_anew = self._salvage(copy)
            self.backup(kept)
            self.replace(copy)
        except (ConfigProblem, apsw.Error):
            return ""
        finally:
            Path(copy).unlink(missing_ok=True)
        return f"copied into a new one{made_anew}; the damaged file is kept as {kept}"

    def _salvage(self, path: str) -> str:
        """Writes a new file with every row of the old one; returns which tables had to be left empty."""
        copy = Database(path, self._form)
        lost = []
        try:
            with copy.writing() as target:
                for (table,) in target.execute("select name from sqlite_schema where type = 'table'").fetchall():
                    target.execute(f"delete from {table}")
                    # In the order of the key: SQLite reads the table itself then, not an index that has all columns.
                    columns = target.execute(f"select name from pragma_table_info('{table}') where pk > 0 order by pk")
                    order = ", ".join(str(name) for (name,) in columns.fetchall()) or "rowid"
                    try:
                        for row in self.connection().execute(f"select * from {table} not indexed order by {order}"):
                            target.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
                    except apsw.CorruptError:
                        if table not in FOLLOWING:
                            raise
                        target.execute(f"delete from {table}")
                        lost.append(table)
        finally:
            copy.close()
        return f", {' and '.join(lost)} left to be made again" if lost else ""

    def backup(self, path: str) -> None:
        """A consistent copy at `path`, which must not exist; a copy cut short leaves nothing there."""
        target = Path(path)
        if target.exists():
            raise ConfigProblem(f"{path} exists already: name a new file for the backup")
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        with self._translated(f"cannot write the backup {path}"):
            copy = apsw.Connection(os.fspath(partial))
            try:
                with copy.backup("main", self.connection(), "main") as run:
                    run.step(-1)
                copy.execute("pragma journal_mode=delete").fetchall()
            finally:
                copy.close()
            os.replace(partial, target)

    def replace(self, path: str) -> None:
        """Makes the content that of the file at `path`, in one transaction; readers go on with what they see."""
        with self._translated(f"cannot restore {self.path}"):
            source = apsw.Connection(path)
            try:
                with self.connection().backup("main", source, "main") as run:
                    run.step(-1)
            finally:
                source.close()

    def close(self) -> None:
        """Closes every thread's connection."""
        with self._lock:
            held, self._open = list(self._open), WeakSet()
            self._local = threading.local()
        for connection in held:
            connection.close()
        _opened.discard(self)

    def _migrate(self, connection: apsw.Connection) -> None:
        scripts = migrations(self._form.folder)
        version = _pragma(connection, "user_version")
        empty = version == 0 and not connection.execute("select count(*) from sqlite_schema").get
        if not empty and _pragma(connection, "application_id") != self._form.application:
            raise ConfigProblem(f"{self.path} is not a Knowhow file: name another workspace, or move the file away")
        if version > len(scripts):
            raise ConfigProblem(
                f"{self.path} has format {version}, this Knowhow reads up to {len(scripts)}: "
                "upgrade with `pip install --upgrade knowhow-ai`"
            )
        if version == len(scripts):
            return
        if empty:
            connection.execute("pragma page_size=8192")
            connection.execute("pragma journal_mode=wal").fetchall()
        connection.execute("begin immediate")
        try:
            for number in range(_pragma(connection, "user_version"), len(scripts)):
                connection.execute(scripts[number])
            connection.execute(f"pragma user_version={len(scripts)}; pragma application_id={self._form.application}")
            connection.execute("commit")
        finally:
            if connection.in_transaction:
                connection.execute("rollback")

    @contextmanager
    def _translated(self, doing: str = "") -> Iterator[None]:
        """SQLite's errors as `ConfigProblem` with what to do; the file is as it was before the transaction."""
        try:
            yield
        except KnowhowError:
            raise
        except apsw.Error as error:
            raise _explain(error, doing or self.path) from error
        except OSError as error:
            raise ConfigProblem(f"{doing or self.path}: {error.strerror or error}") from error


_opened: WeakSet[Database] = WeakSet()


def _check_not_forked(databases: Iterable[Database]) -> None:
    """SQLite in a forked child believes it holds its parent's locks, and would write without any."""
    for database in databases:
        if database._process != os.getpid():
            raise UsageProblem(
                f"{database.path} was opened before this process was forked and cannot be used in it: "
                "start worker processes with the method 'spawn', or fork before the workspace is opened"
            )


def _pragma(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute(f"pragma {name}").get)


def migrations(folder: str) -> list[str]:
    """The scripts `0001_….sql`, `0002_….sql` … of a folder under `migrations/`, in order."""
    home = files("knowhow.store").joinpath("migrations", *folder.split("/"))
    return [script.read_text("utf-8") for script in sorted(home.iterdir(), key=lambda f: f.name)]


_REASONS: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "the disk is full; nothing was changed: free some space and run the command again"),
    (apsw.ReadOnlyError, "it cannot be written; nothing was changed: check the permissions of the file and its folder"),
    (apsw.CantOpenError, "it cannot be opened: check that the folder exists and may be read and written"),
    (apsw.NotADBError, "it is not a Knowhow file, or it was overwritten: restore a backup or name another workspace"),
    (apsw.CorruptError, "it is damaged: run `knowhow doctor`, and restore a backup if it cannot repair it"),
    (apsw.BusyError, f"another process has been writing for {BUSY_SECONDS} s: wait for it or stop it, then try again"),
    (apsw.IOError, "the disk reported an error; nothing was changed: check the disk and run `knowhow doctor`"),
)


def _explain(error: apsw.Error, what: str) -> ConfigProblem:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return ConfigProblem(f"{what}: {reason} ({error})")
    return ConfigProblem(f"{what}: {error}: run `knowhow doctor`")
