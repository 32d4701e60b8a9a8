"""How long after the last write a watched folder answers with it: `python bench/watch.py [FILES]`, JSON."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from knowhow.workspace import Workspace

WORDS = (
    "kettle river mill return policy laptop warranty battery contract salary office train repair ticket label".split()
)
EDITS = 20


def main(files: int) -> None:
    """Prints milliseconds from a write, or a rename, to the answer in another process."""
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for number in range(files):
            path = home / "docs" / f"d{number // 100}" / f"{number}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# Document {number}\n\n" + " ".join(draw.choices(WORDS, k=80)))
        Workspace.init(home / "desk").close()
        command = [sys.executable, "-c", "from knowhow.cli.main import run; run()", "ingest", str(home / "docs")]
        command += ["--watch", "--json", "-w", str(home / "desk")]
        watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert watching.stdout
        while json.loads(watching.stdout.readline())["event"] != "watching":
            pass
        time.sleep(3)
        with Workspace.open(home / "desk") as workspace:
            edits, renames = [], []
            for number in range(EDITS):
                path = home / "docs" / "d0" / f"{number}.md"
                path.write_text(f"# Document {number}\n\nedited {number} times")
                edits.append(_until(workspace, path.relative_to(home / "docs").as_posix(), "edited"))
                path.rename(path.with_suffix(".txt"))
                renames.append(
                    _until(workspace, path.with_suffix(".txt").relative_to(home / "docs").as_posix(), "edit")
                )
        watching.send_signal(signal.SIGINT)
        watching.communicate()
    print(json.dumps({"files": files, "edit_ms": _spread(edits), "rename_ms": _spread(renames)}, indent=2))


def _until(workspace: Workspace, uri: str, word: str) -> float:
    """Milliseconds until `uri` is known with `word` in its text."""
    start = time.perf_counter()
    while True:
        found = workspace._parts.store.document(uri, workspace._filter(None, None, None))
        if found and word in found.text:
            return (time.perf_counter() - start) * 1000
        time.sleep(0.005)


def _spread(values: list[float]) -> dict[str, int]:
    ordered = sorted(values)
    return {"p50": round(ordered[len(ordered) // 2]), "max": round(ordered[-1])}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
