"""A small corpus in a real store, for the tests of ask: documents by hand, one passage per paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.answer import ask
from knowhow.backends.fake import FakeChat, FakeEmbedder
from knowhow.ports import IndexedPassage, Overlay, Put
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore
from knowhow.types import Answer, Document, Filter, Hit, IndexSpec, Message, Place, Range, Recipe, Shown, SplitSpec

RETURNS = """Laptops can be returned within 45 business days of delivery. Opened software is not refundable.

Refunds are paid to the original card within 5 working days. The fee for late returns is $20."""
SHIPPING = "Orders ship from Hamburg. Standard shipping takes 3 days and costs 4.90 euros within Germany."
CEO = "Ada Lindqvist has been chief executive since 2019. She lives in Malmö."


OPEN = Recipe(relevance=0.0)
"""The default recipe without the gate, which is fitted to real embedders, not to the fake one."""


@dataclass
class World:
    """A store with its index, a journal and an embedder."""

    store: SqliteStore
    records: SqliteRecords
    embedder: FakeEmbedder
    index: str

    def put(self, uri: str, text: str, **fields: object) -> Document:
        """Adds or replaces a document; each paragraph is a passage."""
        document = replace(Document(uri=uri, text=text, title=uri.split("/")[-1].split(".")[0]), **fields)  # type: ignore[arg-type]
        self.store.apply(self.index, [self.change(document)])
        return document

    def change(self, document: Document) -> Put:
        passages, at = [], 0
        for paragraph in document.text.split("\n\n"):
            vector = self.embedder.documents([paragraph])[0]
            passages.append(IndexedPassage(at, at + len(paragraph), document.title, str(hash(paragraph)), vector))
            at += len(paragraph) + 2
        return Put(document, passages)

    def ask(
        self,
        question: str,
        says: FakeChat | str | Sequence[str],
        recipe: Recipe = OPEN,
        filter: Filter = Filter(),  # noqa: B008
        history: Sequence[Message] = (),
        context: str = "",
        gold: Sequence[Range] = (),
        overlay: Overlay | None = None,
        draw: int | None = None,
    ) -> Answer:
        """Asks with a model that says `says`."""
        return ask(
            question,
            recipe,
            store=self.store,
            records=self.records,
            embedder=self.embedder,
            model=says if isinstance(says, FakeChat) else FakeChat([says] if isinstance(says, str) else says),
            filter=filter,
            history=history,
            context=context,
            gold=gold,
            overlay=overlay,
            draw=draw,
        )


def make_world(folder: Path) -> World:
    """An empty world in `folder`."""
    embedder = FakeEmbedder()
    store = SqliteStore(folder / "knowhow.db")
    index = store.create_index(IndexSpec(SplitSpec(), embedder.name, embedder.dims))
    return World(store, SqliteRecords(folder / "state.db"), embedder, index)


def shop(folder: Path) -> World:
    """A world with three documents of a shop."""
    world = make_world(folder)
    world.put("policies/returns.md", RETURNS)
    world.put("policies/shipping.md", SHIPPING)
    world.put("people/ceo.md", CEO)
    return world


def make_hit(
    text: str, uri: str = "a.md", title: str = "", *, start: int = 0, effective_at: float | None = None
) -> Hit:
    """A hit as search gives it."""
    return Hit(
        rank=1,
        passages=(1,),
        uri=uri,
        version=1,
        start=start,
        end=start + len(text),
        text=text,
        title=title,
        place=Place(),
        lead="",
        score=1.0,
        keyword=1.0,
        vector=1.0,
        effective_at=effective_at,
    )


def show(*texts: str) -> list[Shown]:
    """Passages under marks from 1, each of a document of its own."""
    return [Shown(str(n), make_hit(text, uri=f"{n}.md"), text) for n, text in enumerate(texts, 1)]
