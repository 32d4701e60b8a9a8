"""One schema of a PostgreSQL server: connections, migrations, transactions, and its failures in clear words."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem
from knowhow.store.files import BUSY_SECONDS, migrations
from knowhow.store.postgres_address import Address
from knowhow.store.postgres_dialect import Transaction, register

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
_LEAST_PGVECTOR = (0, 7)
"""The first with half-precision vectors."""
INSTALL = (
    "install it on the server (Debian: postgresql-NN-pgvector) and let an administrator run: create extension vector"
)


class PostgresDatabase:
    """`knowhow.store.connection.Database` on a server. Thread-safe, but not to be used across a fork.

    Transactions take a connection that is free, or open one, so that there are as many as ever ran at once.
    """

    def __init__(self, address: Address, kind: str) -> None:
        """Connects to the schema and brings its tables up to date, making both where missing.

        `kind` is the folder under `migrations/postgres` whose tables these are. Raises `ConfigProblem`.
        """
        self.path = address.shown
        self._address = address
        self._schema = address.schema if kind == "corpus" else f"{address.schema}_{kind}"
        self._free: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False
        self._columns: dict[str, dict[str, int]] = {}
        with self._translated():
            connection = self._connect()
            try:
                self._migrate(connection, kind)
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        self._free.append(connection)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that sees one state throughout."""
        with self._transaction("begin isolation level repeatable read read only") as open:
            yield open

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that is on the server's disk when the block ends, or undone when it raises; one at a time."""
        with self._transaction("begin") as open:
            open.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", (f"knowhow {self._schema}",))
            yield open

    def damage(self) -> tuple[list[str], str]:
        """(indexes the server calls invalid, versions of server and extension)."""
        with self.reading() as open:
            invalid = open.execute(
                "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid "
                "join pg_namespace n on n.oid = c.relnamespace where n.nspname = ? and not i.indisvalid",
                (self._schema,),
            ).fetchall()
            server = open.execute("show server_version").get
            vector = open.execute("select extversion from pg_extension where extname = 'vector'").get
        return [f"index {name} is invalid" for (name,) in invalid], f"PostgreSQL {server}, pgvector {vector}"

    def mend(self) -> str:
        """ "": a server's administrator makes invalid indexes anew, with `reindex`."""
        return ""

    def tidy(self) -> None:
        """Refreshes the planner's statistics."""
        for table in self._columns:
            self._alone(f"analyze {table}")

    def wipe(self) -> None:
        """Rewrites every table; each is locked meanwhile. The server's log and backups are its administrator's."""
        for table in self._columns:
            self._alone(f"vacuum full {table}")

    def backup(self, path: str) -> None:  # noqa: ARG002
        """Raises `ConfigProblem` naming the server's own tool."""
        both = f"--schema={self._address.schema} --schema={self._address.schema}_state"
        raise ConfigProblem(
            f"{self.path} is backed up with PostgreSQL's tools, while it runs: pg_dump -Fc {both} DATABASE > FILE, and "
            "pg_restore; `knowhow store copy --to FOLDER` makes a copy in files"
        )

    def close(self) -> None:
        """Closes every connection that is free; those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def _alone(self, statement: str) -> None:
        """Runs what cannot run within a transaction."""
        with self._translated():
            connection = self._take()
            try:
                connection.execute(statement.encode())
            finally:
                self._give(connection)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._translated():
            connection = self._begin(begin)
            try:
                yield Transaction(connection, self._columns)
                if begin == "begin":
                    connection.execute("commit")
            finally:
                if not connection.closed and connection.info.transaction_status:
                    connection.execute("rollback")
                self._give(connection)

    def _begin(self, begin: str) -> psycopg.Connection[Any]:
        """A connection with an open transaction; one that the server closed meanwhile is replaced."""
        import psycopg

        connection = self._take()
        try:
            connection.execute(begin.encode())
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            with self._lock:
                self._free = []  # they were open as long
            connection = self._open()
            connection.execute(begin.encode())
        return connection

    def _take(self) -> psycopg.Connection[Any]:
        if self._closed:
            raise UsageProblem(f"{self.path} was closed")
        if self._process != os.getpid():
            raise UsageProblem(
                f"{self.path} was opened before this process was forked and cannot be used in it: "
                "start worker processes with the method 'spawn', or fork before the workspace is opened"
            )
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._open()

    def _give(self, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            if not self._closed and not connection.closed:
                self._free.append(connection)
                return
        connection.close()

    def _open(self) -> psycopg.Connection[Any]:
        connection = self._connect()
        self._prepare(connection)
        return connection

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        options = {"connect_timeout": str(CONNECT_SECONDS), "application_name": "knowhow", **self._address.options}
        connection = psycopg.connect(
            "",
            autocommit=True,
            prepare_threshold=None,
            client_encoding="utf8",
            **options,  # type: ignore[arg-type]
        )
        connection.execute(f"set lock_timeout = '{BUSY_SECONDS}s'".encode())
        return connection

    def _migrate(self, connection: psycopg.Connection[Any], kind: str) -> None:
        scripts = migrations(f"postgres/{kind}")
        if self._format(connection) == len(scripts):
            return
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(hashtextextended('knowhow', 0))")
            version = self._format(connection)
            if version > len(scripts):
                raise ConfigProblem(
                    f"{self.path} has format {version}, this Knowhow reads up to {len(scripts)}: "
                    "upgrade with `pip install --upgrade knowhow-ai`"
                )
            _ensure_extension(connection, self.path)
            connection.execute(f"create schema if not exists {self._schema}".encode())
            self._set_path(connection)
            if not version:
                connection.execute("create table format (version bigint not null)")
                connection.execute("insert into format values (0)")
            for script in scripts[version:]:
                connection.execute(script.encode())
            connection.execute("update format set version = %s", (len(scripts),))

    def _format(self, connection: psycopg.Connection[Any]) -> int:
        """How many migrations were made; 0 where the schema is missing or empty."""
        tables = connection.execute("select tablename from pg_tables where schemaname = %s", (self._schema,)).fetchall()
        if not tables:
            return 0
        if ("format",) not in tables:
            raise ConfigProblem(
                f"schema {self._schema} of {self.path} holds other tables than Knowhow's: "
                "name another in the URL, as in ?schema=knowledge"
            )
        row = connection.execute(f"select version from {self._schema}.format".encode()).fetchone()
        return int(row[0]) if row else 0

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Makes the connection see the schema and read its vectors; learns the tables' columns the first time."""
        self._set_path(connection)
        row = connection.execute("select 'halfvec'::regtype::oid").fetchone()
        assert row is not None
        register(connection, int(row[0]))
        if self._columns:
            return
        rows = connection.execute(
            "select c.relname, a.attname, a.atttypid::bigint from pg_attribute a join pg_class c on c.oid = a.attrelid "
            "join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relkind = 'r' and a.attnum > 0 "
            "and not a.attisdropped order by c.relname, a.attnum",
            (self._schema,),
        ).fetchall()
        columns: dict[str, dict[str, int]] = {}
        for table, column, kind in rows:
            columns.setdefault(table, {})[column] = int(kind)
        self._columns = columns

    def _set_path(self, connection: psycopg.Connection[Any]) -> None:
        """The tables' schema, then the one the extension is in."""
        row = connection.execute(
            "select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace "
            "where e.extname = 'vector'"
        ).fetchone()
        connection.execute(f"set search_path to {self._schema}, {row[0] if row else 'public'}".encode())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The driver's errors as `ConfigProblem` with what to do; nothing of an open transaction was kept."""
        try:
            import psycopg
        except ImportError as error:
            raise ConfigProblem(
                f"{self.path} needs the PostgreSQL driver: pip install 'knowhow-ai[postgres]' ({error})"
            ) from None
        try:
            yield
        except KnowhowError:
            raise
        except psycopg.Error as error:
            raise ConfigProblem(f"{self.path}: {_explain(error)}") from None


