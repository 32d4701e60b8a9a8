"""Where faults are planted: a healthy case, and ways to change what it sees of the corpus without writing to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from knowhow.diagnose.case import Case, Lab
from knowhow.ingest.split import embed_hash, embed_text
from knowhow.ports import IndexedPassage, Overlay, Put
from knowhow.types import EVERYTHING, Context, Document, Example, Filter, Hit, Passage, Range, Recipe

_ALL = Filter(access=frozenset({EVERYTHING}))


@dataclass(frozen=True, slots=True)
class Site:
    """What one example is asked under. A fault makes another site of it; two faults after each other are a compound."""

    example: Example
    recipe: Recipe
    places: tuple[tuple[Range, ...], ...]
    """Of every piece of evidence, all the places that say it."""
    shown: tuple[Hit, ...]
    """What the healthy case shows, best first."""
    overlay: Overlay | None = None
    sources: Mapping[str, str | None] = field(default_factory=dict)
    """What re-reading a source gives, where that differs from what its document says."""
    weaker: bool = False
    """Asked of the weaker model."""
    offending: tuple[str, ...] = ()
    """uris of superseded documents that were planted."""
    telling: tuple[tuple[str, ...], ...] = ()
    """Of every piece of evidence, the words in which its places say it."""

    @property
    def uris(self) -> tuple[str, ...]:
        """The documents that hold the evidence."""
        return tuple(dict.fromkeys(place.uri for places in self.places for place in places))

    @property
    def searches(self) -> bool:
        """Whether what it lacks could be due to retrieval."""
        return self.recipe.context is Context.RETRIEVED and bool(self.places) and all(self.places)


def site_of(case: Case, lab: Lab) -> Site:
    """The site of a healthy case; where the suite names no evidence, that which a search found."""
    places = tuple(piece.ranges for piece in case.found.pieces)
    texts = {place.uri: lab.setup.store.document(place.uri, _ALL) for of_piece in places for place in of_piece}
    telling = tuple(
        tuple(document.text[one.start : one.end] for one in of_piece if (document := texts[one.uri]) is not None)
        for of_piece in places
    )
    return Site(case.example, case.recipe, places, case.shown, telling=telling)


class Ground:
    """The corpus, for faults: its texts, and overlays with a document changed or added."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self._seed = seed
        store = lab.setup.store
        self._index = next((spec.id for spec, active in store.indexes() if active), "")
        self._uris = [info.uri for info in store.documents(_ALL) if info.version]
        self._passages: dict[str, list[Passage]] = {}

    def dice(self, site: Site, fault: str) -> Random:
        """The same chances for one fault in one example, whatever else is planted."""
        return Random(f"{self._seed}/{fault}/{site.example.id}")

    def document(self, uri: str, site: Site) -> Document:
        """A document that holds evidence, as the site sees it."""
        added = site.overlay.add if site.overlay else ()
        own = next((put.document for put in added if put.document.uri == uri), None)
        found = own or self.lab.setup.store.document(uri, _ALL)
        assert found is not None, f"{uri} held the evidence a moment ago"
        return found

    def passages(self, uri: str) -> list[Passage]:
        """The stored passages of a document, in its order."""
        if uri not in self._passages:
            store = self.lab.setup.store
            document = store.document(uri, _ALL)
            self._passages[uri] = store.passages_of(self._index, uri, document.version) if document else []
        return self._passages[uri]

    def strangers(self, dice: Random, site: Site, count: int) -> list[str]:
        """Starts of passages of other documents."""
        found: list[str] = []
        while len(found) < count:
            uri = dice.choice(self._uris)
            passages = self.passages(uri)
            if passages and (uri not in site.uris or len(self._uris) < 3):
                text = dice.choice(passages).text
                found.append(text[: 160 + dice.randrange(80)].rsplit(" ", 1)[0])
        return found

    def edited(self, site: Site, edits: Mapping[Range, str], *, drop: bool = False, told: bool = False) -> Site:
        """The site with stretches of its documents replaced. `drop` leaves out passages that held any of them; `told`
        says that the source reads the same; else the source still says what it said."""
        overlay, sources = site.overlay, dict(site.sources)
        for uri in dict.fromkeys(place.uri for place in edits):
            mine = {(place.start, place.end): text for place, text in edits.items() if place.uri == uri}
            before = self.document(uri, site)
            text = _replaced(before.text, mine)
            put = self._put(replace(before, text=text, spans=()), self._moved(uri, mine, drop=drop))
            overlay = _with(overlay, put)
            sources[uri] = text if told else before.text
        return replace(site, overlay=overlay, sources=sources)

    def added(self, site: Site, documents: Sequence[Document]) -> Site:
        """The site with further documents of one passage each."""
        overlay = site.overlay
        for document in documents:
            overlay = _with(overlay, self._put(document, [(0, len(document.text), document.title)]))
        return replace(site, overlay=overlay)

    def hidden(self, site: Site, uris: Sequence[str]) -> Site:
        """The site without some documents, neither in the index nor at their source."""
        base = site.overlay or Overlay()
        kept = tuple(put for put in base.add if put.document.uri not in uris)
        overlay = Overlay(base.mask | frozenset(uris), kept)
        return replace(site, overlay=overlay, sources={**site.sources, **dict.fromkeys(uris)})

    def _moved(self, uri: str, edits: Mapping[tuple[int, int], str], *, drop: bool) -> list[tuple[int, int, str]]:
        """Start, end and lead of a document's passages once its text is edited."""
        moved = []
        for one in self.passages(uri):
            touched = any(start < one.end and one.start < end for start, end in edits)
            start, end = _shifted(one.start, edits), _shifted(one.end, edits)
            if start < end and not (drop and touched):
                moved.append((start, end, one.lead))
        return moved

    def _put(self, document: Document, places: Sequence[tuple[int, int, str]]) -> Put:
        texts = [(lead, document.text[start:end]) for start, end, lead in places]
        vectors = self.lab.setup.embedder.documents([embed_text(lead, text) for lead, text in texts])
        passages = [
            IndexedPassage(start, end, lead, embed_hash(lead, text), vector)
            for (start, end, lead), (_, text), vector in zip(places, texts, vectors, strict=True)
        ]
        return Put(document, passages)


def _with(overlay: Overlay | None, put: Put) -> Overlay:
    base = overlay or Overlay()
    return Overlay(base.mask, (*(one for one in base.add if one.document.uri != put.document.uri), put))


def _replaced(text: str, edits: Mapping[tuple[int, int], str]) -> str:
    for (start, end), new in sorted(edits.items(), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _shifted(at: int, edits: Mapping[tuple[int, int], str]) -> int:
    """Where a position is after the edits; one inside a replaced stretch goes to its end."""
    moved = at
    for (start, end), new in edits.items():
        if end <= at:
            moved += len(new) - (end - start)
        elif start < at:
            moved += min(len(new), at - start) - (at - start)
    return moved
