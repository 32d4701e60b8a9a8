"""One failed example with what it was asked under, and the lab its experiments are made in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from knowhow.answer.asked import CONTEXT_URI, Corpus
from knowhow.answer.trace import KIND, Trace
from knowhow.evaluate.fit import Fit
from knowhow.evaluate.single import Setup
from knowhow.ports import Overlay
from knowhow.search.search import search
from knowhow.suites import locate_evidence
from knowhow.types import (
    EVERYTHING,
    Check,
    Context,
    Example,
    Filter,
    Hit,
    Located,
    Outcome,
    Place,
    Recipe,
    Row,
    Side,
    Suite,
)

ANSWERED = tuple(check for check in Check if check is not Check.RETRIEVAL)
"""The checks of what was answered; a search that missed without harm is no failure."""


class Sources(Protocol):
    """Reads the source of a document again; a mapping from uri to text is one."""

    def get(self, uri: str, /) -> str | None:
        """What the source of `uri` says when it is read today; None where there is nothing to read."""
        ...


@dataclass(frozen=True, slots=True)
class Lab:
    """What experiments are made with: the suite (worked examples come from its train split), the model and corpus the
    run was made with, the sources, and a stronger model where one is configured. Shared by threads."""

    suite: Suite
    setup: Setup
    sources: Sources
    stronger: Setup | None = None
    """The same as `setup` but for its model and price."""
    _fits: dict[str, Fit] = field(default_factory=dict, init=False, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False, repr=False)

    def fitted(self, recipe: Recipe, example: Example) -> Recipe:
        """`recipe` as `example` is asked with it; worked examples are embedded once per recipe."""
        with self._lock:
            fit = self._fits.get(recipe.hash)
            if fit is None:
                fit = self._fits[recipe.hash] = Fit(recipe, self.suite, self.setup.embedder)
        return fit(example)


@dataclass(frozen=True, slots=True)
class Case:
    """A failed example: the recipe before it is fitted to the example, its logged rows (one per draw, at least one
    failed), its evidence as located, and what the model was shown when it failed."""

    example: Example
    recipe: Recipe
    rows: tuple[Row, ...]
    evidence: tuple[Located, ...]
    shown: tuple[Hit, ...]
    """The passages of the failed answer as they were packed, best first."""
    overlay: Overlay | None = None
    """What the case sees of the corpus instead of it as it is stored (planted faults)."""

    @property
    def row(self) -> Row:
        """The first draw that failed; what a report shows as the failed answer."""
        return next((row for row in self.rows if failures(row)), self.rows[0])

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed in any of the draws, in their order."""
        return tuple(check for check in ANSWERED if any(check in failures(row) for row in self.rows))

    @property
    def sides(self) -> frozenset[Side]:
        """What failed: knowledge, behaviour or both."""
        return frozenset(check.side for check in self.failed)

    @property
    def filter(self) -> Filter:
        """What the asker of this example may see."""
        return Filter(access=self.example.access, where=self.example.where, as_of=self.example.as_of)

    def corpus(self, lab: Lab) -> Corpus:
        """The documents as this case sees them, and no more than its asker may see."""
        return Corpus(lab.setup.store, lab.setup.embedder, lab.setup.reranker, self.filter, self.overlay)


def failures(row: Row) -> tuple[Check, ...]:
    """The checks of the answer that this row failed."""
    found = row.verdicts
    return tuple(check for check in ANSWERED if check in found and found[check].outcome is Outcome.FAIL)


def open_case(
    example: Example, recipe: Recipe, rows: Sequence[Row], lab: Lab, *, overlay: Overlay | None = None
) -> Case:
    """The case with its evidence located in the documents it sees, and what its failed answer was shown.

    What was shown is read from the trace; where that is gone, it is what the search brings up today.
    """
    everyone = Corpus(
        lab.setup.store, lab.setup.embedder, None, Filter(access=frozenset({EVERYTHING}), as_of=example.as_of), overlay
    )
    evidence = locate_evidence([example], lambda uri, _: everyone.document(uri, 0))[example.id]
    case = Case(example, recipe, tuple(rows), evidence, (), overlay)
    return replace(case, shown=_shown(case, lab))


def _shown(case: Case, lab: Lab) -> tuple[Hit, ...]:
    record = lab.setup.records.get(KIND, case.row.trace_id, frozenset({EVERYTHING})) if case.row.trace_id else None
    if record is not None:
        return _from_trace(case, lab, Trace.from_json(record.body))
    if case.recipe.context is not Context.RETRIEVED:
        return ()
    setup = lab.setup
    found = search(
        setup.store,
        setup.embedder,
        case.example.asked,
        case.recipe,
        case.filter,
        overlay=case.overlay,
        reranker=setup.reranker,
    )
    return tuple(hit for hit in found.hits if hit.relevance >= case.recipe.relevance)


def _from_trace(case: Case, lab: Lab, trace: Trace) -> tuple[Hit, ...]:
    """The passages of a trace with their texts; one whose version is gone, or hidden by now, is left out."""
    corpus = case.corpus(lab)
    hits = []
    for rank, row in enumerate((row for row in trace.shown if row["uri"] != CONTEXT_URI), 1):
        document = corpus.document(row["uri"], row["version"])
        if document is None:
            continue
        start, end = row["start"], row["end"]
        hits.append(
            Hit(
                rank=rank,
                passages=(),
                uri=document.uri,
                version=document.version,
                start=start,
                end=end,
                text=document.text[start:end],
                title=document.title,
                place=document.place_at(start) if document.spans else Place(),
                lead="",
                score=row["score"],
                keyword=row["keyword"],
                vector=row["vector"],
                metadata=document.metadata,
                effective_at=document.effective_at,
                valid_from=document.valid_from,
            )
        )
    return tuple(hits)
