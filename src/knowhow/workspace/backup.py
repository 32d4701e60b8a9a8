"""Backup and restore of both databases while others read and write, as a folder or one zip file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TypeVar

from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem
from knowhow.ports import Records, Store
from knowhow.settings import FILE_NAME, load
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore
from knowhow.types import EVERYTHING, Filter, Json
from knowhow.workspace.home import data_folder, locate, start
from knowhow.workspace.shapes import timestamp
from knowhow.workspace.stores import CORPUS, STATE, refuse_server

MANIFEST = "manifest.json"
FORMAT = 1
T = TypeVar("T", SqliteStore, SqliteRecords)
_ALL = frozenset({EVERYTHING})


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup holds."""

    path: str
    at: float
    files: dict[str, int]
    """Name → bytes."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore put in place."""

    workspace: str
    path: str
    at: float
    """When the backup was made."""
    documents: int
    damaged: tuple[str, ...]
    """Files that could not be opened and were kept under these names."""


def backup(store: Store, records: Records, folder: Path, path: Path) -> BackedUp:
    """Writes a consistent copy of both databases and `knowhow.toml` to `path`: a zip file where it is named so, else
    a folder. Nothing is left there when it fails. Raises `UsageProblem` where something is there already.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UsageProblem(f"{path} exists already; nothing was written: name a new folder or file.zip")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
            made = Path(scratch) / "backup"
            made.mkdir()
            at = time.time()
            # The journal first: what its traces quote is then in the corpus.
            records.backup(str(made / STATE))
            store.backup(str(made / CORPUS))
            if (folder / FILE_NAME).is_file():
                shutil.copyfile(folder / FILE_NAME, made / FILE_NAME)
            sizes = {item.name: item.stat().st_size for item in sorted(made.iterdir())}
            hashes = {name: _hash(made / name) for name in sizes}
            (made / MANIFEST).write_text(json.dumps({"format": FORMAT, "at": at, "files": hashes}, indent=2), "utf-8")
            if path.suffix == ".zip":
                made = _zipped(made)
            os.replace(made, path)
    except OSError as error:
        raise ConfigProblem(f"cannot write the backup {path}: {error.strerror}; nothing is left there") from error
    return BackedUp(str(path), at, sizes)


def restore(path: Path, workspace: Path | None, *, yes: bool = False) -> Restored:
    """Makes a workspace what it was when the backup at `path` was made, while others read and write it.

    The backup is proved whole first. A workspace that is not there yet is started with the backup's settings; one
    that holds something is overwritten with `yes` only (`UsageProblem`); a database that cannot be opened is kept
    aside. Settings of a workspace that is there stay as they are.
    """
    if not path.exists():
        raise UsageProblem(f"there is no backup {path}; nothing was changed")
    new = workspace is not None and not (workspace / FILE_NAME).is_file()
    folder = start(workspace) if workspace is not None and new else locate(workspace)
    with _unpacked(path, folder) as copies:
        at = _proved(copies, path)
        if new and (copies / FILE_NAME).is_file():
            shutil.copyfile(copies / FILE_NAME, folder / FILE_NAME)
        loaded = load(folder)
        refuse_server(loaded, "knowhow restore")
        data = data_folder(folder, loaded)
        corpus, aside = _opened(SqliteStore, data / CORPUS, yes)
        journal, aside_too = _opened(SqliteRecords, data / STATE, yes)
        try:
            if not yes and _holds_something(corpus, journal):
                raise UsageProblem(
                    f"{folder} holds documents or traces, which a restore replaces; nothing was changed. Keep them "
                    "with `knowhow backup DIR`, then run the same command with --yes"
                )
            corpus.restore(str(copies / CORPUS))
            journal.restore(str(copies / STATE))
            documents = sum(1 for _ in corpus.documents(Filter(_ALL)))
        finally:
            corpus.close()
            journal.close()
    return Restored(str(folder), str(path), at, documents, (*aside, *aside_too))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "blake2b").hexdigest()[:32]


def _zipped(folder: Path) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for item in sorted(folder.iterdir()):
            archive.write(item, item.name)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    return target


@contextmanager
def _unpacked(path: Path, folder: Path) -> Iterator[Path]:
    """The files of a backup as copies that may be changed, beside the workspace."""
    names = (CORPUS, STATE, FILE_NAME, MANIFEST)
    try:
        with tempfile.TemporaryDirectory(prefix=".restore.", dir=folder) as scratch:
            copies = Path(scratch)
            if path.is_dir():
                for name in names:
                    if (path / name).is_file():
                        shutil.copyfile(path / name, copies / name)
            else:
                with zipfile.ZipFile(path) as archive:
                    for name in set(names) & set(archive.namelist()):
                        with archive.open(name) as packed, (copies / name).open("wb") as file:
                            shutil.copyfileobj(packed, file)
            yield copies
    except (zipfile.BadZipFile, EOFError) as error:
        raise ConfigProblem(f"{path} is no backup, or damaged: {error}; nothing was changed") from error
    except OSError as error:
        raise ConfigProblem(f"cannot restore {path}: {error.strerror or error}; nothing was changed") from error


def _proved(copies: Path, path: Path) -> float:
    """When the backup was made; raises `ConfigProblem` unless every byte and every promise of it is as it was."""
    try:
        manifest = json.loads((copies / MANIFEST).read_text("utf-8"))
        version, at, hashes = manifest["format"], float(manifest["at"]), dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigProblem(f"{path} is no backup: it has no readable {MANIFEST}; nothing was changed") from error
    if version > FORMAT:
        raise ConfigProblem(f"{path} was made by a newer Knowhow: upgrade with `pip install --upgrade knowhow-ai`")
    for name in (CORPUS, STATE, *hashes):
        if not (copies / name).is_file() or _hash(copies / name) != hashes.get(name):
            raise ConfigProblem(f"{path}: {name} is damaged or missing; nothing was changed: take another backup")
    store = SqliteStore(copies / CORPUS)
    try:
        broken = [check for check in store.check() if not check.ok and check.name in ("file", "documents", "texts")]
    finally:
        store.close()
    if broken:
        detail = f"{broken[0].name}: {broken[0].detail}"
        raise ConfigProblem(f"{path} is whole, but what was backed up is damaged ({detail}); nothing was changed")
    return at


def _opened(kind: type[T], path: Path, yes: bool) -> tuple[T, tuple[str, ...]]:
    """The database at `path`; one that cannot be opened is put aside, with `yes`, and a new one is started."""
    try:
        return kind(path), ()
    except KnowhowError as error:
        if not yes:
            raise ConfigProblem(f"{error}; to put it aside and restore, run the same command with --yes") from error
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    os.replace(path, aside)
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{ending}", f"{aside}{ending}")
    return kind(path), (str(aside),)


def _holds_something(store: Store, records: Records) -> bool:
    documents = next(iter(store.documents(Filter(_ALL), removed=True)), None)
    return documents is not None or next(iter(records.select("trace", _ALL, limit=1)), None) is not None


def backed_up_json(made: BackedUp) -> Json:
    """What `knowhow backup --json` prints."""
    return {**asdict(made), "at": timestamp(made.at)}


def restored_json(done: Restored) -> Json:
    """What `knowhow restore --json` prints."""
    return {**asdict(done), "at": timestamp(done.at), "damaged": list(done.damaged)}
