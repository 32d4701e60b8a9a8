"""What a server needs of a workspace beside its verbs: its journal, folders of its own, and vectors for texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from knowhow.answer.prompt import standard
from knowhow.errors import NotFound, UsageProblem
from knowhow.ports import Floats, Records, Source
from knowhow.settings import Loaded
from knowhow.suites import import_suite
from knowhow.types import Filter, MetaValue, Recipe, Suite
from knowhow.workspace.evaluating import SUITES
from knowhow.workspace.home import data_folder
from knowhow.workspace.parts import Parts

_NAME = re.compile(r"[^\W_][\w.-]{0,99}")


class Serving:
    """The serving side of a workspace, as `Workspace.serving`."""

    def __init__(self, folder: Path, parts: Parts, loaded: Loaded) -> None:
        self._parts = parts
        self.embedder = loaded.settings.embedder
        """The embedder's name as settings spell it."""
        self._folder = folder
        self._loaded = loaded

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

    def sources(self) -> list[Source]:
        """Where documents come from."""
        return self._parts.store.sources()

    def holds(self, where: Mapping[str, MetaValue], access: frozenset[str]) -> bool:
        """Whether there is a document like that which the asker may see."""
        return next(iter(self._parts.store.documents(Filter(access, where))), None) is not None

    def suite(self, name: str) -> Suite:
        """The suite `suites/NAME.jsonl`, never another file. Raises `NotFound`, `UsageProblem`."""
        if not _NAME.fullmatch(name):
            raise UsageProblem(f"{name[:100]!r} is no name of a suite: letters, digits and . - _")
        path = self._folder / SUITES / f"{name}.jsonl"
        if not path.is_file():
            raise NotFound(f"there is no suite {name}; `knowhow suite draft` proposes one")
        return import_suite(path).suite


def instructed(recipe: Recipe, more: str) -> Recipe:
    """`recipe` with instructions after its own, those built in included."""
    return replace(recipe, instructions=f"{recipe.instructions or standard(recipe)}\n{more}")
