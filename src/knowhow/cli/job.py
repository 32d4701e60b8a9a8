"""What runs a verb as a job: `python -m knowhow.cli.job FD WORKSPACE VERB ARGUMENTS…` tells its progress to a pipe and
stops when its parent is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from knowhow.cli import output
from knowhow.cli.main import execute

NICE = 10
"""Steps of priority below the server's."""
GRACE = 20.0
"""Seconds to keep what is done before the process ends itself."""


def _mind_the_parent() -> None:
    """Interrupts this process when its standard input ends, which is when the process that reads its progress died."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def run(pipe: int, workspace: str, verb: str, arguments: list[str]) -> int:
    """Runs one verb with --json and returns its exit status; whoever asks a question meanwhile goes first."""
    os.nice(NICE)
    threading.Thread(target=_mind_the_parent, daemon=True).start()
    with os.fdopen(pipe, "w", encoding="utf-8", buffering=1) as events:
        output.pipe = events
        return execute([verb, "--json", "--workspace", workspace, *arguments])


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
