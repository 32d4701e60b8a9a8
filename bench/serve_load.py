"""How a server bears load: clients that ask without pause, a fake model of known slowness, an ingest beside them.

    python bench/serve_load.py --seconds 300 > docs/results/serve.json

The overhead of an answer is what the client waited beyond the model's own time. Errors are replies that are not 200 or
hold no citation. Memory is the server's resident set, every second. On a machine with few cores the clients take part
of what they measure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

WORDS = "kettle battery contract ticket office train return salary museum harbour paper window letter engine".split()


def write_documents(folder: Path, count: int, seed: int, thing: str) -> None:
    """Small documents about things of one kind, each with one fact that a question can ask for."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        body = " ".join(draw.choices(WORDS, k=120))
        name = f"{thing} {seed}-{number}"
        (folder / f"{number}.md").write_text(
            f"# {name}\n\nThe price of {name} is {number + 7} euros.\n\nNotes: {body}.\n"
        )


def serve(home: Path, latency: float) -> None:
    """The server under test, in a process of its own."""
    from knowhow.backends.fake import FakeChat
    from knowhow.server.app import create_app
    from knowhow.server.run import listen, run
    from knowhow.types import ChatRequest
    from knowhow.workspace import Workspace

    def quote(request: ChatRequest) -> str:
        first = request.passages[0] if request.passages else ""
        return next((line for line in first.splitlines() if line.startswith("The price")), "I do not know.") + " [1]"

    model = FakeChat(quote, latency_s=latency)
    model.requests = deque(maxlen=1)  # type: ignore[assignment]
    with Workspace.open(home) as workspace:
        workspace._parts._opened["chat", "extractive"] = model
        with listen("127.0.0.1", 0) as listening:
            print(listening.getsockname()[1], flush=True)
            run(create_app(workspace), listening)


@contextmanager
def server(home: Path, latency: float) -> Any:
    """Starts it; yields (process id, address)."""
    command = [sys.executable, __file__, "--serve", str(home), "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield process.pid, f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(30)


async def client(
    http: httpx2.AsyncClient, number: int, until: float, latency: float, documents: int
) -> tuple[list[float], list[str]]:
    """One client that asks, reads, and asks again, and judges every tenth answer: its overheads and its errors."""
    draw = random.Random(number)
    found: list[float] = []
    errors: list[str] = []
    await asyncio.sleep(draw.random() * latency)
    while time.monotonic() < until:
        asked = {"role": "user", "content": f"What is the price of item 1-{draw.randrange(documents)}?"}
        started = time.perf_counter()
        try:
            reply = await http.post("/v1/chat/completions", json={"model": "rag", "messages": [asked]})
            took = time.perf_counter() - started
            if reply.status_code != 200 or not reply.json()["choices"][0]["message"]["annotations"]:
                errors.append(reply.text[:300])
                continue
            found.append(took - latency)
            if draw.random() < 0.1:
                judged = {"trace_id": reply.headers["x-knowhow-trace"], "verdict": "up"}
                if (reply := await http.post("/api/feedback", json=judged)).status_code != 201:
                    errors.append(reply.text[:300])
        except httpx2.HTTPError as error:
            errors.append(repr(error))
    return found, errors


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(pid: int, address: str, clients: int, seconds: float, latency: float, documents: int) -> dict[str, Any]:
    """Every client at once for so long."""
    memory: list[int] = []
    before = cpu(pid)
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(base_url=address, timeout=60, limits=limits) as http:
        until = time.monotonic() + seconds
        tasks = [asyncio.create_task(client(http, n, until, latency, documents)) for n in range(clients)]
        while time.monotonic() < until:
            memory.append(resident(pid))
            await asyncio.sleep(1)
        each = await asyncio.gather(*tasks)
    found, errors = [one for times, _ in each for one in times], [one for _, wrong in each for one in wrong]
    used = cpu(pid) - before
    return {**figures(found, seconds), "errors": len(errors), "first_errors": errors[:3], **steady(memory),
            "cpu_ms_per_answer": round(used / max(1, len(found)) * 1000, 2)}  # fmt: skip


def figures(found: Sequence[float], seconds: float) -> dict[str, Any]:
    """Answers a second, and the overhead in milliseconds."""
    times = sorted(1000 * one for one in found)
    at = {
        name: round(times[int(len(times) * share)], 1) if times else None
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    return {"answers": len(times), "per_second": round(len(times) / seconds, 1), "overhead_ms": at}


def steady(memory: Sequence[int]) -> dict[str, Any]:
    """Megabytes at the start of the second tenth, at the end, and their growth."""
    tenth = max(1, len(memory) // 10)
    early, late = statistics.median(memory[tenth : 2 * tenth + 1]), statistics.median(memory[-tenth:])
    return {"rss_mb": [round(early / 1e6, 1), round(late / 1e6, 1)], "rss_growth": round(late / early - 1, 4)}


def ingest_beside(home: Path, address: str) -> str:
    """Starts a job that reads a source with many changed files; returns its id."""
    write_documents(home.parent / "more", 4000, 2, "vessel")
    reply = httpx2.post(f"{address}/api/jobs", json={"verb": "ingest", "source": "more"})
    return str(reply.json()["id"])


def measure(seconds: float, clients: int, latency: float, documents: int) -> dict[str, Any]:
    """Both loads on one server."""
    from knowhow.workspace import Workspace

    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "desk"
        home.mkdir()
        (home / "knowhow.toml").write_text('[recipes.rag]\nmodel = "extractive"\n')
        write_documents(Path(scratch) / "docs", documents, 1, "item")
        write_documents(Path(scratch) / "more", 1, 2, "vessel")
        with Workspace.open(home) as workspace:
            workspace.ingest(Path(scratch) / "docs", name="docs")
            workspace.ingest(Path(scratch) / "more", name="more")
        with server(home, latency) as (pid, address):
            warm = asyncio.run(load(pid, address, clients, min(10, seconds), latency, documents))
            if warm["errors"]:
                raise SystemExit(f"the server fails already: {warm['first_errors']}")
            alone = asyncio.run(load(pid, address, clients, seconds, latency, documents))
            job = ingest_beside(home, address)
            beside = asyncio.run(load(pid, address, clients, min(60, seconds), latency, documents))
            state = httpx2.get(f"{address}/api/jobs/{job}").json()
        told = {"state": state["state"], "progress": state["progress"] and state["progress"]["done"]}
    setup = {
        "clients": clients,
        "seconds": seconds,
        "model_s": latency,
        "documents": documents,
        "cores": os.cpu_count(),
    }
    return {**setup, "alone": alone, "beside_an_ingest": {**beside, "ingest": told}}


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--latency", type=float, default=2.0)
    options.add_argument("--documents", type=int, default=1000)
    options.add_argument("--serve", type=Path)
    given = options.parse_args()
    if given.serve:
        serve(given.serve, given.latency)
    else:
        print(json.dumps(measure(given.seconds, given.clients, given.latency, given.documents), indent=2))
