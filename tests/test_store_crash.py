"""A writer killed at any instant: nothing acknowledged is lost, nothing is doubled or mixed.

KNOWHOW_KILLS=1000 kills as often; the seed is printed and can be given as KNOWHOW_SEED.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from contract import crash_writer
from contract.store_model import ALL, SPEC, Model, assert_search_agrees
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Filter

KILLS = int(os.environ.get("KNOWHOW_KILLS", "12"))
SEED = int(os.environ.get("KNOWHOW_SEED", random.SystemRandom().randrange(10**6)))
ROUNDS = 6
"""Kills that one store lives through."""


def test_a_killed_writer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    print(f"KNOWHOW_SEED={SEED}")
    drawn = random.Random(SEED)
    zygote = subprocess.Popen(
        [sys.executable, crash_writer.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    shm = Path("/dev/shm")
    acknowledged = 0
    try:
        for _ in range(-(-KILLS // ROUNDS)):
            with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else tmp_path) as name:
                path, model, done, seed = Path(name) / "knowhow.db", Model(), 0, drawn.randrange(10**6)
                for _round in range(ROUNDS):
                    zygote.stdin.write(f"{path} {seed} {done} {drawn.uniform(0, 0.25)}\n")
                    zygote.stdin.flush()
                    told = int(zygote.stdout.readline())
                    assert told >= 0, "the writer stopped by itself"
                    acknowledged += told
                    done = whole(path, model, seed, done, told)
    finally:
        zygote.stdin.close()
        zygote.wait()
    assert acknowledged > KILLS // 4, "the writers hardly wrote: the kills prove nothing"


def whole(path: Path, model: Model, seed: int, done: int, told: int) -> int:
    """Checks that the store holds exactly the first n commits, with all those told of; returns n."""
    store = SqliteStore(path)
    index = store.create_index(SPEC)
    counter = store.document("counter", ALL)
    number = int(counter.text.split()[-1]) + 1 if counter else 0
    assert done + told <= number <= done + told + 1, f"seed {seed}: {number} commits, {done + told} acknowledged"
    for i in range(done, number):
        model.apply(crash_writer.commit_of(seed, i))
    assert {(row.uri, row.version) for row in store.documents(ALL)} == {
        (uri, len(known.versions)) for uri, known in model.documents.items() if known.state != "removed"
    }
    for uri, version in model.answering(ALL):
        found = store.document(uri, ALL)
        assert found is not None
        assert found.text == version.put.document.text
    for filter in (ALL, Filter()):
        assert_search_agrees(store, index, model, "return the laptop in 45 days", filter)
    assert [check for check in store.check() if not check.ok] == [], f"seed {seed}"
    store.close()
    return number
