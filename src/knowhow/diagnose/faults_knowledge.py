"""Faults of what the product knows: documents, reading, search, context, versions, use."""

# ruff: noqa: ARG001 - every fault takes the ground and the site, whether it needs both or not
from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from knowhow.diagnose.ground import Ground, Site
from knowhow.diagnose.swap import swap
from knowhow.store.analyze import query_terms
from knowhow.types import Document, Evidence, Range

OUT = 45
"""Hard negatives that fill the candidates, of which 30 are looked at."""


def deleted_document(ground: Ground, site: Site) -> Site | None:
    """Every document that says it is gone, at its source too."""
    return ground.hidden(site, site.uris) if site.searches else None


def sentence_removed(ground: Ground, site: Site) -> Site | None:
    """The documents stay, what answers the question is taken out of them and of their sources."""
    if not site.searches:
        return None
    return ground.edited(site, dict.fromkeys(_places(site), ""), told=True)


def garbled_parse(ground: Ground, site: Site) -> Site | None:
    """A reader that turns most letters and digits of the evidence into replacement characters."""
    if not site.searches:
        return None
    dice = ground.dice(site, "garbled-parse")
    edits = {
        place: _garbled(ground.document(place.uri, site).text[place.start : place.end], dice) for place in _places(site)
    }
    return ground.edited(site, edits)


def cut_short(ground: Ground, site: Site) -> Site | None:
    """A reader that stops before the evidence."""
    if not site.searches:
        return None
    edits = {}
    for uri in site.uris:
        text = ground.document(uri, site).text
        start = min(place.start for place in _places(site) if place.uri == uri)
        version = next(place.version for place in _places(site) if place.uri == uri)
        edits[Range(uri, version, start, len(text))] = ""
    return ground.edited(site, edits)


def unindexed_passage(ground: Ground, site: Site) -> Site | None:
    """The document is there, the passages that hold the evidence never reached the index."""
    if not site.searches:
        return None
    edits = {place: ground.document(place.uri, site).text[place.start : place.end] for place in _places(site)}
    return ground.edited(site, edits, drop=True)


def other_words(ground: Ground, site: Site) -> Site | None:
    """The evidence and its passage call everything the question names by codes of their own."""
    if not site.searches or not site.example.expect.evidence:
        return None
    facts = {term for fact in site.example.expect.facts for one in fact for term in query_terms(one)}
    asked = set(query_terms(site.example.asked)) - facts
    dice = ground.dice(site, "other-words")
    codes = {term: f"Q{dice.randrange(100, 999)}" for term in sorted(asked)}
    edits: dict[Range, str] = {}
    for place in _places(site):
        for passage in ground.passages(place.uri):
            edits[Range(place.uri, place.version, passage.start, passage.end)] = _coded(passage.text, codes)
    named = tuple(Evidence(one.source, _coded(one.quote, codes), one.relevance) for one in site.example.expect.evidence)
    changed = ground.edited(site, edits, told=True)
    untitled = tuple(
        replace(
            put,
            document=replace(put.document, title="Sheet"),
            passages=[replace(p, lead="Sheet") for p in put.passages],
        )
        for put in (changed.overlay.add if changed.overlay else ())
    )
    overlay = replace(changed.overlay, add=untitled) if changed.overlay else None
    expect = replace(site.example.expect, evidence=named)
    telling = tuple(tuple(_coded(text, codes) for text in texts) for texts in site.telling)
    return replace(changed, overlay=overlay, example=replace(site.example, expect=expect), telling=telling)


def flooded_out(ground: Ground, site: Site) -> Site | None:
    """So many passages look more like the question that the evidence is no candidate any more."""
    return _flooded(ground, site, "flooded-out", OUT) if site.searches else None


def locked_away(ground: Ground, site: Site) -> Site | None:
    """The documents that say it got an access tag that the asker does not hold."""
    if not site.searches:
        return None
    edits = {place: ground.document(place.uri, site).text[place.start : place.end] for place in _places(site)}
    same = ground.edited(site, edits, told=True)
    assert same.overlay is not None
    locked = tuple(
        replace(put, document=replace(put.document, access=frozenset({"planted-vault"})))
        if put.document.uri in site.uris
        else put
        for put in same.overlay.add
    )
    return replace(same, overlay=replace(same.overlay, add=locked))


def pushed_below_k(ground: Ground, site: Site) -> Site | None:
    """A few passages look more like the question, enough to push the evidence out of the context."""
    return _flooded(ground, site, "pushed-below-k", site.recipe.k + 4) if site.searches else None


def small_k(ground: Ground, site: Site) -> Site | None:
    """Fewer passages are shown than the evidence ranks."""
    rank = _worst_rank(site)
    return replace(site, recipe=replace(site.recipe, k=rank - 1)) if site.searches and rank > 1 else None


