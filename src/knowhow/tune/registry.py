"""Adapters by the hash of their weights, and which of them answers under a name, switched for every process."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.errors import ConfigProblem, GateFailed, NotFound, UsageProblem
from knowhow.ports import Record, Records
from knowhow.types import (
    EVERYTHING,
    Adapter,
    Example,
    GateOutcome,
    Recipe,
    Slot,
    Split,
    Standing,
    Suite,
    fingerprint,
)
from knowhow.types.plain import from_plain, to_plain

ADAPTER, SLOT = "adapter", "slot"
"""Kinds of records."""
WEIGHTS, CONFIG, GGUF = "adapter_model.safetensors", "adapter_config.json", "adapter.gguf"
_ALL = frozenset({EVERYTHING})
_ID = re.compile(r"[0-9a-f]{4,16}")
_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]{0,63}", re.IGNORECASE)
_STALE_S = 3600.0
"""Age at which a half-copied folder belongs to a process that died."""
_HERE = "local:"


@dataclass(frozen=True, slots=True)
class Placed:
    """An adapter and what it is in each slot that knows it."""

    adapter: Adapter
    standing: tuple[tuple[Slot, Standing], ...]


class Registry:
    """The adapters of a workspace. Weights are files in `folder`, one folder each; all else are records. Thread-safe.

    Nothing is remembered between calls, so that what another process promotes holds at the next question.
    """

    def __init__(self, records: Records, folder: Path) -> None:
        self._records = records
        self._folder = folder

    # adapters

    def add(self, adapter: Adapter) -> Adapter:
        """Copies the weights from `adapter.folder` into the registry and returns the adapter under its own name.

        An adapter with equal weights that is there already keeps its report. Raises `ConfigProblem` for a full disk.
        """
        name = content_hash(Path(adapter.folder), adapter.base_hash)
        known = self._find(name)
        if known is not None and Path(known.folder).is_dir():
            return known
        home = self._folder / name
        self._place(Path(adapter.folder), home)
        kept = replace(adapter, id=name, folder=str(home), trained=replace(adapter.trained, folder=str(home)))
        self.update(kept)
        return kept

    def update(self, adapter: Adapter) -> None:
        """Keeps what is known about an adapter: its report, its parity."""
        self._records.put([Record(ADAPTER, adapter.id, to_plain(adapter), at=adapter.made)])

    def get(self, id: str) -> Adapter:
        """The adapter with this id, or the only one whose id starts so. Raises `NotFound`, `UsageProblem`."""
        found = self._find(id)
        if found is not None:
            return found
        near = [one for one in self.all() if id and one.id.startswith(id)]
        if len(near) == 1:
            return near[0]
        if near:
            raise UsageProblem(f'{len(near)} adapters start with "{id}"; give more of the id')
        raise NotFound(f'no adapter "{id}"; `knowhow adapters` lists those there are')

    def all(self) -> list[Adapter]:
        """Every adapter, newest first."""
        return [self._read(record) for record in self._records.select(ADAPTER, _ALL)]

    def placed(self) -> list[Placed]:
        """Every adapter with its slots, newest first."""
        slots = self.slots()
        return [Placed(one, tuple(_standing(one, slots))) for one in self.all()]

    def remove(self, id: str) -> Adapter:
        """Forgets an adapter and deletes its weights. Raises `UsageProblem` for one that a slot still knows."""
        adapter = self.get(id)
        used = [slot.name for slot in self.slots() if adapter.id in (slot.current, slot.previous)]
        if used:
            raise UsageProblem(
                f"{adapter.id} is current or previous in {', '.join(used)}; promote another there first, or keep it"
            )
        self._records.erase(ADAPTER, [adapter.id])
        shutil.rmtree(adapter.folder, ignore_errors=True)
        return adapter

    # slots

    def slots(self) -> list[Slot]:
        """Every name that something was promoted to."""
        return [from_plain(Slot, record.body) for record in self._records.select(SLOT, _ALL)]

    def slot(self, name: str, model: str) -> Slot | None:
        """What answers under `name` with `model`; None where nothing was ever promoted."""
        record = self._records.get(SLOT, _key(name, model), _ALL)
        return from_plain(Slot, record.body) if record else None

    def promote(self, id: str, name: str = "", *, model: str = "", without_gates: bool = False) -> Slot:
        """Makes an adapter answer under `name` (default: its recipe's) from the next question on, in every process.

        `model` is what serves it where that is not the model it was trained on. Raises `GateFailed` where a gate was
        not passed or not measured (unless `without_gates`), or llama.cpp was not shown to say the same; `UsageProblem`
        for a name that could be an id.
        """
        adapter = self.get(id)
        name, model = name or adapter.recipe.name, model or adapter.base
        if _ID.fullmatch(name) or not _NAME.fullmatch(name):
            raise UsageProblem(f'"{name}" cannot name a slot: use letters, digits, + . _ -, and not an adapter\'s id')
        self.files(adapter)
        _check_proved(adapter, without_gates=without_gates)
        before = self.slot(name, model)
        if before is not None and before.current == adapter.id:
            return before
        return self._switch(Slot(name, model, adapter.id, before.current if before else "", time.time(), "promote"))

    def rollback(self, name: str, model: str = "") -> Slot:
        """Makes the adapter before (or the bare model) answer again; a second rollback undoes the first.

        Raises `NotFound` for a name that nothing was promoted to, `UsageProblem` where several models have one.
        """
        found = [slot for slot in self.slots() if slot.name == name and model in ("", slot.model)]
        if not found:
            known = ", ".join(sorted({slot.name for slot in self.slots()})) or "none yet"
            raise NotFound(f'nothing was ever promoted to "{name}" (slots: {known})')
        if len(found) > 1:
            models = ", ".join(slot.model for slot in found)
            raise UsageProblem(f'"{name}" exists for several models ({models}); say which with --model')
        slot = found[0]
        if slot.previous:
            self.files(self.get(slot.previous))
        return self._switch(Slot(name, slot.model, slot.previous, slot.current, time.time(), "rollback"))

    def resolve(self, recipe: Recipe) -> Recipe:
        """`recipe` with the id of the adapter that its name stands for now; without an adapter, as it is.

        A server's own adapter names, which no slot knows, stay as they are. Raises `NotFound` where nothing was
        promoted for a model in this process.
        """
        wanted = recipe.adapter
        if not wanted:
            return recipe
        slot = self.slot(wanted, recipe.model)
        if slot is not None:
            return replace(recipe, adapter=slot.current)
        if _ID.fullmatch(wanted):
            adapter = self._find(wanted) or (self.get(wanted) if recipe.model.startswith(_HERE) else None)
            return replace(recipe, adapter=adapter.id) if adapter else recipe
        if recipe.model.startswith(_HERE):
            raise NotFound(
                f'nothing was promoted as "{wanted}" for {recipe.model}, so the recipe {recipe.name} cannot answer; '
                f"`knowhow adapters` lists what can be promoted, `knowhow tune` trains"
            )
        return recipe

    def used(self, recipes: Sequence[Recipe]) -> list[Adapter]:
        """The adapters of resolved recipes, as far as they are this registry's."""
        found = (self._find(recipe.adapter) for recipe in recipes if recipe.adapter)
        return [adapter for adapter in found if adapter is not None]

    def files(self, adapter: Adapter) -> Path:
        """The folder with an adapter's weights. Raises `ConfigProblem` where they are gone or were changed."""
        folder = Path(adapter.folder)
        if not (folder / WEIGHTS).is_file():
            raise ConfigProblem(
                f"the weights of adapter {adapter.id} are not in {folder}: put the folder back, train again, or "
                "`knowhow adapters rollback` to another"
            )
        return folder

    def _switch(self, slot: Slot) -> Slot:
        self._records.put([Record(SLOT, _key(slot.name, slot.model), to_plain(slot), at=slot.changed)])
        return slot

    def _find(self, id: str) -> Adapter | None:
        record = self._records.get(ADAPTER, id, _ALL)
        return self._read(record) if record else None

    def _read(self, record: Record) -> Adapter:
        adapter = from_plain(Adapter, record.body)
        # The workspace may have been moved since.
        return replace(adapter, folder=str(self._folder / adapter.id))

    def _place(self, source: Path, home: Path) -> None:
        """Copies the files next to `home`, makes sure that they are on the disk, and renames the folder."""
        partial = self._folder / f".new-{secrets.token_hex(4)}"
        try:
            partial.mkdir(parents=True)
            self._sweep()
            for name in (WEIGHTS, CONFIG, GGUF):
                if (source / name).is_file():
                    shutil.copyfile(source / name, partial / name)
                    _sync(partial / name)
            _sync(partial)
            shutil.rmtree(home, ignore_errors=True)
            os.replace(partial, home)
            _sync(self._folder)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise ConfigProblem(
                f"cannot keep the adapter in {self._folder}: {error.strerror}; nothing was lost, it is still in "
                f"{source}: free some space or mend permissions, and run the same again"
            ) from error

    def _sweep(self) -> None:
        for path in self._folder.glob(".new-*"):
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path, ignore_errors=True)


