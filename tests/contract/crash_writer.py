"""Runs as a script: forks writers and kills them. One line in, "PATH SEED START SECONDS"; one line out, commits told.

A writer commits what `commit_of(seed, i)` says for i = START, START + 1, … and tells of each commit once `apply` has
returned; SECONDS after its first commit it is killed in the middle of whatever it does, or with less than `EARLY`
after its start, which may be while it opens the store.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contract.store_model import SPEC, put
from knowhow.ports import Change, Fail, Remove, SetAccess
from knowhow.store import postings, segments, upkeep
from knowhow.store.sqlite import SqliteStore

EARLY = 0.05
WORDS = "laptop return days delivery shop order bag 30 45 office salary notice".split()


def commit_of(seed: int, number: int) -> list[Change]:
    """The changes of one commit; the first always says which one it was."""
    drawn = random.Random(seed * 1_000_003 + number)
    changes: list[Change] = [put("counter", f"commit number {number}")]
    for uri in drawn.sample([f"{i}.md" for i in range(8)], drawn.randint(1, 4)):
        kind = drawn.random()
        if kind < 0.7 or number < 5:
            text = " ".join(drawn.choices(WORDS, k=drawn.randint(0, 60)))
            changes.append(put(uri, text, access=["hr"] if drawn.random() < 0.2 else []))
        elif kind < 0.8:
            changes.append(Remove(uri))
        elif kind < 0.9:
            changes.append(Fail(uri, "docs", "damaged", "cannot be opened"))
        else:
            changes.append(put("moved-" + uri, f"moved {number}", moved_from=uri))
    if drawn.random() < 0.2:
        changes.append(SetAccess("counter", frozenset(["hr"] if drawn.random() < 0.5 else [])))
    return changes


def write(path: str, seed: int, start: int, told: int) -> None:
    """Commits until killed. Segments are tiny, so that merges are interrupted as often as commits."""
    upkeep.FLUSH, segments.MOST, postings.PAGE_BYTES = 12, 64, 256
    upkeep._TIERS = (30, 48)
    store = SqliteStore(path)
    index = store.create_index(SPEC)
    number = start
    while True:
        store.apply(index, commit_of(seed, number))
        os.write(told, b".")
        number += 1
        if number % 37 == 0:
            store.optimize()


def main() -> None:
    for line in sys.stdin:
        path, seed, start, seconds = line.split()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                write(path, int(seed), int(start), writing)
            finally:
                os._exit(1)
        os.close(writing)
        told = len(os.read(reading, 1)) if float(seconds) >= EARLY else 0
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        while data := os.read(reading, 65536):
            told += len(data)
        os.close(reading)
        print(told if os.WTERMSIG(status) == signal.SIGKILL else -1, flush=True)


if __name__ == "__main__":
    main()
