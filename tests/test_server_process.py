"""A real server process: the official clients unchanged, killed under load, stopped in peace."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import openai
import pytest

from knowhow.workspace import Workspace
from server_world import ASKED, start

pytestmark = pytest.mark.real
NODE_CLIENT = Path(os.environ.get("KNOWHOW_NODE_CLIENT", Path(__file__).parents[1] / ".venv" / "node"))
"""A folder with OpenAI's client for Node; `make test-real` makes one."""


@contextmanager
def server(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`knowhow serve` on a free port, with its address."""
    command = [sys.executable, "-c", "from knowhow.cli.main import run; run()", "serve", "--port", "0", "-w", str(home)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = process.stderr.readline().split()[2]
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    try:
        yield process, address
    finally:
        process.terminate()
        process.wait(30)
        drain.join()
        process.stderr.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    workspace, _ = start(tmp_path)
    workspace.close()
    return workspace.folder


def test_the_python_client_works_unchanged(home: Path) -> None:
    with server(home) as (_, address):
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="any")
        said = client.chat.completions.create(model="rag", messages=[{"role": "user", "content": ASKED}])
        assert "45 days" in (said.choices[0].message.content or "")
        chunks = client.chat.completions.create(model="rag", messages=[{"role": "user", "content": ASKED}], stream=True)
        assert "45 days" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        with client.chat.completions.stream(model="rag", messages=[{"role": "user", "content": ASKED}]) as stream:
            assert "45 days" in (stream.get_final_completion().choices[0].message.content or "")
        assert "rag" in {model.id for model in client.models.list()}
        assert len(client.embeddings.create(model="static", input="laptop").data[0].embedding) == 256
        assert client.vector_stores.search("default", query="laptop").data[0].file_id == "returns.md"


SCRIPT = """
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.argv[2] + '/v1', apiKey: 'any' });
const messages = [{ role: 'user', content: process.argv[3] }];
const said = await client.chat.completions.create({ model: 'rag', messages });
let streamed = '';
for await (const chunk of await client.chat.completions.create({ model: 'rag', messages, stream: true }))
  streamed += chunk.choices[0]?.delta?.content ?? '';
const models = []; for await (const model of client.models.list()) models.push(model.id);
const vector = (await client.embeddings.create({ model: 'static', input: 'laptop' })).data[0].embedding;
const hits = [];
for await (const hit of client.vectorStores.search('default', { query: 'laptop' })) hits.push(hit.file_id);
let problem = '';
try { await client.chat.completions.create({ model: 'none', messages }); }
catch (error) { problem = error.constructor.name; }
const norm = Math.hypot(...vector), dims = vector.length;
console.log(JSON.stringify({ said: said.choices[0].message, streamed, models, dims, norm, hits, problem }));
"""


def test_the_node_client_works_unchanged(home: Path, tmp_path: Path) -> None:
    if shutil.which("node") is None or not (NODE_CLIENT / "node_modules" / "openai").is_dir():
        pytest.skip(f"needs node and {NODE_CLIENT}/node_modules/openai: npm install --prefix {NODE_CLIENT} openai")
    script = tmp_path / "client.mjs"
    script.write_text(SCRIPT)
    (tmp_path / "node_modules").symlink_to((NODE_CLIENT / "node_modules").resolve())
    with server(home) as (_, address):
        done = subprocess.run(
            ["node", str(script), address, ASKED], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "45 days" in told["said"]["content"]
    assert told["said"]["annotations"][0]["type"] == "url_citation"
    assert told["streamed"] == told["said"]["content"]
    assert "rag" in told["models"]
    assert (told["dims"], round(told["norm"], 2)) == (256, 1.0)
    assert told["hits"][0] == "returns.md"
    assert told["problem"] == "NotFoundError"


def test_killed_under_load_no_acknowledged_write_is_lost(home: Path) -> None:
    kept: dict[str, str] = {}
    judged: list[str] = []
    jobs: list[str] = []
    numbers = itertools.count()

    def write(address: str, number: int) -> None:
        with httpx2.Client(base_url=address, timeout=20) as http:
            for count in numbers:
                uri, text = f"load/{number}/{count % 5}", f"Client {number} wrote this as number {count}."
                try:
                    if http.put(f"/api/documents/{uri}", json={"text": text}).status_code == 201:
                        kept[uri] = text
                    trace = http.post("/api/ask", json={"question": f"What did client {number} write?"}).json()
                    given = http.post("/api/feedback", json={"trace_id": trace["trace_id"], "verdict": "up"})
                    if given.status_code == 201:
                        judged.append(given.json()["id"])
                    if not jobs:
                        jobs.append(http.post("/api/jobs", json={"verb": "ingest", "source": "docs"}).json()["id"])
                except (httpx2.HTTPError, ValueError, KeyError):
                    return

    for _ in range(3):
        with server(home) as (process, address):
            writers = [threading.Thread(target=write, args=(address, number)) for number in range(8)]
            for writer in writers:
                writer.start()
            wanted, deadline = len(judged) + 20, time.monotonic() + 60
            while len(judged) < wanted and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            for writer in writers:
                writer.join()
    assert len(judged) >= 60
    with Workspace.open(home) as workspace:
        for uri, text in kept.items():
            # A write that was not acknowledged any more may have come after it, never one before.
            found = workspace.document(uri).text
            assert int(found.rstrip(".").split()[-1]) >= int(text.rstrip(".").split()[-1]) or found == text, uri
        records = workspace.serving.records
        everything = frozenset({"*"})
        assert all(records.get("feedback", id, everything) for id in judged)
        assert all(records.get("job", id, everything) for id in jobs)
        assert not [check for check in workspace.check() if not check.ok]
    with server(home) as (_, address):
        deadline = time.monotonic() + 60
        states = {""}
        while states != {"done"} and time.monotonic() < deadline:
            states = {httpx2.get(f"{address}/api/jobs/{id}").json()["state"] for id in jobs}
            time.sleep(0.5)
        assert states == {"done"}


def test_told_to_stop_it_ends_streams_and_finishes_what_is_at_hand(home: Path) -> None:
    with server(home) as (process, address):
        id = httpx2.post(f"{address}/api/jobs", json={"verb": "ingest", "source": "docs"}).json()["id"]
        with httpx2.stream("GET", f"{address}/api/jobs/{id}/events", timeout=30) as events:
            next(events.iter_lines())
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            assert process.wait(30) == 0
            assert time.monotonic() - started < 15
    with Workspace.open(home) as workspace:
        assert workspace.serving.records.get("job", id, frozenset({"*"})).body["state"] in ("queued", "done")  # type: ignore[union-attr]
