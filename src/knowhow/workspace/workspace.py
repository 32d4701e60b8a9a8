"""The object a user holds: wires stores, models and verbs together, and is the only place that names concrete ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from knowhow.answer import answer as answering
from knowhow.answer.feedback import Feedback, Verdict, give
from knowhow.answer.replay import Replay, recipe_of, replay
from knowhow.answer.story import story
from knowhow.answer.trace import Trace
from knowhow.errors import KnowhowError, NotFound, UsageProblem
from knowhow.ingest.access_rules import load_rules
from knowhow.ingest.ingest import ingest
from knowhow.ingest.reindex import reindex
from knowhow.ingest.watch import Event, watch
from knowhow.ports import Overlay, Record, StoreCheck
from knowhow.prices import price_of
from knowhow.search.search import search
from knowhow.settings import Loaded, Settings
from knowhow.types import (
    Answer,
    Document,
    DocumentInfo,
    Filter,
    IndexSpec,
    IngestReport,
    Json,
    Message,
    MetaValue,
    Progress,
    Range,
    Recipe,
    SearchMode,
    SearchResult,
)
from knowhow.workspace.adapting import Adapters
from knowhow.workspace.diagnosing import Diagnosing
from knowhow.workspace.drafting import Drafting
from knowhow.workspace.evaluating import Evaluations
from knowhow.workspace.history import History
from knowhow.workspace.home import data_folder, load_settings, start
from knowhow.workspace.parts import Parts
from knowhow.workspace.planting import Plantings
from knowhow.workspace.readable import readable
from knowhow.workspace.serving import Serving
from knowhow.workspace.shapes import timestamp
from knowhow.workspace.tuning import Tuning

R = TypeVar("R")
RECENT = 10_000
"""Traces among which a shortened id is looked for."""


class Workspace:
    """A corpus with its settings, recipes and traces. Thread-safe; close it, or use it in a `with` block.

    Whoever asks without `access` asks with the setting `access`: by default no tags, so sees untagged documents only.
    """

    def __init__(self, folder: Path, loaded: Loaded) -> None:
        """Use `Workspace.open` or `Workspace.init`."""
        self.folder = folder
        self.settings: Settings = loaded.settings
        self.recipes: Mapping[str, Recipe] = loaded.recipes
        self._loaded = loaded
        self._parts = Parts(folder, loaded)
        self.evaluations = Evaluations(self._parts, folder, self.settings, self.recipe)
        self.diagnosing = Diagnosing(self._parts, self.settings, self.evaluations, self.recipe, self.recipes.values)
        self.plantings = Plantings(self._parts, self.evaluations, self.diagnosing)
        rows, tags, keep = self.evaluations.rows_folder, self._tags(None), self.settings.retention_days
        self.history = History(folder, rows, self._parts.store, self._parts.records, tags, keep)
        self.drafting = Drafting(self._parts, self.settings)
        self.adapters = Adapters(self._parts, data_folder(folder, loaded))
        self.tuning = Tuning(self._parts, self.evaluations, self.adapters)
        self.serving = Serving(folder, self._parts, loaded)

    @classmethod
    def init(cls, path: str | os.PathLike[str] = ".") -> Workspace:
        """Starts a workspace in `path` (made where missing) and opens it; an existing one is only opened."""
        return cls.open(start(path))

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None, *, flags: Mapping[str, Any] | None = None) -> Workspace:
        """Opens `path`, else KNOWHOW_WORKSPACE, else the nearest workspace upwards; `flags` override settings.

        Raises `ConfigProblem` where there is none, or its settings or files cannot be used.
        """
        workspace = cls(*load_settings(path, flags))
        try:
            workspace.history.forget(workspace.settings.keep_traces_days)
        except BaseException:
            workspace.close()
            raise
        return workspace

    def close(self) -> None:
        """Closes stores and models."""
        self._parts.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what is known

    def ingest(
        self,
        targets: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        name: str | None = None,
        yes: bool = False,
        access: frozenset[str] | None = None,
        access_rules: Path | None = None,
        as_documents: bool = False,
    ) -> IngestReport:
        """Makes the workspace equal to folders or files and says what that took; see `ingest_stream`."""
        return _finish(
            self.ingest_stream(
                targets, name=name, yes=yes, access=access, access_rules=access_rules, as_documents=as_documents
            )
        )

    def ingest_stream(
        self,
        targets: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        name: str | None = None,
        yes: bool = False,
        access: frozenset[str] | None = None,
        access_rules: Path | None = None,
        as_documents: bool = False,
    ) -> Generator[Progress, None, IngestReport]:
        """Like `ingest`, yielding progress; closing the generator keeps what is done, and a later call goes on.

        `name` prefixes uris with `NAME/`. `access` are tags an asker must hold, `access_rules` a file of tags by path;
        None leaves those of the last run. Raises `UsageProblem` before anything changed.
        """
        paths = [targets] if isinstance(targets, str | os.PathLike) else list(targets)
        rules = load_rules(access_rules) if access_rules else None
        spec = self._parts.spec()
        return ingest(
            [Path(path) for path in paths],
            store=self._parts.store,
            index=self._parts.store.create_index(spec),
            embedder=self._parts.embedder(),
            spec=spec,
            name=name,
            yes=yes,
            access=access,
            rules=rules,
            as_documents=as_documents,
            workers=self.settings.workers or None,
            ocr=self.settings.ocr,
        )

    def watch(
        self, folders: Sequence[str | os.PathLike[str]], *, name: str | None = None, yes: bool = False
    ) -> Generator[Event, None, None]:
        """Follows folders that were ingested under the same `name`, until closed; see `knowhow.ingest.watch`."""
        workers, ocr = self.settings.workers or None, self.settings.ocr
        paths = [Path(folder) for folder in folders]
        store, embedder = self._parts.store, self._parts.embedder()
        return watch(paths, store=store, embedder=embedder, name=name, yes=yes, workers=workers, ocr=ocr)

    def reindex(self) -> str:
        """Splits and embeds every document as the settings say now; returns the id of the new active index."""
        return _finish(self.reindex_stream())

    def reindex_stream(self) -> Generator[Progress, None, str]:
        """Like `reindex`, yielding progress; questions are answered from the old index until the new one is whole."""
        return reindex(self._parts.store, self._parts.wanted_embedder(), self._parts.wanted_spec())

    def index(self) -> IndexSpec | None:
        """The active index, None while nothing was ingested."""
        return next((spec for spec, active in self._parts.store.indexes() if active), None)

    def tags(self) -> frozenset[str]:
        """Every tag that a source gives its documents (not those that documents name themselves)."""
        return self._parts.tags()

    def documents(
        self,
        *,
        source: str | None = None,
        where: Mapping[str, MetaValue] | None = None,
        access: frozenset[str] | None = None,
        as_of: float | None = None,
        removed: bool = False,
    ) -> list[DocumentInfo]:
        """Every document the asker may see, failed ones included, sorted by uri; `removed` adds those gone."""
        return list(self._parts.store.documents(self._filter(access, where, as_of), source=source, removed=removed))

    def document(self, uri: str, *, version: int | None = None, access: frozenset[str] | None = None) -> Document:
        """One document with its text. Raises `NotFound`."""
        found = self._parts.store.document(uri, self._filter(access, None, None), version=version)
        if found is None:
            raise NotFound(f"no document {uri} that you may see; `knowhow documents` lists them")
        return found

    def check(self, *, repair: bool = False) -> list[StoreCheck]:
        """Whether the databases are whole and embedder and model can be used; `repair` rebuilds what can be."""
        found = [*self._parts.store.check(repair=repair), *self._parts.records.check(repair=repair)]
        found.append(_usable("embedder", self.settings.embedder, self._parts.embedder))
        model = self.recipe().model
        found.append(_usable("model", model, lambda: self._parts.chat(model)))
        return found

    # questions

    def recipe(self, name: str | None = None, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe called `name`, else the setting `recipe`, with `changes` to its fields (None: no change)."""
        given = {key: value for key, value in (changes or {}).items() if value is not None}
        unknown = given.keys() - {f.name for f in fields(Recipe)}
        if unknown:
            raise UsageProblem(f"{', '.join(sorted(unknown))} is no field of a recipe")
        return self._loaded.recipe(name or self.settings.recipe, given)

    def search(
        self,
        text: str,
        *,
        k: int = 10,
        mode: SearchMode = SearchMode.HYBRID,
        access: frozenset[str] | None = None,
        where: Mapping[str, MetaValue] | None = None,
        as_of: float | None = None,
        newest_first: bool = False,
    ) -> SearchResult:
        """The `k` best passages for `text`; the rest of the search is what the default recipe says."""
        changes = {"k": k, "mode": mode, "newest_first": newest_first or None}
        recipe = self.recipe(None, changes)
        embedder, reranker = self._parts.embedder(), self._parts.reranker(recipe.reranker)
        filter = self._filter(access, where, as_of)
        return search(self._parts.store, embedder, text, recipe, filter, reranker=reranker)

    def ask(
        self,
        question: str,
        recipe: Recipe | None = None,
        *,
        history: Sequence[Message] = (),
        access: frozenset[str] | None = None,
        where: Mapping[str, MetaValue] | None = None,
        as_of: float | None = None,
        context: str = "",
        gold: Sequence[Range] = (),
        overlay: Overlay | None = None,
        draw: int | None = None,
    ) -> Answer:
        """An answer with checked citations, or a reasoned decline; its trace is kept. See `knowhow.answer`."""
        recipe = self._parts.adapters.resolve(recipe or self.recipe())
        return answering.ask(
            question,
            recipe,
            store=self._parts.store,
            records=self._parts.records,
            embedder=self._parts.embedder(),
            model=self._parts.chat(recipe.model, recipe.adapter),
            reranker=self._parts.reranker(recipe.reranker),
            verifier=self._parts.verifier(recipe.verifier),
            price=price_of(recipe.model, self.settings.prices),
            filter=self._filter(access, where, as_of),
            history=history,
            context=context,
            overlay=overlay,
            gold=gold,
            draw=draw,
        )

    def ask_stream(
        self,
        question: str,
        recipe: Recipe | None = None,
        *,
        history: Sequence[Message] = (),
        access: frozenset[str] | None = None,
        where: Mapping[str, MetaValue] | None = None,
        as_of: float | None = None,
        context: str = "",
    ) -> Generator[str, None, Answer]:
        """Like `ask`, yielding the reply as it is written; the returned answer is the one that counts."""
        recipe = self._parts.adapters.resolve(recipe or self.recipe())
        return answering.stream(
            question,
            recipe,
            store=self._parts.store,
            records=self._parts.records,
            embedder=self._parts.embedder(),
            model=self._parts.chat(recipe.model, recipe.adapter),
            reranker=self._parts.reranker(recipe.reranker),
            verifier=self._parts.verifier(recipe.verifier),
            price=price_of(recipe.model, self.settings.prices),
            filter=self._filter(access, where, as_of),
            history=history,
            context=context,
        )

    # how answers came about

    def traces(self, *, limit: int = 20, access: frozenset[str] | None = None) -> list[Json]:
        """The newest traces in short: trace_id, at, question, outcome, model, recipe."""
        tags = self._tags(access)
        found = readable(self._parts.records.select("trace", tags), self._parts.store, tags)
        return [_short(record) for record in islice(found, limit)]

    def trace(self, id: str, *, access: frozenset[str] | None = None) -> Json:
        """Everything kept about one answer, with the feedback on it. Raises `NotFound`."""
        record = self._trace(id, access)
        feedback = self._parts.records.select("feedback", self._tags(access), parent=record.id, oldest_first=True)
        return {**record.body, "feedback": [row.body for row in feedback]}

    def story(self, id: str, *, access: frozenset[str] | None = None) -> str:
        """A trace as a person reads it. Raises `NotFound`."""
        body = self.trace(id, access=access)
        said = [f"Feedback: {row['verdict']}{': ' + row['text'] if row['text'] else ''}" for row in body["feedback"]]
        return "\n".join([story(Trace.from_json(body)), *said])

    def feedback(
        self, id: str, verdict: Verdict, *, text: str = "", by: str = "", access: frozenset[str] | None = None
    ) -> Feedback:
        """Keeps what a person says about an answer. Raises `NotFound`, or `UsageProblem` for an empty correction."""
        record = self._trace(id, access)
        return give(self._parts.records, record.id, verdict, self._tags(access), text=text, by=by, at=time.time())

    def replay(self, id: str, *, now: bool = False, access: frozenset[str] | None = None) -> Replay:
        """Asks a trace's question again, of the corpus as it was then or (`now`) as it is. Raises `NotFound`."""
        trace = Trace.from_json(self._trace(id, access).body)
        recipe = recipe_of(trace, list(self.recipes.values()))
        return replay(
            trace,
            recipe,
            store=self._parts.store,
            embedder=self._parts.embedder(),
            model=self._parts.chat(recipe.model, recipe.adapter),
            reranker=self._parts.reranker(recipe.reranker),
            verifier=self._parts.verifier(recipe.verifier),
            access=self._tags(access),
            now=now,
        )

    def _trace(self, id: str, access: frozenset[str] | None) -> Record:
        """The trace with this id, or the only recent one whose id starts so."""
        records, tags = self._parts.records, self._tags(access)
        exact = records.get("trace", id, tags)
        rows = [exact] if exact else records.select("trace", tags, limit=RECENT)
        found = list(readable((row for row in rows if id and row.id.startswith(id)), self._parts.store, tags))
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageProblem(f'{len(found)} traces start with "{id}"; give more of the id')
        raise NotFound(f'no trace "{id}" that you may see; `knowhow traces list` shows the newest')

    def _tags(self, access: frozenset[str] | None) -> frozenset[str]:
        return frozenset(self.settings.access) if access is None else access

    def _filter(
        self, access: frozenset[str] | None, where: Mapping[str, MetaValue] | None, as_of: float | None
    ) -> Filter:
        return Filter(self._tags(access), dict(where or {}), as_of)


def _short(record: Record) -> Json:
    body = record.body
    return {
        "trace_id": record.id,
        "at": timestamp(record.at),
        "question": body["question"],
        "outcome": body["reason"] if body["abstained"] else "answered",
        "model": body["model"],
        "recipe": body["recipe"]["name"],
    }


def _usable(name: str, which: str, use: Callable[[], object]) -> StoreCheck:
    try:
        use()
    except KnowhowError as error:
        return StoreCheck(name, False, str(error), mend="as it says")
    return StoreCheck(name, True, which)


def _finish(steps: Generator[Progress, None, R]) -> R:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
