"""Writes down what happens while a question is answered, and turns it into the answer and its trace."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from knowhow.answer.asked import CONTEXT_URI, HIDDEN, Asked
from knowhow.answer.conflict import Conflict
from knowhow.answer.followup import Understood
from knowhow.answer.gather import Gathered
from knowhow.answer.guard import Danger, flags
from knowhow.answer.pack import Packed, Room
from knowhow.answer.read import Reading
from knowhow.answer.shape import citation_json
from knowhow.answer.trace import Trace, without_secrets
from knowhow.types import (
    Answer,
    ChatReply,
    ChatRequest,
    Citation,
    Decline,
    Fate,
    Hit,
    Json,
    Recipe,
    Shown,
    Usage,
    flat,
)

_DONE = {
    Danger.INVISIBLE: "removed",
    Danger.COMMENT: "removed",
    Danger.CONTROL: "made harmless",
    Danger.TURN: "withheld",
    Danger.ORDER: "withheld",
    Danger.ENCODED: "shown",
}
_WHY = {
    Fate.OVER_BUDGET: "did not fit the budget of {budget} tokens",
    Fate.IRRELEVANT: "is not relevant enough",
    Fate.SUPERSEDED: "a newer document takes it back",
}


@dataclass(slots=True)
class Log:
    """What is known so far about one question; the steps of the flow add to it in their order."""

    asked: Asked
    at: float = field(default_factory=time.time)
    revision: int = 0
    understood: Understood = field(default_factory=lambda: Understood(""))
    room: Room = field(default_factory=lambda: Room(0, (), 0))
    found: Gathered = field(default_factory=Gathered)
    packed: Packed = field(default_factory=lambda: Packed((), (), 0))
    settled: Sequence[Conflict] = ()
    taken_back: Sequence[Hit] = ()
    """Older passages left out because a newer document says otherwise."""
    request: ChatRequest | None = None
    reply: ChatReply | None = None
    remembered: bool = False
    reading: Reading = field(default_factory=lambda: Reading("", ""))
    ms: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Ends a stage: what passed since the last one is its time."""
        now = time.perf_counter()
        self.ms[stage] = (now - self._last) * 1000
        self._last = now

    def answered(self, text: str, citations: tuple[Citation, ...], note: str) -> Answer:
        """The answer, with `note` as what else there is to know."""
        return self._ended(text, None, note, citations, self.reading.unsupported)

    def declined(self, reason: Decline, text: str, explanation: str, citations: tuple[Citation, ...] = ()) -> Answer:
        """The decline, with its reason in words."""
        return self._ended(text, reason, explanation, citations, ())

    def _ended(
        self,
        text: str,
        reason: Decline | None,
        explanation: str,
        citations: tuple[Citation, ...],
        unsupported: tuple[tuple[int, int], ...],
    ) -> Answer:
        self.lap("write")
        ms = self._ms()
        answer = Answer(
            text=text,
            abstained=reason is not None,
            reason=reason,
            explanation=explanation,
            citations=citations,
            unsupported=unsupported,
            shown=self.packed.shown,
            model=without_secrets(self.asked.model.name),
            recipe=self.asked.recipe.name,
            usage=self._usage(),
            ms=ms,
            trace_id=secrets.token_hex(8) if self.asked.records else "",
            remembered=self.remembered,
        )
        if self.asked.records:
            self.asked.records.put([self._trace(answer).record()])
        return answer

    def _ms(self) -> dict[str, float]:
        """Milliseconds by stage; a remembered reply counts with the time it took when it was made."""
        total = (time.perf_counter() - self._start) * 1000
        ms = {**self.ms, **self.found.ms}
        if self.reply and self.remembered:
            total += self.reply.ms - ms["model"]
            ms["model"] = self.reply.ms
        ms["total"] = total
        if self.reply and self.reply.ms_first is not None:
            ms["first_token"] = self.reply.ms_first
        return ms

    def _usage(self) -> Usage:
        """Tokens and money of this question, as they were when the reply was made."""
        return Usage(cost_usd=0.0) if self.reply is None else self.asked.spent(self.reply)

    def _trace(self, answer: Answer) -> Trace:
        asked, corpus, recipe = self.asked, self.asked.corpus, self.asked.recipe
        tags = {uri: corpus.access(uri) for uri in self._uris()}
        named = [uri for uri, held in tags.items() if held is not None]
        access = frozenset[str]().union(*(HIDDEN if held is None else held for held in tags.values()))
        if asked.history:
            access |= corpus.filter.access  # earlier turns may quote anything the asker could see
        index = recipe.index or next((spec.id for spec, active in corpus.store.indexes() if active), "")
        return Trace(
            id=answer.trace_id,
            at=self.at,
            question=asked.question,
            search_text=self.understood.search,
            carried=list(self.understood.carried),
            history=[flat(turn) for turn in asked.history],
            forgotten=self.room.forgotten,
            context=asked.context,
            filter={
                "access": sorted(corpus.filter.access),
                "where": dict(corpus.filter.where),
                "as_of": corpus.filter.as_of,
            },
            gold=[flat(range_) for range_ in asked.gold],
            overlay={
                "mask": sorted(corpus.overlay.mask) if corpus.overlay else [],
                "add": [put.document.uri for put in corpus.overlay.add] if corpus.overlay else [],
            },
            recipe=_recipe(recipe),
            recipe_hash=recipe.hash,
            index=index,
            revision=self.revision,
            model=answer.model,
            order=self.found.order,
            candidates=self._candidates(set(named)),
            shown=[_shown(passage) for passage in answer.shown],
            cut=self._cut(),
            unread=self.found.unread,
            flags=[flag for passage in answer.shown for flag in _flags(passage)],
            conflicts=[asdict(pair) for pair in self.settled],
            prompt=[flat(turn) for turn in self.request.messages] if self.request else [],
            raw=self.reply.text if self.reply else "",
            finish=self.reply.finish if self.reply else "",
            remembered=self.remembered,
            draw=self.asked.draw,
            dropped=list(self.reading.dropped),
            checks=list(self.reading.checks),
            answer=answer.text,
            abstained=answer.abstained,
            reason=answer.reason.value if answer.reason else "",
            explanation=answer.explanation,
            citations=[citation_json(citation) for citation in answer.citations],
            usage=flat(answer.usage),
            ms=answer.ms,
            access=sorted(access),
            uris=list(tags),
        )

    def _uris(self) -> list[str]:
        """Every document this trace names, shown ones first."""
        shown = [passage.hit.uri for passage in self.packed.shown]
        cut = [hit.uri for hit, _ in self._gone()]
        looked_at = [row.uri for row in self.found.candidates]
        return [uri for uri in dict.fromkeys([*shown, *cut, *looked_at]) if uri != CONTEXT_URI]

    def _gone(self) -> list[tuple[Hit, Fate]]:
        """What the search let through and the prompt does not hold, with the reason."""
        return [
            *((hit, Fate.SUPERSEDED) for hit in (*self.taken_back, *self.found.superseded)),
            *((hit, Fate.OVER_BUDGET) for hit in self.packed.over),
            *((hit, Fate.IRRELEVANT) for hit in self.found.irrelevant),
        ]

    def _candidates(self, visible: set[str]) -> list[Json]:
        fates = {passage: fate for hit, fate in self._gone() for passage in hit.passages[:1]}
        rows = [row for row in self.found.candidates if row.uri in visible]
        return [{**flat(row), "fate": fates.get(row.passage, row.fate).value} for row in rows]

    def _cut(self) -> list[Json]:
        budget = self.asked.recipe.budget
        return [
            {
                "uri": hit.uri,
                "version": hit.version,
                "start": hit.start,
                "end": hit.end,
                "fate": fate.value,
                "why": _WHY[fate].format(budget=budget),
            }
            for hit, fate in self._gone()
        ]


def _recipe(recipe: Recipe) -> Json:
    return {
        **flat(recipe),
        "model": without_secrets(recipe.model),
        "examples": [flat(example) for example in recipe.examples],
        "sampling": flat(recipe.sampling),
    }


def _shown(passage: Shown) -> Json:
    hit = passage.hit
    return {
        "mark": passage.mark,
        "uri": hit.uri,
        "version": hit.version,
        "start": hit.start,
        "end": hit.start + len(passage.text),
        "cut": len(passage.text) < len(hit.text),
        "title": hit.title,
        "place": hit.place.label(),
        "effective_at": hit.effective_at,
        "keyword": hit.keyword,
        "vector": hit.vector,
        "score": hit.score,
        "rerank": hit.rerank,
    }


def _flags(passage: Shown) -> list[Json]:
    return [
        {
            "mark": passage.mark,
            "danger": flag.danger.value,
            "start": passage.hit.start + flag.start,
            "end": passage.hit.start + flag.end,
            "excerpt": flag.excerpt,
            "done": _DONE[flag.danger],
        }
        for flag in flags(passage.text)
    ]
