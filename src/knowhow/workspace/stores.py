"""Which stores a workspace has, files in a folder or a schema on a server, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from knowhow.errors import ConfigProblem, UsageProblem
from knowhow.settings import Loaded
from knowhow.store.corpus import CorpusStore
from knowhow.store.postgres import PostgresRecords, PostgresStore
from knowhow.store.postgres_address import is_address, read_address
from knowhow.store.records import SqliteRecords, SqlRecords
from knowhow.store.sqlite import SqliteStore
from knowhow.store.transfer import transfer
from knowhow.types import Json, Progress
from knowhow.workspace.home import data_folder

CORPUS, STATE = "knowhow.db", "state.db"
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied from one store to another, and found equal there."""

    source: str
    target: str
    corpus: Mapping[str, int]
    """Rows per table."""
    records: Mapping[str, int]
    questions: int
    """Questions that both answered alike."""


def open_stores(folder: Path, loaded: Loaded) -> tuple[CorpusStore, SqlRecords]:
    """The corpus and the records of a workspace. Raises `ConfigProblem`."""
    settings = loaded.settings
    return _open(settings.store or str(data_folder(folder, loaded)), loaded)


def refuse_server(loaded: Loaded, doing: str) -> None:
    """Raises `ConfigProblem` where the workspace's databases are on a server, which `doing` does not reach."""
    if loaded.settings.store:
        raise ConfigProblem(
            f"{doing} works on databases in files, but the setting store names a server: use pg_dump and pg_restore, "
            "or `knowhow store copy`"
        )


def copy_stores(
    folder: Path, loaded: Loaded, source: str, target: str, questions: int
) -> Generator[Progress, None, Copied]:
    """Copies corpus and records from one place to another and proves that both are equal.

    A place is a URL or a folder of databases, made where missing; an empty `source` is the workspace's own. Raises
    `UsageProblem` for a source without databases, `ConfigProblem` for a target that holds something.
    """
    origin = source or loaded.settings.store or str(data_folder(folder, loaded))
    if not is_address(origin) and not (Path(origin) / CORPUS).is_file():
        raise UsageProblem(f"{origin} holds no {CORPUS}: name a folder of databases, as in --from .knowhow")
    if not is_address(target):
        Path(target).mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        here, there = (_entered(opened, _open(place, loaded)) for place in (origin, target))
        done = yield from transfer(here, there, questions)
        names = [corpus.database.path for corpus, _ in (here, there)]
    return Copied(names[0], names[1], done.corpus, done.records, done.questions)


def copied_json(copied: Copied) -> Json:
    """What `knowhow store copy --json` prints."""
    return {
        "from": copied.source,
        "to": copied.target,
        "equal": True,
        "rows": {"corpus": dict(copied.corpus), "records": dict(copied.records)},
        "questions": copied.questions,
    }


def _entered(opened: ExitStack, ends: tuple[CorpusStore, SqlRecords]) -> tuple[CorpusStore, SqlRecords]:
    for part in ends:
        opened.enter_context(closing(part))
    return ends


def _open(place: str, loaded: Loaded) -> tuple[CorpusStore, SqlRecords]:
    if not is_address(place):
        if "://" in place:
            raise ConfigProblem(
                f"store is a postgresql:// URL, or empty for files in data: not {place.split(':')[0]}://"
            )
        return _open_both(SqliteStore(Path(place) / CORPUS), SqliteRecords, Path(place) / STATE)
    address = read_address(place, loaded.variables)
    if loaded.settings.offline and not address.on_this_machine:
        raise ConfigProblem(f"offline is set, and {address.shown} is another machine: unset it, or use files")
    return _open_both(PostgresStore(address), PostgresRecords, address)


def _open_both(corpus: CorpusStore, records: Callable[[P], SqlRecords], place: P) -> tuple[CorpusStore, SqlRecords]:
    """The corpus with its records; closed again where those cannot be opened."""
    try:
        return corpus, records(place)
    except BaseException:
        corpus.close()
        raise
