"""Nothing reaches an asker without the tags: search, answers, traces, documents, audit, errors, counts, at any time.

800 trials by default; KNOWHOW_LEAK_TRIALS=100000 for the full proof (`make prove`).
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import string
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from knowhow.answer import answer_json
from knowhow.answer.feedback import Verdict
from knowhow.answer.replay import replay_json
from knowhow.backends.fake import FakeChat
from knowhow.errors import KnowhowError
from knowhow.ports import SetAccess
from knowhow.types import ChatRequest, Message
from knowhow.workspace import Workspace, audit_json, diff_json, document_json, purged_json, search_json, version_json

TRIALS = int(os.environ.get("KNOWHOW_LEAK_TRIALS", "800"))
A_WORLD = 200
"""Trials with one corpus, which changes on the way."""
TAGS = ("hr", "legal", "board", "shop")
TOPICS = "salary kettle contract return battery train office ticket".split()
ALL = frozenset({"*"})
Door = Callable[["World", frozenset[str], str], Any]


class World:
    """A workspace in which every word that could betray a document occurs in that document alone."""

    def __init__(self, home: Path, draw: random.Random) -> None:
        self.draw = draw
        self.docs = home / "docs"
        self.docs.mkdir(parents=True)
        self.secrets: dict[str, set[str]] = {}
        """uri → words that only it holds, its own name included."""
        self.times = [time.time()]
        self.traces: list[str] = []
        self.cited: list[tuple[str, int, int, int]] = []
        self.desk = Workspace.init(home / "desk")
        self.desk._parts._opened["chat", "local:starter"] = FakeChat(_parrot)
        for _ in range(draw.randrange(3, 9)):
            self.write(self.word())
        self.sync()

    def word(self) -> str:
        return "".join(self.draw.choices(string.ascii_lowercase, k=10))

    def write(self, name: str) -> None:
        """A document that may ask for tags itself, with a secret in its name, title, text and metadata."""
        held = self.draw.sample(TAGS, self.draw.choice((0, 0, 1, 1, 2)))
        secret, title, note = self.word(), self.word(), self.word()
        front = f"---\ntitle: {title}\nnote: {note}\n" + (f"access: {', '.join(held)}\n" if held else "") + "---\n"
        parts = [f"The {' '.join(self.draw.choices(TOPICS, k=20))} {secret}."]
        # A long document has several passages: hits bring their neighbours along.
        for _ in range(self.draw.choice((0, 0, 3))):
            parts.append(f"## {secret}\n\n" + f"{' '.join(self.draw.choices(TOPICS, k=12))} {secret}. " * 9)
        amount = self.draw.randrange(100, 999)
        parts.append(f"It costs {amount}{secret[:3]} euros.")
        (self.docs / f"{name}.md").write_text(front + "\n" + "\n\n".join(parts) + "\n")
        self.secrets.setdefault(f"{name}.md", {name}).update({secret, title, note})

    def sync(self) -> None:
        self.desk.ingest(self.docs, yes=True)
        self.times.append(time.time())

    def change(self) -> None:
        """One of the things that happen to a corpus."""
        names = sorted(path.stem for path in self.docs.iterdir())
        kind = self.draw.randrange(6)
        if kind == 0 or len(names) < 2:
            self.write(self.word())
        elif kind == 1:
            self.write(self.draw.choice(names))
        elif kind == 2:
            (self.docs / f"{self.draw.choice(names)}.md").unlink()
        elif kind == 3:
            old, new = self.draw.choice(names), self.word()
            (self.docs / f"{old}.md").rename(self.docs / f"{new}.md")
            self.secrets[f"{new}.md"] = {new} | self.secrets[f"{old}.md"] - {old}
            # What it holds goes on under the new name: whoever may see that may read it; the old name they may not.
            self.secrets[f"{old}.md"] = {old}
        elif kind == 4:
            uri = f"{self.draw.choice(names)}.md"
            store = self.desk._parts.store
            index = next(spec.id for spec, active in store.indexes() if active)
            store.apply(index, [SetAccess(uri, frozenset(self.draw.sample(TAGS, self.draw.randrange(3))))])
            return
        elif kind == 5:
            self.desk.history.purge(f"{self.draw.choice(names)}.md", access=ALL)
        self.sync()

    def hidden(self, access: frozenset[str]) -> dict[str, set[str]]:
        """What must not be seen: by uri, removed ones included."""
        infos = self.desk.documents(access=ALL, removed=True)
        open_ = {info.uri for info in infos if info.access <= access}
        seen = set().union(*(self.secrets[uri] for uri in open_)) if open_ else set()
        known = {info.uri for info in infos}
        return {uri: words - seen for uri, words in self.secrets.items() if uri in known - open_}


def _parrot(request: ChatRequest) -> str:
    """Repeats whatever it was shown."""
    return " ".join(f"{text} [{number}]" for number, text in enumerate(request.passages, 1)) or "I do not know."


def _when(world: World) -> float | None:
    return world.draw.choice([None, None, *world.times])


def search(world: World, access: frozenset[str], words: str) -> Any:
    where = {"uri": world.draw.choice(sorted(world.secrets))} if world.draw.random() < 0.2 else {}
    return search_json(world.desk.search(words, access=access, as_of=_when(world), where=where))


def ask(world: World, access: frozenset[str], words: str) -> Any:
    answer = world.desk.ask(words, access=access, as_of=_when(world), draw=0)
    world.traces.append(answer.trace_id)
    world.cited += [(row.uri, row.version, row.start, row.end) for row in answer.citations]
    return answer_json(answer)


def follow_up(world: World, access: frozenset[str], words: str) -> Any:
    turns = [Message("user", words), Message("assistant", "Yes.")]
    return answer_json(world.desk.ask(f"And {words}?", access=access, history=turns))


def documents(world: World, access: frozenset[str], words: str) -> Any:
    found = world.desk.documents(access=access, as_of=_when(world), removed=True)
    return [document_json(info) for info in found]


def one(world: World, access: frozenset[str], words: str) -> Any:
    found = world.desk.document(world.draw.choice(sorted(world.secrets)), access=access, version=1)
    return found.text, found.title, dict(found.metadata)


def log(world: World, access: frozenset[str], words: str) -> Any:
    return [
        version_json(row) for row in world.desk.history.log(world.draw.choice(sorted(world.secrets)), access=access)
    ]


def diff(world: World, access: frozenset[str], words: str) -> Any:
    return diff_json(world.desk.history.diff(world.draw.choice(sorted(world.secrets)), access=access))


def audit(world: World, access: frozenset[str], words: str) -> Any:
    return [audit_json(entry) for entry in world.desk.history.audit(access=access)]


def traces(world: World, access: frozenset[str], words: str) -> Any:
    told: list[Any] = list(world.desk.traces(access=access))
    if world.traces:
        told.append(world.desk.trace(world.draw.choice(world.traces), access=access))
    return told


def story(world: World, access: frozenset[str], words: str) -> Any:
    return world.desk.story(world.draw.choice(world.traces or ["none"]), access=access)


def replayed(world: World, access: frozenset[str], words: str) -> Any:
    trace = world.draw.choice(world.traces or ["none"])
    return replay_json(world.desk.replay(trace, now=world.draw.random() < 0.5, access=access))


def cited(world: World, access: frozenset[str], words: str) -> Any:
    """What an earlier answer cites, looked up by whoever asks now."""
    if not world.cited:
        return []
    uri, version, start, end = world.draw.choice(world.cited)
    found = world.desk.document(uri, version=version, access=access)
    return found.text[start:end], found.place_at(start).label()


def judged(world: World, access: frozenset[str], words: str) -> Any:
    return world.desk.feedback(world.draw.choice(world.traces or ["none"]), Verdict.UP, access=access).to_json()


def counted(world: World, access: frozenset[str], words: str) -> Any:
    """Names and numbers of what purging would erase."""
    uri = world.draw.choice(sorted(world.secrets))
    return purged_json(world.desk.history.purge(uri, dry_run=True, access=access))


DOORS: tuple[Door, ...] = (
    *(search, search, search, ask, ask, follow_up, documents, one, log, diff, audit, traces, story, replayed),
    *(cited, judged, counted),
)


@pytest.fixture
def home() -> Iterator[Path]:
    """In memory where that is possible: what is proved here does not depend on the disk."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


