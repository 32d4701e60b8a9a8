"""Ingest is a sync: after it the source equals the folder, and nothing else changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest_world import ALL, SPEC, World, drain, read_here
from knowhow.errors import ConfigProblem, ReadProblem, UnreadableFile, UsageProblem
from knowhow.ingest import batch, plan, reading, scan
from knowhow.ingest.access_rules import parse_rules
from knowhow.ingest.ingest import ingest
from knowhow.types import Failure, Filter, Progress

SECTIONS = "".join(f"## Part {n}\n\n" + f"The rule of part {n} is number {n * 37}. " * 5 + "\n\n" for n in range(8))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(reading, "read_all", read_here)
    made = World(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """File times may be trusted at once."""
    monkeypatch.setattr(plan, "TICK_NS", 0)


def forbid_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> str:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(plan, "file_hash", opened)
    monkeypatch.setattr(reading, "file_hash", opened)


# --- added, changed, moved, removed, unchanged -----------------------------------------------------------


def test_a_first_sync_adds_everything_and_a_second_opens_nothing(
    world: World, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "# Returns\n\nWithin 30 days.")
    world.write("sub/b.txt", "Plain words.")
    report = world.sync()
    assert (sorted(report.added), report.passages, report.embedded) == (["a.md", "sub/b.txt"], 2, 2)
    assert "Within 30 days." in world.texts()["a.md"]
    forbid_opening(monkeypatch)
    revision = world.store.revision()
    again = world.sync()
    assert (again.unchanged, again.added, again.updated, again.failed) == (2, [], [], [])
    assert world.store.revision() == revision


def test_only_changed_passages_are_embedded_again_and_other_documents_keep_their_version(world: World) -> None:
    world.write("long.md", SECTIONS)
    world.write("other.md", "Untouched.")
    first = world.sync()
    assert first.passages > 8
    world.write("long.md", SECTIONS.replace("rule of part 3 is", "rule of part three is"))
    report = world.sync()
    assert (report.updated, report.unchanged) == (["long.md"], 1)
    assert 1 <= report.embedded <= 2
    assert (world.version("long.md"), world.version("other.md")) == (2, 1)
    assert not any("rule of part 3 is" in text for text in world.answers("part 3 rule"))
    assert any("rule of part three is" in text for text in world.answers("three"))


def test_an_edit_of_the_same_size_within_one_tick_of_the_clock_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = time.time_ns()
    for module in (scan, reading):
        monkeypatch.setattr(module, "changed_ns", lambda status: tick)
    world.write("a.md", "Within 30 days.")
    world.sync()
    world.write("a.md", "Within 45 days.")
    assert world.sync().updated == ["a.md"]
    assert world.texts() == {"a.md": "Within 45 days."}


def test_a_touched_file_is_unchanged_and_not_opened_a_second_time(
    world: World, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.write("a.md", "Words.")
    world.sync()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert world.sync().unchanged == 1
    forbid_opening(monkeypatch)
    assert world.sync().unchanged == 1
    assert world.version("a.md") == 1


def test_a_new_reader_reads_unchanged_files_again(world: World, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("a.md", "Words.")
    world.sync()
    monkeypatch.setattr("knowhow.ingest.hashing._REVISION", "999.1:")
    assert world.sync().updated == ["a.md"]
    assert world.sync().unchanged == 1


def test_a_moved_document_keeps_its_vectors_and_its_old_uri_stops_answering(world: World) -> None:
    world.write("a/long.md", "# Rules\n\n" + SECTIONS)
    world.write("keep.md", "Stays.")
    world.sync()
    (world.docs / "b").mkdir()
    (world.docs / "a/long.md").rename(world.docs / "b/long.md")
    report = world.sync()
    assert (report.moved, report.added, report.removed) == ([("a/long.md", "b/long.md")], [], [])
    assert (report.embedded, report.passages) == (0, len(world.answers("rule")))
    assert sorted(world.texts()) == ["b/long.md", "keep.md"]
    assert sorted(world.store.stamps("docs")) == ["b/long.md", "keep.md"]


def test_two_files_that_swap_names_are_two_updates_without_embedding(world: World) -> None:
    one, two = world.write("one.md", "# One\n\n" + SECTIONS), world.write("two.md", "# Two\n\nShort.")
    world.sync()
    one.rename(world.docs / "x")
    two.rename(one)
    (world.docs / "x").rename(two)
    report = world.sync()
    assert (sorted(report.updated), report.embedded) == (["one.md", "two.md"], 0)
    assert "Short." in world.texts()["one.md"]


def test_a_removed_file_stops_answering_and_keeps_its_history(world: World) -> None:
    for name in ("a.md", "b.md", "c.md"):
        world.write(name, f"The word {name[0] * 5}.")
    world.sync()
    (world.docs / "b.md").unlink()
    assert world.sync().removed == ["b.md"]
    assert sorted(world.texts()) == ["a.md", "c.md"]
    assert not world.answers("bbbbb")
    assert len(world.store.versions("b.md", ALL)) == 1
    world.write("b.md", "Back again.")
    assert world.sync().added == ["b.md"]
    assert world.version("b.md") == 2


# --- losses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["vanished", "empty", "most"])
def test_a_loss_of_more_than_half_is_refused_and_changes_nothing_until_it_is_meant(world: World, loss: str) -> None:
    for n in range(5):
        world.write(f"{n}.md", f"Text {n}.")
    world.sync()
    for n in range(3 if loss == "most" else 5):
        (world.docs / f"{n}.md").unlink()
    if loss == "vanished":
        world.docs.rmdir()
    revision = world.store.revision()
    with pytest.raises(UsageProblem, match=r"[35] of 5 documents of source 'docs' would be removed.*--yes"):
        world.sync()
    assert world.store.revision() == revision
    assert len(world.texts()) == 5
    assert len(world.sync(yes=True).removed) == (3 if loss == "most" else 5)
    assert len(world.texts()) == (2 if loss == "most" else 0)


def test_moving_everything_into_another_folder_is_no_loss(world: World) -> None:
    for n in range(5):
        world.write(f"old/{n}.md", f"# Title {n}\n\nText.")
    world.sync()
    (world.docs / "old").rename(world.docs / "new")
    report = world.sync()
    assert (len(report.moved), report.removed) == (5, [])


def test_a_folder_that_cannot_be_listed_keeps_what_was_known_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("share/a.md", "Kept.")
    world.sync()
    real = os.scandir

    def stale(path: Path) -> object:
        if Path(path).name == "share":
            raise OSError(116, "Stale file handle")
        return real(path)

    monkeypatch.setattr(os, "scandir", stale)
    report = world.sync()
    assert [failure.uri for failure in report.failed] == ["share/"]
    assert world.texts() == {"share/a.md": "Kept."}


# --- failures --------------------------------------------------------------------------------------------


def test_a_file_that_can_no_longer_be_read_stops_answering_and_recovers(world: World) -> None:
    world.write("a.md", "Within 30 days.")
    world.write("b.md", "Fine.")
    world.sync()
    world.write("a.md", "")
    report = world.sync()
    assert [(failure.uri, failure.reason) for failure in report.failed] == [("a.md", "empty")]
    assert world.texts() == {"b.md": "Fine."}
    assert not world.answers("30 days")
    revision = world.store.revision()
    still = world.sync()
    assert (still.failed, still.unchanged) == (report.failed, 1)
    assert world.store.revision() == revision
    world.write("a.md", "Within 45 days.")
    assert world.sync().updated == ["a.md"]
    assert world.failures() == {}
    assert world.version("a.md") == 2


def test_a_failure_the_machine_may_have_caused_is_tried_again(
    world: World, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.write("a.md", "Fine.")

    def slow(paths: object, *, workers: int | None, ocr: bool) -> Iterator[tuple[Path, UnreadableFile]]:
        for each in paths:  # type: ignore[attr-defined]
            yield each, UnreadableFile(ReadProblem.TIMED_OUT, "60 s")

    monkeypatch.setattr(reading, "read_all", slow)
    assert world.sync().failed == [Failure("a.md", "timed-out", "60 s")]
    monkeypatch.setattr(reading, "read_all", read_here)
    assert world.sync().updated == ["a.md"]
    assert world.texts() == {"a.md": path.read_text()}


def test_a_file_that_cannot_be_opened_is_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("a.md", "Before.")
    world.sync()
    world.write("a.md", "Afterwards.")
    real = reading.file_hash

    def denied(path: str) -> str:
        raise PermissionError(13, "Permission denied")

    for module in (plan, reading):
        monkeypatch.setattr(module, "file_hash", denied)
    assert [failure.reason for failure in world.sync().failed] == ["unreadable"]
    assert world.texts() == {}
    for module in (plan, reading):
        monkeypatch.setattr(module, "file_hash", real)
    assert world.sync().updated == ["a.md"]


def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(
    world: World, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.write("a.md", "First words.")

    def race(paths: Iterator[Path], *, workers: int | None, ocr: bool) -> Iterator[object]:
        for each in paths:
            path.write_text("Second words, longer.")
            yield from read_here([each])
            path.write_text("First words.")

    monkeypatch.setattr(reading, "read_all", race)
    world.sync()
    monkeypatch.setattr(reading, "read_all", read_here)
    world.sync()
    assert world.texts() == {"a.md": "First words."}


# --- sources ---------------------------------------------------------------------------------------------


def test_a_sync_touches_no_other_source(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("Of the other.")
    world.write("a.md", "Own.")
    world.sync()
    world.sync(other)
    (other / "b.md").unlink()
    world.sync(other, yes=True)
    assert world.texts() == {"a.md": "Own."}
    world.sync()
    assert world.texts() == {"a.md": "Own."}


def test_a_uri_of_another_source_is_refused_and_a_name_keeps_both(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for folder in (world.docs, other):
        (folder / "a.md").write_text(f"In {folder.name}.")
    with pytest.raises(UsageProblem, match=r"'a\.md' is already .* 'docs'.*--as NAME"):
        world.sync(world.docs, other)
    assert world.texts() == {}
    world.sync()
    with pytest.raises(UsageProblem, match="--as NAME"):
        world.sync(other)
    world.sync(other, name="more")
    assert world.texts() == {"a.md": "In docs.", "more/a.md": "In other."}


def test_a_folder_that_moved_is_the_same_source(world: World, tmp_path: Path) -> None:
    world.write("a.md", "Text.")
    world.sync()
    (tmp_path / "new").mkdir()
    world.docs.rename(tmp_path / "new/docs")
    assert world.sync(tmp_path / "new/docs").unchanged == 1
    assert [source.root for source in world.store.sources()] == [str(tmp_path / "new/docs")]


def test_single_files_are_added_or_updated_and_remove_nothing(world: World, tmp_path: Path) -> None:
    one, two = tmp_path / "one.md", tmp_path / "two.md"
    one.write_text("One.")
    two.write_text("Two.")
    assert world.sync(one).added == ["one.md"]
    assert world.sync(two).added == ["two.md"]
    one.write_text("One more.")
    assert world.sync(one).updated == ["one.md"]
    assert world.texts() == {"one.md": "One more.", "two.md": "Two."}
    away = tmp_path / "away" / "one.md"
    away.parent.mkdir()
    away.write_text("Another one.")
    with pytest.raises(UsageProblem, match="--as NAME"):
        world.sync(away)


def test_a_single_file_of_a_source_is_synced_there_under_its_tags_and_removes_nothing(world: World) -> None:
    path, other = world.write("hr/pay.md", "Pay."), world.write("a.md", "Open.")
    world.sync(access=frozenset({"staff"}), rules=parse_rules('"hr/**" = ["hr"]'))
    path.write_text("More pay.")
    other.unlink()
    new = world.write("hr/new.md", "New pay.")
    report = world.sync(path, new)
    assert (report.updated, report.added, report.removed) == (["hr/pay.md"], ["hr/new.md"], [])
    assert tags(world) == {"a.md": ["staff"], "hr/new.md": ["hr", "staff"], "hr/pay.md": ["hr", "staff"]}
    with pytest.raises(UsageProblem, match="whole source"):
        world.sync(path, access=frozenset())
    assert world.sync().removed == ["a.md"]


def test_a_corpus_is_a_sync_too(world: World, tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    rows = [
        {"_id": f"d{n}", "title": f"T{n}", "text": f"Body {n}.", "metadata": {"date": "2024-03-01"}} for n in (1, 2, 3)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert world.sync(path, as_documents=True).added == ["d1", "d2", "d3"]
    document = world.store.document("d2", ALL)
    assert document
    assert (document.title, document.text, document.effective_at) == ("T2", "Body 2.", 1709251200.0)
    path.write_text("\n".join([json.dumps(rows[1]), "{oops", json.dumps({**rows[2], "text": "Changed."})]))
    report = world.sync(path, as_documents=True)
    assert (report.updated, report.removed, report.unchanged) == (["d3"], ["d1"], 1)
    assert [failure.uri for failure in report.failed] == ["corpus.jsonl:2"]
    assert world.texts() == {"d2": "Body 2.", "d3": "Changed."}
    path.write_text("\n".join(map(json.dumps, rows)))
    world.sync(path, as_documents=True)
    assert (len(world.texts()), world.failures()) == (3, {})


def test_the_wrong_embedder_is_refused(world: World) -> None:
    world.embedder.name = "another"
    with pytest.raises(ConfigProblem, match="knowhow reindex"):
        world.sync()


# --- what documents say of themselves --------------------------------------------------------------------


def test_dates_and_predecessors_come_from_the_document(world: World) -> None:
    world.write("policies/returns.md", "---\neffective: 2024-03-01\nsupersedes: returns-2023.md\n---\n45 days.")
    world.write("policies/minutes-2024-03-01.md", "We met.")
    world.write("plain.md", "No date.")
    world.sync()
    found = {uri: world.store.document(uri, ALL) for uri in world.texts()}
    assert [(uri, d.effective_at, d.supersedes) for uri, d in sorted(found.items()) if d] == [
        ("plain.md", None, ""),
        ("policies/minutes-2024-03-01.md", 1709251200.0, ""),
        ("policies/returns.md", 1709251200.0, "policies/returns-2023.md"),
    ]


# --- access ----------------------------------------------------------------------------------------------


def tags(world: World) -> dict[str, list[str]]:
    return {info.uri: sorted(info.access) for info in world.store.documents(ALL)}


def test_tags_come_from_the_source_the_rules_and_the_document_and_stay(world: World) -> None:
    world.write("hr/pay.md", "---\naccess: finance\n---\nPay.")
    world.write("a.md", "Open.")
    rules = parse_rules('"hr/**" = ["hr"]\n"law/**" = ["law"]')
    report = world.sync(access=frozenset({"staff"}), rules=rules)
    expected = {"a.md": ["staff"], "hr/pay.md": ["finance", "hr", "staff"]}
    assert tags(world) == expected
    assert report.warnings == [("law/**", "this access rule matches no document")]
    world.write("hr/pay.md", "---\naccess: finance\n---\nMore pay.")
    world.sync()
    assert tags(world) == expected


def test_changed_tags_take_effect_without_reading_or_embedding(
    world: World, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "The secret figure.")
    world.sync()
    forbid_opening(monkeypatch)
    everyone = Filter()
    assert world.answers("secret", everyone)
    report = world.sync(access=frozenset({"hr"}))
    assert (report.unchanged, report.embedded, world.version("a.md")) == (1, 0, 1)
    assert not world.answers("secret", everyone)
    world.sync(rules=parse_rules('"*.md" = ["legal"]'))
    assert tags(world) == {"a.md": ["hr", "legal"]}
    world.sync(access=frozenset(), rules=parse_rules(""))
    assert world.answers("secret", everyone)


def test_tags_tighten_before_anything_is_read(world: World) -> None:
    world.write("a.md", "The secret figure.")
    world.sync()
    world.write("a.md", "The secret figure, changed.")
    steps = world.steps(access=frozenset({"hr"}))
    for step in steps:
        assert isinstance(step, Progress)
        if step.note == "docs":
            break
    assert not world.answers("secret", Filter())
    assert world.answers("secret")
    steps.close()


def test_tags_given_to_single_files_are_theirs_alone(world: World, tmp_path: Path) -> None:
    one, two = tmp_path / "one.md", tmp_path / "two.md"
    one.write_text("One.")
    two.write_text("Two.")
    world.sync(one, access=frozenset({"hr"}))
    world.sync(two)
    one.write_text("One more.")
    world.sync(one)
    assert tags(world) == {"one.md": ["hr"], "two.md": []}
    world.sync(two, access=frozenset({"legal"}))
    assert tags(world) == {"one.md": ["hr"], "two.md": ["legal"]}


def test_a_document_whose_tags_are_not_understood_is_not_shown(world: World) -> None:
    world.write("a.md", "---\ntitle: [broken\naccess: hr\n---\nThe secret figure.")
    world.write("b.md", "---\naccess: '*'\n---\nThe secret figure.")
    assert {failure.reason for failure in world.sync().failed} == {"invalid-access-tags"}
    assert not world.answers("secret")


def test_the_tag_that_opens_everything_is_refused(world: World) -> None:
    world.write("a.md", "Text.")
    with pytest.raises(UsageProblem, match="opens everything"):
        world.sync(access=frozenset({"*"}))


# --- long runs -------------------------------------------------------------------------------------------


def test_an_interrupted_sync_keeps_what_it_did_and_goes_on_with_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "PASSAGES", 4)
    for n in range(20):
        world.write(f"{n:02}.md", f"# Title {n}\n\nText number {n}.")
    steps = world.steps()
    for step in steps:
        assert isinstance(step, Progress)
        if step.done == 10:
            break
    steps.close()
    kept = len(world.texts())
    assert 8 <= kept <= 10
    report = world.sync()
    assert (len(report.added), report.unchanged) == (20 - kept, kept)
    assert len(world.embedder.texts) <= 20 + 4
    assert len(world.texts()) == 20


def test_documents_are_written_in_bounded_batches_and_equal_text_is_embedded_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "PASSAGES", 8)
    sizes = []
    real = world.store.apply

    def count(index: str, changes: list[object], stamps: list[object] = ()) -> None:  # type: ignore[assignment]
        sizes.append(len(changes))
        real(index, changes, stamps)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "apply", count)
    for n in range(30):
        world.write(f"{n:02}.md", "# Same title\n\nSame text.")
    report = world.sync()
    assert report.embedded == 1
    assert max(sizes) <= 8
    assert sum(sizes) == 30


def test_progress_counts_files_passages_and_bytes(world: World) -> None:
    size = sum(world.write(f"{n}.md", f"Text {n}.").stat().st_size for n in range(3))
    events = [step for step in world.steps() if isinstance(step, Progress) and step.note != "comparing"]
    assert [(step.done, step.total, step.unit) for step in events] == [(n, 3, "files") for n in range(4)]
    assert events[-1].counts["passages"] == 3
    assert events[-1].counts["bytes"] == size


def test_files_are_read_in_worker_processes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("a.md", "# A\n\nText.")
    world.write("b.pdf", b"%PDF-1.4 broken")
    report = drain(
        ingest([world.docs], store=world.store, index=world.index, embedder=world.embedder, spec=SPEC, workers=1)
    )
    assert (report.added, [failure.uri for failure in report.failed]) == (["a.md"], ["b.pdf"])
    world.store.close()