def _ensure_extension(connection: psycopg.Connection[Any], shown: str) -> None:
    import psycopg

    try:
        connection.execute("create extension if not exists vector")
    except psycopg.Error as error:
        raise ConfigProblem(f"{shown}: the server has no pgvector ({_first_line(error)}): {INSTALL}") from None
    row = connection.execute("select extversion from pg_extension where extname = 'vector'").fetchone()
    version = tuple(int(part) for part in row[0].split(".")[:2]) if row else (0, 0)
    if version < _LEAST_PGVECTOR:
        raise ConfigProblem(f"{shown}: pgvector {row[0] if row else ''} is older than 0.7: upgrade it on the server")


_STATES: Mapping[str, str] = {
    "53100": "the server's disk is full; nothing was changed: free some space there and run the command again",
    "25006": "the server takes no writes (a replica?); nothing was changed: name the primary server",
    "42501": "the user may not do this; nothing was changed: grant it, or name another user in the URL",
    "55P03": f"another process has been writing for {BUSY_SECONDS} s: wait for it or stop it, then try again",
    "53300": "the server has no connection left: raise its max_connections, or stop some of its clients",
    "57P01": "the server is shutting down; nothing was changed: try again when it is up",
    "3D000": "the database does not exist: create it with createdb, or correct the URL",
    "28P01": "the password is wrong: correct the environment variable that the URL names",
    "28000": "the server refuses this user: correct the user in the URL, or the server's pg_hba.conf",
}
# What the driver reports of a failed connection is words alone.
_WORDS: Mapping[str, str] = {
    "password authentication failed": _STATES["28P01"],
    "no password supplied": "a password is needed: put ${VARIABLE} in its place in the URL and set that variable",
    "pg_hba.conf": _STATES["28000"],
    "role": _STATES["28000"],
    "does not exist": _STATES["3D000"],
    "too many clients": _STATES["53300"],
    "refused": "no server answers there: start it, or correct host and port",
    "No such file": "no server answers there: start it, or correct host and port",
    "timeout expired": "no server answers there: check host, port and firewall",
    "resolve": "there is no such host: correct the URL",
    "translate host": "there is no such host: correct the URL",
    "closed": "the connection to the server broke; what was not acknowledged is not kept: run the command again",
}


def _explain(error: psycopg.Error) -> str:
    """What happened, in one line, and what to do."""
    said = _first_line(error)
    known = _STATES.get(error.sqlstate or "")
    if known is None:
        known = next((reason for words, reason in _WORDS.items() if words in str(error)), "run `knowhow doctor`")
    return f"{known} ({said})"


def _first_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