def test_no_door_shows_a_hidden_document(home: Path) -> None:
    seed = int(os.environ.get("KNOWHOW_LEAK_SEED", "7"))
    found_something = 0
    for number in range(0, TRIALS, A_WORLD):
        world = World(home / str(number), random.Random(f"{seed}-{number}"))
        with world.desk:
            for trial in range(A_WORLD):
                if trial % 12 == 11:
                    world.change()
                found_something += _try(world, f"world {number} of seed {seed}, trial {trial}")
            _hidden_changes_nothing(world)
        shutil.rmtree(home / str(number))
    assert found_something > TRIALS / 4, "the doors must be seen to work"


def _try(world: World, where: str) -> bool:
    """One question through one door; returns whether it showed anything at all."""
    access = frozenset(world.draw.sample(TAGS, world.draw.randrange(4)))
    door = world.draw.choice(DOORS)
    hidden = world.hidden(access)
    words = " ".join(world.draw.choices(TOPICS, k=2))
    # Ask for the very thing, where that leaves no trace: what people type is theirs to show.
    if hidden and door not in (ask, follow_up) and world.draw.random() < 0.5:
        asked = world.draw.choice(sorted(hidden))
        words += " " + " ".join(world.draw.sample(sorted(hidden[asked]), min(2, len(hidden[asked]))))
    opened = False
    try:
        shown = json.dumps(door(world, access, words), default=str)
        opened = any(word in shown for held in world.secrets.values() for word in held)
    except KnowhowError as error:
        # An error repeats the name it was asked for, and says the same whether that is hidden or was never there.
        shown = str(error)
        for uri in re.findall(r"no document (\S+) that you may see", shown):
            with pytest.raises(KnowhowError) as never:
                world.desk.document("never-there", access=access)
            assert shown.startswith(str(never.value).replace("never-there", uri)[:60]), where
            shown = shown.replace(uri, "").replace(uri.removesuffix(".md"), "")
    leaked = {word for held in hidden.values() for word in held if word in shown and word not in words}
    assert not leaked, f"{where}: {door.__name__} shows {sorted(leaked)} to {sorted(access)}"
    return opened


def _hidden_changes_nothing(world: World) -> None:
    """Scores, ranks, counts and lists are those of a corpus that never held what is hidden."""
    access = frozenset(world.draw.sample(TAGS, 1))
    queries = [" ".join(world.draw.choices(TOPICS, k=2)) for _ in range(6)]

    def seen() -> Any:
        hits = [world.desk.search(query, access=access).hits for query in queries]
        return hits, [asdict(info) for info in world.desk.documents(access=access)]

    before = seen()
    for uri in [info.uri for info in world.desk.documents(access=ALL) if not info.access <= access]:
        world.desk._parts.store.purge(uri)
    assert seen() == before
