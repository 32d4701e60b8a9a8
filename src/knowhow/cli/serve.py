"""Commands about the server: serve, and the keys it asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_access
from knowhow.cli.output import clean, note, table, write, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from knowhow.server.keys import Key

ROLES = ("ask", "feedback", "edit", "admin")
MB = 1024**2
Name = Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")]


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others than this machine need keys.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8642,
    host_name: Annotated[
        list[str] | None, typer.Option("--host-name", metavar="NAME", help="A name it answers to (repeatable).")
    ] = None,
    asks: Annotated[int, typer.Option("--asks", min=1, max=1000, help="Questions answered at once.")] = 64,
    max_body: Annotated[int, typer.Option("--max-body", min=1, metavar="MB", help="Largest request.")] = 64,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Until a reply must have begun.")] = 300,
    mcp: Annotated[bool, typer.Option("--mcp", help="Also offer tools for agents at /mcp.")] = False,
    otel: Annotated[
        bool, typer.Option("--otel", help="Send spans to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.")
    ] = False,
    workspace: options.In = None,
) -> None:
    """Answer over HTTP, for any OpenAI client.

    The verbs are under /api, and the reference of every route in docs/api.md.
    It listens on this machine only, unless there are keys (`knowhow keys add`).

    \b
    Example: knowhow serve
             knowhow serve --host 0.0.0.0 --host-name knowhow.example.org
    """
    from knowhow.server.app import create_app
    from knowhow.server.guard import LOOPBACK
    from knowhow.server.keys import Keys
    from knowhow.server.run import listen, refuse_open, run
    from knowhow.server.state import Options
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        refuse_open(Keys(opened.serving.records), host)
        local = (*LOOPBACK, *(host_name or ()))
        hosts = local if host in LOOPBACK else tuple(host_name or ())
        app = create_app(opened, Options(hosts, max_body * MB, seconds, asks, mcp, otel))
        with listen(host, port) as listening:
            shown, taken = listening.getsockname()[:2]
            note(f"listening at http://{f'[{shown}]' if ':' in shown else shown}:{taken}  (stop with Ctrl-C)")
            run(app, listening)


def mcp(access: options.Access = None, workspace: options.In = None) -> None:
    """Offer tools to an agent (Model Context Protocol).

    They are search, ask and get_document, over stdio.

    \b
    Example: knowhow mcp -w support-desk --access shop
    """
    from knowhow.errors import ConfigProblem
    from knowhow.workspace import Workspace

    try:
        from knowhow.server.mcp import make_mcp
    except ImportError:
        raise ConfigProblem("tools for agents need an extra: pip install 'knowhow-ai[mcp]'") from None
    with Workspace.open(workspace) as opened:
        make_mcp(opened, read_access(access)).run("stdio")


def keys_add(
    name: Name,
    role: Annotated[str, typer.Option("--role", metavar="|".join(ROLES), help="What it may do.")] = "ask",
    access: options.Access = None,
    per_minute: Annotated[int, typer.Option("--per-minute", min=1, help="Requests it may make in a minute.")] = 600,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Make an API key and show it, this once.

    Roles: ask (search, ask, read), feedback (and judge answers), edit (and change documents, start jobs), admin.
    As soon as there is a key, every request needs one.

    \b
    Example: knowhow keys add shop --role ask --access shop
    """
    from knowhow.errors import UsageProblem
    from knowhow.server.keys import Keys, Role
    from knowhow.workspace import Workspace

    if role not in ROLES:
        raise UsageProblem(f"--role {role} must be one of {', '.join(ROLES)}")
    with Workspace.open(workspace) as opened:
        keys = Keys(opened.serving.records)
        key, token = keys.add(name, Role(role), read_access(access) or frozenset(), per_minute)
    if as_json:
        write_json({**key.to_json(), "key": token})
    else:
        write(token)
        note(f"{_told(key)}; it is not shown again")


def keys_list(workspace: options.In = None, as_json: options.AsJson = False) -> None:
    """List API keys, revoked ones included; the keys themselves are not kept.

    \b
    Example: knowhow keys list
    """
    found = _keys(workspace)
    if as_json:
        write_json([key.to_json() for key in found])
    elif not found:
        note("no keys: only this machine may ask; `knowhow keys add NAME` makes one")
    else:
        head = ("name", "role", "access", "per minute", "made", "revoked")
        table(head, [(*_row(key), _day(key.made), _day(key.revoked)) for key in found])


def keys_revoke(
    name: Name,
    erase: Annotated[bool, typer.Option("--erase", help="Also forget that it was there.")] = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """End an API key at once, also in a running server.

    When every key is erased, the server asks for none again.

    \b
    Example: knowhow keys revoke shop
    """
    from knowhow.server.keys import Keys
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        key = Keys(opened.serving.records).revoke(name, erase=erase)
    if as_json:
        write_json(key.to_json())
    else:
        write(f"{'erased' if erase else 'revoked'}: {clean(key.name)}")


def _keys(workspace: Path | None) -> list[Key]:
    from knowhow.server.keys import Keys
    from knowhow.workspace import Workspace

    with Workspace.open(workspace) as opened:
        return Keys(opened.serving.records).all()


def _row(key: Key) -> tuple[str, str, str, int]:
    return key.name, key.role.value, ",".join(sorted(key.access)) or "-", key.per_minute


def _told(key: Key) -> str:
    tags = f"documents with the tags {', '.join(sorted(key.access))}" if key.access else "documents without tags"
    return f"the key {key.name} has the role {key.role} and sees {tags}"


def _day(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).date().isoformat()
