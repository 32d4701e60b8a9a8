"""Tools for agents, through the official MCP client: over HTTP with keys, and over stdio with a real process."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

pytest.importorskip("mcp")

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from knowhow.errors import ConfigProblem
from knowhow.server.app import create_app
from knowhow.server.keys import Keys, Role
from knowhow.server.mcp import make_mcp
from knowhow.server.state import Options
from server_world import ASKED, listening, serving, start


async def tell(session: ClientSession, tool: str, **arguments: Any) -> tuple[bool, Any]:
    """Whether a tool failed, and what it said."""
    result = await session.call_tool(tool, arguments)
    return bool(result.is_error), result.structured_content or result.content[0].text  # type: ignore[union-attr]


async def use(session: ClientSession) -> None:
    """What an agent does."""
    await session.initialize()
    assert {tool.name for tool in (await session.list_tools()).tools} == {"search", "ask", "get_document"}
    failed, answer = await tell(session, "ask", question=ASKED)
    assert not failed
    assert "45 days" in answer["answer"]
    assert answer["citations"][0]["uri"] == "returns.md"
    _, found = await tell(session, "search", query="return a laptop", k=2)
    assert found["hits"][0]["uri"] == "returns.md"
    _, document = await tell(session, "get_document", uri="returns.md", start=11)
    assert document["text"].startswith("Laptops")
    assert document["next_start"] is None
    for tool, arguments in (("get_document", {"uri": "salary.md"}), ("search", {"query": ""}), ("nothing", {})):
        failed, said = await tell(session, tool, **arguments)
        assert failed
        assert "90000" not in str(said)


def over_http(address: str, work: Callable[[ClientSession], Awaitable[None]], headers: dict[str, str]) -> None:
    """Runs `work` with a client of the tools at /mcp."""

    async def run() -> None:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            streamable_http_client(f"{address}/mcp", http_client=http) as streams,
            ClientSession(streams[0], streams[1]) as session,
        ):
            await work(session)

    anyio.run(run)


def test_an_agent_uses_the_tools_over_http_with_the_tags_of_its_key(tmp_path: Path) -> None:
    async def read(session: ClientSession) -> None:
        await session.initialize()
        _, document = await tell(session, "get_document", uri="salary.md")
        assert "90000" in document["text"]

    workspace, _ = start(tmp_path)
    with workspace, listening(create_app(workspace, Options(mcp=True)), lifespan="on") as address:
        keys = Keys(workspace.serving.records)
        tokens = [keys.add(name, Role.ASK, frozenset(tags))[1] for name, tags in (("nobody", ()), ("hr", ("hr",)))]
        nobody, hr = ({"authorization": f"Bearer {token}"} for token in tokens)
        over_http(address, use, nobody)
        over_http(address, read, hr)
        assert httpx2.post(f"{address}/mcp", json={}).status_code == 401
        assert httpx2.post(f"{address}/mcp", json={}, headers={"host": "evil.example"}).status_code == 421


def test_without_the_option_there_are_no_tools(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        assert site.client.post("/mcp", json={}).status_code == 404


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, _ = start(tmp_path)
    monkeypatch.setitem(sys.modules, "knowhow.server.mcp", None)
    with workspace, pytest.raises(ConfigProblem, match=r"knowhow-ai\[mcp\]"):
        create_app(workspace, Options(mcp=True))


def test_the_tools_have_a_schema(tmp_path: Path) -> None:
    workspace, _ = start(tmp_path)
    with workspace:
        tools = anyio.run(make_mcp(workspace).list_tools)
    assert {tool.name: sorted(tool.input_schema["properties"]) for tool in tools} == {
        "search": ["k", "query"],
        "ask": ["question"],
        "get_document": ["start", "uri", "version"],
    }


@pytest.mark.real
def test_an_agent_uses_the_tools_over_stdio(tmp_path: Path) -> None:
    workspace, _ = start(tmp_path)
    workspace.close()
    arguments = ["-c", "from knowhow.cli.main import run; run()", "mcp", "-w", str(tmp_path / "desk")]

    async def run() -> None:
        async with (
            stdio_client(StdioServerParameters(command=sys.executable, args=arguments)) as (read, write),
            ClientSession(read, write) as session,
        ):
            await use(session)

    anyio.run(run)
