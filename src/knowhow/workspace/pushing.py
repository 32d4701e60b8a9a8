"""Documents that come over the wire: texts put under a uri, files uploaded, and both taken away again."""

from __future__ import annotations

import os
import re
import shutil
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.ingest.access_rules import check_tags
from knowhow.ingest.ingest import ingest
from knowhow.ingest.push import PUSHED, Handed, push, standing, take_away
from knowhow.types import EVERYTHING, DocumentInfo, DocumentState
from knowhow.workspace.parts import Parts

UPLOADS = "uploads"
"""Name of the source, and of the folder beside the databases, that hold uploaded files."""
_LONGEST = 150
_UNSAFE = re.compile(r"[^\w. ()+@,=-]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came: the name its sender gives it, and its bytes from where the stream stands."""

    name: str
    stream: IO[bytes]


class Pushing:
    """The writing side of a server. An asker changes only what they may see, and gives only tags they hold.

    One writer at a time: each has a reader process and the embedder to itself.
    """

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts = parts
        self._folder = folder
        self._writing = threading.Lock()

    def put(self, handed: Handed, held: frozenset[str]) -> tuple[DocumentInfo, bool]:
        """Makes a text the current version of its uri; whether it changed anything. Raises `UnreadableFile`,
        `UsageProblem`, and `NotFound` for a uri whose document `held` does not open."""
        _refuse_foreign(handed.access, held)
        with self._writing:
            before = self._writable(handed.uri, held)
            changed = push(handed, before, self._parts.store, self._parts.embedder(), self._parts.spec())
            return self._now(handed.uri), changed

    def upload(
        self, files: Sequence[Upload], access: frozenset[str] | None, held: frozenset[str]
    ) -> list[DocumentInfo]:
        """Keeps the files and reads them in the sandbox; each is ready, or failed with its reason.

        A file of the same name is a new version. `access` None leaves the tags it has.
        """
        _refuse_foreign(access, held)
        with self._writing:
            names = [_safe(file.name) for file in files]
            if len(set(names)) < len(names):
                raise UsageProblem(f"two files have the same name: {', '.join(sorted(names))}; upload them one by one")
            for name in names:
                self._writable(f"{UPLOADS}/{name}", held)
            paths = [self._keep(name, file.stream) for name, file in zip(names, files, strict=True)]
            self._read(paths, access)
            return [self._now(f"{UPLOADS}/{name}") for name in names]

    def delete(self, uri: str, held: frozenset[str]) -> DocumentInfo:
        """Ends what answers of a document that came over the wire; its history is kept. Raises `NotFound`, and
        `UsageProblem` for one that a folder would bring back."""
        with self._writing:
            info = self._writable(uri, held)
            if info is None or info.state is DocumentState.REMOVED:
                raise NotFound(f"no document {uri} that you may see; GET /api/documents lists them")
            if info.source not in (PUSHED, UPLOADS):
                raise UsageProblem(
                    f"{uri} comes from the source {info.source!r}, which would bring it back: delete it there"
                )
            self.forget_file(uri)
            take_away(info, self._parts.store, self._parts.spec())
            return self._now(uri)

    def forget_file(self, uri: str) -> bool:
        """Deletes the file that a document was uploaded as; whether there was one."""
        path = self._folder / uri.removeprefix(f"{UPLOADS}/")
        if not uri.startswith(f"{UPLOADS}/") or path.parent != self._folder or not path.is_file():
            return False
        path.unlink(missing_ok=True)
        return True

    def _writable(self, uri: str, held: frozenset[str]) -> DocumentInfo | None:
        """How the uri stands. Raises `NotFound` where a document is hidden there, also one that was removed: writing
        over it would open its past."""
        info = standing(self._parts.store, uri)
        if info is not None and EVERYTHING not in held and not info.access <= held:
            raise NotFound(f"no document {uri} that you may write; choose another uri")
        return info

    def _now(self, uri: str) -> DocumentInfo:
        info = standing(self._parts.store, uri)
        if info is None:
            raise NotFound(f"no document {uri}: it was erased meanwhile")
        return info

    def _keep(self, name: str, stream: IO[bytes]) -> Path:
        """The file under its name, whole or not at all."""
        part, path = self._folder / f".{name}.part", self._folder / name
        try:
            with part.open("wb") as file:
                shutil.copyfileobj(stream, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ConfigProblem(f"cannot keep {name}: {error.strerror}; nothing of it was ingested") from error
        return path

    def _read(self, paths: Sequence[Path], access: frozenset[str] | None) -> None:
        store, spec = self._parts.store, self._parts.spec()
        steps = ingest(
            paths,
            store=store,
            index=store.create_index(spec),
            embedder=self._parts.embedder(),
            spec=spec,
            name=UPLOADS,
            access=access,
            workers=1,
        )
        for _ in steps:
            pass


def _refuse_foreign(access: frozenset[str] | None, held: frozenset[str]) -> None:
    """Nobody puts a document among those of a group they do not belong to."""
    given = check_tags(access or (), "access")
    if EVERYTHING not in held and not given <= held:
        raise UsageProblem(f"you hold no tag {sorted(given - held)[0]!r}, so that you cannot give it to a document")


def _safe(name: str) -> str:
    """A file's name without folders and without what a file system or a uri could misread. Raises `UsageProblem`."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    plain = _UNSAFE.sub("_", plain).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    if not plain:
        raise UsageProblem(f"{name[:100]!r} is no name for a file; give it one with letters or digits")
    room = _LONGEST - len(suffix) - 1
    return f"{stem[:room]}{dot}{suffix[:20]}" if dot else plain[:_LONGEST]
