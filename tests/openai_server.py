"""A server on loopback that speaks the OpenAI protocol with a fake model, and plays any fault it is told to."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from knowhow.backends.fake import FakeEmbedder, FakeReranker

REPLY = "The return window is 45 days [1]."
KEY = "sk-right-key"


@dataclass
class Fault:
    """What the next request gets instead of an answer."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    drop: bool = False
    """Close the connection without a word."""


@dataclass
class Server:
    """A running server: its URL, what it was asked, and what it will do wrong, one fault a request."""

    url: str
    requests: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """(path, JSON body, headers with lowercase names)"""
    faults: list[Fault] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: ["fake"])
    answers: dict[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    """path = what to answer instead of the usual"""
    chunks: list[Any] | None = None
    """Events of the next stream instead of the usual ones; a string is sent as it is."""

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").removesuffix("/v1")


@contextmanager
def serving() -> Iterator[Server]:
    """Runs the server on a free port until the block ends."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1")
    http.server = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._handle({})

    def do_POST(self) -> None:
        self._handle(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _handle(self, body: dict[str, Any]) -> None:
        server: Server = self.server.server  # type: ignore[attr-defined]
        server.requests.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
        if server.faults:
            self._fail(server.faults.pop(0))
        elif self.path in server.answers:
            self._send(json.dumps(server.answers[self.path](body)))
        elif self.path == "/v1/models":
            self._send(json.dumps({"object": "list", "data": [{"id": name} for name in server.models]}))
        elif self.path == "/v1/chat/completions":
            self._stream(server, body) if body.get("stream") else self._send(json.dumps(completion(body)))
        elif self.path == "/v1/embeddings":
            self._send(json.dumps(embeddings(body)))
        elif self.path == "/v1/rerank":
            self._send(json.dumps(reranked(body)))
        else:
            self._send(json.dumps({"error": {"message": "no such path"}}), status=404)

    def _fail(self, fault: Fault) -> None:
        time.sleep(fault.wait_s)
        if fault.drop:
            self.close_connection = True
            return
        self._send(fault.body, fault.status, fault.headers)

    def _stream(self, server: Server, body: dict[str, Any]) -> None:
        events = usual_chunks(body) if server.chunks is None else server.chunks
        server.chunks = None
        lines = [event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n" for event in events]
        self._send("".join(lines), headers={"content-type": "text/event-stream"})

    def _send(self, text: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in ({"content-type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """A whole chat completion; one word is one token."""
    words, cut = _words(body)
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(words)},
        "finish_reason": "length" if cut else "stop",
    }
    if body.get("logprobs"):
        choice["logprobs"] = {
            "content": [_logprob(word) | {"top_logprobs": [_logprob(word), _logprob("?")]} for word in words]
        }
    return {"id": "1", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": _usage(body)}


def _logprob(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -1.0 if token == "?" else -0.5}


def usual_chunks(body: dict[str, Any]) -> list[Any]:
    words, cut = _words(body)
    chunks: list[Any] = [chunk({"content": word}) for word in words]
    chunks.append(chunk({}, "length" if cut else "stop"))
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({"object": "chat.completion.chunk", "choices": [], "usage": _usage(body)})
    return [*chunks, "data: [DONE]\n\n"]


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "1", "object": "chat.completion.chunk", "choices": choices}


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    rows = FakeEmbedder().documents(body["input"]) * 3  # not of length 1
    encode = body.get("encoding_format") == "base64"
    data = [
        {"index": i, "embedding": base64.b64encode(row.tobytes()).decode() if encode else row.tolist()}
        for i, row in enumerate(rows)
    ]
    return {"object": "list", "model": body["model"], "data": data[::-1]}


def reranked(body: dict[str, Any]) -> dict[str, Any]:
    scores = FakeReranker().scores(body["query"], body["documents"])
    results = [{"index": i, "relevance_score": float(score)} for i, score in enumerate(scores)]
    return {"results": sorted(results, key=lambda result: -result["relevance_score"])}


def _words(body: dict[str, Any]) -> tuple[list[str], bool]:
    words = [word + " " for word in REPLY.split()]
    words[-1] = words[-1].strip()
    most = body.get("max_tokens") or body.get("max_completion_tokens") or len(words)
    return words[:most], most < len(words)


def _usage(body: dict[str, Any]) -> dict[str, Any]:
    prompt = sum(len(message["content"].split()) for message in body["messages"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(_words(body)[0]),
        "prompt_tokens_details": {"cached_tokens": 2},
    }
