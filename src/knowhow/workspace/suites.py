"""The suites of a workspace by name: `suites/NAME.jsonl`, never another file."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path

from knowhow.errors import NotFound, UsageProblem
from knowhow.suites import import_suite, read_suite, write_suite
from knowhow.suites.jsonl import write_lines
from knowhow.types import Example, Json, Suite
from knowhow.workspace.evaluating import SUITES

_NAME = re.compile(r"[^\W_][\w.-]{0,99}")


class Suites:
    """Reads and writes the suites of one workspace; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / SUITES
        self._writing = threading.Lock()

    def names(self) -> list[str]:
        """What there is, by name."""
        return sorted(path.stem for path in self._folder.glob("*.jsonl") if _NAME.fullmatch(path.stem))

    def get(self, name: str) -> Suite:
        """One suite. Raises `NotFound`, and `UsageProblem` for one with problems."""
        path = self._path(name)
        if not path.is_file():
            raise NotFound(f"there is no suite {name}; `knowhow suite draft` proposes one")
        return import_suite(path).suite

    def put(self, name: str, examples: Sequence[Json]) -> Suite:
        """Writes a suite anew. Raises `UsageProblem` naming each wrong example, with nothing changed."""
        path = self._path(name)
        self._make()
        with self._writing:
            draft = path.with_name(f".{name}.put")
            try:
                write_lines(examples, draft)
                read_suite(draft)
                draft.replace(path)
            except UsageProblem as problem:
                raise UsageProblem(str(problem).replace(str(draft), f"the suite {name}")) from None
            finally:
                draft.unlink(missing_ok=True)
            return read_suite(path)

    def add(self, name: str, examples: Sequence[Example]) -> tuple[list[Example], Suite]:
        """Adds those examples whose ids are not in the suite yet, which is made where missing; returns them."""
        path = self._path(name)
        self._make()
        with self._writing:
            before = read_suite(path).examples if path.is_file() else ()
            known = {example.id for example in before}
            fresh = [example for example in examples if example.id not in known]
            if fresh:
                write_suite((*before, *fresh), path)
            return fresh, read_suite(path)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageProblem(f"{name[:100]!r} is no name of a suite: letters, digits and . - _")
        return self._folder / f"{name}.jsonl"

    def _make(self) -> None:
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UsageProblem(f"cannot write {self._folder}: {error.strerror}") from None
