"""Batches on their way into the store: overlapped, in order, bounded, and none after one that failed."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest_world import ALL, SPEC, CountingEmbedder, World
from knowhow.errors import ConfigProblem
from knowhow.ingest.batch import Batch, Vectors
from knowhow.ports import Change, Fail, FileStamp, Floats
from knowhow.types import Document

WAIT = 20.0
"""Seconds after which a test gives up."""


class Held(CountingEmbedder):
    """Embeds nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go = threading.Event()

    def documents(self, texts: Sequence[str]) -> Floats:
        self.asked.set()
        assert self.go.wait(WAIT)
        return super().documents(texts)


def made(world: World, embedder: CountingEmbedder) -> tuple[Batch, Vectors]:
    vectors = Vectors(world.store, [world.index], embedder)
    return Batch(world.store, world.index, SPEC, vectors), vectors


def put(batch: Batch, name: str, text: str) -> None:
    batch.put(Document(name, text), FileStamp(name, name, len(text), 1, text))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_was_sent_is_embedded_while_the_caller_goes_on(world: World) -> None:
    embedder = Held()
    batch, _ = made(world, embedder)
    with batch:
        put(batch, "a", "the first text")
        batch.send()
        assert embedder.asked.wait(WAIT)
        put(batch, "b", "the second text")  # while the first is being embedded
        batch.send()
        assert sorted(world.texts()) == []
        embedder.go.set()
        batch.write()
        assert sorted(world.texts()) == ["a", "b"]


def test_at_most_so_many_batches_are_on_their_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = Held()
    batch, _ = made(world, embedder)
    waits = threading.Event()

    def let_go() -> None:
        assert not waits.wait(0.2), "the third batch did not wait for the first"
        embedder.go.set()

    with batch:
        for name in "ab":
            put(batch, name, f"text {name}")
            batch.send()
        helper = threading.Thread(target=let_go)
        helper.start()
        put(batch, "c", "text c")
        batch.send()
        waits.set()
        helper.join()
        assert "a" in world.texts()


def test_equal_text_in_batches_on_their_way_is_embedded_once(world: World) -> None:
    embedder = Held()
    batch, vectors = made(world, embedder)
    with batch:
        for name in "abc":
            put(batch, name, f"the same text\n\n# Own\n\n{name * 250}")
            if name == "b":
                embedder.go.set()
            batch.send()
        batch.write()
    assert len(embedder.texts) == len(set(embedder.texts)) == vectors.embedded


def test_nothing_is_written_after_a_batch_that_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = world.store.apply
    embedder = Held()

    def full(index: str, changes: Sequence[Change], stamps: Sequence[FileStamp] = ()) -> None:
        if any(stamp.uri == "b" for stamp in stamps):
            raise ConfigProblem("the disk is full")
        apply(index, changes, stamps)

    monkeypatch.setattr(world.store, "apply", full)
    batch, _ = made(world, embedder)
    with batch:
        embedder.go.set()
        for name in "abc":
            put(batch, name, f"text {name}")
            batch.send()
        with pytest.raises(ConfigProblem, match="disk is full"):
            batch.write()
    assert sorted(world.texts()) == ["a"]


def test_a_failing_embedder_writes_nothing_more_either(world: World) -> None:
    class Failing(CountingEmbedder):
        def documents(self, texts: Sequence[str]) -> Floats:
            raise ConfigProblem("no key")

    batch, _ = made(world, Failing())
    with batch:
        put(batch, "a", "text a")
        batch.send()
        batch.change(Fail("b", "docs", "empty", ""))
        with pytest.raises(ConfigProblem, match="no key"):
            batch.write()
    assert sorted(world.texts()) == []


def test_closing_finishes_what_was_sent_and_drops_what_was_gathered(world: World) -> None:
    embedder = Held()
    batch, _ = made(world, embedder)
    put(batch, "a", "text a")
    batch.send()
    put(batch, "b", "text b")
    embedder.go.set()
    batch.close()
    assert sorted(world.texts()) == ["a"]


def test_threads_that_ended_leave_no_connection_behind(world: World) -> None:
    before = len(world.store.database._open)  # type: ignore[attr-defined]
    for i in range(5):
        batch, _ = made(world, CountingEmbedder())
        with batch:
            put(batch, "a", f"text {i}")
            batch.write()
    gc.collect()
    assert len(world.store.database._open) == before  # type: ignore[attr-defined]
    assert world.store.document("a", ALL) is not None
