"""The pieces of the search index: sign bits, postings, pages, merging, the vectors kept in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from contract.store_model import ALL, SPEC, put, vector_of
from knowhow.store import upkeep, vectors
from knowhow.store.bits import FAR, distances, encode, estimate, make_signs, nearest, read_signs, turn
from knowhow.store.candidates import best
from knowhow.store.content import PART_CHARS, pack_spans, place_text, read_place, unpack_spans
from knowhow.store.postings import Postings, count_terms, look_up, pack, pages, term_numbers, unpack
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Place, Span

quick = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize("dims", [1, 8, 64, 100, 256, 384, 768])
def test_signs_of_turned_vectors_tell_angles(dims: int) -> None:
    signs = make_signs(dims)
    assert np.array_equal(read_signs(signs.tobytes(), dims), signs)
    random = np.random.default_rng(1)
    rows = random.standard_normal((200, dims)).astype(np.float32)
    turned = turn(rows, signs)
    assert turned.shape[1] % 64 == 0
    assert turned.shape[1] >= max(512, dims)
    if dims < 64:
        return
    codes = encode(turned)
    shares = np.bitwise_count(codes ^ codes[0]).sum(axis=1) / turned.shape[1]
    cosines = rows @ rows[0] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[0])
    assert np.abs(shares - np.arccos(np.clip(cosines, -1, 1)) / np.pi).max() < 0.12
    estimates = estimate(turned[0], np.ascontiguousarray(codes.T))
    assert np.corrcoef(estimates[1:], cosines[1:])[0, 1] > 0.75


def test_a_turn_keeps_products() -> None:
    """Within one block a turn is orthogonal up to scale: products of vectors come out times width squared."""
    random = np.random.default_rng(2)
    a, b = random.standard_normal((2, 1, 256)).astype(np.float32)
    first = make_signs(256)[:1]
    products = [float((x @ y.T).item()) for x, y in ((a, b), (turn(a, first)[:, :256], turn(b, first)[:, :256]))]
    assert products[1] == pytest.approx(products[0] * 256**2, rel=1e-3, abs=1)


@quick
@given(
    arrays.arrays(np.uint16, st.integers(0, 300), elements=st.sampled_from([0, 1, 2, 3, 40, 65535])), st.integers(1, 50)
)
def test_nearest_holds_the_smallest(found: np.ndarray, count: int) -> None:
    kept = nearest(found, count)
    assert sorted(kept.tolist()) == kept.tolist()
    assert (found[kept] < FAR).all()
    wanted = min(count, int((found < FAR).sum()))
    assert wanted <= len(kept) <= max(wanted, 2 * count)
    if len(kept):
        assert np.sort(found[kept])[:wanted].tolist() == np.sort(found)[:wanted].tolist()


@quick
@given(
    arrays.arrays(np.float32, st.integers(0, 300), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])), st.integers(1, 50)
)
def test_best_are_the_highest_with_ties_to_the_lower_id(scores: np.ndarray, count: int) -> None:
    ids = np.random.default_rng(len(scores)).permutation(len(scores)).astype(np.int64)
    order = sorted(np.flatnonzero(scores > 0).tolist(), key=lambda i: (-scores[i], ids[i]))
    assert best(scores, ids, count).tolist() == sorted(order[:count])


@quick
@given(st.lists(st.booleans(), max_size=200))
def test_distances_skip_what_is_not_allowed(allowed: list[bool]) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 2**63, (4, len(allowed))).astype(np.uint64)
    parts = [codes[:, : len(allowed) // 3], codes[:, len(allowed) // 3 :]]
    query = random.integers(0, 2**63, 4).astype(np.uint64)
    found = distances(query, parts, np.array(allowed, np.bool_))
    plain = [bin(int(query[w] ^ codes[w, i])).count("1") for w in range(4) for i in range(len(allowed))]
    sums = np.array(plain, np.int64).reshape(4, -1).sum(axis=0)
    assert found.tolist() == [int(s) if ok else int(FAR) for s, ok in zip(sums, allowed, strict=True)]


@quick
@given(st.lists(st.lists(st.sampled_from("laptop return days 45 über naïve".split()), max_size=300), max_size=12))
def test_postings_survive_packing_and_paging(texts: list[list[str]]) -> None:
    postings, lengths = count_terms([("", " ".join(words)) for words in texts])
    back = unpack(pack(postings))
    for one, other in zip((back.term, back.passage, back.frequency), fields(postings), strict=True):
        assert np.array_equal(one, other)
    cut = list(pages(postings))
    assert [first for first, _ in cut] == sorted(first for first, _ in cut)
    joined = [unpack(data) for _, data in cut]
    for i in range(3):
        assert np.array_equal(
            np.concatenate([fields(page)[i] for page in joined] or [np.zeros(0)]), fields(postings)[i]
        )
    for term in term_numbers(["laptop", "zebra"]):
        held = [hit for _, data in cut if (hit := look_up(data, term)) is not None]
        assert len(held) <= 1
        mine = postings.term == term
        assert (held[0][0].tolist() if held else []) == postings.passage[mine].tolist()
    for i, words in enumerate(texts):
        assert lengths[i] == postings.frequency[postings.passage == i].sum() or len(words) > 255


def fields(postings: Postings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return postings.term, postings.passage, postings.frequency


def test_counts_beyond_a_byte_are_cut_off() -> None:
    postings, lengths = count_terms([("", "laptop " * 70_000)])
    assert postings.frequency.tolist() == [255]
    assert lengths.tolist() == [65535]


def test_spans_and_places_survive() -> None:
    place = Place(3, "iv", ("A", "B"), "Sheet", 4, 5, "Class.method", 6, "mail.txt")
    spans = (Span(0, 5, place), Span(5, 9, Place(), "table", "a|b"))
    assert unpack_spans(pack_spans(spans)) == spans
    assert read_place(place_text(place)) == place
    assert read_place(place_text(Place())) == Place()


def test_a_document_longer_than_a_block_is_searched_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowhow.store.segments.MOST", 16)
    monkeypatch.setattr(upkeep, "_TIERS", (8, 12))
    store = SqliteStore(tmp_path / "knowhow.db")
    index = store.create_index(SPEC)
    text = " ".join(f"number{i:04}" for i in range(100))
    store.apply(index, [put("long.md", text)])
    for _ in range(2):
        for i in (3, 50, 97):
            ids = store.candidates(index, f"number{i:04}", None, 10, ALL).ids.tolist()
            assert any(f"number{i:04}"[:6] in row.text for row in store.passages(index, ids, ALL))
        assert [found for found in store.check() if not found.ok] == []
        store.optimize()
    store.close()


def test_a_passage_across_parts_of_the_text_is_exact(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "knowhow.db")
    index = store.create_index(SPEC)
    text = "é" * (PART_CHARS - 10) + "𝔸" * 20 + "z" * PART_CHARS
    store.apply(index, [put("a.md", text, size=1000)])
    rows = store.passages_of(index, "a.md", 1)
    assert "".join(row.text for row in rows) == text
    store.close()


def test_segments_stay_few_and_history_leaves_the_live_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FLUSH", 8)
    monkeypatch.setattr(upkeep, "_TIERS", (32, 96))
    store = SqliteStore(tmp_path / "knowhow.db")
    index = store.create_index(SPEC)
    for i in range(60):
        store.apply(index, [put(f"{i % 10}.md", f"laptop number {i} and some more words to it")])
    rows = store._db.connection().execute("select history, passages from segment").fetchall()
    assert len(rows) <= 4 * 2 * 2 + 2
    live = sum(passages for history, passages in rows if not history)
    assert live <= 4 * sum(row.passages for row in store.documents(ALL)) + 32
    store.optimize()
    rows = store._db.connection().execute("select history, sum(passages) from segment group by history").fetchall()
    assert rows[0][1] == sum(row.passages for row in store.documents(ALL))
    store.close()


def test_vectors_in_memory_stay_within_their_bound_and_true(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "knowhow.db")
    index = store.create_index(SPEC)
    store.apply(index, [put(f"{i}.md", f"text {i}") for i in range(40)])
    connection = store._db.connection()
    cache = vectors.VectorCache(8, memory=16 * 10)
    random = np.random.default_rng(0)
    for size in (3, 5, 9, 10, 25, 4, 40):
        ids = random.choice(np.arange(1, 41), size, replace=False)
        found = cache.read(connection, ids)
        for key, vector in zip(ids.tolist(), found, strict=True):
            wanted = connection.execute("select vector from passage where id = ?", (key,)).get
            assert vector.astype(np.float16).tobytes() == wanted
    assert vector_of("x").shape == (8,)
    store.close()
