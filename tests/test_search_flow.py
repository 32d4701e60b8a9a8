"""Search over a real store: what is shown once, what is merged, what is hidden, and what is told of each candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from knowhow.backends.fake import FakeEmbedder, FakeReranker
from knowhow.errors import ConfigProblem, NotFound
from knowhow.ingest.split import embed_hash, embed_text, split
from knowhow.ports import Candidates, IndexedPassage, Overlay, Put, Remove
from knowhow.search.search import LOOKED_AT, search
from knowhow.store.sqlite import SqliteStore
from knowhow.types import (
    EVERYTHING,
    Document,
    Fate,
    Filter,
    Hit,
    IndexSpec,
    Place,
    Recipe,
    SearchMode,
    SearchResult,
    Span,
    SplitSpec,
)

EMBEDDER = FakeEmbedder(64)
SPEC = IndexSpec(SplitSpec(target=60, limit=90), EMBEDDER.name, EMBEDDER.dims)
ALL = Filter(access=frozenset({EVERYTHING}))
RECIPE = Recipe(k=3)
RETURNS = "Laptops can be returned within 45 days of delivery. Keep the box."
LONG = (
    "Every laptop that our shop has sold since the spring can be brought back to any branch within 45 days of its "
    "delivery, provided that the box, the charger and the printed receipt come along with it on that day."
)


class World:
    """A store with one index, filled document by document."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.index = store.create_index(SPEC)

    def put(self, uri: str, text: str, title: str = "", **more: Any) -> Put:
        document = Document(uri=uri, text=text, title=title, **more)
        pieces = split(text, document.spans, title, SPEC.split)
        texts = [text[piece.start : piece.end] for piece in pieces]
        vectors = EMBEDDER.documents([embed_text(p.lead, t) for p, t in zip(pieces, texts, strict=True)])
        passages = [
            IndexedPassage(piece.start, piece.end, piece.lead, embed_hash(piece.lead, body), vector)
            for piece, body, vector in zip(pieces, texts, vectors, strict=True)
        ]
        return Put(document, passages)

    def add(self, uri: str, text: str, title: str = "", **more: Any) -> None:
        self.store.apply(self.index, [self.put(uri, text, title, **more)])

    def add_whole(self, uri: str, text: str, title: str = "", **more: Any) -> None:
        """As one passage, however long."""
        vector = EMBEDDER.query(embed_text(title, text))
        document = Document(uri=uri, text=text, title=title, **more)
        passage = IndexedPassage(0, len(text), title, embed_hash(title, text), vector)
        self.store.apply(self.index, [Put(document, [passage])])

    def search(self, question: str, recipe: Recipe = RECIPE, filter: Filter = ALL, **more: Any) -> SearchResult:
        return search(self.store, EMBEDDER, question, recipe, filter, **more)

    def uris(self, question: str, recipe: Recipe = RECIPE, filter: Filter = ALL, **more: Any) -> list[str]:
        return [hit.uri for hit in self.search(question, recipe, filter, **more).hits]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = SqliteStore(tmp_path / "knowhow.db")
    yield World(store)
    store.close()


def fates(result: SearchResult) -> dict[str, Fate]:
    return {f"{row.uri}:{row.start}": row.fate for row in result.candidates}


@pytest.mark.parametrize("mode", list(SearchMode))
def test_each_mode_finds_and_scores(world: World, mode: SearchMode) -> None:
    world.add("returns.md", RETURNS, "Returns")
    world.add("cats.md", "Cats sleep most of the day.", "Cats")
    result = world.search("laptop returned days", replace(RECIPE, mode=mode))
    best = result.hits[0]
    assert (best.uri, best.rank, best.text, best.title) == ("returns.md", 1, RETURNS, "Returns")
    assert (best.keyword > 0) == (mode is not SearchMode.VECTOR)
    assert (best.vector > 0) == (mode is not SearchMode.KEYWORD)
    assert best.relevance > max((hit.relevance for hit in result.hits[1:]), default=0)
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)
    assert result.candidates[0].fate is Fate.SHOWN
    assert result.candidates[0].fused == best.score
    assert {"embed", "candidates", "texts", "judge", "distinct", "rerank", "total"} == set(result.ms)


def test_a_title_alone_finds_its_document(world: World) -> None:
    world.add("a.md", "Within 45 days.", "Returning laptops")
    world.add("b.md", "Within 30 days.", "Returning bags")
    assert world.uris("laptop", replace(RECIPE, mode=SearchMode.KEYWORD)) == ["a.md"]


