"""Keys and sessions: who may do what, from when to when."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowhow.cli.main import execute
from knowhow.errors import NotFound, UsageProblem
from knowhow.server.keys import KIND, Keys, Role
from knowhow.server.sessions import COOKIE
from server_world import ASKED, Site, serving

ALL = frozenset({"*"})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as made:
        yield made


def test_without_keys_only_this_machine_is_let_in(site: Site) -> None:
    assert site.client.get("/api/me").json() == {"name": "local", "role": "admin", "access": []}
    assert site.client.get("/api/me", headers={"authorization": "Bearer sk-anything"}).json()["name"] == "local"
    for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
        assert site.client.get("/api/me", headers={header: "10.0.0.1"}).status_code == 401
    site.client._transport.client = ("10.0.0.1", 1)  # type: ignore[attr-defined]
    assert site.client.get("/api/me").status_code == 401


def test_from_the_first_key_on_every_request_needs_one(site: Site) -> None:
    header = site.key("ann", "edit", "hr")
    assert site.client.get("/api/me").status_code == 401
    assert site.client.get("/api/me", headers={"authorization": "Bearer sk-anything"}).status_code == 401
    assert site.client.get("/api/me", headers=header).json() == {"name": "ann", "role": "edit", "access": ["hr"]}
    assert site.client.get("/health").status_code == 200
    keys = Keys(site.workspace.serving.records)
    keys.revoke("ann")
    assert site.client.get("/api/me", headers=header).status_code == 401
    assert site.client.get("/api/me").status_code == 401, "a revoked key must not open the door to everybody"
    keys.revoke("ann", erase=True)
    assert site.client.get("/api/me").status_code == 200


def test_a_token_with_one_wrong_character_is_no_key(site: Site) -> None:
    token = site.key("ann")["authorization"].removeprefix("Bearer ")
    for wrong in (token[:-1], token + "A", token[:-1] + ("A" if token[-1] != "A" else "B"), token[:20], "kh_", "kh_é"):
        assert site.client.get("/api/me", headers={b"authorization": f"Bearer {wrong}".encode()}).status_code == 401


def test_only_a_hash_of_a_key_is_kept(site: Site) -> None:
    token = site.key("ann")["authorization"].removeprefix("Bearer ")
    secret = token.rsplit("_", 1)[-1] if token.count("_") == 2 else token[16:]
    stored = json.dumps([record.body for record in site.workspace.serving.records.select(KIND, ALL)])
    assert secret not in stored
    assert re.search(r'"hash": "[0-9a-f]{64}"', stored)


ROUTES = [
    ("GET", "/api/me", Role.ASK),
    ("GET", "/v1/models", Role.ASK),
    ("POST", "/v1/embeddings", Role.ASK),
    ("POST", "/v1/chat/completions", Role.ASK),
    ("POST", "/v1/vector_stores/default/search", Role.ASK),
    ("POST", "/api/search", Role.ASK),
    ("POST", "/api/ask", Role.ASK),
    ("GET", "/api/documents", Role.ASK),
    ("GET", "/api/traces/0123456789abcdef", Role.FEEDBACK),
    ("POST", "/api/feedback", Role.FEEDBACK),
    ("GET", "/api/traces", Role.EDIT),
    ("GET", "/api/feedback", Role.EDIT),
    ("GET", "/api/quality", Role.EDIT),
    ("GET", "/api/failures", Role.EDIT),
    ("PUT", "/api/documents/x", Role.EDIT),
    ("POST", "/api/documents", Role.EDIT),
    ("DELETE", "/api/documents/x", Role.EDIT),
    ("GET", "/api/suites", Role.EDIT),
    ("PUT", "/api/suites/x", Role.EDIT),
    ("GET", "/api/runs", Role.EDIT),
    ("GET", "/api/runs/x/rows", Role.EDIT),
    ("POST", "/api/jobs", Role.EDIT),
    ("GET", "/api/jobs", Role.EDIT),
    ("POST", "/api/jobs/0123456789abcdef/cancel", Role.EDIT),
    ("POST", "/api/purge/x", Role.ADMIN),
]


def test_each_role_may_do_what_it_says_and_no_more(site: Site) -> None:
    headers = {role: site.key(role.value, role.value) for role in Role}
    for method, path, needed in ROUTES:
        for role in Role:
            status = site.client.request(method, path, headers=headers[role]).status_code
            assert (status != 403) is role.may(needed), (method, path, role, status)
        assert site.client.request(method, path).status_code == 401, (method, path)


def test_every_route_but_three_asks_who_is_there(site: Site) -> None:
    site.key("ann")
    open_ = {"/health", "/session", "/session/end"}
    for path, methods in site.client.get("/api/openapi.json").json()["paths"].items():
        filled = re.sub(r"\{[^}]+\}", "0123456789abcdef", path)
        for method in methods:
            if path not in open_:
                assert site.client.request(method, filled).status_code == 401, (method, path)


def test_a_key_that_asks_too_often_is_told_when_to_go_on(site: Site) -> None:
    header, other = site.key("ann", per_minute=3), site.key("bob")
    assert [site.client.get("/api/me", headers=header).status_code for _ in range(4)] == [200, 200, 200, 429]
    reply = site.client.get("/api/me", headers=header)
    assert 1 <= int(reply.headers["retry-after"]) <= 20
    assert reply.json()["name"] == "rate-limited"
    assert site.client.get("/api/me", headers=other).status_code == 200


def test_a_key_sees_what_its_tags_open(site: Site) -> None:
    question = {"question": "What is the salary of the chief executive?"}
    nobody, hr = site.key("nobody"), site.key("hr", access="hr")
    assert "90000" in site.client.post("/api/ask", json=question, headers=hr).text
    hidden = site.client.post("/api/ask", json=question, headers=nobody)
    assert hidden.status_code == 200
    assert "90000" not in hidden.text
    assert "salary.md" not in hidden.text


def test_a_session_is_a_cookie_that_ends_with_its_key(site: Site) -> None:
    token = site.key("ann", "edit")["authorization"].removeprefix("Bearer ")
    page = {"accept": "text/html"}
    sent = site.client.get("/nowhere?x=1", headers=page, follow_redirects=False)
    assert sent.status_code == 404
    sent = site.client.get("/session-less", headers=page, follow_redirects=False)
    begun = site.client.post("/session", data={"key": token, "next": "//evil.example"}, follow_redirects=False)
    assert (begun.status_code, begun.headers["location"]) == (303, "/")
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token not in cookie
    assert site.client.get("/api/me").json()["name"] == "ann"
    elsewhere = site.client.post("/api/search", json={"query": "x"}, headers={"origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    assert site.client.cookies.get(COOKIE) not in json.dumps(
        [record.body for record in site.workspace.serving.records.select("session", ALL)]
    )
    Keys(site.workspace.serving.records).revoke("ann")
    assert site.client.get("/api/me").status_code == 401


def test_a_session_can_be_ended_and_a_wrong_key_starts_none(site: Site) -> None:
    token = site.key("ann")["authorization"].removeprefix("Bearer ")
    assert site.client.post("/session", data={"key": token + "x"}).status_code == 401
    site.client.post("/session", data={"key": token}, follow_redirects=False)
    stolen = dict(site.client.cookies)
    site.client.post("/session/end", follow_redirects=False)
    site.client.cookies.update(stolen)
    assert site.client.get("/api/me").status_code == 401


def test_keys_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path) as site:
        desk = ["-w", str(site.workspace.folder)]
        assert execute(["keys", "add", "shop", "--role", "feedback", "--access", "hr", "--json", *desk]) == 0
        made = json.loads(capsys.readouterr().out)
        header = {"authorization": f"Bearer {made['key']}"}
        assert site.client.get("/api/me", headers=header).json() == {
            "name": "shop",
            "role": "feedback",
            "access": ["hr"],
        }
        assert execute(["keys", "add", "shop", *desk]) == 2
        assert "revoke it first" in capsys.readouterr().err
        assert execute(["keys", "add", "x", "--role", "boss", *desk]) == 2
        assert execute(["keys", "list", "--json", *desk]) == 0
        (row,) = json.loads(capsys.readouterr().out.split("\n", 0)[0])
        assert "hash" not in row
        assert "key" not in row
        assert execute(["keys", "revoke", "shop", *desk]) == 0
        assert site.client.get("/api/me", headers=header).status_code == 401
        assert execute(["keys", "revoke", "shop", *desk]) == 4


def test_names_of_keys_are_checked(site: Site) -> None:
    keys = Keys(site.workspace.serving.records)
    for name in ("", " ", "a b", "x" * 65, "../x"):
        with pytest.raises(UsageProblem, match="no name"):
            keys.add(name, Role.ASK)
    with pytest.raises(NotFound):
        keys.revoke("nobody")
    assert site.client.post("/api/ask", json={"question": ASKED}).status_code == 200
