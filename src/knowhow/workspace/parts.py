"""The concrete stores and models of a workspace, each opened when it is first needed and shared by all threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from knowhow.backends.open import open_chat, open_embedder, open_reranker, open_verifier
from knowhow.backends.options import ConnectOptions
from knowhow.backends.train_base import check_base
from knowhow.errors import ConfigProblem
from knowhow.evaluate.classifier import MODEL as CLASSIFIER
from knowhow.evaluate.classifier import load_classifier, suite_classifier
from knowhow.ingest.access_rules import parse_rules
from knowhow.ports import ChatModel, Embedder, Records, Reranker, Store, Verifier
from knowhow.settings import Loaded
from knowhow.tune.registry import GGUF, Registry
from knowhow.types import IndexSpec, Suite
from knowhow.workspace.home import data_folder
from knowhow.workspace.stores import open_stores

T = TypeVar("T")
ADAPTERS = "adapters"
"""Folder beside the databases that holds the weights of adapters."""
LOCAL = "local:"
_WITH_ADAPTER = "adapted"
_ADAPTED = 3
"""Adapters that stay loaded: those current, before, and being compared. An older one is loaded anew when asked."""


class Parts:
    """What a workspace is made of. `close` closes whatever was opened."""

    def __init__(self, folder: Path, loaded: Loaded) -> None:
        self._settings = loaded.settings
        self._options = _options(loaded)
        self.store: Store
        self.records: Records
        self.store, self.records = open_stores(folder, loaded)
        self.adapters = Registry(self.records, data_folder(folder, loaded) / ADAPTERS)
        self._opened: dict[tuple[str, str], Any] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def chat(self, name: str, adapter: str = "", suite: Suite | None = None) -> ChatModel:
        """The model a recipe names, in this process with the adapter of this id; servers load adapters themselves.

        A classifier learns from `suite`. Raises `ConfigProblem` where the adapter belongs to another model or its
        weights are gone.
        """
        if name.partition(":")[0] == CLASSIFIER:
            return self._classifier(name.partition(":")[2], suite)
        if not adapter or not name.startswith(LOCAL):
            model: ChatModel = self._once("chat", name, lambda: open_chat(name, self._options))
            return model
        adapted: ChatModel = self._once(_WITH_ADAPTER, f"{name} {adapter}", lambda: self._adapted(name, adapter))
        self._forget_adapted()
        return adapted

    def _classifier(self, file: str, suite: Suite | None) -> ChatModel:
        if file:
            return self._once(CLASSIFIER, file, lambda: load_classifier(Path(file).expanduser(), self.embedder()))
        if suite is None:
            raise ConfigProblem(
                f'the model "{CLASSIFIER}" learns from a suite, so it can be evaluated and not asked; name a file '
                f"that `knowhow tune` wrote as {CLASSIFIER}:FILE"
            )
        return self._once(CLASSIFIER, suite.hash, lambda: suite_classifier(suite, self.embedder()))

    def _adapted(self, name: str, adapter: str) -> ChatModel:
        known = self.adapters.get(adapter)
        check_base(name, known.base_hash, known.id)
        file = self.adapters.files(known) / GGUF
        return open_chat(name, replace(self._options, adapters={adapter: str(file)}))

    def _forget_adapted(self) -> None:
        """Lets the longest loaded adapters go; whoever still asks one keeps it in memory."""
        with self._lock:
            held = [key for key in self._opened if key[0] == _WITH_ADAPTER]
            for key in held[:-_ADAPTED]:
                del self._opened[key]

    def embedder(self) -> Embedder:
        """The embedder of the settings; `ConfigProblem` where the active index was made with another."""
        embedder = self.wanted_embedder()
        spec = next((spec for spec, active in self.store.indexes() if active), None)
        if spec is not None and (spec.embedder, spec.dims) != (embedder.name, embedder.dims):
            raise ConfigProblem(
                f"the index was made with the embedder {spec.embedder}, but {embedder.name} is configured; embed "
                f"everything again with `knowhow reindex`, or set embedder back"
            )
        return embedder

    def wanted_embedder(self) -> Embedder:
        """The embedder of the settings, whatever the index was made with."""
        name = self._settings.embedder
        embedder: Embedder = self._once("embedder", name, lambda: open_embedder(name, self._options))
        return embedder

    def reranker(self, name: str) -> Reranker | None:
        """The reranker a recipe names; None for an empty name."""
        return self._once("reranker", name, lambda: open_reranker(name, self._options)) if name else None

    def verifier(self, name: str) -> Verifier | None:
        """The entailment model a recipe names; None for an empty name."""
        return self._once("verifier", name, lambda: open_verifier(name, self._options)) if name else None

    def spec(self) -> IndexSpec:
        """The active index, or the one the settings want while there is none."""
        active = next((spec for spec, active in self.store.indexes() if active), None)
        return active or self.wanted_spec()

    def wanted_spec(self) -> IndexSpec:
        """The index that settings describe."""
        embedder = self.wanted_embedder()
        return IndexSpec(self._settings.split, embedder.name, embedder.dims)

    def tags(self) -> frozenset[str]:
        """Every tag that a source gives its documents, whole or by its rules."""
        sources = self.store.sources()
        ruled = (tags for source in sources for *_, tags in parse_rules(source.rules).patterns)
        return frozenset().union(*(source.access for source in sources), *ruled)

    def close(self) -> None:
        """Closes models first, then the stores."""
        for part in self._opened.values():
            if hasattr(part, "close"):
                with suppress(Exception):
                    part.close()
        self._opened.clear()
        self.records.close()
        self.store.close()

    def _once(self, kind: str, name: str, make: Callable[[], T]) -> T:
        """The part of this name, made by the first thread that needs it while the others wait for that one only."""
        key = (kind, name)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._opened:
                self._opened[key] = make()
            part: T = self._opened[key]
            return part


def _options(loaded: Loaded) -> ConnectOptions:
    """Connection options from settings; keys that only `.env` holds are put where the clients look for them."""
    settings = loaded.settings
    for variable in settings.keys.values():
        if variable in loaded.variables:
            os.environ.setdefault(variable, loaded.variables[variable])
    return ConnectOptions(
        keys=settings.keys,
        timeout_s=settings.timeout,
        retries=settings.retries,
        offline=settings.offline,
        threads=settings.threads,
        parallel=settings.parallel,
        context_tokens=settings.context_tokens,
    )