def test_an_empty_workspace_or_question_finds_nothing(world: World, tmp_path: Path) -> None:
    world.add("returns.md", RETURNS)
    assert world.search("  ").hits == ()
    empty = SqliteStore(tmp_path / "empty.db")
    assert search(empty, EMBEDDER, "laptop", RECIPE, ALL).hits == ()
    empty.close()


def test_an_unknown_index_or_another_embedder_is_named(world: World) -> None:
    world.add("returns.md", RETURNS)
    with pytest.raises(NotFound, match="no index nope"):
        world.search("laptop", replace(RECIPE, index="nope"))
    other = FakeEmbedder(32)
    with pytest.raises(ConfigProblem, match=r"fake:64.*fake:32.*knowhow reindex"):
        search(world.store, other, "laptop", RECIPE, ALL)
    assert search(world.store, other, "laptop", replace(RECIPE, mode=SearchMode.KEYWORD), ALL).hits


def test_a_copy_is_shown_once_and_the_latest_stays(world: World) -> None:
    world.add_whole("copy.md", LONG, "Copy", effective_at=1.0)
    world.add_whole("loud.md", LONG.upper().replace(",", " --"), "Loud", effective_at=2.0)
    result = world.search("laptop delivery", replace(RECIPE, k=10))
    assert [hit.uri for hit in result.hits] == ["loud.md"]
    assert sorted(fates(result).values()) == [Fate.DUPLICATE, Fate.SHOWN]


@pytest.mark.parametrize(("one", "other"), [("45 days", "30 days"), ("can be", "cannot be"), ("receipt", "invoice")])
def test_contradicting_copies_are_both_shown(world: World, one: str, other: str) -> None:
    assert one in LONG
    world.add_whole("a.md", LONG)
    world.add_whole("b.md", LONG.replace(one, other))
    assert set(world.uris("laptop delivery receipt")) == {"a.md", "b.md"}


def test_a_short_text_under_another_title_is_another_text(world: World) -> None:
    world.add("drones.md", "Not covered by the warranty.", "Drones")
    world.add("bags.md", "Not covered by the warranty.", "Bags")
    assert set(world.uris("warranty")) == {"drones.md", "bags.md"}


def test_a_longer_passage_takes_the_place_of_what_it_contains(world: World) -> None:
    quote = LONG[: LONG.index(", provided")]
    world.add_whole("quote.md", quote)
    world.add_whole("whole.md", LONG)
    result = world.search(quote)
    assert result.candidates[0].uri == "quote.md"
    assert [hit.uri for hit in result.hits] == ["whole.md"]


def test_neighbours_become_one_exact_stretch(world: World) -> None:
    text = "Laptops go back in 45 days to any shop we have.\n\nLaptops go back only in their box and with papers."
    world.add("a.md", text, "A")
    world.add("b.md", "Bags stay sold for good.")
    one = world.search("laptops go back", replace(RECIPE, k=1)).hits[0]
    assert len(one.passages) == 1
    assert text[one.start : one.end] == one.text
    result = world.search("laptops go back", replace(RECIPE, k=2))
    assert [(hit.uri, hit.text) for hit in result.hits] == [("a.md", text), ("b.md", "Bags stay sold for good.")]
    assert len(result.hits[0].passages) == 2
    assert list(fates(result).values()).count(Fate.MERGED) == 1


def test_a_stretch_is_bridged_by_what_lies_between_its_halves(world: World) -> None:
    text = (
        "Return laptops laptops laptops within forty-five days.\n\n"
        "This middle part talks about laptops just in passing.\n\n"
        "Return laptops laptops laptops with their box, always."
    )
    world.add("a.md", text)
    world.add("b.md", "Nothing about it here.")
    hit = world.search("return laptops", replace(RECIPE, k=4)).hits[0]
    assert (hit.start, hit.end, hit.text) == (0, len(text), text)
    assert len(hit.passages) == len(set(hit.passages)) == 3


def test_pages_that_meet_are_merged_with_the_place_where_the_stretch_begins(world: World) -> None:
    one, two = "Laptops go back in 45 days to any shop.\n", "Laptops go back only in their own box."
    spans = (Span(0, len(one), Place(page=1)), Span(len(one), len(one) + len(two), Place(page=2)))
    world.add("a.pdf", one + two, spans=spans)
    (hit,) = world.search("laptops own box go back").hits
    assert hit.text == one + two
    assert hit.place.page == 1


