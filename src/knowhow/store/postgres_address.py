"""Where a PostgreSQL store is: its URL read, its password looked up, and how it is named in messages."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from knowhow.errors import ConfigProblem

SCHEMES = ("postgresql://", "postgres://")
EXAMPLE = "postgresql://knowhow:${DB_PASSWORD}@db.example.org/knowhow"
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,40}")


@dataclass(frozen=True, slots=True)
class Address:
    """`shown` names the store without its password, `options` is what the driver connects with."""

    shown: str
    host: str
    schema: str
    options: Mapping[str, str] = field(repr=False)

    @property
    def on_this_machine(self) -> bool:
        """Whether nothing leaves this machine: a Unix socket, or a loopback address."""
        if not self.host or self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def is_address(text: str) -> bool:
    """Whether `text` names a PostgreSQL store rather than a folder."""
    return text.startswith(SCHEMES)


def read_address(text: str, variables: Mapping[str, str]) -> Address:
    """`postgresql://USER:${VARIABLE}@HOST:PORT/DATABASE?schema=NAME`, the rest of the query going to the driver.

    Without a password the driver looks where psql does: PGPASSWORD, then ~/.pgpass. Raises `ConfigProblem`, which
    never quotes a password.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ConfigProblem(f"store is not a URL that can be read; write it like {EXAMPLE}") from None
    if not is_address(text) or not url.path.strip("/"):
        raise ConfigProblem(f"store does not name a PostgreSQL database; write it like {EXAMPLE}")
    rest = dict(parse_qsl(url.query))
    schema = rest.pop("schema", "knowhow")
    if not _SCHEMA.fullmatch(schema):
        raise ConfigProblem(f"store: {schema!r} cannot be the name of a schema: use a-z, 0-9 and _, 41 at most")
    if "password" in rest:
        raise ConfigProblem(f"store holds a password: name an environment variable in its place, as in {EXAMPLE}")
    host = rest.pop("host", "") or unquote(url.hostname or "")
    database = unquote(url.path.strip("/"))
    options = {"dbname": database, **rest}
    if host:
        options["host"] = host
    if port:
        options["port"] = str(port)
    if url.username:
        options["user"] = unquote(url.username)
    if url.password:
        options["password"] = _password(url.password, variables)
    user = f"{unquote(url.username)}@" if url.username else ""
    shown = f"postgresql://{user}{host}{f':{port}' if port else ''}/{database}?schema={schema}"
    return Address(shown, host, schema, options)


def _password(written: str, variables: Mapping[str, str]) -> str:
    reference = _REFERENCE.fullmatch(written)
    if reference is None:
        raise ConfigProblem(f"store holds a password: name an environment variable in its place, as in {EXAMPLE}")
    if not variables.get(reference[1]):
        raise ConfigProblem(
            f"store takes its password from {reference[1]}, which is not set: set it in the environment"
        )
    return variables[reference[1]]
