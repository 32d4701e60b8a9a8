"""What Knowhow needs from outside, as small protocols; each has one contract-test suite in tests/contract."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from knowhow.ports.records import Record as Record
from knowhow.ports.records import Records as Records
from knowhow.ports.training import Trainer as Trainer
from knowhow.types import (
    AuditEntry,
    ChatReply,
    ChatRequest,
    Document,
    DocumentInfo,
    Erased,
    Filter,
    IndexSpec,
    Message,
    OcrLine,
    Passage,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class ChatModel(Protocol):
    """A model that continues a conversation."""

    name: str
    context_tokens: int
    """Window for prompt and reply together; 0 = unknown."""

    def chat(self, request: ChatRequest) -> ChatReply:
        """The whole reply. Raises `ProviderProblem`."""
        ...

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        """Yields pieces of text as they come; the generator's return value is the whole reply."""
        ...

    def count(self, messages: Sequence[Message]) -> int:
        """Prompt tokens of `messages`, template included; an upper estimate where the tokenizer is remote."""
        ...

    def close(self) -> None:
        """Frees the model or the connection; using it afterwards is an error."""
        ...


class Embedder(Protocol):
    """Text to unit vectors."""

    name: str
    """Names model and revision; part of the index's identity."""
    dims: int

    def documents(self, texts: Sequence[str]) -> Floats:
        """float32[len(texts), dims], each row of length 1 (or all 0 for text without a known token)."""
        ...

    def query(self, text: str) -> Floats:
        """float32[dims], of length 1 or all 0."""
        ...


class Reranker(Protocol):
    """Scores texts against a query together."""

    name: str

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        """float32[len(texts)], higher is more relevant; comparable within one call only."""
        ...


