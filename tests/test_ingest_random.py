"""Whatever happens to a folder, or to the process: after a sync the store equals the folder."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_world import ALL, SPEC, World, read_here
from knowhow.ingest import batch, reading
from knowhow.ingest.split import split
from knowhow.types import Document

FORK = multiprocessing.get_context("fork")
NAMES = ["a.md", "b.md", "c.txt", "d/a.md", "d/e/f.md"]
TEXTS = [b"", b"\0\1\2\xff", b"Just one line.", b"# Title\n\nWithin 30 days.", b"# Title\n\nWithin 45 days."]
TEXTS += [b"# Long\n\n" + b"".join(b"## Part %d\n\n" % n + b"Words of it. " * 20 + b"\n\n" for n in range(4))]

names = st.sampled_from(NAMES)
edits = st.one_of(
    st.tuples(st.just("write"), names, st.sampled_from(TEXTS)),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("delete"), names, st.none()),
    st.tuples(st.just("append"), names, st.just(b"\n\nOne more paragraph.")),
    st.tuples(st.just("touch"), names, st.none()),
)


def edit(world: World, what: str, name: str, other: object) -> None:
    path = world.docs / name
    if what == "write" and isinstance(other, bytes):
        world.write(name, other)
    elif not path.exists():
        return
    elif what == "rename" and isinstance(other, str):
        (world.docs / other).parent.mkdir(parents=True, exist_ok=True)
        path.replace(world.docs / other)
    elif what == "delete":
        path.unlink()
    elif what == "append" and isinstance(other, bytes):
        path.write_bytes(path.read_bytes() + other)
    elif what == "touch":
        os.utime(path, (1_000_000_000, 1_000_000_000))


def on_disk(world: World) -> dict[str, bytes]:
    return {path.relative_to(world.docs).as_posix(): path.read_bytes() for path in world.docs.rglob("*.*")}


def assert_store_equals_folder(world: World) -> None:
    """Documents, failures, and every passage that can answer, against reading the folder anew."""
    read = dict(read_here(world.docs / name for name in on_disk(world)))
    good = {path.relative_to(world.docs).as_posix(): e for path, e in read.items() if not isinstance(e, Exception)}
    assert world.texts() == {uri: extract.text for uri, extract in good.items()}
    assert sorted(world.failures()) == sorted(set(on_disk(world)) - set(good))
    assert passages(world) == Counter(
        (uri, extract.text[piece.start : piece.end])
        for uri, extract in good.items()
        for piece in split(extract.text, extract.spans, extract.title, SPEC.split)
    )


def passages(world: World) -> Counter[tuple[str, str]]:
    """Every passage that a question could find."""
    every = world.store.candidates(world.index, "", np.ones(8, np.float32), 10_000, ALL).ids.tolist()
    return Counter((passage.uri, passage.text) for passage in world.store.passages(world.index, every, ALL))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.lists(edits, max_size=5), min_size=1, max_size=4))
def test_after_any_edits_the_store_equals_the_folder_and_the_rest_keeps_its_version(
    rounds: list[list[tuple[str, str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "read_all", read_here)
    with tempfile.TemporaryDirectory() as home:
        world = World(Path(home))
        before: dict[str, tuple[bytes, int]] = {}
        for round in rounds:
            for what, name, other in round:
                edit(world, what, name, other)
            report = world.sync(yes=True)
            assert_store_equals_folder(world)
            disk = on_disk(world)
            assert report.unchanged + len(report.added) + len(report.updated) + len(report.moved) == len(world.texts())
            for uri, (content, version) in before.items():
                if disk.get(uri) == content:
                    assert world.version(uri) == version
            before = {uri: (disk[uri], world.version(uri)) for uri in world.texts()}
        assert all(finding.ok for finding in world.store.check())
        world.store.close()


# --- other processes -------------------------------------------------------------------------------------


def answer_when_asked(home: str, pipe: Connection) -> None:
    world = World(Path(home))
    while words := pipe.recv():
        pipe.send(world.answers(words))


def test_a_question_in_another_warm_process_sees_the_new_text_and_never_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "read_all", read_here)
    here, there = FORK.Pipe()
    asker = FORK.Process(target=answer_when_asked, args=(str(tmp_path), there), daemon=True)
    asker.start()
    here.send("deadline")
    assert here.recv() == set()
    world = World(tmp_path)
    world.write("other.md", "Something else.")
    for days in range(30, 40):
        world.write("policy.md", f"The deadline is {days} days.")
        world.sync()
        here.send("deadline days")
        assert here.recv() == {f"The deadline is {days} days."}
    (world.docs / "policy.md").unlink()
    world.sync()
    here.send("deadline days")
    assert here.recv() == set()
    here.send("")
    asker.join()
    world.store.close()


# --- killed ----------------------------------------------------------------------------------------------


def sync_and_say(home: str, pipe: Connection) -> None:
    reading.read_all = read_here
    batch.PASSAGES = 3
    world = World(Path(home))
    for step in world.steps(yes=True):
        pipe.send(step)
    pipe.send("done")
    world.store.close()


def prepare(home: Path, seed: int) -> None:
    """A synced folder, and edits of it that are not synced yet."""
    draw = random.Random(seed)
    world = World(home)
    for n in range(12):
        world.write(f"{n}.md", f"# Doc {n}\n\n" + "".join(f"Sentence {i} of doc {n}, first. " for i in range(30)))
    if draw.random() < 0.8:
        world.sync()
    for n in draw.sample(range(12), 8):
        what = draw.choice(["edit", "edit", "edit", "delete", "move", "empty"])
        path = world.docs / f"{n}.md"
        if what == "edit":
            path.write_text(path.read_text().replace("first", "second"))
        elif what == "delete":
            path.unlink()
        elif what == "move":
            path.rename(world.docs / f"moved-{n}.md")
        else:
            path.write_bytes(b"")
    world.store.close()


def kill_once(home: Path, seed: int) -> bool:
    """Kills a sync at a random instant, checks what is left, syncs again; returns whether it was still running."""
    reading.read_all = read_here
    prepare(home, seed)
    here, there = FORK.Pipe()
    child = FORK.Process(target=sync_and_say, args=(str(home), there))
    child.start()
    draw = random.Random(seed)
    steps = draw.randrange(14)
    while steps and here.poll(10) and here.recv() != "done":
        steps -= 1
    time.sleep(draw.random() * 0.005)
    running = child.is_alive()
    child.kill()
    child.join()
    world = World(home)
    assert_nothing_torn(world)
    world.sync(yes=True)
    assert_store_equals_folder(world)
    bad = [finding for finding in world.store.check() if not finding.ok]
    assert not bad, bad
    assert world.sync().unchanged == len(world.texts())
    world.store.close()
    return running


def assert_nothing_torn(world: World) -> None:
    """Each document is wholly old or wholly new, and what answers is exactly its passages."""
    expected: Counter[tuple[str, str]] = Counter()
    for uri, text in world.texts().items():
        assert not ("first" in text and "second" in text)
        document = world.store.document(uri, ALL)
        assert isinstance(document, Document)
        pieces = split(text, document.spans, document.title, SPEC.split)
        expected.update((uri, text[piece.start : piece.end]) for piece in pieces)
    assert passages(world) == expected


@pytest.mark.parametrize("seed", range(8))
def test_a_sync_killed_at_any_instant_leaves_whole_documents_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(reading, "read_all", read_here)
    kill_once(tmp_path, seed)


if __name__ == "__main__":  # python tests/test_ingest_random.py 1000
    alive = 0
    for number in range(int(sys.argv[1])):
        with tempfile.TemporaryDirectory() as folder:
            try:
                alive += kill_once(Path(folder), number)
            except BaseException:
                print(f"seed {number}")
                raise
    print(f"{sys.argv[1]} kills, {alive} while the sync ran: nothing lost, doubled or mixed")