def small_budget(ground: Ground, site: Site) -> Site | None:
    """The context holds only the passages before the evidence."""
    rank = _worst_rank(site)
    if not site.searches or rank < 2:
        return None
    before = sum(len(hit.text) for hit in site.shown[: rank - 1])
    return replace(site, recipe=replace(site.recipe, budget=max(before // 6, 20)))


def undated_copy(ground: Ground, site: Site) -> Site | None:
    """A superseded copy that says another value, and neither it nor the current document bears a date."""
    old = _superseded(ground, site, "old copy")
    if old is None:
        return None
    edits = {place: ground.document(place.uri, site).text[place.start : place.end] for place in _places(site)}
    same = ground.edited(site, edits, told=True)
    assert same.overlay is not None
    undated = tuple(replace(put, document=replace(put.document, effective_at=None)) for put in same.overlay.add)
    same = replace(same, overlay=replace(same.overlay, add=undated))
    return replace(ground.added(same, [old]), offending=(old.uri,))


def outranked_by_old(ground: Ground, site: Site) -> Site | None:
    """A superseded document repeats the question and is shown in place of the current one, which came first before."""
    if _worst_rank(site) != 1 or len(site.uris) > 1:
        return None
    old = _superseded(ground, site, "archive")
    if old is None:
        return None
    old = replace(old, text=f"{site.example.asked} {old.text}", effective_at=1_400_000_000.0)
    return replace(ground.added(site, [old]), recipe=replace(site.recipe, k=1), offending=(old.uri,))


def buried(ground: Ground, site: Site) -> Site | None:
    """The evidence stands in the middle of many passages that look more like the question."""
    if not site.searches:
        return None
    recipe = replace(site.recipe, k=3 * site.recipe.k, budget=5 * site.recipe.budget)
    return _flooded(ground, replace(site, recipe=recipe), "buried", 9)


def against_memory(ground: Ground, site: Site) -> Site | None:
    """The fact changed, everywhere and long ago; the model may still know it as it was."""
    if not _states_facts(site) or len(_places(site)) != 1:
        return None
    place = _places(site)[0]
    text = ground.document(place.uri, site).text[place.start : place.end]
    made = swap(site.example, [text], ground.lab.suite.examples)
    if made is None:
        return None
    named = tuple(replace(one, quote=one.quote.replace(text, made.texts[0])) for one in site.example.expect.evidence)
    facts = tuple((made.false,) if made.original in fact else fact for fact in site.example.expect.facts)
    expect = replace(site.example.expect, facts=facts, evidence=named)
    changed = ground.edited(site, {place: made.texts[0]}, told=True)
    return replace(changed, example=replace(site.example, expect=expect), telling=((made.texts[0],),))


def weaker_model(ground: Ground, site: Site) -> Site | None:
    """A model that reads worse."""
    return replace(site, weaker=True) if _states_facts(site) else None


# --- how ---------------------------------------------------------------------------------------------------


def _states_facts(site: Site) -> bool:
    """Whether stating facts is all it takes: a model that reads badly decides and formats badly too."""
    expect = site.example.expect
    return site.searches and bool(expect.facts) and expect.reasoning is None and expect.schema is None


def _places(site: Site) -> list[Range]:
    """Every place of the evidence once; of places that overlap only the first."""
    kept: list[Range] = []
    for place in sorted({place for places in site.places for place in places}, key=lambda p: (p.uri, p.start, -p.end)):
        last = kept[-1] if kept else None
        if last is None or last.uri != place.uri or last.end <= place.start:
            kept.append(place)
    return kept


def _worst_rank(site: Site) -> int:
    """The rank of the piece of evidence that is shown lowest; 0 where one is not shown."""
    ranks = []
    for places in site.places:
        held = [
            rank
            for rank, hit in enumerate(site.shown, 1)
            if any(hit.uri == p.uri and hit.start <= p.start and p.end <= hit.end for p in places)
        ]
        ranks.append(min(held, default=0))
    return 0 if not ranks or 0 in ranks else max(ranks)


def _garbled(text: str, dice: Random) -> str:
    return "".join("\ufffd" if one.isalnum() and dice.random() < 0.7 else one for one in text)


def _coded(text: str, codes: dict[str, str]) -> str:
    def code(match: re.Match[str]) -> str:
        found = query_terms(match.group())
        return codes.get(found[0], match.group()) if found else match.group()

    return re.sub(r"\w+", code, text)


def _flooded(ground: Ground, site: Site, fault: str, count: int) -> Site:
    """Documents that repeat the question and answer it nowhere."""
    dice = ground.dice(site, fault)
    others = ground.strangers(dice, site, 2 * count)
    documents = []
    for i in range(count):
        text = (
            f"{site.example.asked} Asked again, ticket {dice.randrange(10_000)}. {others[2 * i]}. {others[2 * i + 1]}."
        )
        documents.append(Document(uri=f"planted/ticket-{i}.md", text=text, title=f"Ticket {i}: {site.example.asked}"))
    return ground.added(site, documents)


def _superseded(ground: Ground, site: Site, name: str) -> Document | None:
    """A copy of the passage that holds the evidence, with another value for the fact."""
    if not site.searches:
        return None
    place = _places(site)[0]
    passage = next(
        (one for one in ground.passages(place.uri) if one.start <= place.start and place.end <= one.end), None
    )
    if passage is None:
        return None
    made = swap(site.example, [passage.text], ground.lab.suite.examples)
    if made is None:
        return None
    document = ground.document(place.uri, site)
    return Document(
        uri=f"planted/{name.replace(' ', '-')}/{place.uri}",
        text=made.texts[0],
        title=document.title,
        access=document.access,
    )
