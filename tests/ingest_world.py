"""A folder, a store and a counting embedder, for the tests of ingest."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from knowhow.errors import UnreadableFile
from knowhow.ingest.access_rules import AccessRules
from knowhow.ingest.ingest import ingest
from knowhow.ingest.readers import read
from knowhow.ports import Floats
from knowhow.store.sqlite import SqliteStore
from knowhow.types import EVERYTHING, DocumentState, Extract, Filter, IndexSpec, IngestReport, SplitSpec

T = TypeVar("T")
ALL = Filter(access=frozenset({EVERYTHING}))
SPEC = IndexSpec(SplitSpec(target=200, limit=300), "counting", 8)


class CountingEmbedder:
    """Unit vectors drawn from the text's hash; remembers what it embedded."""

    name = "counting"
    dims = 8

    def __init__(self) -> None:
        self.texts: list[str] = []

    def documents(self, texts: Sequence[str]) -> Floats:
        self.texts += texts
        return np.stack([self.query(text) for text in texts])

    def query(self, text: str) -> Floats:
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        vector = np.random.default_rng(seed).standard_normal(self.dims).astype(np.float32)
        return vector / np.float32(np.linalg.norm(vector))


def drain(steps: Generator[object, None, T]) -> T:
    """Runs a long verb to its end and gives what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result


def read_here(
    paths: Iterable[Path], *, workers: int | None = None, ocr: bool = True
) -> Generator[tuple[Path, Extract | UnreadableFile], None, None]:
    """The readers without their processes, for tests of what comes before and after."""
    for path in paths:
        try:
            yield path, read(path)
        except UnreadableFile as error:
            yield path, error


class World:
    """A folder `docs` and a workspace beside it."""

    def __init__(self, home: Path) -> None:
        self.docs = home / "docs"
        self.docs.mkdir(parents=True, exist_ok=True)
        self.embedder = CountingEmbedder()
        self.store = SqliteStore(str(home / "knowhow.db"))
        self.index = self.store.create_index(SPEC)

    def write(self, name: str, text: str | bytes) -> Path:
        """Writes `docs/name`."""
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def steps(
        self,
        *targets: Path,
        name: str | None = None,
        yes: bool = False,
        access: frozenset[str] | None = None,
        rules: AccessRules | None = None,
        as_documents: bool = False,
    ) -> Generator[object, None, IngestReport]:
        """The sync of `targets` (default: docs), not yet run."""
        return ingest(
            targets or (self.docs,),
            store=self.store,
            index=self.index,
            embedder=self.embedder,
            spec=SPEC,
            name=name,
            yes=yes,
            access=access,
            rules=rules,
            as_documents=as_documents,
        )

    def sync(
        self,
        *targets: Path,
        name: str | None = None,
        yes: bool = False,
        access: frozenset[str] | None = None,
        rules: AccessRules | None = None,
        as_documents: bool = False,
    ) -> IngestReport:
        """The sync of `targets` (default: docs), run to its end."""
        return drain(self.steps(*targets, name=name, yes=yes, access=access, rules=rules, as_documents=as_documents))

    def texts(self, access: Filter = ALL) -> dict[str, str]:
        """uri → text of every document that answers."""
        found = {}
        for info in list(self.store.documents(access)):
            if info.state is DocumentState.READY:
                document = self.store.document(info.uri, access)
                assert document
                found[info.uri] = document.text
        return found

    def failures(self) -> dict[str, str]:
        """uri → reason of every document that failed."""
        return {i.uri: i.reason for i in self.store.documents(ALL) if i.state is DocumentState.FAILED}

    def version(self, uri: str) -> int:
        """The current version of `uri`."""
        document = self.store.document(uri, ALL)
        assert document
        return document.version

    def answers(self, words: str, access: Filter = ALL) -> set[str]:
        """Texts of the passages in which a word of the question occurs."""
        found = self.store.candidates(self.index, words, None, 100, access)
        return {passage.text for passage in self.store.passages(self.index, found.ids.tolist(), access)}
