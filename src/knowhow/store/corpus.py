"""The store over any database that speaks its SQL, with a following copy in memory of what is searched."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np

from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.ports import (
    Candidates,
    Change,
    FileStamp,
    Floats,
    IndexedPassage,
    Overlay,
    Put,
    Source,
    StoreCheck,
)
from knowhow.store import audit, bits, erase, reading, upkeep
from knowhow.store.analyze import ANALYZER_REVISION, query_terms
from knowhow.store.bm25 import Weights
from knowhow.store.candidates import Question, find
from knowhow.store.check import examine
from knowhow.store.connection import Connection, Database, Vectors, fetch, fetch_one
from knowhow.store.filters import Conditions, Scope, make_scope
from knowhow.store.overlay import Added, extend, hidden, make_added, resolve
from knowhow.store.postings import term_numbers
from knowhow.store.snapshot import ERA, Follower, Snapshot
from knowhow.store.writing import Commit, OpenIndex, Prepared, count, next_generation
from knowhow.types import Action, AuditEntry, Document, DocumentInfo, Erased, Filter, IndexSpec, Passage, SplitSpec

_OVERLAYS_KEPT = 4
_WORN = 0.5
"""Share of dead passages at which a segment is rewritten on the way; `optimize` is stricter."""
_WORN_OPTIMIZED = 0.1


class CorpusStore:
    """`knowhow.ports.Store` in `database`. Thread-safe, and safe beside other processes.

    `weights` are BM25's, `vectors` the way to the vectors of an index of so many dimensions.
    """

    def __init__(self, database: Database, weights: Weights, vectors: Callable[[int], Vectors]) -> None:
        self._db = database
        self._make_vectors = vectors
        self._by = audit.actor()
        self._weights = weights
        self._follower = Follower()
        # By era and name, era and index: after a restore, equal ids may stand for different content.
        self._conditions: dict[int, Conditions] = {}
        self._indexes: dict[tuple[int, str], OpenIndex] = {}
        self._vectors: dict[tuple[int, int], Vectors] = {}
        self._added: OrderedDict[tuple[int, int], Added] = OrderedDict()

    @property
    def database(self) -> Database:
        """Where it lies."""
        return self._db

    # indexes

    def create_index(self, spec: IndexSpec) -> str:
        """Registers an index (idempotent) and returns its id; the first one becomes active."""
        with self._db.reading() as connection:
            known = fetch(connection, "select id, dropped from idx where name = ?", (spec.id,))
        if known and not known[0][1]:
            return spec.id
        if known:
            upkeep.drop(self._db, known[0][0])
        signs = bits.make_signs(spec.dims)
        with self._db.writing() as connection:
            connection.execute(
                "insert into idx (name, spec, active, analyzer, signs) values "
                "(?, ?, case when exists (select 1 from idx where active = 1) then 0 else 1 end, ?, ?) "
                "on conflict do nothing",
                (spec.id, json.dumps(asdict(spec)), ANALYZER_REVISION, signs.tobytes()),
            )
            count(connection, next_generation(connection), content=True)
        return spec.id

    def indexes(self) -> list[tuple[IndexSpec, bool]]:
        """Every index, with whether it is the active one."""
        with self._db.reading() as connection:
            rows = fetch(connection, "select spec, active from idx where dropped = 0 order by id")
        return [(_spec(json.loads(text)), bool(active)) for text, active in rows]

    def activate(self, index: str) -> None:
        """Switches questions to `index` atomically and drops the passages of the one before.

        Raises `ConfigProblem` while documents that answer are missing from `index`.
        """
        with self._db.writing() as connection:
            chosen = self._index(connection, index)
            missing = fetch_one(
                connection,
                "select count(*) from body b where b.version > 0 and not exists "
                "(select 1 from cut c where c.idx = ? and c.body = b.id)",
                (chosen.idx,),
            )
            if missing:
                raise ConfigProblem(
                    f"{missing} documents are not in index {index} yet and would stop answering: "
                    "run `knowhow reindex` again"
                )
            before = fetch(connection, "select id from idx where active = 1 and id <> ?", (chosen.idx,))
            connection.execute("update idx set dropped = 1, active = 0 where active = 1 and id <> ?", (chosen.idx,))
            connection.execute("update idx set active = 1 where id = ?", (chosen.idx,))
            count(connection, next_generation(connection), content=True)
        for (idx,) in before:
            self._follower.forget(idx)
            self._vectors = {key: held for key, held in self._vectors.items() if key[1] != idx}
            upkeep.drop(self._db, idx)

    # writing

    def apply(self, index: str, changes: Sequence[Change], stamps: Sequence[FileStamp] = ()) -> None:
        """All `changes` in one transaction with their file stamps; visible to every process when it returns."""
        with self._db.reading() as connection:
            chosen = self._index(connection, index, analyzed=True)
        prepared = [
            Prepared(change.document, change.passages, chosen) if isinstance(change, Put) else None
            for change in changes
        ]
        with self._db.reading() as connection:
            Commit(connection, chosen).prepare(changes, prepared)
        with self._db.writing() as connection:
            self._index(connection, index, analyzed=True)
            commit = Commit(connection, chosen, self._by)
            for change, ready in zip(changes, prepared, strict=True):
                commit.make(change, ready)
            commit.stamp(stamps)
            if changes:
                commit.finish()
        self._tend(chosen)

    def index_passages(self, index: str, uri: str, version: int, passages: Sequence[IndexedPassage]) -> None:
        """Adds the passages of an existing version to another index (re-indexing); idempotent."""
        everything = Filter(frozenset({"*"}))
        with self._db.reading() as connection:
            chosen = self._index(connection, index, analyzed=True)
            document = reading.read_document(connection, uri, everything, version)
            body = reading.body_of(connection, uri, version)
        if document is None:
            raise NotFound(f"no version {version} of {uri}: it cannot be indexed")
        prepared = Prepared(document, passages, chosen)
        prepared.ready()
        with self._db.writing() as connection:
            self._index(connection, index, analyzed=True)
            commit = Commit(connection, chosen)
            if commit.cut_digest(body):
                return
            commit.cut(prepared, body)
            commit.finish()
        self._tend(chosen)

    def put_source(self, source: Source) -> None:
        """Adds or replaces a source."""
        with self._db.writing() as connection:
            reading.write_source(connection, source)

    def sources(self) -> list[Source]:
        """Every source, by name."""
        with self._db.reading() as connection:
            return reading.read_sources(connection)

    def stamps(self, source: str) -> dict[str, FileStamp]:
        """uri → stamp for every file of `source`, failed ones included."""
        with self._db.reading() as connection:
            return reading.read_stamps(connection, source)

    def optimize(self) -> None:
        """Merges small blocks into segments; safe at any time, beside readers."""
        with self._db.reading() as connection:
            rows = fetch(connection, "select id, name, dropped from idx")
        for idx, name, dropped in rows:
            if dropped:
                upkeep.drop(self._db, idx)
                continue
            while (plan := self._plan_worn(name, _WORN_OPTIMIZED)) is not None:
                upkeep.merge(self._db, idx, plan)
            for plan in upkeep.everything(self._db, idx):
                upkeep.merge(self._db, idx, plan)
        self._db.tidy()

    # reading

    def documents(
        self, filter: Filter, *, source: str | None = None, removed: bool = False, after: str = ""
    ) -> Iterator[DocumentInfo]:
        """Current uris (ready and failed) that `filter` may see, sorted by uri; with `removed`, those gone as well;
        only those behind `after`."""
        last: str | None = after
        while last is not None:
            with self._db.reading() as connection:
                found, last = reading.page_of_documents(connection, filter, source, last, removed=removed)
            yield from found

    def document(self, uri: str, filter: Filter, *, version: int | None = None) -> Document | None:
        """One version with its text (current, as of `filter.as_of`, or `version`); None if absent or hidden."""
        with self._db.reading() as connection:
            return reading.read_document(connection, uri, filter, version)

    def versions(self, uri: str, filter: Filter) -> list[DocumentInfo]:
        """Every retained version of `uri`, newest first; `updated` is when it became current."""
        with self._db.reading() as connection:
            return reading.list_versions(connection, uri, filter)

    def passages(self, index: str, ids: Sequence[int], filter: Filter, overlay: Overlay | None = None) -> list[Passage]:
        """The passages with these ids that `filter` may see, in the order of `ids`; others are left out."""
        with self._seen(index, filter, overlay) as (connection, chosen, snapshot, scope):
            stored = [key for key in ids if key > 0]
            found = reading.read_passages(connection, chosen.idx, stored, snapshot, scope.bodies)
        if overlay is not None:
            found |= resolve(overlay, {key for key in ids if key < 0}, filter)
        return [found[key] for key in ids if key in found]

    def passages_of(self, index: str, uri: str, version: int) -> list[Passage]:
        """A version's passages in order of `start`, unfiltered (for maintenance and diagnosis)."""
        with self._db.reading() as connection:
            return reading.read_passages_of(connection, self._index(connection, index).idx, uri, version)

    def vectors(self, index: str, embed_hashes: Sequence[str]) -> dict[str, Floats]:
        """Stored vectors by `embed_hash`, for those known, so that unchanged text is not embedded again."""
        with self._db.reading() as connection:
            idx = self._index(connection, index).idx
            rows = fetch(
                connection,
                "select embed_hash, vector from passage where id in (select min(id) from passage where idx = ? "
                "and embed_hash in (select cast(value as text) from json_each(?)) group by embed_hash)",
                (idx, json.dumps(list(embed_hashes))),
            )
        return {name: np.frombuffer(vector, np.float16).astype(np.float32) for name, vector in rows}

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
        question = Question(term_numbers(query_terms(text)), vector, depth)
        with self._seen(index, filter, overlay) as (connection, chosen, snapshot, scope):
            if vector is not None and vector.shape != (chosen.dims,):
                raise UsageProblem(
                    f"a question's vector of shape {vector.shape} does not fit index {index} of {chosen.dims} "
                    "dimensions: use the embedder of the index, or run `knowhow reindex`"
                )
            vectors = self._vectors.setdefault((snapshot.era, chosen.idx), self._make_vectors(chosen.dims))
            if overlay is not None:
                scope = extend(scope, self._make_added(overlay, chosen), filter)
            return find(connection, scope, question, chosen.signs, vectors, self._weights)

    # history

    def audit(self, filter: Filter, *, since: float | None = None, uri: str | None = None) -> Iterator[AuditEntry]:
        """Changes of the corpus in their order, of documents whose tags `filter` holds today."""
        after = -1
        while after:
            with self._db.reading() as connection:
                found, after = audit.page_of_audit(connection, filter, since, uri, after)
            yield from found

    def prune(self, before: float, *, dry_run: bool = False) -> Erased:
        """Erases the versions that ended before that time; what answers and what is listed stays."""
        with self._db.reading() if dry_run else self._db.writing() as connection:
            versions = erase.outdated(connection, before)
            found = erase.measure(connection, versions)
            if versions and not dry_run:
                erase.erase(connection, versions, Action.PRUNED, self._by)
        return found

    def purge(self, uri: str, *, dry_run: bool = False) -> Erased:
        """Erases every version of a document, under every uri it moved from or to; the audit log names it still."""
        with self._db.reading() if dry_run else self._db.writing() as connection:
            versions = erase.lineage(connection, uri)
            found = erase.measure(connection, versions)
            if not dry_run:
                erase.erase(connection, versions, Action.PURGED, self._by)
                erase.delete_items(connection, {uri, *found.uris})
        return found

    def wipe(self) -> None:
        """Rewrites what is stored so that nothing that was erased is left in it. Raises `ConfigProblem`."""
        self._db.wipe()

    # upkeep

    def revision(self) -> int:
        """Counts commits to the corpus; equal numbers mean equal content."""
        with self._db.reading() as connection:
            return int(fetch_one(connection, "select value from counter where name = 'revision'"))

    def check(self, *, repair: bool = False) -> list[StoreCheck]:
        """Integrity findings; `repair` rebuilds what follows from the documents."""
        return examine(self._db, repair=repair)

    def backup(self, path: str) -> None:
        """A consistent copy of the file while others read and write."""
        self._db.backup(path)

    def close(self) -> None:
        """Closes every connection; using the store afterwards is an error."""
        self._db.close()

    @contextmanager
    def _seen(
        self, index: str, filter: Filter, overlay: Overlay | None
    ) -> Iterator[tuple[Connection, OpenIndex, Snapshot, Scope]]:
        """One read transaction with the snapshot in memory that belongs to it, and the asker's scope in it."""
        snapshot = None
        while snapshot is None:
            with self._db.reading() as connection:
                chosen = self._index(connection, index, analyzed=True)
                snapshot = self._follower.current(connection, chosen.idx)
                if snapshot is None:
                    continue
                if filter.as_of is not None:
                    snapshot = self._follower.past(connection, chosen.idx, snapshot, filter.as_of)
                conditions = self._conditions.setdefault(snapshot.era, Conditions())
                scope = make_scope(connection, snapshot, filter, conditions, hidden(overlay))
                yield connection, chosen, snapshot, scope

    def _index(self, connection: Connection, name: str, *, analyzed: bool = False) -> OpenIndex:
        rows = fetch(
            connection,
            "select i.id, i.analyzer, c.value from idx i join counter c on c.name = 'generation' "
            "where i.name = ? and i.dropped = 0",
            (name,),
        )
        if not rows:
            raise NotFound(f"no index {name!r}: run `knowhow reindex` or `knowhow ingest`")
        idx, analyzer, generation = rows[0]
        if analyzer != ANALYZER_REVISION and analyzed:
            raise ConfigProblem(
                f"index {name} was made by revision {analyzer} of the text analyzer, this Knowhow has "
                f"{ANALYZER_REVISION}: run `knowhow doctor --repair` once to rebuild its keyword side"
            )
        key = (int(generation) // ERA, name)
        known = self._indexes.get(key)
        if known is None or known.idx != idx:
            spec, data = fetch_one(connection, "select spec, signs from idx where id = ?", (idx,))
            dims = _spec(json.loads(spec)).dims
            signs = bits.read_signs(data, dims)
            known = self._indexes[key] = OpenIndex(idx, name, dims, signs)
        return known

    def _tend(self, chosen: OpenIndex) -> None:
        """Merges what is due after a commit."""
        with self._db.reading() as connection:
            plan = upkeep.due(connection, chosen.idx)
        flushed = plan is not None
        while plan is not None:
            upkeep.merge(self._db, chosen.idx, plan)
            with self._db.reading() as connection:
                plan = upkeep.due(connection, chosen.idx)
        if flushed and (plan := self._plan_worn(chosen.name, _WORN)) is not None:
            upkeep.merge(self._db, chosen.idx, plan)

    def _plan_worn(self, index: str, share: float) -> upkeep.Merge | None:
        with self._seen(index, Filter(), None) as (_, _, snapshot, _):
            return upkeep.worn(snapshot, share)

    def _make_added(self, overlay: Overlay, chosen: OpenIndex) -> Added:
        """The overlay made searchable, kept for the next question put to the same one."""
        name = (id(overlay), chosen.idx)
        held = self._added.get(name)
        if held is None or held.overlay is not overlay:
            held = self._added[name] = make_added(overlay, chosen.signs)
            while len(self._added) > _OVERLAYS_KEPT:
                self._added.popitem(last=False)
        return held


def _spec(body: dict[str, object]) -> IndexSpec:
    split = body["split"]
    assert isinstance(split, dict)
    return IndexSpec(SplitSpec(**split), str(body["embedder"]), int(str(body["dims"])))
