"""The process that trains: takes one job on stdin, tells what happens on stdout, and stops when its starter does.

A process of its own, since torch then shares no threads with llama.cpp, its memory is free when it ends, and being
killed for memory is an error that can be told. A line on stdin, or its end, asks to stop.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from knowhow.errors import KnowhowError
from knowhow.types import Json, TrainEvent, TrainPlan, TrainRow
from knowhow.types.plain import from_plain, to_plain


class Wire:
    """Both directions: events out, and whether to stop in. One of `train_run.Listener`."""

    def __init__(self) -> None:
        self.stopping = False
        # What libraries print must not mix with the events: stdout becomes stderr, a copy of the old one is kept.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def tell(self, event: TrainEvent) -> None:
        """Sends one event."""
        self.send("event", {"kind": type(event).__name__, "body": to_plain(event)})

    def send(self, what: str, body: Any) -> None:
        """Sends one line; a starter that is gone means to stop."""
        try:
            self._out.write(json.dumps({what: body}) + "\n")
            self._out.flush()
        except OSError:
            self.stopping = True

    def watch(self) -> None:
        """Waits on stdin from now on, on a thread of its own."""
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        sys.stdin.readline()
        self.stopping = True


def main() -> None:
    """Does the job on the first line of stdin."""
    wire = Wire()
    job: Json = json.loads(sys.stdin.readline())
    wire.watch()
    try:
        wire.send("done", _do(job, wire))
    except KnowhowError as problem:
        wire.send("failed", {"error": type(problem).__name__, "message": str(problem)})
    except Exception as problem:
        traceback.print_exc()
        memory = isinstance(problem, MemoryError) or "out of memory" in str(problem).lower()
        wire.send("failed", {"error": "memory" if memory else "", "message": f"{type(problem).__name__}: {problem}"})
    # Not sys.exit: torch's threads may hang at the end of the interpreter, and everything is on the disk.
    sys.stderr.flush()
    os._exit(0)


def _do(job: Json, wire: Wire) -> Any:
    _quiet()
    plan = from_plain(TrainPlan, job["plan"])
    rows = [from_plain(TrainRow, row) for row in job["rows"]]
    folder = Path(job["folder"])
    if job["do"] == "said":
        from knowhow.backends.train_base import find_base
        from knowhow.backends.train_logits import write_said

        write_said(find_base(plan.base), Path(job["adapter"]), rows, job["positions"], plan.threads or 1, folder)
        return None
    from knowhow.backends.train_run import ready, train

    start = ready(plan, rows, [from_plain(TrainRow, row) for row in job["validation"]])
    if job["do"] == "price":
        from knowhow.backends.train_price import price

        return to_plain(price(start))
    return to_plain(train(start, folder, wire))


def _quiet() -> None:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


if __name__ == "__main__":
    main()
