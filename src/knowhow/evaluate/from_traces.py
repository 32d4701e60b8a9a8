"""Real questions become examples: what people asked, with what they said of the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knowhow.answer.asked import CONTEXT_URI
from knowhow.answer.feedback import Verdict
from knowhow.types import Evidence, Example, Expect, Json, fingerprint

_SHORT = 8
"""Words of a correction that is short enough to be looked for word by word, as a fact."""


def examples_from(traces: Iterable[Json], feedback: Mapping[str, Sequence[Json]]) -> list[Example]:
    """Drafts, one for each different question (the latest trace with feedback counts, else the latest).

    `traces` are bodies as the journal keeps them, newest first; `feedback` maps a trace id to what was said of it,
    oldest first. A correction becomes a fact where it is short, else a reference; an answer that was called right
    becomes a reference, with what it cited as evidence; one that should have been a decline expects one. A question
    that was only called wrong, or not judged at all, expects nothing yet: a person has to say what is right.
    """
    chosen: dict[tuple[str, str], Json] = {}
    for trace in traces:
        key = (" ".join(trace["question"].casefold().split()), fingerprint(trace["filter"]))
        known = chosen.get(key)
        if known is None or (feedback.get(trace["id"]) and not feedback.get(known["id"])):
            chosen[key] = trace
    return [_example(trace, feedback.get(trace["id"], ())) for trace in chosen.values()]


def _example(trace: Json, said: Sequence[Json]) -> Example:
    verdict = Verdict(said[-1]["verdict"]) if said else None
    cited = tuple(dict.fromkeys(Evidence(one["uri"], one["quote"]) for one in trace["citations"] if _borne_out(one)))
    expect = Expect()
    if verdict is Verdict.UP and trace["abstained"]:
        expect = Expect(abstain=True)
    elif verdict is Verdict.UP:
        expect = Expect(abstain=False, reference=trace["answer"], evidence=cited)
    elif verdict is Verdict.CORRECT:
        text = said[-1]["text"]
        short = len(text.split()) <= _SHORT
        expect = Expect(facts=((text,),) if short else (), reference="" if short else text, abstain=False)
    elif verdict is Verdict.SHOULD_DECLINE:
        expect = Expect(abstain=True)
    id = f"trace-{trace['id'][:12]}"
    return Example(
        id=id,
        expect=expect,
        question=trace["question"],
        context=trace["context"],
        access=frozenset(trace["filter"]["access"]),
        where=trace["filter"]["where"],
        as_of=trace["filter"]["as_of"],
        group=expect.evidence[0].source if expect.evidence else id,
        tags=("trace", verdict.value) if verdict else ("trace",),
        draft=True,
    )


def _borne_out(citation: Mapping[str, Any]) -> bool:
    return bool(citation["supported"] == "yes" and citation["uri"] != CONTEXT_URI)
