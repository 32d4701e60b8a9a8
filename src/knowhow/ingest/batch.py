"""Documents on their way into the store: split, their unchanged passages given the old vectors, written together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from knowhow.ingest.split import embed_hash, embed_text, split
from knowhow.ports import Change, Embedder, FileStamp, Floats, IndexedPassage, Put, Store
from knowhow.types import Document, IndexSpec

PASSAGES = 512
"""A batch is written when it holds this many passages: large enough for the embedder, small enough to lose."""
CHANGES = 256
"""… or this many changes, or this many characters, so that memory stays flat whatever the files are like."""
AHEAD = 2
"""Batches on their way at once: one is written while the next is embedded and the one after is being read."""
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
    """Vectors of passages: those the store has under the same hash, the rest from the embedder. For one thread."""

    def __init__(self, store: Store, indexes: Sequence[str], embedder: Embedder) -> None:
        self._store = store
        self._indexes = indexes
        self._embedder = embedder
        self._fresh: deque[dict[str, Floats]] = deque(maxlen=AHEAD)
        self.embedded = 0
        """Passages that went to the embedder so far."""

    def indexed(self, documents: Iterable[Sequence[Cut]]) -> list[list[IndexedPassage]]:
        """The passages of each document with their vectors; equal text is embedded once."""
        documents = list(documents)
        wanted = {item.embed_hash: item for cuts in documents for item in cuts}
        # What was embedded just before may not be in the store yet.
        vectors = {key: fresh[key] for fresh in self._fresh for key in wanted.keys() & fresh.keys()}
        for index in self._indexes:
            if missing := [key for key in wanted if key not in vectors]:
                vectors.update(self._store.vectors(index, missing))
        missing = [key for key in wanted if key not in vectors]
        for first in range(0, len(missing), PASSAGES):
            keys = missing[first : first + PASSAGES]
            texts = [embed_text(wanted[key].lead, wanted[key].text) for key in keys]
            vectors.update(zip(keys, self._embedder.documents(texts), strict=True))
            self.embedded += len(keys)
        self._fresh.append({key: vectors[key] for key in missing})
        return [[item.indexed(vectors[item.embed_hash]) for item in cuts] for cuts in documents]


@dataclass(slots=True)
class _Load:
    """What is written in one transaction."""

    changes: list[Change] = field(default_factory=list)
    stamps: list[FileStamp] = field(default_factory=list)
    puts: list[tuple[Document, str, list[Cut]]] = field(default_factory=list)
    passages: int = 0
    characters: int = 0


class Batch:
    """Changes with their stamps, written in one transaction; each document wholly or not at all.

    What is sent is embedded and written in threads while the caller goes on, in the order it was sent; after a
    failure nothing more is written. Not thread-safe; to be closed.
    """

    def __init__(self, store: Store, index: str, spec: IndexSpec, vectors: Vectors) -> None:
        self._store = store
        self._index = index
        self._spec = spec
        self._vectors = vectors
        self._load = _Load()
        self._embedding = ThreadPoolExecutor(1, "knowhow-embed")
        self._writing = ThreadPoolExecutor(1, "knowhow-write")
        self._sent: deque[Future[None]] = deque()
        self._failed = False

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits for what was sent; what was only gathered is dropped."""
        self._embedding.shutdown()
        self._writing.shutdown()

    def put(self, document: Document, stamp: FileStamp, moved_from: str = "") -> int:
        """Adds a document and returns how many passages it has."""
        cuts = cut(document, self._spec)
        self._load.puts.append((document, moved_from, cuts))
        self._load.stamps.append(stamp)
        self._load.passages += len(cuts)
        self._load.characters += len(document.text)
        return len(cuts)

    def change(self, change: Change, stamp: FileStamp | None = None) -> None:
        """Adds a change that needs no passages."""
        self._load.changes.append(change)
        if stamp:
            self._load.stamps.append(stamp)

    def stamp(self, stamp: FileStamp) -> None:
        """Adds a file that looks different and says the same."""
        self._load.stamps.append(stamp)

    @property
    def is_full(self) -> bool:
        """Whether it is time to send or to write."""
        load = self._load
        waiting = max(len(load.changes), len(load.puts), len(load.stamps))
        return load.passages >= PASSAGES or waiting >= CHANGES or load.characters >= CHARACTERS

    def send(self) -> None:
        """Sends everything on its way, and waits for what was sent earlier than the last `AHEAD` times.

        Raises what went wrong with an earlier one.
        """
        load, self._load = self._load, _Load()
        if not (load.changes or load.stamps or load.puts):
            return
        puts = self._embedding.submit(self._embed, load)
        self._sent.append(self._writing.submit(self._apply, load, puts))
        while len(self._sent) > AHEAD:
            self._sent.popleft().result()

    def write(self) -> None:
        """Writes everything; that and all that was sent is visible to every process when it returns."""
        self.send()
        while self._sent:
            self._sent.popleft().result()

    def _embed(self, load: _Load) -> list[Put]:
        passages = self._vectors.indexed(cuts for _, _, cuts in load.puts)
        return [Put(document, own, moved) for (document, moved, _), own in zip(load.puts, passages, strict=True)]

    def _apply(self, load: _Load, puts: Future[list[Put]]) -> None:
        if self._failed:
            return
        self._failed = True
        self._store.apply(self._index, [*load.changes, *puts.result()], load.stamps)
        self._failed = False
