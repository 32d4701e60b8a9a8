"""Plants one fault of known cause, or two, in cases that pass, and keeps those that flip repeatably and flip back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from random import Random

from knowhow.diagnose import faults_behaviour as behaviour
from knowhow.diagnose import faults_knowledge as knowledge
from knowhow.diagnose.case import Case, Lab, failures, open_case
from knowhow.diagnose.evidence import Sources
from knowhow.diagnose.ground import Ground, Site, site_of
from knowhow.diagnose.interventions import attempt
from knowhow.errors import UsageProblem
from knowhow.evaluate.single import Asking, Setup, ask_one
from knowhow.search.search import search
from knowhow.suites import locate_evidence
from knowhow.types import (
    EVERYTHING,
    Cause,
    Example,
    Filter,
    Move,
    Outcome,
    Progress,
    Recipe,
    Response,
    Row,
    Trial,
    Verdict,
)

REPEATS = 2
"""Fresh draws, beside the logged one, in which a healthy case must pass and a planted one fail."""
WAVERS = 6
"""Fresh draws of which an unstable case must pass and fail at least two each, the logged one not counted."""
FILTER = 500
"""First draw number of the flip filter, so that no diagnosis sees a draw that chose its case."""
COMPOUNDS = 0.2
"""Share of the cases that hold two faults."""
TRIES = 6
"""Examples a fault may be tried on for every case of it that is wanted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: the cause it plants, and what it makes of a healthy site (None where it cannot be planted)."""

    name: str
    cause: Cause
    plant: Callable[[Ground, Site], Site | None]


FAULTS = (
    Fault("deleted-document", Cause.MISSING, knowledge.deleted_document),
    Fault("sentence-removed", Cause.MISSING, knowledge.sentence_removed),
    Fault("garbled-parse", Cause.LOST, knowledge.garbled_parse),
    Fault("cut-short", Cause.LOST, knowledge.cut_short),
    Fault("unindexed-passage", Cause.LOST, knowledge.unindexed_passage),
    Fault("other-words", Cause.UNFOUND, knowledge.other_words),
    Fault("flooded-out", Cause.UNFOUND, knowledge.flooded_out),
    Fault("locked-away", Cause.UNFOUND, knowledge.locked_away),
    Fault("pushed-below-k", Cause.OUTRANKED, knowledge.pushed_below_k),
    Fault("small-k", Cause.OUTRANKED, knowledge.small_k),
    Fault("small-budget", Cause.OUTRANKED, knowledge.small_budget),
    Fault("undated-copy", Cause.STALE, knowledge.undated_copy),
    Fault("outranked-by-old", Cause.STALE, knowledge.outranked_by_old),
    Fault("buried", Cause.UNUSED, knowledge.buried),
    Fault("against-memory", Cause.UNUSED, knowledge.against_memory),
    Fault("weaker-model", Cause.UNUSED, knowledge.weaker_model),
    Fault("schema-omitted", Cause.FORMAT, behaviour.schema_omitted),
    Fault("prose-asked", Cause.FORMAT, behaviour.prose_asked),
    Fault("style-hidden", Cause.STYLE, behaviour.style_hidden),
    Fault("style-contradicted", Cause.STYLE, behaviour.style_contradicted),
    Fault("labels-hidden", Cause.LABEL, behaviour.labels_hidden),
    Fault("labels-renamed", Cause.LABEL, behaviour.labels_renamed),
    Fault("rules-hidden", Cause.REASONING, behaviour.rules_hidden),
    Fault("rules-outdated", Cause.REASONING, behaviour.rules_outdated),
    Fault("hot", Cause.UNSTABLE, behaviour.hot),
    Fault("over-cautious", Cause.REFUSAL, behaviour.over_cautious),
    Fault("over-bold", Cause.REFUSAL, behaviour.over_bold),
    Fault("gold-corrupted", Cause.MEASUREMENT, behaviour.gold_corrupted),
    Fault("label-corrupted", Cause.MEASUREMENT, behaviour.label_corrupted),
    Fault("field-corrupted", Cause.MEASUREMENT, behaviour.field_corrupted),
    Fault("evidence-corrupted", Cause.MEASUREMENT, behaviour.evidence_corrupted),
)
COMPOSED = (
    ("deleted-document", "sentence-removed", "garbled-parse", "flooded-out", "pushed-below-k", "small-budget"),
    ("schema-omitted", "style-hidden", "rules-hidden", "style-contradicted", "prose-asked"),
)
"""One of the first with one of the second is a compound."""


class Fell(StrEnum):
    """At which step of the flip filter a planted fault fell."""

    KEPT = "kept"
    NOT_MEANT = "not-as-meant"
    """The evidence did not come as far, or came farther, than the fault meant it to."""
    NOT_FLIPPED = "not-flipped"
    """The planted case passes."""
    NOT_REPEATED = "not-repeated"
    """It failed at first and passed in a fresh draw; an unstable one did not waver."""
    NOT_BACK = "not-back"
    """Undone, it did not pass again."""
    NOT_BOTH = "not-both"
    """Of a compound, one fault alone made it pass or could not be planted."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """A case that passes repeatably: its logged row, and the case as if all it checks had failed, to replay it."""

    case: Case
    row: Row


@dataclass(frozen=True, slots=True)
class Planted:
    """A failed case of known causes, in the lab it is to be diagnosed in."""

    id: str
    faults: tuple[str, ...]
    causes: tuple[Cause, ...]
    case: Case
    lab: Lab
    offending: tuple[str, ...] = ()
    """uris of superseded documents that were planted."""


@dataclass(frozen=True, slots=True)
class Planting:
    """Cases that hold, and for every fault how many tries fell where."""

    cases: tuple[Planted, ...]
    healthy: tuple[Healthy, ...]
    fell: Mapping[str, Mapping[Fell, int]] = field(default_factory=dict)


def healthy_cases(lab: Lab, asked: Sequence[tuple[Example, Recipe]]) -> Iterator[tuple[int, Healthy | None]]:
    """Asks every example with its recipe, once as a run does and `REPEATS` times freshly; None where it ever fails."""
    for i, (example, recipe) in enumerate(asked):
        row = _asked(lab, site=Site(example, recipe, (), ()), setup=lab.setup)
        if row is None or failures(row) or not _measured(row):
            yield i, None
            continue
        case = open_case(example, recipe, [_watched(row)], lab)
        passes = all(_passes(_again(case, lab, FILTER + n)) for n in range(REPEATS))
        yield i, Healthy(case, row) if passes else None


def plant(
    lab: Lab,
    asked: Sequence[tuple[Example, Recipe]],
    *,
    per_fault: int,
    seed: int = 0,
    weaker: Setup | None = None,
    faults: Sequence[Fault] = FAULTS,
) -> Generator[Progress, None, Planting]:
    """Yields progress and returns the planting: up to `per_fault` cases of every fault, and compounds on top.

    `asked` are examples with the recipe under which they should pass; `weaker` is asked instead of the lab's model by
    the fault that needs one.
    """
    sound: list[Healthy] = []
    for i, one in healthy_cases(lab, asked):
        sound += [one] if one is not None else []
        yield Progress(i + 1, len(asked), "healthy", asked[i][0].id)
    if not sound:
        raise UsageProblem("no example passes in three draws with its recipe, so nothing can be planted in any")
    gardener = _Gardener(lab, Ground(lab, seed), weaker)
    kept: list[Planted] = []
    fell: dict[str, dict[Fell, int]] = {}
    known = {fault.name: fault for fault in faults}
    jobs: list[tuple[tuple[Fault, ...], int]] = [((fault,), per_fault) for fault in faults]
    pairs = [(known[a], known[b]) for a in COMPOSED[0] for b in COMPOSED[1] if a in known and b in known]
    wanted = round(per_fault * len(faults) * COMPOUNDS / (1 - COMPOUNDS))
    jobs += [(pair, -(-wanted // max(len(pairs), 1))) for pair in pairs]
    for n, (pair, most) in enumerate(jobs):
        name = "+".join(fault.name for fault in pair)
        found = list(gardener.grow(pair, sound, most, Random(f"{seed}/{name}")))
        results = [result for result, _ in found]
        fell[name] = {step: results.count(step) for step in Fell if step in results}
        kept += [case for _, case in found if case is not None]
        yield Progress(n + 1, len(jobs), "faults", name, {"cases": len(kept)})
    return Planting(tuple(kept), tuple(sound), fell)


class _Gardener:
    """Plants faults in sound cases and filters them."""

    def __init__(self, lab: Lab, ground: Ground, weaker: Setup | None) -> None:
        self._lab = lab
        self._ground = ground
        self._weaker = weaker
        self._undone = count(FILTER + REPEATS)

    def grow(
        self, faults: tuple[Fault, ...], sound: Sequence[Healthy], most: int, dice: Random
    ) -> Iterator[tuple[Fell, Planted | None]]:
        """Tries the faults on sound cases in random order until `most` held or too many fell."""
        kept = tries = 0
        for one in dice.sample(sound, len(sound)):
            if kept >= most or tries >= TRIES * most:
                return
            site = self._site(faults, one)
            if site is None:
                continue
            tries += 1
            result = self._try(faults, one, site)
            kept += result[0] is Fell.KEPT
            yield result

    def _site(self, faults: Sequence[Fault], one: Healthy) -> Site | None:
        site: Site | None = site_of(one.case, self._lab)
        for fault in faults:
            site = fault.plant(self._ground, site) if site is not None else None
        if site is not None and site.weaker and self._weaker is None:
            return None
        return site

    def _try(self, faults: tuple[Fault, ...], one: Healthy, site: Site) -> tuple[Fell, Planted | None]:
        lab = self._lab_of(site)
        row = _asked(lab, site, lab.setup)
        if row is None or not failures(row):
            return Fell.NOT_FLIPPED, None
        case = open_case(site.example, site.recipe, [row], lab, overlay=site.overlay)
        if not _as_meant(faults[0].cause, site, case, lab):
            return Fell.NOT_MEANT, None
        if not (_wavers(case, lab) if faults[0].cause is Cause.UNSTABLE else _fails(case, lab)):
            return Fell.NOT_REPEATED, None
        if not _passes(_again(one.case, self._lab, next(self._undone))):
            return Fell.NOT_BACK, None
        if len(faults) > 1 and not all(self._fails_alone(fault, one) for fault in faults):
            return Fell.NOT_BOTH, None
        name = "+".join(fault.name for fault in faults)
        causes = tuple(fault.cause for fault in faults)
        names = tuple(fault.name for fault in faults)
        return Fell.KEPT, Planted(f"{name}: {site.example.id}", names, causes, case, lab, site.offending)

    def _fails_alone(self, fault: Fault, one: Healthy) -> bool:
        site = self._site((fault,), one)
        row = _asked(self._lab_of(site), site, self._lab_of(site).setup) if site is not None else None
        return row is not None and bool(failures(row))

    def _lab_of(self, site: Site) -> Lab:
        setup = self._weaker if site.weaker and self._weaker is not None else self._lab.setup
        return replace(self._lab, setup=setup, sources=_Sources(site.sources, self._lab.sources))


@dataclass(frozen=True, slots=True)
class _Sources:
    """Sources of which some read otherwise than they do."""

    changed: Mapping[str, str | None]
    others: Sources

    def get(self, uri: str, /) -> str | None:
        return self.changed[uri] if uri in self.changed else self.others.get(uri)


def _asked(lab: Lab, site: Site, setup: Setup) -> Row | None:
    """The row that a run would have logged; None where the model failed.

    Whether the corpus bears out each sentence is left out: it looks at other documents than those at issue.
    """
    example, everyone = site.example, Filter(access=frozenset({EVERYTHING}), as_of=site.example.as_of)
    added = {put.document.uri: put.document for put in (site.overlay.add if site.overlay else ())}
    masked = site.overlay.mask if site.overlay else frozenset()
    evidence = locate_evidence(
        [example], lambda uri, _: added.get(uri) or (None if uri in masked else setup.store.document(uri, everyone))
    )[example.id]
    fitted = lab.fitted(site.recipe, example)
    row, _, _ = ask_one(setup, Asking(example, fitted, evidence, 0, False, overlay=site.overlay))
    return None if row.failure else row


def _as_meant(cause: Cause, site: Site, case: Case, lab: Lab) -> bool:
    """Whether search brought up, and the context shows, as much of the evidence as the cause says."""
    if cause not in (Cause.UNFOUND, Cause.OUTRANKED, Cause.UNUSED):
        return True
    corpus = case.corpus(lab)
    found = search(
        corpus.store, corpus.embedder, case.example.asked, case.recipe, corpus.filter, overlay=corpus.overlay
    )
    index = next((spec.id for spec, active in corpus.store.indexes() if active), "")
    ids = [row.passage for row in found.candidates]
    looked_at = [one.text for one in corpus.store.passages(index, ids, corpus.filter, corpus.overlay)]
    candidates = _all_told(site, looked_at)
    shown = _all_told(site, [hit.text for hit in case.shown])
    return {Cause.UNFOUND: not candidates, Cause.OUTRANKED: candidates and not shown, Cause.UNUSED: shown}[cause]


def _all_told(site: Site, texts: Sequence[str]) -> bool:
    """Whether every piece of evidence stands in one of the texts."""
    return all(any(words in text for words in places for text in texts) for places in site.telling)


def _measured(row: Row) -> bool:
    return any(verdict.outcome is Outcome.PASS for verdict in row.verdicts.values())


def _watched(row: Row) -> Row:
    """The row as if every check that it passed had failed, so that a replay looks at all of them."""
    seen = {
        check: Verdict(Outcome.FAIL, "watched") if verdict.outcome is Outcome.PASS else verdict
        for check, verdict in row.verdicts.items()
    }
    return replace(row, verdicts=seen)


def _again(case: Case, lab: Lab, draw: int) -> Trial | None:
    """A fresh draw; None where no model is asked, so that every draw is the same."""
    try:
        return attempt(case, lab, Move.REPLAY, draw)
    except UsageProblem:
        return None


def _passes(trial: Trial | None) -> bool:
    if trial is None:
        return True
    return Response.FAIL not in trial.responses.values() and Response.PASS in trial.responses.values()


def _fails(case: Case, lab: Lab) -> bool:
    trials = (_again(case, lab, FILTER + n) for n in range(REPEATS))
    return all(trial is None or Response.FAIL in trial.responses.values() for trial in trials)


def _wavers(case: Case, lab: Lab) -> bool:
    trials = [_again(case, lab, FILTER + n) for n in range(WAVERS)]
    passed = sum(trial is not None and _passes(trial) for trial in trials)
    return 2 <= passed <= WAVERS - 2
