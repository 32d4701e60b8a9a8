"""Documents over HTTP: put, uploaded, listed, compared, taken away, erased; and never over what one may not see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_world import RETURNS, Site, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as made:
        yield made


def test_a_document_put_answers_at_once_and_its_new_version_too(site: Site) -> None:
    put = {"text": "# Opening\n\nThe shop opens at 9 in the morning.", "media_type": "text/markdown"}
    first = site.client.put("/api/documents/wiki%3A%2F%2Fshop%2F1", json=put | {"metadata": {"space": "shop"}})
    assert (first.status_code, first.json()["uri"], first.json()["version"]) == (201, "wiki://shop/1", 1)
    assert first.json()["title"] == "Opening"
    assert "9 in the morning" in site.ask("When does the shop open?")["answer"]
    again = site.client.put("/api/documents/wiki://shop/1", json=put | {"metadata": {"space": "shop"}})
    assert (again.status_code, again.json()["changed"], again.json()["version"]) == (200, False, 1)
    put["text"] = put["text"].replace("9", "10")
    assert site.client.put("/api/documents/wiki://shop/1", json=put).json()["version"] == 2
    answer = site.ask("When does the shop open?")
    assert "10 in the morning" in answer["answer"]
    assert answer["citations"][0]["heading"] == ["Opening"]
    diff = site.client.get("/api/diff/wiki://shop/1").json()
    assert "-The shop opens at 9" in diff["diff"]
    assert [row["version"] for row in site.client.get("/api/versions/wiki://shop/1").json()["items"]] == [2, 1]
    old = site.client.get("/api/documents/wiki://shop/1?version=1").json()
    assert "at 9" in old["text"]
    gone = site.client.delete("/api/documents/wiki://shop/1")
    assert gone.json()["state"] == "removed"
    assert site.ask("When does the shop open?")["abstained"] is True
    assert site.client.delete("/api/documents/wiki://shop/1").status_code == 404


def test_a_document_of_a_folder_is_changed_there(site: Site) -> None:
    put = site.client.put("/api/documents/returns.md", json={"text": "no"})
    assert (put.status_code, put.json()["name"]) == (400, "usage-problem")
    assert "source 'docs'" in put.json()["detail"]
    assert site.client.delete("/api/documents/returns.md").status_code == 400
    assert "45 days" in site.client.get("/api/documents/returns.md").json()["text"]


def test_files_are_uploaded_through_the_sandbox(site: Site) -> None:
    files = [
        ("files", ("../../hours.md", b"# Hours\n\nThe workshop opens at 7.", "text/markdown")),
        ("files", ("broken.pdf", b"%PDF-1.7 nothing", "application/pdf")),
    ]
    reply = site.client.post("/api/documents", files=files)
    assert reply.status_code == 201
    good, bad = reply.json()["items"]
    assert (good["uri"], good["state"], good["source"]) == ("uploads/hours.md", "ready", "uploads")
    assert (bad["state"], bad["reason"]) == ("failed", "damaged")
    assert "opens at 7" in site.ask("When does the workshop open?")["answer"]
    kept = site.workspace.folder / ".knowhow" / "uploads"
    assert sorted(os.listdir(kept)) == ["broken.pdf", "hours.md"]
    site.client.post("/api/documents", files=[("files", ("hours.md", b"# Hours\n\nThe workshop opens at 8.", ""))])
    assert "opens at 8" in site.ask("When does the workshop open?")["answer"]
    assert site.client.delete("/api/documents/uploads/hours.md").json()["state"] == "removed"
    assert os.listdir(kept) == ["broken.pdf"]


@pytest.mark.parametrize("name", ["..", ".", "/", "\\", "...", " "])
def test_a_name_that_is_none_is_refused(site: Site, name: str) -> None:
    reply = site.client.post("/api/documents", files=[("files", (name, b"x", "text/plain"))])
    assert reply.status_code in (400, 422), reply.text


def test_nobody_writes_over_or_among_what_they_may_not_see(site: Site) -> None:
    admin, ann, bob = site.key("admin", "admin", "*"), site.key("ann", "edit", "hr"), site.key("bob", "edit", "shop")
    secret = {"text": "The bonus is 5000 euros.", "access": ["hr"]}
    assert site.client.put("/api/documents/bonus", json=secret, headers=ann).status_code == 201
    over = site.client.put("/api/documents/bonus", json={"text": "mine", "access": []}, headers=bob)
    assert over.status_code == 404
    assert "5000" not in over.text
    assert site.client.delete("/api/documents/bonus", headers=bob).status_code == 404
    assert site.client.post("/api/purge/bonus", headers=bob).status_code == 403
    given = site.client.put("/api/documents/plant", json={"text": "x", "access": ["hr"]}, headers=bob)
    assert (given.status_code, "hold no tag 'hr'" in given.json()["detail"]) == (400, True)
    files = [("files", ("pay.md", b"The pay is 1.", "text/plain"))]
    assert site.client.post("/api/documents", files=files, data={"access": "hr"}, headers=ann).status_code == 201
    assert site.client.post("/api/documents", files=files, headers=bob).status_code == 404
    assert site.client.delete("/api/documents/bonus", headers=ann).status_code == 200
    # Over a removed document neither: its versions would be open then.
    assert site.client.put("/api/documents/bonus", json={"text": "mine", "access": []}, headers=bob).status_code == 404
    assert site.client.put("/api/documents/bonus", json={"text": "new"}, headers=ann).json()["access"] == ["hr"]
    assert site.client.get("/api/documents/bonus", headers=bob).status_code == 404
    assert site.client.post("/api/purge/bonus", headers=admin).json()["versions"] == 2
    assert site.client.get("/api/versions/bonus", headers=ann).status_code == 404


def test_pages_hold_every_document_once_while_others_come(site: Site) -> None:
    for number in range(7):
        site.client.put(f"/api/documents/n/{number}", json={"text": f"Text {number}."})
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = site.client.get("/api/documents", params=params).json()
        seen += [item["uri"] for item in body["items"]]
        cursor = body["next"]
        if cursor is None:
            break
        site.client.put("/api/documents/a", json={"text": f"Before all, {len(seen)}."})
    assert seen == sorted(set(seen))
    assert [uri for uri in seen if uri != "a"] == [f"n/{n}" for n in range(7)] + ["returns.md", "shipping.md"]
    for wrong in ("x", "e30", "W10", "WzFd", "bnVsbA"):
        assert site.client.get("/api/documents", params={"cursor": wrong}).status_code == 400


def test_a_write_sent_twice_under_one_key_is_done_once(site: Site) -> None:
    trace = site.ask()["trace_id"]
    body = {"trace_id": trace, "verdict": "up"}
    sent = [site.client.post("/api/feedback", json=body, headers={"idempotency-key": "k1"}) for _ in range(2)]
    assert [reply.status_code for reply in sent] == [201, 201]
    assert sent[0].json() == sent[1].json()
    assert "idempotency-replayed" not in sent[0].headers
    assert sent[1].headers["idempotency-replayed"] == "true"
    other = site.client.post("/api/feedback", json=body | {"verdict": "down"}, headers={"idempotency-key": "k1"})
    assert other.status_code == 422
    assert len(site.client.get("/api/feedback").json()["items"]) == 1
    wrong = {"trace_id": trace, "verdict": "correct"}
    for _ in range(2):  # what failed is tried again
        reply = site.client.post("/api/feedback", json=wrong, headers={"idempotency-key": "k2"})
        assert (reply.status_code, "idempotency-replayed" in reply.headers) == (400, False)


def test_a_remembered_reply_is_only_for_who_got_it(site: Site) -> None:
    ann, bob = site.key("ann", "edit"), site.key("bob", "edit")
    for header, replayed in ((ann, False), (ann, True), (bob, False)):
        reply = site.client.put("/api/documents/x", json={"text": "One."}, headers=header | {"idempotency-key": "k"})
        assert ("idempotency-replayed" in reply.headers) is replayed
    assert (
        site.client.put("/api/documents/x", json={"text": "One."}, headers={"idempotency-key": "k"}).status_code == 401
    )


def test_an_uploaded_text_that_names_tags_badly_is_not_shown(site: Site) -> None:
    put = {"text": "---\naccess: [hr, {\n---\nSecret.", "media_type": "text/markdown"}
    reply = site.client.put("/api/documents/x", json=put)
    assert (reply.status_code, reply.json()["name"]) == (422, "unreadable-file")
    assert site.client.get("/api/documents/x").status_code == 404
    tagged = {"text": "---\naccess: hr\n---\n# T\n\nSecret.", "media_type": "text/markdown"}
    assert site.client.put("/api/documents/y", json=tagged).json()["access"] == ["hr"]
    assert site.client.get("/api/documents/y").status_code == 404
    assert RETURNS.split("\n")[2] in site.client.get("/api/documents/returns.md").json()["text"]
