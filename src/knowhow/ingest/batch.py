"""Documents on their way into the store: split, their unchanged passages given the old vectors, written together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from knowhow.ingest.split import embed_hash, embed_text, split
from knowhow.ports import Change, Embedder, FileStamp, Floats, IndexedPassage, Put, Store
from knowhow.types import Document, IndexSpec

PASSAGES = 512
"""A batch is written when it holds this many passages: large enough for the embedder, small enough to lose."""
CHANGES = 256
"""… or this many changes, or this many characters, so that memory stays flat whatever the files are like."""
CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Cut:
    """A passage before it has its vector."""

    start: int
    end: int
    lead: str
    text: str
    embed_hash: str

    def indexed(self, vector: Floats) -> IndexedPassage:
        """The passage as the store takes it."""
        return IndexedPassage(self.start, self.end, self.lead, self.embed_hash, vector)


def cut(document: Document, spec: IndexSpec) -> list[Cut]:
    """The document's passages under `spec.split`."""
    cuts = []
    for piece in split(document.text, document.spans, document.title, spec.split):
        text = document.text[piece.start : piece.end]
        cuts.append(Cut(piece.start, piece.end, piece.lead, text, embed_hash(piece.lead, text)))
    return cuts


class Vectors:
    """Vectors of passages: those the store has under the same hash, the rest from the embedder."""

    def __init__(self, store: Store, indexes: Sequence[str], embedder: Embedder) -> None:
        self._store = store
        self._indexes = indexes
        self._embedder = embedder
        self.embedded = 0
        """Passages that went to the embedder so far."""

    def indexed(self, documents: Iterable[Sequence[Cut]]) -> list[list[IndexedPassage]]:
        """The passages of each document with their vectors; equal text is embedded once."""
        documents = list(documents)
        wanted = {item.embed_hash: item for cuts in documents for item in cuts}
        vectors: dict[str, Floats] = {}
        for index in self._indexes:
            if missing := [key for key in wanted if key not in vectors]:
                vectors.update(self._store.vectors(index, missing))
        missing = [key for key in wanted if key not in vectors]
        for first in range(0, len(missing), PASSAGES):
            keys = missing[first : first + PASSAGES]
            texts = [embed_text(wanted[key].lead, wanted[key].text) for key in keys]
            vectors.update(zip(keys, self._embedder.documents(texts), strict=True))
            self.embedded += len(keys)
        return [[item.indexed(vectors[item.embed_hash]) for item in cuts] for cuts in documents]


class Batch:
    """Changes with their stamps, written in one transaction; each document wholly or not at all."""

    def __init__(self, store: Store, index: str, spec: IndexSpec, vectors: Vectors) -> None:
        self._store = store
        self._index = index
        self._spec = spec
        self._vectors = vectors
        self._changes: list[Change] = []
        self._stamps: list[FileStamp] = []
        self._puts: list[tuple[Document, str, list[Cut]]] = []
        self._passages = 0
        self._characters = 0

    def put(self, document: Document, stamp: FileStamp, moved_from: str = "") -> int:
        """Adds a document and returns how many passages it has."""
        cuts = cut(document, self._spec)
        self._puts.append((document, moved_from, cuts))
        self._stamps.append(stamp)
        self._passages += len(cuts)
        self._characters += len(document.text)
        return len(cuts)

    def change(self, change: Change, stamp: FileStamp | None = None) -> None:
        """Adds a change that needs no passages."""
        self._changes.append(change)
        if stamp:
            self._stamps.append(stamp)

    def stamp(self, stamp: FileStamp) -> None:
        """Adds a file that looks different and says the same."""
        self._stamps.append(stamp)

    @property
    def is_full(self) -> bool:
        """Whether it is time to write."""
        waiting = max(len(self._changes), len(self._puts), len(self._stamps))
        return self._passages >= PASSAGES or waiting >= CHANGES or self._characters >= CHARACTERS

    def write(self) -> None:
        """Embeds what is new and applies everything; visible to every process when it returns."""
        passages = self._vectors.indexed(cuts for _, _, cuts in self._puts)
        puts = [Put(document, own, moved) for (document, moved, _), own in zip(self._puts, passages, strict=True)]
        if puts or self._changes or self._stamps:
            self._store.apply(self._index, [*self._changes, *puts], self._stamps)
        self._changes, self._stamps, self._puts = [], [], []
        self._passages = self._characters = 0