def content_hash(folder: Path, base_hash: str) -> str:
    """16 hex digits over the weights in a PEFT folder, their factors, and the base they belong to."""
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps([base_hash, config["r"], config["lora_alpha"], config["use_rslora"]]).encode())
    with (folder / WEIGHTS).open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def taught_as(question: str) -> str:
    """The fingerprint under which an adapter remembers that it was trained on a question; case and spaces aside."""
    return fingerprint(" ".join(question.casefold().split()))


def untaught(suite: Suite, split: Split, adapters: Sequence[Adapter]) -> Suite:
    """`suite` without the examples of `split` that any of `adapters` was trained on, and a note of how many."""
    taught = frozenset[str]().union(*(adapter.taught for adapter in adapters))

    def known(example: Example) -> bool:
        return (example.split or Split.TEST) is split and taught_as(example.asked) in taught

    left = tuple(example for example in suite.examples if not known(example))
    out = [example.id for example in suite.examples if known(example)]
    if not out:
        return suite
    if not any((example.split or Split.TEST) is split for example in left):
        raise UsageProblem(f"the adapter was trained on every example of the {split} split of {suite.name}")
    shown = ", ".join(out[:5]) + (" …" if len(out) > 5 else "")
    note = f"{len(out)} examples are left out, since an adapter was trained on them: {shown}"
    return replace(suite, examples=left, notes=(*suite.notes, note))


def _check_proved(adapter: Adapter, *, without_gates: bool) -> None:
    if adapter.parity is None or not adapter.parity.passed:
        told = (
            "was not measured"
            if adapter.parity is None
            else (f"fails (agreement {adapter.parity.agreement:.3f}, KL {adapter.parity.kl:.4f})")
        )
        raise GateFailed(
            f"adapter {adapter.id} is not promoted: parity between training and llama.cpp {told}; train it again"
        )
    if without_gates or adapter.report.passed:
        return
    failed = [gate for gate in adapter.report.gates if gate.outcome is not GateOutcome.PASS]
    why = "; ".join(f"{gate.name}: {gate.reason}" for gate in failed) or "no gate was measured"
    raise GateFailed(f"adapter {adapter.id} is not promoted: {why}")


def _standing(adapter: Adapter, slots: Sequence[Slot]) -> list[tuple[Slot, Standing]]:
    found = []
    for slot in slots:
        if adapter.id == slot.current:
            found.append((slot, Standing.CURRENT))
        elif adapter.id == slot.previous:
            found.append((slot, Standing.PREVIOUS))
    return found


def _key(name: str, model: str) -> str:
    return f"{name}@{model}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