def test_no_stretch_grows_without_end(world: World) -> None:
    text = "\n\n".join(f"Laptop number {i} goes back to the shop in {i} days." for i in range(300))
    world.add("a.md", text)
    result = world.search("laptop shop days", replace(RECIPE, k=4))
    assert len(result.hits) == 4
    assert max(len(hit.text) for hit in result.hits) <= 3000
    assert len(result.candidates) == LOOKED_AT
    shown = [passage for hit in result.hits for passage in hit.passages]
    assert len(shown) == len(set(shown))


def test_newest_first_orders_the_best_by_when_they_took_effect(world: World) -> None:
    world.add("old.md", "Laptops: 30 days to return.", effective_at=100.0)
    world.add("new.md", "Laptops: 45 days to return, since the new policy came.", effective_at=300.0)
    world.add("mid.md", "Laptops: 40 days to return, they said in between.", effective_at=200.0)
    newest = replace(RECIPE, newest_first=True)
    assert world.uris("laptops days return", newest) == ["new.md", "mid.md", "old.md"]
    assert [hit.rank for hit in world.search("laptops days return", newest).hits] == [1, 2, 3]
    assert set(world.uris("laptops 30", replace(newest, k=1))) == {"old.md"}, "date never beats relevance for a place"


def test_a_reranker_orders_more_than_k(world: World) -> None:
    for i in range(10):
        world.add(f"{i}.md", "laptop " * (10 - i) + f"number{i}")
    world.add("best.md", "A laptop and a return to the shop")
    plain = world.search("laptop return shop", replace(RECIPE, k=2, mode=SearchMode.VECTOR))
    result = world.search("laptop return shop", replace(RECIPE, k=2), reranker=FakeReranker())
    assert plain.hits[0].rerank is None
    assert result.hits[0].uri == "best.md"
    assert result.hits[0].rerank == 1.0
    assert sum(row.rerank is not None for row in result.candidates) > 2


def test_what_may_not_be_seen_leaves_no_trace(world: World) -> None:
    world.add("open.md", "Laptop prices are public.")
    world.add("hr.md", RETURNS, access=frozenset({"hr"}))
    result = world.search("laptop returned", filter=Filter())
    assert {row.uri for row in result.candidates} == {"open.md"}
    assert set(world.uris("laptop returned", filter=Filter(access=frozenset({"hr"})))) == {"hr.md", "open.md"}


def test_an_overlay_masks_and_adds_and_merges_its_own_text(world: World) -> None:
    world.add("a.md", RETURNS)
    text = "Laptops go back in 30 days to any shop we have.\n\nLaptops go back only in their box and with papers."
    overlay = Overlay(mask=frozenset({"a.md"}), add=[world.put("trial.md", text)])
    (hit,) = world.search("laptops go back", overlay=overlay).hits
    assert (hit.uri, hit.text) == ("trial.md", text)
    assert world.uris("laptops go back") == ["a.md"]


class Restless:
    """A store whose document is replaced just after the scores were read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked = 0

    def candidates(self, *args: Any) -> Candidates:
        found = self._world.store.candidates(*args)
        self.asked += 1
        if self.asked == 1:
            self._world.add("returns.md", RETURNS.replace("45", "60"))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.store, name)


def test_a_document_replaced_meanwhile_is_found_in_its_new_version(world: World) -> None:
    world.add("returns.md", RETURNS)
    restless = Restless(world)
    result = search(restless, EMBEDDER, "laptop returned", RECIPE, ALL)  # type: ignore[arg-type]
    assert restless.asked == 2
    assert ["60 days" in hit.text for hit in result.hits] == [True]


def test_removed_is_gone(world: World) -> None:
    world.add("returns.md", RETURNS)
    world.store.apply(world.index, [Remove("returns.md")])
    assert world.uris("laptop returned") == []


def spread(hits: Sequence[Hit]) -> float:
    return max(hit.relevance for hit in hits)


def test_relevance_tells_a_question_the_corpus_answers_from_one_it_does_not(world: World) -> None:
    world.add("returns.md", RETURNS, "Returns")
    world.add("ship.md", "Parcels are shipped on the next working day.", "Shipping")
    world.add("cats.md", "Cats sleep most of the day.", "Cats")
    answered = spread(world.search("How many days until laptops can be returned?").hits)
    unanswered = spread(world.search("Who founded the drone museum of Lisbon?").hits)
    assert answered > 0.5 > unanswered
