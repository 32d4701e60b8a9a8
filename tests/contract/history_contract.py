"""What every store must do with the past: audit, removed documents, pruning and purging."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.store_model import ALL, OTHER, SPEC, cut, put, vector_of
from knowhow.ports import Fail, FileStamp, Overlay, Remove, SetAccess, Store
from knowhow.types import Action, AuditEntry, DocumentState, Filter

ANYONE = Filter()
HR = Filter(access=frozenset({"hr"}))
TEXT = "The kettle is blue and holds two litres of water. " * 3
LATER = TEXT.replace("blue", "green")
PROSE = "A walk along the river leads past the old mill and back. " * 3


def found(store: Store, index: str, words: str, filter: Filter = ALL) -> set[tuple[str, int]]:
    """(uri, version) of every passage found by words or by any vector."""
    candidates = store.candidates(index, words, vector_of(words), 1000, filter, None)
    return {(p.uri, p.version) for p in store.passages(index, candidates.ids.tolist(), filter)}


def brief(entry: AuditEntry) -> tuple[Action, str, int, int]:
    return entry.action, entry.uri, entry.before, entry.after


def sound(store: Store) -> None:
    assert [check for check in store.check() if not check.ok and not check.name.startswith("vector")] == []


class HistoryContract(ABC):
    """Inherit, implement `open`, and every test below runs against that store."""

    @abstractmethod
    def open(self, place: Path) -> Store:
        """A handle to the store that lives at `place`."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.open(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def index(self, store: Store) -> str:
        return store.create_index(SPEC)

    # audit

    def test_every_change_leaves_an_entry(self, store: Store, index: str) -> None:
        before = time.time()
        store.apply(index, [put("a", TEXT), put("b", PROSE)])
        store.apply(index, [put("a", LATER)])
        store.apply(index, [SetAccess("a", frozenset({"hr"}))])
        store.apply(index, [put("c", PROSE, moved_from="b")])
        store.apply(index, [Fail("c", "docs", "damaged", "byte 7")])
        store.apply(index, [Remove("a")])
        entries = list(store.audit(ALL))
        assert [brief(entry) for entry in entries] == [
            (Action.ADDED, "a", 0, 1),
            (Action.ADDED, "b", 0, 1),
            (Action.UPDATED, "a", 1, 2),
            (Action.RETAGGED, "a", 2, 2),
            (Action.MOVED, "b", 1, 0),
            (Action.ADDED, "c", 0, 1),
            (Action.FAILED, "c", 1, 0),
            (Action.REMOVED, "a", 2, 0),
        ]
        assert [entry.other for entry in entries][4:6] == ["c", "b"]
        assert entries[3].detail == "everyone → hr"
        assert entries[6].detail == "damaged"
        assert all(before - 1 < entry.at < time.time() + 1 and entry.by for entry in entries)
        assert {entry.source for entry in entries} == {"docs"}
        assert list(store.audit(ALL, since=time.time() + 1)) == []
        assert [brief(e) for e in store.audit(ALL, uri="b")] == [brief(entries[1]), brief(entries[4])]

    def test_what_changes_nothing_leaves_no_entry(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT, access={"hr"})])
        store.apply(index, [SetAccess("a", frozenset({"hr"})), Remove("nothing")])
        store.apply(index, [], [FileStamp("a", "a", 1, 2, "h")])
        assert [brief(entry) for entry in store.audit(ALL)] == [(Action.ADDED, "a", 0, 1)]

    def test_entries_are_seen_with_the_tags_of_today(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT), put("b", PROSE, access={"hr"})])
        store.apply(index, [put("open", PROSE, moved_from="b")])
        assert {entry.uri for entry in store.audit(ANYONE)} == {"a", "open"}
        store.apply(index, [SetAccess("a", frozenset({"hr"}))])
        assert "a" not in {entry.uri for entry in store.audit(ANYONE)}
        assert [entry.action for entry in store.audit(HR, uri="a")] == [Action.ADDED, Action.RETAGGED]

    def test_a_hidden_name_is_left_out_of_the_entries_of_others(self, store: Store, index: str) -> None:
        store.apply(index, [put("hr/secret", PROSE, access={"hr"})])
        store.apply(index, [put("open", PROSE, moved_from="hr/secret")])
        store.apply(index, [SetAccess("hr/secret", frozenset({"hr"}))])
        told = list(store.audit(ANYONE))
        assert [(entry.uri, entry.other) for entry in told] == [("open", "")]
        assert "hr/secret" in {entry.other for entry in store.audit(HR)}

    # what was removed

    def test_removed_documents_are_listed_where_asked_for(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT, access={"hr"}), put("b", PROSE)])
        store.apply(index, [Remove("a")])
        assert [info.uri for info in store.documents(ALL)] == ["b"]
        assert [(i.uri, i.state) for i in store.documents(ALL, removed=True)] == [
            ("a", DocumentState.REMOVED),
            ("b", DocumentState.READY),
        ]
        assert [info.uri for info in store.documents(ANYONE, removed=True)] == ["b"]

    # pruning

    def test_pruning_erases_what_ended_before(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT), put("gone", PROSE), put("stays", "Something else altogether. " * 4)])
        store.apply(index, [put("a", LATER), Remove("gone")])
        store.optimize()
        then = time.time()
        time.sleep(0.01)
        store.apply(index, [put("a", TEXT + "And a lid. ")])
        would = store.prune(then, dry_run=True)
        assert (would.uris, would.versions) == (("a", "gone"), 2)
        assert would.passages == len(cut(TEXT, "")) + len(cut(PROSE, ""))
        assert store.prune(then) == would
        assert [info.version for info in store.versions("a", ALL)] == [3, 2]
        assert store.versions("gone", ALL) == []
        past = Filter(ALL.access, as_of=then)
        assert found(store, index, "kettle", past) == {("a", 2), ("stays", 1)}
        assert found(store, index, "kettle") == {("a", 3), ("stays", 1)}
        assert store.prune(then).versions == 0
        assert [brief(e) for e in store.audit(ALL)][-2:] == [
            (Action.PRUNED, "a", 1, 0),
            (Action.PRUNED, "gone", 1, 0),
        ]
        sound(store)

    def test_a_number_never_stands_for_two_texts(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT)])
        store.apply(index, [Remove("a")])
        store.prune(time.time() + 1)
        store.apply(index, [put("a", LATER)])
        assert [info.version for info in store.versions("a", ALL)] == [2]
        store.purge("a")
        store.apply(index, [put("a", PROSE)])
        assert [info.version for info in store.versions("a", ALL)] == [3]

    def test_content_of_a_version_that_answers_outlives_pruning(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT)])
        store.apply(index, [put("b", TEXT, moved_from="a")])
        assert store.prune(time.time() + 1).passages == 0
        assert found(store, index, "kettle") == {("b", 1)}
        sound(store)

    # purging

    def test_a_purged_document_is_gone_at_once_and_for_others_nothing_changes(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT, access={"hr"}), put("b", PROSE)], [FileStamp("a", "a", 1, 2, "h")])
        store.apply(index, [put("a", LATER, access={"hr"})])
        then = time.time()
        store.optimize()
        store.apply(index, [put("a", TEXT + LATER, access={"hr"})])
        kept = store.candidates(index, "river mill", vector_of("river"), 100, ANYONE, None)
        erased = store.purge("a")
        assert (erased.uris, erased.versions) == (("a",), 3)
        assert found(store, index, "kettle blue green") == {("b", 1)}
        assert found(store, index, "kettle", Filter(ALL.access, as_of=then)) == {("b", 1)}
        assert store.document("a", ALL) is None
        assert store.versions("a", ALL) == []
        assert "a" not in store.stamps("docs")
        again = store.candidates(index, "river mill", vector_of("river"), 100, ANYONE, None)
        assert again.ids.tolist() == kept.ids.tolist()
        assert again.keyword.tolist() == kept.keyword.tolist()
        sound(store)

    def test_another_process_sees_a_purge_at_its_next_question(self, store: Store, index: str, tmp_path: Path) -> None:
        store.apply(index, [put("a", TEXT), put("b", PROSE)])
        store.optimize()
        store.apply(index, [put("a", LATER)])
        other = self.open(tmp_path)
        assert found(other, index, "kettle") == {("a", 2), ("b", 1)}
        store.purge("a")
        store.wipe()
        assert found(other, index, "kettle") == {("b", 1)}
        store.apply(index, [put("c", TEXT)])
        assert found(other, index, "kettle") == {("b", 1), ("c", 1)}
        other.close()

    def test_a_purge_follows_a_document_through_its_moves(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT)])
        store.apply(index, [put("a", LATER)])
        store.apply(index, [put("b", LATER, moved_from="a")])
        store.apply(index, [put("a", PROSE)])  # another document under the old name
        store.apply(index, [put("b", TEXT + LATER)])
        store.apply(index, [put("c", TEXT + LATER, moved_from="b")])
        would = store.purge("b", dry_run=True)
        assert found(store, index, "kettle") == {("a", 3), ("c", 1)}
        assert store.purge("b") == would
        assert (would.uris, would.versions) == (("a", "b", "c"), 5)
        assert found(store, index, "kettle river") == {("a", 3)}
        assert [info.version for info in store.versions("a", ALL)] == [3]
        assert [info.uri for info in store.documents(ALL, removed=True)] == ["a"]
        sound(store)

    def test_a_purge_leaves_entries_without_content_and_as_closed(self, store: Store, index: str) -> None:
        store.apply(index, [put("a", TEXT, access={"hr"})])
        store.apply(index, [SetAccess("a", frozenset({"hr", "legal"}))])
        store.purge("a")
        entries = list(store.audit(ALL, uri="a"))
        assert entries[-1].action is Action.PURGED
        assert {entry.detail for entry in entries} == {""}
        assert list(store.audit(HR, uri="a")) == []

    def test_a_failed_document_and_an_unknown_one_can_be_purged(self, store: Store, index: str) -> None:
        store.apply(index, [Fail("a", "docs", "damaged", "My secret")])
        assert store.purge("a").versions == 0
        assert store.purge("unknown").uris == ()
        assert list(store.documents(ALL, removed=True)) == []

    def test_a_purge_reaches_every_index(self, store: Store, index: str) -> None:
        other = store.create_index(OTHER)
        store.apply(index, [put("a", TEXT), put("b", PROSE)])
        for uri, text in (("a", TEXT), ("b", PROSE)):
            store.index_passages(other, uri, 1, cut(text, "", 40))
        store.purge("a")
        assert store.passages_of(other, "a", 1) == []
        assert found(store, other, "kettle river") == {("b", 1)}
        hidden = store.candidates(other, "kettle", None, 10, ALL, Overlay(mask=frozenset({"b"})))
        assert hidden.ids.tolist() == []
        sound(store)
