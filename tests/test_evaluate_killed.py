"""An evaluation killed without warning: started again it ends as if nothing had happened, paying for no call twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import openai_server
from knowhow.workspace import Workspace
from openai_server import serving

COUNT = 12


def test_killed_and_started_again_no_kept_call_is_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = openai_server._Handler._handle
    monkeypatch.setattr(openai_server._Handler, "_handle", lambda self, body: (time.sleep(0.08), prompt(self, body)))
    with Workspace.init(tmp_path / "desk") as workspace:
        (tmp_path / "a.md").write_text("Laptops can be returned within 45 days.")
        workspace.ingest(tmp_path / "a.md")
    rows = [
        {"id": str(i), "question": f"How long for laptop {i}?", "expect": {"facts": ["45 days"]}} for i in range(COUNT)
    ]
    suite = tmp_path / "s.jsonl"
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving() as server:
        command = [sys.executable, "-c", "from knowhow.cli.main import run; run()", "evaluate", str(suite)]
        command += ["--recipe", "closed-book", "--models", f"{server.url}#fake", "--workers", "1", "--json"]
        command += ["-w", str(tmp_path / "desk")]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while len(_asked(server)) < COUNT // 2 and first.poll() is None:
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        before = len(_asked(server))
        assert COUNT // 2 <= before < COUNT
        second = subprocess.run(command, capture_output=True, check=True, env=dict(os.environ))
        body = json.loads(second.stdout)
    assert (body["n"], body["failed"], body["checks"]["content"]["mean"]) == (COUNT, 0, 1.0)
    times = Counter(_asked(server))
    assert len(times) == COUNT
    twice = [question for question, count in times.items() if count > 1]
    assert len(twice) <= 1, "only the call that was under way when it was killed"


def _asked(server: Any) -> list[str]:
    return [body["messages"][-1]["content"] for path, body, _ in list(server.requests) if path.endswith("completions")]
