"""Random histories of a corpus, merged all the time: every answer equals that of a store in plain dicts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store_model import ALL, SPEC, Model, assert_search_agrees, found_scores, put, vector_of
from knowhow.ports import Change, Fail, Overlay, Put, Remove, SetAccess
from knowhow.store import postings, segments, upkeep
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Filter

URIS = ("a", "b", "n/c", "n/d")
TAGS = ("hr", "legal", "it")
WORDS = ("laptop", "return", "days", "shop", "45", "bag")
QUESTION = "return the laptop in 45 days"

tags = st.frozensets(st.sampled_from(TAGS), max_size=2)
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
uris = st.sampled_from(URIS)
puts = st.builds(
    lambda uri, text, access, year, moved: put(uri, text, access=access, metadata={"year": year}, moved_from=moved),
    uris,
    texts,
    tags,
    st.integers(1, 2),
    st.sampled_from(("", "", "", *URIS)),
)
changes = st.one_of(
    puts,
    puts,
    puts,
    st.builds(Remove, uris),
    st.builds(lambda uri, access: Fail(uri, "docs", "damaged", "", access=access), uris, tags),
    st.builds(SetAccess, uris, tags),
)
filters = st.builds(
    Filter,
    access=st.one_of(tags, st.just(frozenset({"*"}))),
    where=st.sampled_from(({}, {}, {"year": 1}, {"uri": "n/"}, {"uri": "a"}, {"source": "docs", "year": "2"})),
)
quick = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def tiny_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FLUSH", 6)
    monkeypatch.setattr(upkeep, "_TIERS", (10, 14))
    monkeypatch.setattr(upkeep, "MOST", 16)
    monkeypatch.setattr(segments, "MOST", 16)
    monkeypatch.setattr(postings, "PAGE_BYTES", 64)


@pytest.fixture
def folder() -> Iterator[Path]:
    # In memory where there is such a place: hundreds of commits wait for a disk otherwise.
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


def applicable(model: Model, change: Change, touched: set[str]) -> bool:
    """Whether a caller may ask this: tags need a document, and a move its origin, untouched in the same commit."""
    if isinstance(change, SetAccess):
        return change.uri in model.documents
    return not (isinstance(change, Put) and change.moved_from and {change.moved_from, change.document.uri} & touched)


@quick
@given(steps=st.lists(st.lists(changes, min_size=1, max_size=3), max_size=14), filter=filters, data=st.data())
def test_every_history_is_searched_as_the_model_says(
    folder: Path, steps: list[list[Change]], filter: Filter, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        stores = [SqliteStore(Path(name) / "knowhow.db") for _ in range(2)]
        index = stores[0].create_index(SPEC)
        model, times = Model(), {}
        for i, step in enumerate(steps):
            kept: list[Change] = []
            touched: set[str] = set()
            for change in step:
                if applicable(model, change, touched):
                    kept.append(change)
                    touched |= {change.document.uri, change.moved_from} if isinstance(change, Put) else {change.uri}
            stores[i % 2].apply(index, kept)
            model.apply(kept)
            times[model.tick] = time.time()
            assert_search_agrees(stores[(i + 1) % 2], index, model, QUESTION, filter)
            time.sleep(0.001)
        if times:
            tick = data.draw(st.sampled_from(sorted(times)))
            assert_search_agrees(stores[0], index, model, QUESTION, filter, tick, times[tick])
        stores[1].optimize()
        assert_search_agrees(stores[0], index, model, QUESTION, filter)
        assert {row.uri for row in stores[0].documents(ALL)} == {
            uri for uri, known in model.documents.items() if known.state != "removed"
        }
        for uri, known in model.documents.items():
            assert [row.version for row in stores[0].versions(uri, ALL)] == [
                version.number for version in reversed(known.versions)
            ]
        assert [check for check in stores[0].check() if not check.ok] == []
        for store in stores:
            store.close()


@quick
@given(
    stored=st.lists(puts, max_size=6),
    added=st.lists(puts, max_size=3, unique_by=lambda change: change.document.uri),
    mask=st.frozensets(uris, max_size=2),
    filter=filters,
)
def test_an_overlay_is_searched_as_the_model_says(
    folder: Path, stored: list[Put], added: list[Put], mask: frozenset[str], filter: Filter
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        store = SqliteStore(Path(name) / "knowhow.db")
        index = store.create_index(SPEC)
        model = Model()
        for change in stored:
            store.apply(index, [change])
            model.apply([change])
        overlay = Overlay(mask, added)
        vector = vector_of(QUESTION)
        wanted = model.scores(QUESTION, vector, filter, overlay=overlay)
        found = found_scores(store, index, QUESTION, vector, filter, overlay=overlay)
        assert found.keys() == wanted.keys()
        for key, scores in wanted.items():
            assert found[key] == pytest.approx(scores, rel=1e-4, abs=1e-4)
        store.close()


@settings(quick, max_examples=25)
@given(documents=st.lists(st.tuples(texts, tags, tags), min_size=1, max_size=8), asker=tags)
def test_nothing_of_a_hidden_document_reaches_an_asker(
    folder: Path, documents: list[tuple[str, frozenset[str], frozenset[str]]], asker: frozenset[str]
) -> None:
    """Texts, ids, counts and scores are those of a store that never held what the asker may not see."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        whole, part = (SqliteStore(Path(name) / f"{kind}.db") for kind in ("whole", "part"))
        index = whole.create_index(SPEC)
        part.create_index(SPEC)
        for i, (text, first, later) in enumerate(documents):
            change = put(f"{i}", text, access=first)
            whole.apply(index, [change])
            whole.apply(index, [SetAccess(f"{i}", later)])
            if later <= asker:
                part.apply(index, [put(f"{i}", text, access=later)])
        filter = Filter(access=asker)
        vector = vector_of(QUESTION)
        assert found_scores(whole, index, QUESTION, vector, filter) == found_scores(
            part, index, QUESTION, vector, filter
        )
        every = [row.id for i in range(len(documents)) for row in whole.passages_of(index, f"{i}", 1)]
        visible = {row.uri for row in part.documents(ALL)}
        assert {row.uri for row in whole.passages(index, every, filter)} <= visible
        assert {row.uri for row in whole.documents(filter)} == visible
        for i in range(len(documents)):
            assert (whole.document(f"{i}", filter) is not None) == (f"{i}" in visible)
            assert bool(whole.versions(f"{i}", filter)) == (f"{i}" in visible)
        whole.close()
        part.close()
