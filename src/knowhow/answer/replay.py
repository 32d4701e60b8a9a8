"""Replay: the question of a trace put again to the corpus as it was then, or as it is now, and what differs."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Literal

from knowhow.answer.answer import ask
from knowhow.answer.shape import answer_json, citation_json
from knowhow.answer.trace import Trace
from knowhow.ports import ChatModel, Embedder, Overlay, Reranker, Store, Verifier
from knowhow.types import (
    EVERYTHING,
    Answer,
    ChatReply,
    ChatRequest,
    FewShot,
    Filter,
    Json,
    Message,
    Range,
    Recipe,
    Sampling,
)


class Part(StrEnum):
    """A part of a trace that came out otherwise."""

    PASSAGES = "passages"
    """Which passages the model was shown, or in which order."""
    REPLY = "reply"
    """What the model said."""
    ANSWER = "answer"
    CITATIONS = "citations"


@dataclass(frozen=True, slots=True)
class Moved:
    """One passage that was shown then or now; its place in the prompt, from 1, or None where it was not shown."""

    uri: str
    version: int
    start: int
    end: int
    then: int | None
    now: int | None
    why: str
    """What became of it; empty where it is shown as before."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A trace beside the same question asked again. Nothing of it is kept."""

    trace_id: str
    question: str
    at: float
    """When it was asked first."""
    as_of: float | None
    """What the corpus was taken as of; None = as it is now."""
    differs: tuple[Part, ...]
    passages: tuple[Moved, ...]
    reply: Literal["remembered", "anew", "none"]
    """Whether the model was asked: a prompt equal to the trace's is answered with the trace's reply."""
    answer_then: str
    answer_now: str
    outcome_then: str
    """`answered`, or the reason of the decline."""
    outcome_now: str
    citations_gone: tuple[Json, ...]
    citations_new: tuple[Json, ...]
    notes: tuple[str, ...]
    """What could not be as it was, in words."""


def replay(
    trace: Trace,
    recipe: Recipe,
    *,
    store: Store,
    embedder: Embedder,
    model: ChatModel,
    reranker: Reranker | None,
    verifier: Verifier | None,
    access: frozenset[str],
    now: bool = False,
) -> Replay:
    """Asks the trace's question again with `recipe`, see `recipe_of`, and compares.

    What may be seen: what both the asker of then and `access` may see by today's tags. Raises what `ask` raises.
    """
    notes, recipe = _notes(trace, store), _searchable(recipe, store)
    as_of = trace.filter["as_of"] if now or trace.filter["as_of"] is not None else trace.at
    filter = Filter(_narrowed(trace.filter["access"], access), trace.filter["where"], as_of)
    remembering = _Remembering(model, trace)
    answer = ask(
        trace.question,
        recipe,
        store=store,
        records=None,
        embedder=embedder,
        model=remembering,
        reranker=reranker,
        verifier=verifier,
        filter=filter,
        history=[Message(turn["role"], turn["content"]) for turn in trace.history],
        context=trace.context,
        overlay=Overlay(frozenset(trace.overlay["mask"])) if trace.overlay["mask"] else None,
        gold=[Range(**row) for row in trace.gold],
    )
    reason = answer.reason.value if answer.reason else ""
    passages = tuple(_compared(trace, answer, store, Filter(access)))
    gone, new = _citations(trace, answer)
    differs = {
        Part.PASSAGES: any(passage.then != passage.now for passage in passages),
        Part.REPLY: trace.raw != remembering.said,
        Part.ANSWER: (trace.answer, trace.reason) != (answer.text, reason),
        Part.CITATIONS: bool(gone or new),
    }
    return Replay(
        trace_id=trace.id,
        question=trace.question,
        at=trace.at,
        as_of=as_of,
        differs=tuple(part for part in Part if differs[part]),
        passages=passages,
        reply=remembering.made,
        answer_then=trace.answer,
        answer_now=answer.text,
        outcome_then=trace.reason or "answered",
        outcome_now=reason or "answered",
        citations_gone=gone,
        citations_new=new,
        notes=notes,
    )


def recipe_of(trace: Trace, known: Collection[Recipe]) -> Recipe:
    """The trace's recipe, pinned to its index; one of `known` where that has the same hash, since a trace leaves
    secrets out."""
    same = next((recipe for recipe in known if recipe.hash == trace.recipe_hash), None)
    return replace(same or _recipe(trace.recipe), index=trace.index)


