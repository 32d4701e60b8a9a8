"""A store in plain dicts and loops: what any real store must agree with."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from knowhow.ports import Change, Fail, Floats, IndexedPassage, Overlay, Put, Remove, SetAccess, Store
from knowhow.store.analyze import query_terms, searchable, terms
from knowhow.types import Document, Filter, IndexSpec, MetaValue, Place, Span, SplitSpec

DIMS = 8
SPEC = IndexSpec(SplitSpec(target=20, limit=30), "model", DIMS)
OTHER = IndexSpec(SplitSpec(target=40, limit=60), "model", DIMS)
ALL = Filter(access=frozenset({"*"}))

Key = tuple[str, int, int, int]
"""uri, version, start, end."""


def vector_of(text: str) -> Floats:
    """A unit vector that depends on `text` alone."""
    seed = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    drawn = np.random.default_rng(seed).standard_normal(DIMS)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def cut(text: str, lead: str, size: int = 20) -> list[IndexedPassage]:
    """Passages of `size` characters."""
    found = []
    for start in range(0, len(text), size):
        end = min(len(text), start + size)
        searched = searchable(lead, text[start:end])
        name = hashlib.sha256(searched.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        found.append(IndexedPassage(start, end, lead, name, vector_of(searched)))
    return found


def put(
    uri: str,
    text: str,
    *,
    access: Iterable[str] = (),
    metadata: dict[str, MetaValue] | None = None,
    title: str = "",
    source: str = "docs",
    moved_from: str = "",
    size: int = 20,
) -> Put:
    """A document cut into passages, two pages to it."""
    half = len(text) // 2
    spans = (
        Span(0, half, Place(page=1)),
        Span(half, len(text), Place(page=2, heading=("Part", "Two")), "table", "a|b"),
    )
    document = Document(
        uri,
        text,
        title=title,
        source=source,
        spans=spans,
        metadata=metadata or {},
        access=frozenset(access),
        content_hash=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    )
    return Put(document, cut(text, title, size), moved_from)


@dataclass
class ModelVersion:
    number: int
    put: Put
    opened: int
    closed: int | None = None


@dataclass
class ModelDocument:
    access: frozenset[str]
    source: str
    state: str
    versions: list[ModelVersion] = field(default_factory=list)

    @property
    def current(self) -> ModelVersion | None:
        last = self.versions[-1] if self.versions else None
        return last if last is not None and last.closed is None else None


class Model:
    """`tick` counts commits; a version answers at tick t when opened <= t < closed."""

    def __init__(self) -> None:
        self.documents: dict[str, ModelDocument] = {}
        self.came_from: dict[str, set[str]] = {}
        self.tick = 0

    def apply(self, changes: Sequence[Change]) -> None:
        self.tick += 1
        for change in changes:
            if isinstance(change, Put):
                self._put(change)
            elif isinstance(change, Remove):
                if change.uri in self.documents:
                    self._close(change.uri, "removed")
            elif isinstance(change, Fail):
                known = self.documents.setdefault(change.uri, ModelDocument(frozenset(), change.source, "failed"))
                self._close(change.uri, "failed")
                known.source = change.source
                self._demand(change.uri, known.access | change.access)
            elif isinstance(change, SetAccess):
                self._demand(change.uri, change.access)

    def _put(self, change: Put) -> None:
        own = change.document
        if change.moved_from and change.moved_from != own.uri and change.moved_from in self.documents:
            self._close(change.moved_from, "removed")
            self.came_from.setdefault(own.uri, set()).add(change.moved_from)
        known = self.documents.setdefault(own.uri, ModelDocument(own.access, own.source, "ready"))
        self._close(own.uri, "ready")
        for earlier in self.came_from.values():
            earlier.discard(own.uri)
        known.versions.append(ModelVersion(len(known.versions) + 1, change, self.tick))
        known.source = own.source
        self._demand(own.uri, own.access)

    def _close(self, uri: str, state: str) -> None:
        known = self.documents[uri]
        known.state = state
        if known.current is not None:
            known.current.closed = self.tick
        for earlier in self.came_from.values():
            earlier.discard(uri)

    def _demand(self, uri: str, access: frozenset[str]) -> None:
        self.documents[uri].access = access
        seen, todo = {uri}, [uri]
        while todo:
            for earlier in self.came_from.get(todo.pop(), set()) - seen:
                self.documents[earlier].access |= access
                seen.add(earlier)
                todo.append(earlier)

    def answering(self, filter: Filter, tick: int | None = None) -> list[tuple[str, ModelVersion]]:
        """What `filter` may see now or at an earlier tick; `filter.as_of` is not looked at."""
        found = []
        for uri, known in self.documents.items():
            for version in known.versions:
                if tick is None:
                    answers = version.closed is None
                else:
                    answers = version.opened <= tick and (version.closed is None or version.closed > tick)
                if answers and self.visible(uri, filter) and self.meets(version.put.document, filter):
                    found.append((uri, version))
        return found

    def visible(self, uri: str, filter: Filter) -> bool:
        return "*" in filter.access or self.documents[uri].access <= filter.access

    @staticmethod
    def meets(own: Document, filter: Filter) -> bool:
        fields = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in own.metadata.items()
        }
        fields |= {"uri": own.uri, "source": own.source}
        for key, value in filter.where.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if key == "uri" and text.endswith("/"):
                if not own.uri.startswith(text):
                    return False
            elif fields.get(key) != text:
                return False
        return True

    def scores(
        self,
        question: str,
        vector: Floats | None,
        filter: Filter,
        tick: int | None = None,
        overlay: Overlay | None = None,
    ) -> dict[Key, tuple[float, float]]:
        """(BM25, cosine) of every passage that `filter` may see."""
        added = list(overlay.add) if overlay else []
        hidden = (overlay.mask if overlay else frozenset()) | {change.document.uri for change in added}
        open_to = Filter(access=filter.access)
        counted = [
            (uri, version.number, version.put) for uri, version in self.answering(open_to, tick) if uri not in hidden
        ]
        counted += [
            (change.document.uri, change.document.version, change)
            for change in added
            if "*" in filter.access or change.document.access <= filter.access
        ]
        bags: dict[Key, Counter[str]] = {}
        found: dict[Key, tuple[float, float]] = {}
        for uri, number, change in counted:
            for passage in change.passages:
                text = change.document.text[passage.start : passage.end]
                bags[uri, number, passage.start, passage.end] = Counter(terms(searchable(passage.lead, text)))
        for uri, number, change in counted:
            if self.meets(change.document, filter):
                for passage in change.passages:
                    key = (uri, number, passage.start, passage.end)
                    found[key] = (bm25(question, bags, key), cosine(passage.vector, vector))
        return found


def bm25(question: str, bags: dict[Key, Counter[str]], key: Key, k1: float = 1.2, b: float = 0.75) -> float:
    """The formula, word for word."""
    mean = sum(bag.total() for bag in bags.values()) / len(bags)
    total = 0.0
    for term in set(query_terms(question)):
        tf = bags[key][term]
        if tf:
            df = sum(term in bag for bag in bags.values())
            idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
            total += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * bags[key].total() / max(mean, 1e-9)))
    return total


def cosine(stored: Floats, asked: Floats | None) -> float:
    if asked is None:
        return 0.0
    half = stored.astype(np.float16).astype(np.float64)
    sizes = float(np.linalg.norm(half) * np.linalg.norm(asked))
    return float(half @ asked) / sizes if sizes else 0.0


def found_scores(
    store: Store,
    index: str,
    question: str,
    vector: Floats | None,
    filter: Filter,
    depth: int = 10_000,
    overlay: Overlay | None = None,
) -> dict[Key, tuple[float, float]]:
    """What `candidates` returns, by place instead of by id."""
    found = store.candidates(index, question, vector, depth, filter, overlay)
    assert len(set(found.ids.tolist())) == len(found.ids) == len(found.keyword) == len(found.vector)
    rows = store.passages(index, found.ids.tolist(), filter, overlay)
    assert [row.id for row in rows] == found.ids.tolist(), "every candidate can be read by the same asker"
    return {
        (row.uri, row.version, row.start, row.end): (float(keyword), float(vector_score))
        for row, keyword, vector_score in zip(rows, found.keyword, found.vector, strict=True)
    }


def assert_same(found: dict[Key, tuple[float, float]], wanted: dict[Key, tuple[float, float]]) -> None:
    """Equal keys and scores, floats within single precision."""
    assert found.keys() == wanted.keys()
    for key, (keyword, vector) in wanted.items():
        assert math.isclose(found[key][0], keyword, rel_tol=1e-4, abs_tol=1e-4), (key, found[key], keyword)
        assert math.isclose(found[key][1], vector, rel_tol=1e-4, abs_tol=1e-4), (key, found[key], vector)


def assert_search_agrees(
    store: Store,
    index: str,
    model: Model,
    question: str,
    filter: Filter,
    tick: int | None = None,
    as_of: float | None = None,
) -> None:
    """Keyword alone, vector alone, and both together give what the model gives."""
    asked = Filter(access=filter.access, where=filter.where, as_of=as_of)
    wanted = model.scores(question, None, filter, tick)
    assert_same(found_scores(store, index, question, None, asked), {k: v for k, v in wanted.items() if v[0] > 0})
    vector = vector_of(question)
    wanted = model.scores("", vector, filter, tick)
    assert_same(found_scores(store, index, "", vector, asked), wanted)
    both = model.scores(question, vector, filter, tick)
    assert_same(found_scores(store, index, question, vector, asked), both)
