"""What a server needs of a workspace beside its verbs: its journal, folders of its own, and vectors for texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from knowhow.answer.prompt import standard
from knowhow.evaluate.rows import ROW, row_of
from knowhow.ports import Floats, Records, Source
from knowhow.settings import Loaded
from knowhow.types import DocumentInfo, Filter, MetaValue, Recipe, Row
from knowhow.workspace.home import data_folder
from knowhow.workspace.live import Live
from knowhow.workspace.parts import Parts
from knowhow.workspace.pushing import UPLOADS, Pushing
from knowhow.workspace.readable import readable
from knowhow.workspace.suites import Suites


class Serving:
    """The serving side of a workspace, as `Workspace.serving`."""

    def __init__(self, folder: Path, parts: Parts, loaded: Loaded) -> None:
        self._parts = parts
        self.embedder = loaded.settings.embedder
        """The embedder's name as settings spell it."""
        self._folder = folder
        self._loaded = loaded

        self.live = Live(parts)
        self.suites = Suites(folder)

    @cached_property
    def pushing(self) -> Pushing:
        """Documents that come over the wire."""
        return Pushing(self._parts, self.folder(UPLOADS))

    @property
    def records(self) -> Records:
        """The journal, for what a server keeps itself: keys, sessions, jobs."""
        return self._parts.records

    def folder(self, name: str) -> Path:
        """The folder `name` beside the databases, made where missing."""
        path = data_folder(self._folder, self._loaded) / name
        path.mkdir(exist_ok=True)
        return path

    def embed(self, texts: Sequence[str]) -> Floats:
        """float32[len(texts), dims] of the workspace's embedder, each row of length 1 or all 0."""
        return self._parts.embedder().documents(texts)

    def documents(
        self, access: frozenset[str], *, source: str | None = None, removed: bool = False, after: str = "", limit: int
    ) -> list[DocumentInfo]:
        """The next documents the asker may see behind `after`, by uri."""
        found = self._parts.store.documents(Filter(access), source=source, removed=removed, after=after)
        return list(islice(found, limit))

    def sources(self) -> list[Source]:
        """Where documents come from."""
        return self._parts.store.sources()

    def holds(self, where: Mapping[str, MetaValue], access: frozenset[str]) -> bool:
        """Whether there is a document like that which the asker may see."""
        return next(iter(self._parts.store.documents(Filter(access, where))), None) is not None

    def rows(self, run: str, access: frozenset[str]) -> list[Row]:
        """The rows of a run that the asker may see by the tags in force today, by draw and id."""
        records = self._parts.records.select(ROW, access, parent=run)
        found = [row_of(record.body) for record in readable(records, self._parts.store, access)]
        return sorted(found, key=lambda row: (row.draw, row.id))


def instructed(recipe: Recipe, more: str) -> Recipe:
    """`recipe` with instructions after its own, those built in included."""
    return replace(recipe, instructions=f"{recipe.instructions or standard(recipe)}\n{more}")
