"""Nothing reaches a key without the tags through any route: bodies, headers, errors, pages, exports, jobs, at any time.

200 trials by default; KNOWHOW_LEAK_TRIALS=100000 for the full proof (`make prove`).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.testclient import TestClient

from knowhow.ingest.push import PUSHED
from knowhow.server.app import create_app
from knowhow.server.keys import Keys, Role
from test_leaks import TAGS, TOPICS, World

TRIALS = int(os.environ.get("KNOWHOW_LEAK_TRIALS", "200"))
A_WORLD = 100
"""Trials with one corpus, which changes on the way."""


class Site(World):
    """A world behind the application, with keys of every role that hold some of the tags."""

    def __init__(self, home: Path, draw: random.Random) -> None:
        super().__init__(home, draw)
        self.client = TestClient(
            create_app(self.desk), base_url="http://localhost", client=("127.0.0.1", 1), raise_server_exceptions=False
        )
        self.keys: list[tuple[dict[str, str], frozenset[str]]] = []
        keys = Keys(self.desk.serving.records)
        for number in range(8):
            access = frozenset(draw.sample(TAGS, draw.randrange(4)))
            _, token = keys.add(f"k{number}", draw.choice([Role.EDIT, Role.ADMIN]), access, 10**9)
            self.keys.append(({"authorization": f"Bearer {token}"}, access))
        self.asked: list[str] = []
        self.said = ""
        """What this trial itself said, which may come back to it."""

    def put(self) -> None:
        """A document handed over with tags, by whoever holds them all."""
        secret, uri = self.word(), f"{self.word()}.md"
        held = frozenset(self.draw.sample(TAGS, self.draw.choice((0, 1, 2))))
        words = " ".join(self.draw.choices(TOPICS, k=20))
        _, token = Keys(self.desk.serving.records).add(self.word(), Role.EDIT, held)
        reply = self.client.put(
            f"/api/documents/{uri}",
            json={"text": f"The {words} {secret}.", "access": sorted(held), "metadata": {"note": secret}},
            headers={"authorization": f"Bearer {token}"},
        )
        assert reply.status_code == 201, reply.text
        self.secrets.setdefault(uri, {uri.removesuffix(".md")}).add(secret)

    def any_uri(self) -> str:
        """A uri of any document; what is asked for by name may be named in the refusal."""
        uri = self.draw.choice(sorted(self.secrets))
        self.said += uri
        return quote(uri)

    def call(self, method: str, path: str, header: dict[str, str], **more: Any) -> str:
        """Everything the reply holds."""
        reply = self.client.request(method, path, headers=header, **more)
        assert reply.status_code < 500, (method, path, reply.text)
        if trace := reply.headers.get("x-knowhow-trace"):
            self.asked.append(trace)
        return reply.text + repr(dict(reply.headers))


Door = Callable[[Site, dict[str, str], str], str]


def chat(site: Site, header: dict[str, str], words: str) -> str:
    turns = [{"role": "user", "content": words}]
    if site.draw.random() < 0.4:
        turns = [*turns, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "and the rest?"}]
    body = {"model": "rag", "messages": turns, "stream": site.draw.random() < 0.5}
    return site.call("POST", "/v1/chat/completions", header, json=body)


def ask(site: Site, header: dict[str, str], words: str) -> str:
    path = site.draw.choice(["/api/ask", "/api/ask/stream"])
    return site.call("POST", path, header, json={"question": words})


def search(site: Site, header: dict[str, str], words: str) -> str:
    mode = site.draw.choice(["keyword", "vector", "hybrid"])
    return site.call("POST", "/api/search", header, json={"query": words, "k": 50, "mode": mode})


def store(site: Site, header: dict[str, str], words: str) -> str:
    name = site.draw.choice(["default", "docs", PUSHED])
    return site.call("POST", f"/v1/vector_stores/{name}/search", header, json={"query": words})


def listed(site: Site, header: dict[str, str], words: str) -> str:
    limit, removed = site.draw.randrange(1, 6), site.draw.random() < 0.5
    first = site.client.get("/api/documents", params={"limit": limit, "removed": removed}, headers=header)
    after = first.json()["next"]
    return first.text + (site.call("GET", f"/api/documents?cursor={after}", header) if after else "")


def document(site: Site, header: dict[str, str], words: str) -> str:
    kind = site.draw.choice(["documents", "versions", "diff"])
    version = site.draw.choice(["", "?version=1"]) if kind == "documents" else ""
    return site.call("GET", f"/api/{kind}/{site.any_uri()}{version}", header)


def overwrite(site: Site, header: dict[str, str], words: str) -> str:
    uri = site.any_uri()
    told = site.call("PUT", f"/api/documents/{uri}", header, json={"text": words, "access": []})
    # Whether or not that was allowed, what stood there before must not be open now.
    return (
        told
        + site.call("GET", f"/api/versions/{uri}", header)
        + site.call("GET", f"/api/documents/{uri}?version=1", header)
    )


def delete(site: Site, header: dict[str, str], words: str) -> str:
    return site.call("DELETE", f"/api/documents/{site.any_uri()}", header)


def traces(site: Site, header: dict[str, str], words: str) -> str:
    told = site.call("GET", f"/api/traces?limit={site.draw.randrange(1, 30)}", header)
    return told + site.call("GET", f"/api/traces/{site.draw.choice(site.asked or ['0' * 16])}", header)


def feedback(site: Site, header: dict[str, str], words: str) -> str:
    trace = site.draw.choice(site.asked or ["0" * 16])
    told = site.call("POST", "/api/feedback", header, json={"trace_id": trace, "verdict": "down"})
    return told + site.call("GET", "/api/feedback", header)


def quality(site: Site, header: dict[str, str], words: str) -> str:
    return site.call("GET", "/api/quality", header) + site.call("GET", "/api/failures", header)


def suites(site: Site, header: dict[str, str], words: str) -> str:
    name = site.word()
    told = site.call("POST", f"/api/suites/{name}/drafts", header, json={})
    return told + site.call("GET", f"/api/suites/{name}", header)


def jobs(site: Site, header: dict[str, str], words: str) -> str:
    told = site.call("POST", "/api/jobs", header, json={"verb": "ingest", "source": site.draw.choice(["docs", PUSHED])})
    return told + site.call("GET", "/api/jobs", header)


DOORS: tuple[Door, ...] = (
    *(chat, chat, ask, ask, search, search, store, listed, document, document),
    *(overwrite, delete, traces, traces, feedback, quality, suites, jobs),
)


def test_no_route_shows_a_hidden_document(tmp_path: Path) -> None:
    seed = os.environ.get("KNOWHOW_LEAK_SEED", "7")
    found_something = 0
    for number in range(0, TRIALS, A_WORLD):
        leaks = []
        site = Site(tmp_path / str(number), random.Random(f"server {seed}-{number}"))
        with site.desk:
            for trial in range(A_WORLD):
                if trial % 12 == 11:
                    site.put() if site.draw.random() < 0.3 else site.change()
                header, access = site.draw.choice(site.keys)
                door = site.draw.choice(DOORS)
                hidden = site.hidden(access)
                site.said = words = " ".join(site.draw.choices(TOPICS, k=2))
                shown = door(site, header, words)
                found_something += any(word in shown for held in site.secrets.values() for word in held)
                said = {word for held in hidden.values() for word in held if word in shown and word not in site.said}
                if said:
                    leaks.append((number, trial, door.__name__, sorted(access), sorted(said)))
        assert leaks == []
    assert found_something > TRIALS / 4, "the routes must be seen to work"


def test_an_answer_closes_with_the_documents_it_quotes(tmp_path: Path) -> None:
    """Tags tightened after the answer close the answer too, wherever it was copied to."""
    site = Site(tmp_path, random.Random(11))
    with site.desk:
        (site.docs / "plan.md").write_text("# Plan\n\nThe harbour office moves to Zzyzx in March.\n")
        site.sync()
        header = site.keys[0][0]
        reply = site.call("POST", "/api/ask", header, json={"question": "Where does the harbour office move?"})
        assert "Zzyzx" in reply
        (trace,) = site.asked
        site.call("POST", "/api/feedback", header, json={"trace_id": trace, "verdict": "up", "text": "Zzyzx"})
        paths = ["/api/traces", "/api/feedback", f"/api/traces/{trace}"]
        assert all("Zzyzx" in site.call("GET", path, header) for path in paths)
        site.desk.ingest(site.docs, access=frozenset({"sealed"}))
        told = [site.call("GET", path, header) for path in [*paths, "/api/failures", "/api/quality"]]
        told.append(site.call("POST", "/api/suites/x/drafts", header, json={}))
        told.append(site.call("POST", "/api/suites/x/drafts", header, json={"traces": [trace]}))
        told.append(site.call("GET", "/api/suites/x", header))
        assert not [one for one in told if "Zzyzx" in one or "plan.md" in one]