def _recipe(body: Mapping[str, Any]) -> Recipe:
    values = dict(body)
    for field in fields(Recipe):
        if isinstance(field.default, StrEnum) and field.name in values:
            values[field.name] = type(field.default)(values[field.name])
    values["examples"] = tuple(FewShot(**example) for example in values["examples"])
    values["sampling"] = Sampling(**{**values["sampling"], "stop": tuple(values["sampling"]["stop"])})
    return Recipe(**values)


def _searchable(recipe: Recipe, store: Store) -> Recipe:
    """`recipe` with the active index where its own is no longer there."""
    known = any(spec.id == recipe.index for spec, _ in store.indexes())
    return recipe if known else replace(recipe, index="")


def _narrowed(then: Sequence[str], access: frozenset[str]) -> frozenset[str]:
    """Tags that both held."""
    held = frozenset(then)
    if EVERYTHING in access:
        return held
    return access if EVERYTHING in held else held & access


def _notes(trace: Trace, store: Store) -> tuple[str, ...]:
    notes = []
    if trace.index and not any(spec.id == trace.index for spec, _ in store.indexes()):
        notes.append(f"index {trace.index} is no longer there; the active one was searched instead")
    if trace.overlay["add"]:
        notes.append(f"documents that were only laid over are not kept: {', '.join(trace.overlay['add'])}")
    return tuple(notes)


def _compared(trace: Trace, answer: Answer, store: Store, filter: Filter) -> Iterator[Moved]:
    """Every passage of either prompt with both places, first those of then."""
    then = {_key(row): place for place, row in enumerate(trace.shown, 1)}
    now = {_key(row): place for place, row in enumerate(answer_json(answer)["shown"], 1)}
    for key in dict.fromkeys([*then, *now]):
        before, after = then.get(key), now.get(key)
        why = "" if before and after else _why(key, before is None, trace, store, filter)
        yield Moved(*key, before, after, why)


def _key(row: Json) -> tuple[str, int, int, int]:
    return row["uri"], row["version"], row["start"], row["end"]


def _why(key: tuple[str, int, int, int], is_new: bool, trace: Trace, store: Store, filter: Filter) -> str:
    """What became of a passage that is shown only then or only now, as far as it can be told."""
    uri, version = key[:2]
    known = store.versions(uri, filter)
    retained = next((info for info in known if info.version == version), None)
    if not known:
        return "the document was purged, or may not be seen any more"
    if retained is None:
        return f"version {version} is no longer kept"
    if is_new:
        return f"version {version} came later" if retained.updated > trace.at else "it ranks higher now"
    if known[0].version > version:
        return f"version {known[0].version} replaced it"
    return "it ranks lower now" if known[0].state == "ready" else f"the document is {known[0].state.value}"


def _citations(trace: Trace, answer: Answer) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
    """(those only then, those only now)."""
    then = {_key(row): row for row in trace.citations}
    now = {_key(row): row for row in map(citation_json, answer.citations)}
    gone = tuple(row for key, row in then.items() if key not in now)
    return gone, tuple(row for key, row in now.items() if key not in then)


class _Remembering:
    """The trace's reply for the trace's prompt; everything else goes to the model."""

    def __init__(self, model: ChatModel, trace: Trace) -> None:
        self.name = model.name
        self.context_tokens = model.context_tokens
        self.made: Literal["remembered", "anew", "none"] = "none"
        self.said = ""
        self._model = model
        self._trace = trace

    def chat(self, request: ChatRequest) -> ChatReply:
        trace = self._trace
        if trace.prompt and [asdict(message) for message in request.messages] == trace.prompt:
            self.made = "remembered"
            finish: Literal["stop", "length"] = "length" if trace.finish == "length" else "stop"
            reply = ChatReply(trace.raw, trace.usage["prompt_tokens"], trace.usage["completion_tokens"], finish)
        else:
            self.made = "anew"
            reply = self._model.chat(request)
        self.said = reply.text
        return reply

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        reply = self.chat(request)
        yield reply.text
        return reply

    def count(self, messages: Sequence[Message]) -> int:
        return self._model.count(messages)

    def close(self) -> None:
        """The model belongs to the caller."""


def replay_json(done: Replay) -> Json:
    """What `knowhow traces replay --json` prints, times as UTC seconds."""
    return {**asdict(done), "differs": [part.value for part in done.differs]}
