"""One example put to one recipe once: asked, checked, made a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from knowhow.answer.answer import ask
from knowhow.answer.trace import KIND, Trace
from knowhow.answer.verify import check as verify
from knowhow.answer.verify import probabilities
from knowhow.errors import KnowhowError, ProviderKind, ProviderProblem
from knowhow.evaluate.checks import check, unanswered
from knowhow.evaluate.judge import Judge, needs_judge
from knowhow.evaluate.knowledge import Seen
from knowhow.evaluate.said import unmarked
from knowhow.ports import ChatModel, Embedder, Overlay, Records, Reranker, Store, Verifier
from knowhow.search.search import search
from knowhow.settings import Price
from knowhow.types import (
    EVERYTHING,
    Answer,
    Check,
    Context,
    EvidenceAt,
    Example,
    Fate,
    Filter,
    Hit,
    Json,
    Located,
    Message,
    Range,
    Recipe,
    Row,
    SearchMode,
    Support,
    Usage,
)

HOPELESS = {ProviderKind.UNREACHABLE, ProviderKind.AUTH, ProviderKind.UNKNOWN_MODEL, ProviderKind.REFUSED_OFFLINE}
"""What would fail on every other example too."""
_LOOKED_UP = 5
"""Hits that are held against a sentence to see whether the corpus bears it out."""
_ALL = frozenset({EVERYTHING})


@dataclass(frozen=True, slots=True)
class Setup:
    """What a recipe is asked with. Shared by threads, so all of it is thread-safe."""

    store: Store
    records: Records
    embedder: Embedder
    model: ChatModel
    reranker: Reranker | None = None
    verifier: Verifier | None = None
    price: Price | None = None
    judge: Judge | None = None
    """Decides the content where only a reference or a rubric says what is right."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One example to be put to one recipe for the `draw`th time."""

    example: Example
    recipe: Recipe
    evidence: tuple[Located, ...]
    draw: int
    grounding: bool
    hits: Sequence[Hit] | None = None
    """What the model is shown instead of what the recipe would bring: an experiment dictates it."""
    overlay: Overlay | None = None
    """What the corpus is taken to hold instead of what is stored."""


def ask_one(setup: Setup, asking: Asking) -> tuple[Row, frozenset[str], frozenset[str]]:
    """The row, the tags a reader of it must hold, and the documents it names. A failed model is a row with its reason.

    Raises `ProviderProblem` where the failure would meet every other example too.
    """
    example = asking.example
    try:
        answer = _answer(setup, asking)
    except KnowhowError as error:
        if isinstance(error, ProviderProblem) and error.kind in HOPELESS:
            raise
        row = Row(
            example.id, example.group, asking.draw, "", False, unanswered(f"no answer: {error}"), failure=str(error)
        )
        return row, example.access, frozenset()
    record = setup.records.get(KIND, answer.trace_id, _ALL)
    trace = Trace.from_json(record.body) if record else None
    verdicts = check(
        example,
        asking.recipe,
        answer,
        evidence=asking.evidence,
        seen=_seen(trace, asking.recipe) if trace else None,
        support=_support(setup, asking, answer) if asking.grounding else None,
    )
    access = record.access if record else example.access
    uris = record.uris if record else frozenset()
    judged = Usage(cost_usd=0.0)
    if setup.judge and needs_judge(example, verdicts[Check.CONTENT]):
        verdicts[Check.CONTENT], judged = setup.judge.content(example, answer, asking.draw, access, uris)
    row = Row(
        id=example.id,
        group=example.group,
        draw=asking.draw,
        answer=answer.text,
        abstained=answer.abstained,
        verdicts=verdicts,
        citations=answer.citations,
        usage=answer.usage,
        ms=answer.ms,
        trace_id=answer.trace_id,
        remembered=answer.remembered,
        judge_usage=judged,
    )
    # the answer may repeat any of them, so the row is as closed as its trace and is purged with them
    return row, access, uris


def _answer(setup: Setup, asking: Asking) -> Answer:
    example = asking.example
    return ask(
        example.asked,
        asking.recipe,
        store=setup.store,
        records=setup.records,
        embedder=setup.embedder,
        model=setup.model,
        reranker=setup.reranker,
        verifier=setup.verifier,
        price=setup.price,
        filter=_filter(example),
        history=_history(example),
        context=example.context,
        gold=_gold(asking.evidence) if _shows_gold(asking.recipe) else (),
        draw=asking.draw,
        hits=asking.hits,
        overlay=asking.overlay,
    )


def _filter(example: Example) -> Filter:
    return Filter(access=example.access, where=example.where, as_of=example.as_of)


def _history(example: Example) -> tuple[Message, ...]:
    """The conversation before its last turn; instructions are the recipe's, so a system turn is left out."""
    return tuple(turn for turn in example.messages[:-1] if turn.role != "system")


def _shows_gold(recipe: Recipe) -> bool:
    return recipe.context is Context.GOLD or recipe.evidence_at is not EvidenceAt.AS_ORDERED


def _gold(evidence: Sequence[Located]) -> tuple[Range, ...]:
    """One place of each piece of evidence; they all hold the same words."""
    return tuple(item.ranges[0] for item in evidence if item.ranges)


def _seen(trace: Trace, recipe: Recipe) -> Seen | None:
    """What search brought up; None for recipes that do not search."""
    if recipe.context is not Context.RETRIEVED:
        return None
    ranked = tuple(_range(row) for row in trace.candidates if row["fate"] != Fate.DUPLICATE.value)
    candidates = tuple(_range(row) for row in trace.candidates)
    return Seen(ranked, candidates, tuple(_range(row) for row in trace.shown))


def _range(row: Json) -> Range:
    return Range(row["uri"], row["version"], row["start"], row["end"])


def _support(setup: Setup, asking: Asking, answer: Answer) -> Callable[[str], tuple[Support, str]]:
    """Looks a sentence up in the corpus, unless the answer's own citation already bears it out.

    A recipe's verifier decides about the words here too, as it does about its citations. Without one a range must hold
    the sentence's own words, so words find it and no vector is needed.
    """
    borne_out = {
        unmarked(answer.text[slice(*one.sentence)]) for one in answer.citations if one.supported is Support.YES
    }
    mode = SearchMode.HYBRID if setup.verifier else SearchMode.KEYWORD
    recipe = Recipe(index=asking.recipe.index, k=_LOOKED_UP, mode=mode)

    def support(claim: str) -> tuple[Support, str]:
        if claim in borne_out:
            return Support.YES, ""
        found = search(setup.store, setup.embedder, claim, recipe, _filter(asking.example), overlay=asking.overlay)
        if not found.hits:
            return Support.NO, "nothing like it is in the documents"
        around = [f"{hit.title} {hit.lead}" for hit in found.hits]
        pairs = [(claim, f"{lead}\n{hit.text}") for lead, hit in zip(around, found.hits, strict=True)]
        entailed = probabilities(setup.verifier, pairs)
        findings = [
            verify(claim, hit.text, around=lead, entailed=probability)
            for hit, lead, probability in zip(found.hits, around, entailed, strict=True)
        ]
        best = max(findings, key=lambda one: (one.support is Support.YES, one.score))
        return best.support, "; ".join(best.reasons)

    return support
