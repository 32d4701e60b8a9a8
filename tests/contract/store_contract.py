"""What every store must do. A store's own test file inherits `StoreContract` and says how to open one."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.store_model import (
    ALL,
    DIMS,
    OTHER,
    SPEC,
    Model,
    assert_same,
    assert_search_agrees,
    cut,
    found_scores,
    put,
    vector_of,
)
from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.ports import Fail, FileStamp, IndexedPassage, Overlay, Put, Remove, SetAccess, Source, Store
from knowhow.types import Document, DocumentState, Filter, Place

ANYONE = Filter()
HR = Filter(access=frozenset({"hr"}))
OLD = "Return a laptop within 30 days of delivery to any of our shops."
NEW = "Return a laptop within 45 days of delivery to any of our shops."


class StoreContract(ABC):
    """Inherit, implement `open`, and every test below runs against that store."""

    @abstractmethod
    def open(self, place: Path) -> Store:
        """A handle to the store that lives at `place`; a second call opens the same store again."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.open(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def index(self, store: Store) -> str:
        return store.create_index(SPEC)

    # documents and versions

    def test_a_document_comes_back_as_it_was_put(self, store: Store, index: str) -> None:
        text = "Ünïcode, 𝔸stral, tab\tand nul \0 and a long tail. " * 900
        change = put("a/ä.md", text, metadata={"year": 2024, "draft": True, "share": 0.5, "by": "Zoë"}, title="T")
        store.apply(index, [change])
        found = store.document("a/ä.md", ANYONE)
        assert found is not None
        assert (found.text, found.version, found.valid_to) == (text, 1, None)
        assert (found.title, found.source, found.metadata) == ("T", "docs", change.document.metadata)
        assert found.spans == change.document.spans
        assert found.place_at(len(text) - 1) == Place(page=2, heading=("Part", "Two"))
        rows = store.passages_of(index, "a/ä.md", 1)
        assert [(row.start, row.end) for row in rows] == [(p.start, p.end) for p in change.passages]
        assert all(row.text == text[row.start : row.end] for row in rows)
        assert [row.place for row in rows] == [found.place_at(row.start) for row in rows]

    def test_a_new_version_replaces_the_old_at_once(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD)])
        old = store.candidates(index, "laptop 30 days", None, 10, ANYONE).ids.tolist()
        store.apply(index, [put("a.md", NEW)])
        assert store.passages(index, old, ANYONE) == [], "an id of the old version resolves no more"
        texts = [row.text for row in store.passages_of(index, "a.md", 2)]
        found = store.candidates(index, "30 45 laptop days", None, 10, ANYONE).ids.tolist()
        assert {row.text for row in store.passages(index, found, ANYONE)} <= set(texts)
        versions = store.versions("a.md", ANYONE)
        assert [(row.version, row.state, row.reason) for row in versions] == [
            (2, DocumentState.READY, ""),
            (1, DocumentState.REMOVED, "superseded"),
        ]
        first = store.document("a.md", ANYONE, version=1)
        assert first is not None
        assert first.text == OLD

    def test_times_of_versions_strictly_increase(self, store: Store, index: str) -> None:
        for i in range(20):
            store.apply(index, [put("a.md", f"text {i}")])
        rows = [store.document("a.md", ANYONE, version=i + 1) for i in range(20)]
        times = [time for row in rows if row is not None for time in (row.valid_from, row.valid_to)][:-1]
        assert len(times) == 39
        starts, ends = times[::2], times[1::2]
        assert all(a < b for a, b in zip(starts, ends, strict=False))
        assert starts[1:] == ends

    def test_the_same_uri_twice_in_one_commit_leaves_the_later(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", "first words"), put("a.md", "second words")])
        found = store.document("a.md", ANYONE)
        assert found is not None
        assert (found.text, found.version) == ("second words", 2)
        assert {key[1] for key in found_scores(store, index, "first second words", None, ANYONE)} == {2}

    def test_unchanged_content_keeps_its_passages(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD, metadata={"state": "draft"})])
        before = [row.id for row in store.passages_of(index, "a.md", 1)]
        store.apply(index, [put("a.md", OLD, metadata={"state": "final"})])
        assert [row.id for row in store.passages_of(index, "a.md", 2)] == before
        assert found_scores(store, index, "laptop", None, Filter(where={"state": "draft"})) == {}
        assert found_scores(store, index, "laptop", None, Filter(where={"state": "final"})) != {}

    def test_a_failed_document_stops_answering_and_opens_again_as_the_next_version(
        self, store: Store, index: str
    ) -> None:
        store.apply(index, [put("a.md", OLD)])
        store.apply(index, [Fail("a.md", "docs", "damaged", "cannot be opened"), Fail("b.md", "docs", "empty", "")])
        assert found_scores(store, index, "laptop", vector_of("x"), ANYONE) == {}
        assert store.document("a.md", ANYONE) is None
        assert [(row.uri, row.state, row.reason, row.detail) for row in store.documents(ANYONE)] == [
            ("a.md", DocumentState.FAILED, "damaged", "cannot be opened"),
            ("b.md", DocumentState.FAILED, "empty", ""),
        ]
        store.apply(index, [put("a.md", NEW)])
        found = store.document("a.md", ANYONE)
        assert found is not None
        assert (found.text, found.version) == (NEW, 2)

    def test_a_failure_never_opens_a_document_further(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD, access={"hr"})])
        store.apply(index, [Fail("a.md", "docs", "damaged", "cannot be opened")])
        assert list(store.documents(ANYONE)) == []
        assert store.document("a.md", ANYONE, version=1) is None
        assert [row.uri for row in store.documents(HR)] == ["a.md"]

    def test_a_removed_document_keeps_its_history(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD)])
        store.apply(index, [Remove("a.md"), Remove("never.md")])
        assert list(store.documents(ANYONE)) == []
        assert store.document("a.md", ANYONE) is None
        assert found_scores(store, index, "laptop", None, ANYONE) == {}
        kept = store.document("a.md", ANYONE, version=1)
        assert kept is not None
        assert kept.valid_to is not None
        assert [row.state for row in store.versions("a.md", ANYONE)] == [DocumentState.REMOVED]

    def test_a_moved_document_answers_under_its_new_uri_only(self, store: Store, index: str) -> None:
        store.apply(index, [put("old.md", OLD)])
        before = [row.id for row in store.passages_of(index, "old.md", 1)]
        store.apply(index, [put("new.md", OLD, moved_from="old.md")])
        assert {key[0] for key in found_scores(store, index, "laptop", None, ANYONE)} == {"new.md"}
        assert [row.id for row in store.passages_of(index, "new.md", 1)] == before, "nothing was indexed again"
        assert [row.uri for row in store.documents(ANYONE)] == ["new.md"]
        assert [(row.reason, row.detail) for row in store.versions("old.md", ANYONE)] == [("moved", "new.md")]
        cited = store.document("old.md", ANYONE, version=1)
        assert cited is not None, "what was cited under the old uri can still be read"

    def test_moving_behind_a_tag_hides_the_old_history_too(self, store: Store, index: str) -> None:
        store.apply(index, [put("old.md", OLD)])
        then = time.time()
        store.apply(index, [put("hr/new.md", OLD, access={"hr"}, moved_from="old.md")])
        assert store.document("old.md", ANYONE, version=1) is None
        assert found_scores(store, index, "laptop", None, Filter(as_of=then)) == {}
        assert found_scores(store, index, "laptop", None, Filter(access=frozenset({"hr"}), as_of=then)) != {}

    # what an asker may see

    def test_tags_hide_documents_everywhere(self, store: Store, index: str) -> None:
        both = {"hr", "legal"}
        store.apply(index, [put("open.md", OLD), put("hr.md", OLD, access={"hr"}), put("both.md", OLD, access=both)])
        seen = {
            frozenset[str](): {"open.md"},
            frozenset({"legal"}): {"open.md"},
            frozenset({"hr"}): {"open.md", "hr.md"},
            frozenset(both): {"open.md", "hr.md", "both.md"},
            frozenset({"*"}): {"open.md", "hr.md", "both.md"},
        }
        ids = [row.id for uri in ("open.md", "hr.md", "both.md") for row in store.passages_of(index, uri, 1)]
        for access, uris in seen.items():
            filter = Filter(access=access)
            assert {key[0] for key in found_scores(store, index, "laptop", vector_of("x"), filter)} == uris
            assert {row.uri for row in store.documents(filter)} == uris
            assert {row.uri for row in store.passages(index, ids, filter)} == uris
            for uri in ("open.md", "hr.md", "both.md"):
                assert (store.document(uri, filter) is not None) == (uri in uris)
                assert bool(store.versions(uri, filter)) == (uri in uris)

    def test_hidden_documents_do_not_show_in_scores(self, store: Store, index: str) -> None:
        store.apply(index, [put("open.md", OLD), put("other.md", "Shops are open.")])
        before = found_scores(store, index, "laptop shops", vector_of("x"), ANYONE)
        store.apply(index, [put(f"hr{i}.md", OLD * 5, access={"hr"}) for i in range(5)])
        assert found_scores(store, index, "laptop shops", vector_of("x"), ANYONE) == before

    def test_revoking_takes_effect_at_once_for_all_versions(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD)])
        then = time.time()
        store.apply(index, [put("a.md", NEW)])
        store.apply(index, [SetAccess("a.md", frozenset({"hr"}))])
        for as_of in (None, then):
            assert found_scores(store, index, "laptop", None, Filter(as_of=as_of)) == {}
            assert found_scores(store, index, "laptop", None, Filter(frozenset({"hr"}), as_of=as_of)) != {}
        assert store.document("a.md", ANYONE, version=1) is None
        store.apply(index, [SetAccess("a.md", frozenset())])
        assert found_scores(store, index, "laptop", None, ANYONE) != {}

    def test_tags_of_an_unknown_document_cannot_be_set(self, store: Store, index: str) -> None:
        with pytest.raises(NotFound, match=r"nowhere\.md"):
            store.apply(index, [SetAccess("nowhere.md", frozenset({"hr"}))])

    def test_no_document_can_carry_the_tag_that_opens_everything(self, store: Store, index: str) -> None:
        for change in (put("a.md", OLD, access={"*"}), Fail("a.md", "docs", "x", "", access=frozenset({"*"}))):
            with pytest.raises(UsageProblem):
                store.apply(index, [change])
        assert list(store.documents(ALL)) == []

    def test_conditions_compare_as_text(self, store: Store, index: str) -> None:
        store.apply(
            index,
            [
                put("north/a.md", OLD, metadata={"year": 2024, "draft": True}),
                put("north/b.md", OLD, metadata={"year": "2024"}, source="web"),
                put("northern.md", OLD, metadata={"year": 2023, "uri": "north/a.md"}),
            ],
        )
        wanted = {
            ("year", 2024): {"north/a.md", "north/b.md"},
            ("year", "2024"): {"north/a.md", "north/b.md"},
            ("draft", "true"): {"north/a.md"},
            ("draft", True): {"north/a.md"},
            ("uri", "north/a.md"): {"north/a.md"},
            ("uri", "north/"): {"north/a.md", "north/b.md"},
            ("source", "web"): {"north/b.md"},
            ("year", 1999): set(),
            ("nothing", "x"): set(),
        }
        for (key, value), uris in wanted.items():
            filter = Filter(where={key: value})
            assert {found[0] for found in found_scores(store, index, "laptop", vector_of("x"), filter)} == uris
            assert {row.uri for row in store.documents(filter)} == uris
            assert {uri for uri in ("north/a.md", "north/b.md", "northern.md") if store.document(uri, filter)} == uris
        both = Filter(where={"year": 2024, "uri": "north/", "draft": True})
        assert {found[0] for found in found_scores(store, index, "laptop", None, both)} == {"north/a.md"}

    def test_a_condition_asked_before_holds_for_documents_added_since(self, store: Store, index: str) -> None:
        filters = [Filter(where=where) for where in ({"year": 2024}, {"uri": "n/"}, {"source": "web"}, {"uri": "n/b"})]
        store.apply(index, [put("n/a", OLD, metadata={"year": 2024}, source="web")])
        for filter in filters:
            found_scores(store, index, "laptop", None, filter)
        store.apply(index, [put("n/b", OLD, metadata={"year": 2024}, source="web"), put("n/a", OLD, metadata={})])
        found = [{key[0] for key in found_scores(store, index, "laptop", None, filter)} for filter in filters]
        assert found == [{"n/b"}, {"n/a", "n/b"}, {"n/b"}, {"n/b"}]

    # searching

    def test_search_agrees_with_the_formulas(self, store: Store, index: str) -> None:
        model = Model()
        words = ("laptop", "return", "days", "delivery", "shop", "order", "30", "45")
        random = np.random.default_rng(3)
        changes = [put(f"{i}.md", " ".join(random.choice(words, 30)), title=words[i % 8]) for i in range(30)]
        store.apply(index, changes)
        model.apply(changes)
        for question in ("return laptop", "how many days after delivery", "nothing matches zebra", "the of"):
            assert_search_agrees(store, index, model, question, ANYONE)

    def test_pools_are_cut_at_their_depth_with_both_scores_exact(self, store: Store, index: str) -> None:
        model = Model()
        changes = [put(f"{i}.md", f"laptop {'days ' * (i % 7)} number {i}") for i in range(40)]
        store.apply(index, changes)
        model.apply(changes)
        vector = vector_of("question")
        wanted = model.scores("laptop days", vector, ANYONE)
        found = found_scores(store, index, "laptop days", vector, ANYONE, depth=5)
        assert_same(found, {key: wanted[key] for key in found})
        nearest = sorted(wanted, key=lambda key: -wanted[key][1])[:5]
        assert set(nearest) <= found.keys()
        best = sorted((scores[0] for scores in wanted.values()), reverse=True)[:5]
        assert sorted((scores[0] for scores in found.values()), reverse=True)[:5] == pytest.approx(best, rel=1e-4)
        assert len(found) <= 10

    def test_an_empty_store_and_empty_documents_answer_with_nothing(self, store: Store, index: str) -> None:
        assert found_scores(store, index, "laptop", vector_of("x"), ANYONE) == {}
        store.apply(index, [put("empty.md", "")])
        assert found_scores(store, index, "laptop", vector_of("x"), ANYONE) == {}
        found = store.document("empty.md", ANYONE)
        assert found is not None
        assert found.text == ""

    def test_vectors_of_zeros_score_zero(self, store: Store, index: str) -> None:
        zero = np.zeros(DIMS, np.float32)
        store.apply(index, [Put(Document("a", "laptop"), [IndexedPassage(0, 6, "", "h", zero)]), put("b", "other")])
        found = found_scores(store, index, "", vector_of("x"), ANYONE)
        assert found["a", 1, 0, 6] == (0.0, 0.0)
        assert found_scores(store, index, "", zero, ANYONE) == {}
        assert found_scores(store, index, "laptop", zero, ANYONE).keys() == {("a", 1, 0, 6)}

    def test_a_vector_of_the_wrong_size_is_refused(self, store: Store, index: str) -> None:
        wrong = np.ones(DIMS + 1, np.float32)
        with pytest.raises(UsageProblem, match="dimensions"):
            store.candidates(index, "x", wrong, 10, ANYONE)
        with pytest.raises(UsageProblem, match="dimensions"):
            store.apply(index, [put("ok.md", OLD), Put(Document("a", "x"), [IndexedPassage(0, 1, "", "h", wrong)])])
        with pytest.raises(UsageProblem, match="finite"):
            store.apply(index, [Put(Document("a", "x"), [IndexedPassage(0, 1, "", "h", vector_of("x") * np.inf)])])
        with pytest.raises(UsageProblem, match="outside"):
            store.apply(index, [Put(Document("a", "x"), [IndexedPassage(0, 2, "", "h", vector_of("x"))])])
        assert list(store.documents(ALL)) == [], "nothing of a refused commit is there"

    def test_as_of_answers_from_what_was_known_then(self, store: Store, index: str) -> None:
        model, times = Model(), {}
        steps = (
            [put("a.md", OLD), put("b.md", "A laptop bag.")],
            [put("a.md", NEW)],
            [Remove("b.md"), put("c.md", "A laptop stand.")],
            [put("d.md", NEW, moved_from="a.md"), Fail("c.md", "docs", "damaged", "")],
            [put("d.md", NEW, metadata={"k": "v"})],
        )
        for changes in steps:
            store.apply(index, changes)
            model.apply(changes)
            times[model.tick] = time.time()
            time.sleep(0.002)
        for again in range(2):
            for tick, at in times.items():
                assert_search_agrees(store, index, model, "laptop days", ANYONE, tick, at)
                names = sorted(uri for uri, _ in model.answering(ANYONE, tick))
                assert [row.uri for row in store.documents(Filter(as_of=at))] == names
            if not again:
                store.optimize()
        earlier = store.document("a.md", Filter(as_of=times[1]))
        assert earlier is not None
        assert earlier.text == OLD
        assert found_scores(store, index, "laptop", None, Filter(as_of=1.0)) == {}

    # overlays

    def test_an_overlay_searches_as_if_it_were_stored(self, store: Store, index: str, tmp_path: Path) -> None:
        stored = [put("a.md", OLD), put("b.md", "A laptop bag."), put("c.md", "Shops are open.", access={"hr"})]
        added = [
            put("a.md", NEW, metadata={"year": 1}),
            put("x.md", "laptop " * 30),
            put("y.md", "laptop", access={"hr"}),
        ]
        overlay = Overlay(mask=frozenset({"b.md", "no/such"}), add=added)
        store.apply(index, stored)
        before = found_scores(store, index, "laptop", vector_of("x"), ALL)
        model = Model()
        model.apply(stored)
        for filter in (ANYONE, HR, Filter(where={"year": 1}), Filter(where={"uri": "c.md"}, access=HR.access)):
            for vector in (None, vector_of("x")):
                wanted = model.scores("laptop days", vector, filter, overlay=overlay)
                found = found_scores(store, index, "laptop days", vector, filter, overlay=overlay)
                kept = {key: both for key, both in wanted.items() if vector is not None or both[0] > 0}
                assert_same(found, kept)
        found_ids = store.candidates(index, "laptop", None, 100, HR, overlay).ids
        for row in store.passages(index, found_ids.tolist(), HR, overlay):
            assert (row.id < 0) == (row.uri in {"a.md", "x.md", "y.md"})
        assert store.passages(index, found_ids[found_ids < 0].tolist(), HR) == []
        assert found_scores(store, index, "laptop", vector_of("x"), ALL) == before, "nothing was written"

    # several indexes

    def test_an_index_is_built_beside_the_active_one_and_then_takes_over(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD), put("b.md", NEW), put("gone.md", NEW)])
        store.apply(index, [put("b.md", OLD), Remove("gone.md")])
        other = store.create_index(OTHER)
        assert store.create_index(OTHER) == other
        assert store.indexes() == [(SPEC, True), (OTHER, False)]
        for uri, version in (("a.md", 1), ("b.md", 1)):
            text = store.document(uri, ALL, version=version)
            assert text is not None
            for _ in range(2):
                store.index_passages(other, uri, version, cut(text.text, "", 40))
            assert len(store.passages_of(other, uri, version)) == 2
        with pytest.raises(ConfigProblem, match="reindex"):
            store.activate(other)
        assert found_scores(store, index, "laptop", None, ALL).keys() != {}
        store.index_passages(other, "b.md", 2, cut(OLD, "", 40))
        store.activate(other)
        assert store.indexes() == [(OTHER, True)]
        assert {key[:2] for key in found_scores(store, other, "laptop", None, ALL)} == {("a.md", 1), ("b.md", 2)}
        with pytest.raises(NotFound, match="index"):
            store.candidates(index, "laptop", None, 10, ALL)
        with pytest.raises(NotFound, match="index"):
            store.apply(index, [put("a.md", NEW)])
        assert store.create_index(SPEC) == index, "an index that was replaced can be built again"
        assert found_scores(store, index, "laptop", vector_of("x"), ALL) == {}

    def test_known_vectors_are_given_back(self, store: Store, index: str) -> None:
        change = put("a.md", OLD)
        store.apply(index, [change])
        hashes = [passage.embed_hash for passage in change.passages]
        found = store.vectors(index, [*hashes, "unknown"])
        assert found.keys() == set(hashes)
        for passage in change.passages:
            assert np.allclose(found[passage.embed_hash], passage.vector, atol=1e-3)
        assert store.vectors(index, []) == {}

    def test_a_version_that_is_not_there_cannot_be_indexed(self, store: Store, index: str) -> None:
        with pytest.raises(NotFound, match=r"a\.md"):
            store.index_passages(index, "a.md", 1, [])

    # sources, stamps, revision

    def test_sources_and_stamps_come_back(self, store: Store, index: str) -> None:
        source = Source("docs", "/data/docs", "", "folder", frozenset({"hr"}), "[rules]")
        store.put_source(source)
        store.put_source(Source("web", "/data/web"))
        assert store.sources() == [source, Source("web", "/data/web")]
        stamps = [FileStamp(uri, uri, 5, 2**60 + 1, "h") for uri in ("a.md", "b.md", "w.md")]
        changes = [put("a.md", OLD), Fail("b.md", "docs", "damaged", ""), put("w.md", OLD, source="web")]
        store.apply(index, changes, stamps)
        assert store.stamps("docs") == {"a.md": stamps[0], "b.md": stamps[1]}
        before = store.revision()
        store.apply(index, [], [FileStamp("a.md", "a.md", 6, 1, "h")])
        assert store.stamps("docs")["a.md"].size == 6
        assert store.revision() == before, "a stamp is no content"
        store.apply(index, [Remove("a.md"), put("c.md", OLD, moved_from="w.md")])
        assert store.stamps("docs").keys() == {"b.md"}
        assert store.stamps("web") == {}

    def test_the_revision_counts_changes_of_content(self, store: Store, index: str) -> None:
        seen = [store.revision()]
        for change in (put("a.md", OLD), SetAccess("a.md", frozenset({"hr"})), Remove("a.md")):
            store.apply(index, [change])
            seen.append(store.revision())
        assert seen == sorted(set(seen))
        store.optimize()
        assert store.revision() == seen[-1]

    # several handles, threads

    def test_another_handle_sees_every_commit_at_its_next_question(
        self, store: Store, index: str, tmp_path: Path
    ) -> None:
        other = self.open(tmp_path)
        try:
            model = Model()
            for i in range(30):
                change = put(f"{i % 4}.md", f"laptop number {i}", access={"hr"} if i % 3 == 0 else ())
                (store if i % 2 else other).apply(index, [change])
                model.apply([change])
                assert_search_agrees(other if i % 2 else store, index, model, f"laptop {i}", ANYONE)
        finally:
            other.close()

    def test_a_reader_never_sees_half_a_commit(self, store: Store, index: str, tmp_path: Path) -> None:
        def both(word: str) -> list[Put]:
            return [put(uri, f"{word} " * 12) for uri in ("a.md", "b.md")]

        store.apply(index, both("zero"))
        size = sum(len(change.passages) for change in both("zero"))
        torn: list[object] = []
        done = threading.Event()

        def read() -> None:
            reader = self.open(tmp_path)
            while not done.is_set():
                ids = reader.candidates(index, "zero one two three", None, 100, ANYONE).ids.tolist()
                rows = reader.passages(index, ids, ANYONE)
                if len(ids) != size or len({row.version for row in rows}) > 1:
                    torn.append((ids, rows))
            reader.close()

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for i in range(25):
            store.apply(index, both(("zero", "one", "two")[i % 3]))
        done.set()
        for thread in threads:
            thread.join()
        assert torn == []

    def test_writers_in_threads_take_turns(self, store: Store, index: str) -> None:
        def write(name: str) -> None:
            for i in range(8):
                store.apply(index, [put(f"{name}{i}.md", f"laptop {name} {i}")])

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(list(store.documents(ALL))) == 32
        assert len(found_scores(store, index, "laptop", None, ALL)) == 32

    def test_a_listing_left_open_neither_blocks_nor_freezes_other_calls(self, store: Store, index: str) -> None:
        store.apply(index, [put(f"{i:04}.md", "laptop", size=50) for i in range(600)])
        listing = store.documents(ALL)
        assert next(listing).uri == "0000.md"
        store.apply(index, [put("9999.md", "laptop")])
        found = store.document("9999.md", ALL)
        assert found is not None
        assert len(list(listing)) == 600

    # upkeep

    def test_merging_changes_no_answer(self, store: Store, index: str) -> None:
        model = Model()
        for i in range(12):
            changes = [put(f"{i % 5}.md", f"laptop number {i} " * (i % 3 + 1), access={"hr"} if i % 4 == 0 else ())]
            store.apply(index, changes)
            model.apply(changes)
        for _ in range(2):
            for filter in (ANYONE, HR, ALL):
                assert_search_agrees(store, index, model, "laptop 3 7", filter)
            store.optimize()
            store.optimize()

    def test_a_backup_is_a_whole_store(self, store: Store, index: str, tmp_path: Path) -> None:
        store.apply(index, [put("a.md", OLD)])
        target = tmp_path / "copy"
        target.mkdir()
        self.backup(store, target)
        store.apply(index, [put("a.md", NEW)])
        copy = self.open(target)
        try:
            found = copy.document("a.md", ANYONE)
            assert found is not None
            assert found.text == OLD
            assert all(check.ok for check in copy.check())
            with pytest.raises(ConfigProblem, match="exists"):
                self.backup(store, target)
        finally:
            copy.close()

    @abstractmethod
    def backup(self, store: Store, place: Path) -> None:
        """Backs `store` up so that `open(place)` opens the copy."""

    def test_a_healthy_store_passes_its_check(self, store: Store, index: str) -> None:
        store.apply(index, [put("a.md", OLD), put("b.md", NEW, access={"hr"})])
        store.apply(index, [put("a.md", NEW), Fail("c.md", "docs", "empty", ""), put("d", NEW, moved_from="b.md")])
        for _ in range(2):
            checks = store.check()
            assert [check for check in checks if not check.ok] == []
            assert len(checks) >= 5
            store.optimize()