class Verifier(Protocol):
    """A small entailment model."""

    name: str

    def support(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """float32[len(pairs)]: probability that the claim (first) follows from the context (second)."""
        ...


class Ocr(Protocol):
    """Reads the text of pictures."""

    name: str

    def lines(self, picture: NDArray[np.uint8]) -> list[OcrLine]:
        """The lines of `picture` (uint8[h, w, 3], red green blue) in any order; none where it holds no text."""
        ...


# --- store -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage ready to be stored: range, what is searchable with it, and its vector.

    `embed_hash` is a hash of the text that was embedded; equal hash means the old vector can be reused.
    """

    start: int
    end: int
    lead: str
    embed_hash: str
    vector: Floats


@dataclass(frozen=True, slots=True)
class Put:
    """Make `document` the current version of its uri; the previous version stops answering at once.

    `moved_from` is the uri this document was known by before (that uri stops answering in the same instant).
    `passages` belong to the index the change is applied to.
    """

    document: Document
    passages: Sequence[IndexedPassage]
    moved_from: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """`uri` no longer exists in its source; its history is kept."""

    uri: str


@dataclass(frozen=True, slots=True)
class Fail:
    """`uri` exists but gives no text: it is listed with the reason and its old text stops answering."""

    uri: str
    source: str
    reason: str
    detail: str
    content_hash: str = ""
    access: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SetAccess:
    """New access tags for `uri`, in force at the next question, for every version of it."""

    uri: str
    access: frozenset[str]


Change = Put | Remove | Fail | SetAccess


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What a source's file looked like when it was last read, to skip unchanged files without opening them.

    `path` is relative to the source's root, absolute for single files. `mtime_ns` is the later of the file's
    modification and status change; 0 = open it next time, whatever it looks like.
    """

    uri: str
    path: str
    size: int
    mtime_ns: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Source:
    """A named place documents come from. `prefix` starts every uri of it ("" or "NAME/")."""

    name: str
    root: str
    prefix: str = ""
    kind: str = "folder"
    """folder | files | jsonl"""
    access: frozenset[str] = frozenset()
    """Tags every document of it carries; kept, so that a later sync without the option doesn't open them."""
    rules: str = ""
    """Text of the access rules by path (TOML), kept for the same reason."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A copy-on-write view of an index: `mask` hides uris, `add` shows documents that are not stored.

    Used for trials, planted faults and staleness probes; nothing is written. Added passages get negative ids.
    """

    mask: frozenset[str] = frozenset()
    add: Sequence[Put] = ()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Union of both sides' best passages, each with *both* scores exact. Unsorted, parallel arrays.

    `keyword` is BM25 (0 where no term matches); `vector` is the cosine (0 when no vector was asked for).
    """

    ids: Ints
    keyword: Floats
    vector: Floats


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """One integrity finding. `repaired` says whether it was mended; `mend` names the command otherwise."""

    name: str
    ok: bool
    detail: str
    repaired: bool = False
    mend: str = ""


class Store(Protocol):
    """The corpus: documents with versions, passages, keyword index and vectors. Thread-safe.

    Every read notices other processes' commits before it answers. Every write is one transaction.
    """

    # indexes
    def create_index(self, spec: IndexSpec) -> str:
        """Registers an index (idempotent) and returns its id; the first one becomes active."""
        ...

    def indexes(self) -> list[tuple[IndexSpec, bool]]:
        """Every index, with whether it is the active one."""
        ...

    def activate(self, index: str) -> None:
        """Switches questions to `index` atomically and drops the passages of the one before."""
        ...

    # writing
    def apply(self, index: str, changes: Sequence[Change], stamps: Sequence[FileStamp] = ()) -> None:
        """All `changes` in one transaction with their file stamps; visible to every process when it returns.

        Raises `ConfigProblem` on a full disk or a read-only file, with nothing changed.
        """
        ...

    def index_passages(self, index: str, uri: str, version: int, passages: Sequence[IndexedPassage]) -> None:
        """Adds the passages of an existing version to another index (re-indexing); idempotent."""
        ...

    def put_source(self, source: Source) -> None: ...

    def sources(self) -> list[Source]: ...

    def stamps(self, source: str) -> dict[str, FileStamp]:
        """uri → stamp for every file of `source`, failed ones included."""
        ...

    def optimize(self) -> None:
        """Merges small blocks into segments; safe at any time, beside readers."""
        ...

    # reading
    def documents(
        self, filter: Filter, *, source: str | None = None, removed: bool = False, after: str = ""
    ) -> Iterator[DocumentInfo]:
        """Current uris (ready and failed) that `filter` may see, sorted by uri; with `removed`, those gone as well;
        only those behind `after`."""
        ...

    def document(self, uri: str, filter: Filter, *, version: int | None = None) -> Document | None:
        """One version with its text (current, as of `filter.as_of`, or `version`); None if absent or hidden."""
        ...

    def versions(self, uri: str, filter: Filter) -> list[DocumentInfo]:
        """Every retained version of `uri`, newest first; `updated` is when it became current."""
        ...

    def passages(self, index: str, ids: Sequence[int], filter: Filter, overlay: Overlay | None = None) -> list[Passage]:
        """The passages with these ids that `filter` may see, in the order of `ids`; others are left out."""
        ...

    def passages_of(self, index: str, uri: str, version: int) -> list[Passage]:
        """A version's passages in order of `start`, unfiltered (for maintenance and diagnosis)."""
        ...

    def vectors(self, index: str, embed_hashes: Sequence[str]) -> dict[str, Floats]:
        """Stored vectors by `embed_hash`, for those known, so that unchanged text is not embedded again."""
        ...

    def candidates(
        self,
        index: str,
        text: str,
        vector: Floats | None,
        depth: int,
        filter: Filter,
        overlay: Overlay | None = None,
    ) -> Candidates:
        """Union of the `depth` best by BM25 (`text` not empty) and by cosine (`vector` given), from one snapshot."""
        ...

    # history
    def audit(self, filter: Filter, *, since: float | None = None, uri: str | None = None) -> Iterator[AuditEntry]:
        """Changes of the corpus in their order, of documents whose tags `filter` holds today."""
        ...

    def prune(self, before: float, *, dry_run: bool = False) -> Erased:
        """Erases the versions that ended before that time; what answers and what is listed stays."""
        ...

    def purge(self, uri: str, *, dry_run: bool = False) -> Erased:
        """Erases every version of a document, under every uri it moved from or to; the audit log names it still."""
        ...

    def wipe(self) -> None:
        """Rewrites the file so that nothing that was erased is left in it. Raises `ConfigProblem`."""
        ...

    # upkeep
    def revision(self) -> int:
        """Counts commits to the corpus; equal numbers mean equal content."""
        ...

    def check(self, *, repair: bool = False) -> list[StoreCheck]: ...

    def backup(self, path: str) -> None:
        """A consistent copy of the file while others read and write."""
        ...

    def close(self) -> None: ...
