"""One question with everything it is asked under: where to look, what may be seen, who answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowhow.ports import ChatModel, Embedder, Overlay, Records, Reranker, Store, Verifier
from knowhow.settings import Price
from knowhow.store.filters import opens
from knowhow.types import EVERYTHING, ChatReply, Document, Filter, Hit, Message, Range, Recipe, Usage

CONTEXT_URI = "context:"
"""The uri of text that came with the question."""
HIDDEN = frozenset({EVERYTHING})
"""What is kept of a document that was hidden from the asker meanwhile: only an administrator may see it."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where to look and what may be seen."""

    store: Store
    embedder: Embedder
    reranker: Reranker | None
    filter: Filter
    overlay: Overlay | None

    def access(self, uri: str) -> frozenset[str] | None:
        """Today's tags of a document; None when the asker may not see it (any more)."""
        added = self._added(uri)
        if added is not None:
            return added.access if opens(self.filter.access, added.access) else None
        versions = self.store.versions(uri, self.filter)
        return versions[0].access if versions else None

    def document(self, uri: str, version: int) -> Document | None:
        """The document at `version` (0 = current), as the overlay shows it, if the asker may see it."""
        added = self._added(uri)
        if added is not None:
            return added if opens(self.filter.access, added.access) else None
        if self.overlay and uri in self.overlay.mask:
            return None
        return self.store.document(uri, self.filter, version=version or None)

    def _added(self, uri: str) -> Document | None:
        added = self.overlay.add if self.overlay else ()
        return next((put.document for put in added if put.document.uri == uri), None)


@dataclass(frozen=True, slots=True)
class Asked:
    """The question, the recipe, and what they are put to."""

    question: str
    recipe: Recipe
    corpus: Corpus
    records: Records | None
    model: ChatModel
    verifier: Verifier | None = None
    price: Price | None = None
    history: Sequence[Message] = ()
    context: str = ""
    gold: Sequence[Range] = ()
    draw: int | None = None
    hits: Sequence[Hit] | None = None
    """What is shown instead of what `recipe.context` would bring."""

    def spent(self, reply: ChatReply) -> Usage:
        """Tokens of a reply, and their price where one is known (dollars per million tokens)."""
        cost = None
        if self.price is not None:
            cost = (reply.prompt_tokens * self.price.prompt + reply.completion_tokens * self.price.completion) / 1e6
        return Usage(reply.prompt_tokens, reply.completion_tokens, cost)
