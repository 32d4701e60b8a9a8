"""Reindex: another split or embedder, from the stored texts, while the old index answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest_world import ALL, SPEC, CountingEmbedder, World, drain, read_here
from knowhow.errors import ConfigProblem
from knowhow.ingest import reading
from knowhow.ingest import reindex as module
from knowhow.ingest.reindex import reindex
from knowhow.types import Filter, IndexSpec, SplitSpec

OTHER = replace(SPEC, split=SplitSpec(target=60, limit=90))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(reading, "read_all", read_here)
    made = World(tmp_path)
    for n in range(6):
        made.write(f"{n}.md", f"# Title {n}\n\n" + " ".join(f"Sentence {i} of document {n}." for i in range(12)))
    made.sync()
    yield made
    made.store.close()


def active(world: World) -> IndexSpec:
    return next(spec for spec, is_active in world.store.indexes() if is_active)


def test_reindex_needs_no_files_and_switches_questions_over(world: World) -> None:
    for path in world.docs.iterdir():
        path.unlink()
    before = world.answers("sentence")
    index = drain(reindex(world.store, world.embedder, OTHER))
    assert active(world) == OTHER
    assert index == OTHER.id
    world.index = index
    after = world.answers("sentence")
    assert len(after) > len(before)
    assert all(finding.ok for finding in world.store.check())


def test_the_old_index_answers_until_the_new_one_is_whole_and_an_interruption_is_continued(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PASSAGES", 4)
    before = world.answers("sentence")
    world.embedder.texts.clear()
    steps = reindex(world.store, world.embedder, OTHER)
    for _ in range(4):
        next(steps)
    steps.close()
    assert active(world) == SPEC
    assert world.answers("sentence") == before
    done = len(world.embedder.texts)
    assert done
    world.index = drain(reindex(world.store, world.embedder, OTHER))
    assert len(world.embedder.texts) == len(set(world.embedder.texts))
    assert len(world.answers("sentence")) == len(world.embedder.texts)


def test_a_document_that_changes_meanwhile_is_caught_up_with(world: World) -> None:
    steps = reindex(world.store, world.embedder, OTHER)
    next(steps)
    world.write("0.md", "# Title 0\n\nQuite another zebra.")
    world.write("new.md", "A second zebra.")
    world.sync()
    world.index = drain(steps)
    assert world.answers("zebra") == {"# Title 0\n\nQuite another zebra.", "A second zebra."}
    assert not any("of document 0" in text for text in world.answers("sentence"))


def test_old_versions_answer_questions_about_their_time_in_the_new_index(world: World) -> None:
    then = world.store.versions("0.md", ALL)[0].updated
    world.write("0.md", "# Title 0\n\nQuite another zebra.")
    world.sync()
    world.index = drain(reindex(world.store, world.embedder, OTHER))
    asked_then = Filter(access=ALL.access, as_of=then + 1e-4)
    assert any("of document 0" in text for text in world.answers("sentence", asked_then))
    assert not world.answers("zebra", asked_then)


def test_the_same_embedder_embeds_only_passages_that_were_cut_anew(world: World) -> None:
    world.write("short.md", "Cut the same way twice.")
    world.sync()
    world.embedder.texts.clear()
    drain(reindex(world.store, world.embedder, OTHER))
    assert not any("Cut the same" in text for text in world.embedder.texts)
    other = CountingEmbedder()
    other.name = "another"
    drain(reindex(world.store, other, replace(OTHER, embedder="another")))
    assert any("Cut the same" in text for text in other.texts)


def test_the_wrong_embedder_is_refused(world: World) -> None:
    with pytest.raises(ConfigProblem, match="another"):
        drain(reindex(world.store, world.embedder, replace(OTHER, embedder="another")))
