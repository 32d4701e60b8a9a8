"""Ask: the flow from a question to an answer or a reasoned decline, with its trace."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from knowhow.answer import conflict, decline, prompt
from knowhow.answer.asked import CONTEXT_URI, HIDDEN, Asked, Corpus
from knowhow.answer.call import call
from knowhow.answer.conflict import Conflict, Force
from knowhow.answer.current import current
from knowhow.answer.followup import understand
from knowhow.answer.gather import Gathered, gather, given
from knowhow.answer.links import Rinse
from knowhow.answer.log import Log
from knowhow.answer.pack import pack, room
from knowhow.answer.read import Reading, read
from knowhow.answer.relevance import relevant
from knowhow.errors import UsageProblem
from knowhow.ports import ChatModel, Embedder, Overlay, Records, Reranker, Store, Verifier
from knowhow.settings import Price
from knowhow.types import (
    Answer,
    ChatReply,
    ChatRequest,
    Citation,
    Context,
    Decline,
    Filter,
    Hit,
    Message,
    Range,
    Recipe,
    Shown,
    Support,
)

NOBODY = Filter()
"""An asker without tags: sees untagged documents only."""
CHARACTERS_PER_TOKEN = 8
"""More characters than a token ever averages: how much of the corpus is read to fill a budget."""


def ask(
    question: str,
    recipe: Recipe,
    *,
    store: Store,
    records: Records | None,
    embedder: Embedder,
    model: ChatModel,
    reranker: Reranker | None = None,
    verifier: Verifier | None = None,
    price: Price | None = None,
    filter: Filter = NOBODY,
    history: Sequence[Message] = (),
    context: str = "",
    overlay: Overlay | None = None,
    gold: Sequence[Range] = (),
    draw: int | None = None,
    hits: Sequence[Hit] | None = None,
) -> Answer:
    """Answers `question` as `recipe` says, from what `filter` may see, and stores the trace.

    Without `records` nothing is kept. `context` is text that comes with the question and can be cited like a
    document. `gold` are the ranges that `Context.GOLD` shows. With a `draw` number the model's reply is remembered and
    reused; without, it is asked anew. `hits` are shown, in this order, instead of what `recipe.context` would bring
    (an experiment dictates the context); those the asker may not see are left out.
    Raises `UsageProblem` for an empty question, `ProviderProblem` when the model fails or the question is too long.
    """
    corpus = Corpus(store, embedder, reranker, filter, overlay)
    asked = Asked(question, recipe, corpus, records, model, verifier, price, history, context, gold, draw, hits)
    flow = _flow(asked)
    while True:
        try:
            next(flow)
        except StopIteration as done:
            answer: Answer = done.value
            return answer


def stream(
    question: str,
    recipe: Recipe,
    *,
    store: Store,
    records: Records | None,
    embedder: Embedder,
    model: ChatModel,
    reranker: Reranker | None = None,
    verifier: Verifier | None = None,
    price: Price | None = None,
    filter: Filter = NOBODY,
    history: Sequence[Message] = (),
    context: str = "",
    overlay: Overlay | None = None,
    gold: Sequence[Range] = (),
    draw: int | None = None,
) -> Generator[str, None, Answer]:
    """Like `ask`, yielding the reply as it is written. The returned answer is what counts: its sentences are checked,
    its marks settled, and it may be a decline."""
    corpus = Corpus(store, embedder, reranker, filter, overlay)
    asked = Asked(question, recipe, corpus, records, model, verifier, price, history, context, gold, draw)
    return _flow(asked)


def _flow(asked: Asked) -> Generator[str, None, Answer]:
    if not asked.question.strip():
        raise UsageProblem("the question is empty; say what you want to know")
    log = Log(asked, revision=asked.corpus.store.revision())
    log.understood = understand(asked.question, asked.history)
    log.room = room(asked.model, asked.recipe, asked.question, asked.history)
    log.lap("understand")
    log.found = _found(asked, log)
    log.lap("search")
    disagreement = _pack(asked, log)
    log.lap("pack")
    shown = log.packed.shown
    if not shown and asked.recipe.context is not Context.NONE:
        return log.declined(Decline.NOTHING_RELEVANT, decline.NOTHING_RELEVANT, _nothing(log.found))
    if disagreement:
        text, citations = _both_sides(disagreement, shown)
        placed = tuple(_placed(citation, asked.corpus) for citation in citations)
        return log.declined(Decline.CONFLICT, text, _disagreement(disagreement), placed)
    log.request = _request(asked, shown, log.room.history)
    log.reply, log.remembered = yield from _said(asked, log.request, shown)
    log.lap("model")
    log.reading = read(log.reply.text, asked.question, shown, asked.recipe, asked.verifier)
    log.lap("check")
    return _decided(asked, log)


def _found(asked: Asked, log: Log) -> Gathered:
    if asked.hits is not None:
        return Gathered(tuple(asked.hits), order="the given passages, in their order")
    characters = log.room.tokens * CHARACTERS_PER_TOKEN
    found = gather(asked.recipe, asked.corpus, log.understood.search, asked.gold, characters)
    near = relevant(found, asked.recipe)
    return current(near, asked.corpus) if asked.recipe.current_only else near


def _pack(asked: Asked, log: Log) -> Conflict | None:
    """Packs what was found; where a newer document takes back what an older one says, leaves the older passage out.

    Returns a conflict that nothing settles, if there is one.
    """
    own = [given(asked.context)] if asked.context.strip() else []
    hits = [*own, *(hit for hit in log.found.hits if asked.corpus.access(hit.uri) is not None)]
    log.packed = pack(hits, asked.model, log.room.tokens)
    if asked.recipe.context is not Context.RETRIEVED:
        return None
    settled: list[Conflict] = []
    taken_back: list[Hit] = []
    while pairs := conflict.conflicts(asked.question, log.packed.shown):
        replaced = _replacements(asked.corpus, pairs, log.packed.shown)
        pairs = conflict.conflicts(asked.question, log.packed.shown, replaced)
        closed = next((pair for pair in pairs if pair.force is not Force.OPEN), None)
        if closed is None:
            return pairs[0]
        older = log.packed.shown[closed.second.index].hit
        settled.append(closed)
        taken_back.append(older)
        hits.remove(older)
        log.settled, log.taken_back = settled, taken_back
        log.packed = pack(hits, asked.model, log.room.tokens)
    return None


def _replacements(corpus: Corpus, pairs: Sequence[Conflict], shown: Sequence[Shown]) -> list[tuple[str, str]]:
    """(newer uri, older uri) for every document of `pairs` that says which one it replaces."""
    hits = {shown[side.index].hit.uri: shown[side.index].hit for pair in pairs for side in (pair.first, pair.second)}
    documents = [corpus.document(hit.uri, hit.version) for hit in hits.values()]
    return [(document.uri, document.supersedes) for document in documents if document and document.supersedes]


def _request(asked: Asked, shown: tuple[Shown, ...], history: tuple[Message, ...]) -> ChatRequest:
    return ChatRequest(
        messages=prompt.messages(asked.question, shown, asked.recipe, history),
        sampling=prompt.sampling(asked.recipe, asked.draw),
        schema=asked.recipe.schema,
        adapter=asked.recipe.adapter,
        question=asked.question,
        passages=tuple(prompt.readable(passage.text) for passage in shown),
    )


def _said(asked: Asked, request: ChatRequest, shown: Sequence[Shown]) -> Generator[str, None, tuple[ChatReply, bool]]:
    """Asks the model; yields what is safe to show of the reply as it comes."""
    uris = frozenset(passage.hit.uri for passage in shown)
    tags = [asked.corpus.access(uri) for uri in uris if uri != CONTEXT_URI]
    access = frozenset[str]().union(*(HIDDEN if held is None else held for held in tags))
    flow = call(asked.model, request, asked.records, draw=asked.draw, access=access, uris=uris)
    rinse = Rinse([*(passage.text for passage in shown), asked.question])
    try:
        while True:
            try:
                safe = rinse.feed(next(flow))
            except StopIteration as done:
                if rest := rinse.finish():
                    yield rest
                result: tuple[ChatReply, bool] = done.value
                return result
            if safe:
                yield safe
    finally:
        flow.close()


def _decided(asked: Asked, log: Log) -> Answer:
    """Declines where the model does, or where no range bears out any sentence of its reply; else answers."""
    reading, shown = log.reading, log.packed.shown
    citations = tuple(_placed(citation, asked.corpus) for citation in reading.citations)
    if asked.recipe.schema is None:
        if decline.declines(reading.plain):
            told = f"{decline.NOT_STATED} The model found no answer in {_passages(len(shown))} it was shown."
            return log.declined(Decline.NOT_STATED, reading.text, told if shown else decline.NOT_KNOWN, citations)
        founded = [check for check in reading.checks if check["ranges"] and check["support"] != Support.NO]
        if reading.checks and not founded:
            return log.declined(Decline.NOT_STATED, decline.NOT_STATED, _unfounded(reading, shown))
    return log.answered(reading.text, citations, " ".join(_taken_back(pair) for pair in log.settled))


def _unfounded(reading: Reading, shown: Sequence[Shown]) -> str:
    looked_at = [range_ for check in reading.checks for range_ in (*check["ranges"], check["nearest"]) if range_]
    reasons = [reason for range_ in looked_at for reason in range_["reasons"]]
    why = f" ({reasons[0]})" if reasons else ""
    return f"{decline.NOT_STATED} What the model replied is not borne out by {_passages(len(shown))} it was shown{why}."


def _passages(count: int) -> str:
    return "the passage" if count == 1 else f"the {count} passages"


def _placed(citation: Citation, corpus: Corpus) -> Citation:
    """The citation with the place of its first character, where the passage spans several, and its boxes."""
    document = corpus.document(citation.uri, citation.version) if citation.uri != CONTEXT_URI else None
    if document is None or not document.spans:
        return citation
    boxes = document.boxes(citation.start, citation.end)
    return replace(citation, place=document.place_at(citation.start), boxes=boxes)


def _nothing(found: Gathered) -> str:
    if found.irrelevant:
        return f"{decline.NOTHING_RELEVANT} {len(found.irrelevant)} passages were found, none close enough to it."
    return f"{decline.NOTHING_RELEVANT} The search found nothing."


def _both_sides(pair: Conflict, shown: Sequence[Shown]) -> tuple[str, tuple[Citation, ...]]:
    """Both statements with their dates, newer first, each cited in full."""
    text = "The documents disagree:"
    citations = []
    for side in (pair.first, pair.second):
        passage = shown[side.index]
        start = len(text) + 1
        text += f"\n- {side.value} ({side.source}) [{passage.mark}]"
        citations.append(
            Citation(
                mark=passage.mark,
                uri=passage.hit.uri,
                version=passage.hit.version,
                start=passage.hit.start + side.start,
                end=passage.hit.start + side.end,
                quote=passage.text[side.start : side.end],
                supported=Support.YES,
                place=passage.hit.place,
                sentence=(start, len(text)),
                by="attributed",
            )
        )
    return text, tuple(citations)


def _disagreement(pair: Conflict) -> str:
    return (
        f"The documents disagree: {pair.first.value} ({pair.first.source}), {pair.second.value} "
        f"({pair.second.source}). "
        "Give them dates (effective_at) or say which one supersedes the other."
    )


def _taken_back(pair: Conflict) -> str:
    return f"An older source says {pair.second.value} ({pair.second.source}); in force is {pair.first.source}."
