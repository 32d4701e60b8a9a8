"""One failed example with what it was asked under, and the lab its experiments are made in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from knowhow.answer.asked import CONTEXT_URI, Corpus
from knowhow.answer.gather import excerpt
from knowhow.answer.trace import KIND, Trace
from knowhow.diagnose.evidence import Findings, Search, Sources, find
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
    Fate,
    Filter,
    Hit,
    Json,
    Located,
    Outcome,
    Range,
    Recipe,
    Row,
    Side,
    Suite,
)

ANSWERED = tuple(check for check in Check if check is not Check.RETRIEVAL)
"""The checks of what was answered; a search that missed without harm is no failure."""


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
    found: Findings = field(default_factory=Findings)
    """How far the evidence came, and the best passages for the question."""
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
    example: Example,
    recipe: Recipe,
    rows: Sequence[Row],
    lab: Lab,
    *,
    overlay: Overlay | None = None,
    given: Sequence[Hit] | None = None,
) -> Case:
    """The case with its evidence located in the documents it sees, and what its failed answer was shown.

    What was shown is `given`, or read from the trace of the first failed draw; where that is gone, it is what the
    search brings up today.
    """
    everyone = Corpus(
        lab.setup.store, lab.setup.embedder, None, Filter(access=frozenset({EVERYTHING}), as_of=example.as_of), overlay
    )
    evidence = locate_evidence([example], lambda uri, _: everyone.document(uri, 0))[example.id]
    bare = Case(example, recipe, tuple(rows), evidence, (), overlay=overlay)
    shown, cut = _shown(bare, lab, given)
    corpus = bare.corpus(lab)
    found = find(Search(example, recipe, corpus, lab.sources, lab.setup.verifier, shown, cut), evidence)
    return replace(bare, shown=shown, found=found)


def _shown(case: Case, lab: Lab, given: Sequence[Hit] | None) -> tuple[tuple[Hit, ...], dict[Range, Fate]]:
    if given is not None:
        return tuple(given), {}
    trace = _trace(case, lab)
    return _from_trace(case, lab, trace) if trace else _from_search(case, lab)


def _trace(case: Case, lab: Lab) -> Trace | None:
    record = lab.setup.records.get(KIND, case.row.trace_id, frozenset({EVERYTHING})) if case.row.trace_id else None
    return Trace.from_json(record.body) if record else None


def _from_trace(case: Case, lab: Lab, trace: Trace) -> tuple[tuple[Hit, ...], dict[Range, Fate]]:
    """What a trace shows and what it left out; a version that is gone, or hidden by now, is left out."""
    corpus = case.corpus(lab)
    hits: list[Hit] = []
    for row in trace.shown:
        document = corpus.document(row["uri"], row["version"]) if row["uri"] != CONTEXT_URI else None
        if document is not None:
            hits.append(excerpt(document, row["start"], row["end"], len(hits) + 1))
    return tuple(hits), {_range(row): _cut_by(Fate(row["fate"])) for row in (*trace.cut, *trace.candidates)}


def _cut_by(fate: Fate) -> Fate:
    """What kept evidence in a candidate from being shown: where the candidate itself was, its end was cut off."""
    return Fate.OVER_BUDGET if fate in (Fate.SHOWN, Fate.MERGED) else fate


def _range(row: Json) -> Range:
    return Range(row["uri"], row["version"], row["start"], row["end"])


def _from_search(case: Case, lab: Lab) -> tuple[tuple[Hit, ...], dict[Range, Fate]]:
    """What the recipe's search shows and leaves out today, but for what a budget cuts."""
    if case.recipe.context is not Context.RETRIEVED:
        return (), {}
    corpus = case.corpus(lab)
    found = search(
        corpus.store,
        corpus.embedder,
        case.example.asked,
        case.recipe,
        corpus.filter,
        overlay=corpus.overlay,
        reranker=corpus.reranker,
    )
    near = [hit for hit in found.hits if hit.relevance >= case.recipe.relevance]
    cut = {Range(row.uri, row.version, row.start, row.end): _cut_by(row.fate) for row in found.candidates}
    far = {Range(hit.uri, hit.version, hit.start, hit.end): Fate.IRRELEVANT for hit in found.hits if hit not in near}
    return tuple(near), cut | far
