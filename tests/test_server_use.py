"""Traces, feedback, live quality, suites, runs and jobs over HTTP, as a team uses them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server_world import ASKED, Site, serving

EXAMPLE = {"id": "a", "question": ASKED, "expect": {"facts": [["45 days"]]}, "group": "g"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as made:
        yield made


def get(site: Site, path: str, **params: Any) -> Any:
    reply = site.client.get(path, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_answers_and_feedback_are_seen_and_become_a_suite(site: Site) -> None:
    answered = site.ask()["trace_id"]
    declined = site.ask("Who is the mayor of Brightwater?")["trace_id"]
    judged = {"trace_id": answered, "verdict": "correct", "text": "45 days from delivery"}
    given = site.client.post("/api/feedback", json=judged)
    assert (given.status_code, given.json()["by"]) == (201, "local")
    rows = get(site, "/api/traces")["items"]
    assert [(row["trace_id"], row["outcome"]) for row in rows] == [
        (declined, "nothing-relevant"),
        (answered, "answered"),
    ]
    assert [row["trace_id"] for row in get(site, "/api/traces", outcome="answered")["items"]] == [answered]
    first = get(site, "/api/traces", limit=1)
    assert get(site, "/api/traces", limit=1, cursor=first["next"])["items"][0]["trace_id"] == answered
    assert get(site, f"/api/traces/{answered}")["feedback"][0]["verdict"] == "correct"
    (day,) = get(site, "/api/quality")["days"]
    assert (day["asked"], day["declined"], day["feedback"]) == (2, {"nothing-relevant": 1}, {"correct": 1})
    assert day["p50_ms"] > 0
    assert sum(cluster["count"] for cluster in get(site, "/api/failures")["clusters"]) == 2
    made = site.client.post("/api/suites/real/drafts", json={"judged_only": True})
    assert (made.status_code, made.json()["drafts"]) == (201, 1)
    assert site.client.post("/api/suites/real/drafts", json={"traces": [answered]}).json()["added"] == []
    (example,) = get(site, "/api/suites/real")["items"]
    assert example["question"] == ASKED
    assert example["draft"] is True
    assert site.client.post("/api/suites/real/drafts", json={"traces": ["0" * 16]}).status_code == 404


def test_wrong_feedback_is_told(site: Site) -> None:
    trace = site.ask()["trace_id"]
    for body, status in (
        ({"trace_id": trace, "verdict": "correct"}, 400),
        ({"trace_id": "0" * 16, "verdict": "up"}, 404),
        ({"trace_id": trace, "verdict": "love"}, 422),
        ({"trace_id": trace[:4], "verdict": "up"}, 422),
    ):
        assert site.client.post("/api/feedback", json=body).status_code == status


def test_suites_are_written_whole_or_not_at_all(site: Site) -> None:
    assert get(site, "/api/suites") == {"items": []}
    assert site.client.put("/api/suites/shop", json={"examples": [EXAMPLE]}).json()["examples"] == 1
    bad = site.client.put("/api/suites/shop", json={"examples": [EXAMPLE, {"id": "b"}, EXAMPLE]})
    assert bad.status_code == 400
    assert "line 2" in bad.json()["detail"]
    assert str(site.workspace.folder) not in bad.text
    assert get(site, "/api/suites")["items"] == [{"name": "shop", "examples": 1, "drafts": 0}]
    assert site.client.put("/api/suites/..%2Fx", json={"examples": [EXAMPLE]}).status_code in (400, 404)
    assert site.client.get("/api/suites/nope").status_code == 404
    many = [{**EXAMPLE, "id": f"e{n}"} for n in range(5)]
    site.client.put("/api/suites/many", json={"examples": many})
    first = get(site, "/api/suites/many", limit=3)
    rest = get(site, "/api/suites/many", limit=3, cursor=first["next"])
    assert [one["id"] for one in first["items"] + rest["items"]] == [one["id"] for one in many]
    assert rest["next"] is None


def test_who_lacks_the_tags_of_a_suite_neither_sees_nor_runs_nor_replaces_it(site: Site) -> None:
    ann, bob = site.key("ann", "edit", "hr"), site.key("bob", "edit")
    suite = {"examples": [EXAMPLE, {**EXAMPLE, "id": "b", "access": ["hr"]}]}
    assert site.client.put("/api/suites/pay", json=suite, headers=ann).status_code == 200
    assert [one["id"] for one in site.client.get("/api/suites/pay", headers=bob).json()["items"]] == ["a"]
    started = {"verb": "evaluate", "suite": "pay"}
    assert site.client.post("/api/jobs", json=started, headers=bob).status_code == 403
    assert site.client.put("/api/suites/pay", json=suite, headers=bob).status_code == 403
    assert site.client.post("/api/jobs", json=started, headers=ann).status_code == 202


def follow(site: Site, id: str) -> Any:
    """The last event of a job."""
    with site.client.stream("GET", f"/api/jobs/{id}/events") as reply:
        events = [json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: ")]
    assert [event["state"] for event in events][-1] in ("done", "failed", "cancelled")
    return events[-1]


def test_an_evaluation_is_started_followed_and_read(site: Site) -> None:
    site.client.put("/api/suites/shop", json={"examples": [EXAMPLE]})
    started = site.client.post("/api/jobs", json={"verb": "evaluate", "suite": "shop", "gates": ["content>=0.5"]})
    assert started.status_code == 202
    done = follow(site, started.json()["id"])
    assert (done["state"], done["outcome"]) == ("done", "ok"), done
    run = done["result"]["run_id"]
    assert get(site, f"/api/runs/{run}")["n"] == 1
    assert [row["run_id"] for row in get(site, "/api/runs")["items"]] == [run]
    (row,) = get(site, f"/api/runs/{run}/rows")["items"]
    assert row["verdicts"]["content"]["outcome"] == "pass"
    assert get(site, f"/api/runs/{run}/rows", failed=True)["items"] == []
    assert get(site, "/api/jobs")["items"][0]["id"] == started.json()["id"]


def test_a_known_source_is_read_again_and_hidden_names_stay_hidden(tmp_path: Path) -> None:
    with serving(tmp_path, own=True) as site:
        read_again(site)


def read_again(site: Site) -> None:
    (site.docs / "new.md").write_text("# New\n\nThe museum opens at noon.")
    (site.docs / "secret-plan.md").write_text("---\naccess: hr\n---\n# Plan\n\nWe move.")
    bob = site.key("bob", "edit")
    admin = site.key("admin", "admin", "*")
    started = site.client.post("/api/jobs", json={"verb": "ingest", "source": "docs"}, headers=bob).json()
    site.client.headers.update(bob)
    done = follow(site, started["id"])
    assert (done["state"], done["result"]["added"]) == ("done", 2)
    assert "secret-plan" not in json.dumps(done)
    assert str(site.docs) not in json.dumps(done)
    whole = site.client.get(f"/api/jobs/{started['id']}", headers=admin).json()
    assert sorted(whole["result"]["added"]) == ["new.md", "secret-plan.md"]
    assert "noon" in site.ask("When does the museum open?")["answer"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"verb": "ingest", "source": "nowhere"}, 404),
        ({"verb": "ingest", "source": "../.."}, 422),
        ({"verb": "ingest", "path": "/"}, 422),
        ({"verb": "evaluate", "suite": "--workspace=x"}, 422),
        ({"verb": "evaluate", "suite": "nope"}, 404),
        ({"verb": "evaluate", "suite": "shop", "recipe": "nope"}, 404),
        ({"verb": "evaluate", "suite": "shop", "models": "http://evil.example/v1#x"}, 422),
        ({"verb": "compare", "suite": "shop", "recipes": ["rag"]}, 422),
        ({"verb": "serve"}, 422),
    ],
)
def test_a_job_names_no_path_no_model_and_no_option(site: Site, body: dict[str, Any], status: int) -> None:
    site.client.put("/api/suites/shop", json={"examples": [EXAMPLE]})
    reply = site.client.post("/api/jobs", json=body)
    assert reply.status_code == status, reply.text
    assert get(site, "/api/jobs")["items"] == []


def test_a_job_over_http_is_cancelled(site: Site) -> None:
    site.client.put("/api/suites/shop", json={"examples": [EXAMPLE]})
    id = site.client.post("/api/jobs", json={"verb": "evaluate", "suite": "shop"}).json()["id"]
    assert site.client.post(f"/api/jobs/{id}/cancel").status_code == 202
    deadline = time.monotonic() + 20
    while (state := get(site, f"/api/jobs/{id}")["state"]) not in ("cancelled", "done"):
        assert time.monotonic() < deadline
    assert state == "cancelled"
    assert site.client.post(f"/api/jobs/{id}/cancel").status_code == 400
    assert site.client.get(f"/api/jobs/{'0' * 16}").status_code == 404
    assert site.client.get(f"/api/jobs/{'0' * 16}/events").status_code == 404
