"""Adapters by the hash of their weights: kept whole, promoted and rolled back at once, resolved at every question."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowhow.errors import ConfigProblem, GateFailed, NotFound, UsageProblem
from knowhow.store.records import SqliteRecords
from knowhow.tune.make import Course, make
from knowhow.tune.registry import CONFIG, GGUF, WEIGHTS, Registry, content_hash, taught_as, untaught
from knowhow.types import (
    Adapter,
    AdapterReport,
    Context,
    Counted,
    Device,
    Example,
    Expect,
    GateOutcome,
    GateResult,
    Lesson,
    Lessons,
    Message,
    Origin,
    ParityReport,
    Precision,
    Recipe,
    Split,
    Standing,
    Step,
    Stopped,
    Suite,
    Trained,
    TrainPlan,
    TrainRow,
)
from knowhow.types.plain import from_plain, to_plain

SAME = ParityReport(300, 1.0, 0.0001, Precision.FLOAT32, 0.5)
PASSED = AdapterReport((GateResult("target", GateOutcome.PASS, "7 points better"),))
TRAINED = Trained(
    folder="",
    step=20,
    steps=20,
    stopped=Stopped.DONE,
    loss=0.5,
    validation_loss=None,
    counted=Counted(9, 8, 70, 64, 200, 31),
    validation=None,
    trained_tokens=192,
    seconds=3.0,
    device=Device.CPU,
    precision=Precision.FLOAT32,
    threads=1,
    base_hash="b" * 16,
    versions={},
)
TUNED = Recipe(name="tuned", context=Context.NONE, adapter="tuned")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    opened = SqliteRecords(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def registry(records: SqliteRecords, tmp_path: Path) -> Registry:
    return Registry(records, tmp_path / "adapters")


def weights(folder: Path, content: bytes = b"one", alpha: float = 32.0) -> Path:
    """A folder as a training leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(content)
    (folder / CONFIG).write_text(json.dumps({"r": 16, "lora_alpha": alpha, "use_rslora": False}))
    (folder / GGUF).write_bytes(b"GGUF" + content)
    return folder


def adapter(folder: Path, **changes: object) -> Adapter:
    made = Adapter(
        id="",
        base="local:starter",
        base_hash="b" * 16,
        recipe=TUNED,
        plan=TrainPlan(),
        lessons="house",
        lessons_hash="c" * 12,
        taught=frozenset({taught_as("What is a kite?")}),
        trained=TRAINED,
        folder=str(folder),
        made=time.time(),
        report=PASSED,
        parity=SAME,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def kept(registry: Registry, tmp_path: Path, content: bytes = b"one") -> Adapter:
    return registry.add(adapter(weights(tmp_path / "made", content)))


def test_an_adapter_is_named_by_its_weights_and_read_back_whole(registry: Registry, tmp_path: Path) -> None:
    made = kept(registry, tmp_path)
    assert len(made.id) == 16
    shutil.rmtree(tmp_path / "made")
    assert registry.get(made.id) == made
    assert registry.get(made.id[:4]) == made
    assert (registry.files(made) / WEIGHTS).read_bytes() == b"one"
    assert registry.add(replace(made, report=AdapterReport())) == made, "the same weights keep their report"


@pytest.mark.parametrize("change", ["weights", "alpha", "base"])
def test_whatever_changes_a_reply_changes_the_name(tmp_path: Path, change: str) -> None:
    before = content_hash(weights(tmp_path / "a"), "base")
    folder = weights(tmp_path / "b", b"two" if change == "weights" else b"one", 16.0 if change == "alpha" else 32.0)
    assert content_hash(folder, "other" if change == "base" else "base") != before


def test_ids_are_found_by_their_beginning_and_never_guessed(registry: Registry, tmp_path: Path) -> None:
    made = [kept(registry, tmp_path, bytes([i])) for i in range(20)]
    first = made[0].id[0]
    alike = [one for one in made if one.id.startswith(first)]
    if len(alike) > 1:
        with pytest.raises(UsageProblem, match="start with"):
            registry.get(first)
    with pytest.raises(NotFound, match="knowhow adapters"):
        registry.get("zzzz")
    with pytest.raises(NotFound):
        registry.get("")


def test_a_full_disk_keeps_nothing_half_and_says_where_the_weights_are(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        if str(source).endswith(GGUF):
            raise OSError(errno.ENOSPC, "No space left on device")
        Path(str(target)).write_bytes(Path(str(source)).read_bytes())

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(ConfigProblem, match=r"No space left.*still in"):
            kept(registry, tmp_path)
    assert list((tmp_path / "adapters").iterdir()) == []
    assert registry.all() == []
    assert kept(registry, tmp_path).id, "the same call works once there is space"


def test_promote_and_rollback_switch_what_a_name_stands_for(registry: Registry, tmp_path: Path) -> None:
    one, two = kept(registry, tmp_path, b"one"), kept(registry, tmp_path, b"two")
    with pytest.raises(NotFound, match=r"nothing was promoted as \"tuned\".*knowhow tune"):
        registry.resolve(TUNED)
    registry.promote(one.id)
    assert registry.resolve(TUNED).adapter == one.id
    slot = registry.promote(two.id[:8])
    assert (slot.current, slot.previous) == (two.id, one.id)
    assert registry.promote(two.id).previous == one.id, "promoting again changes nothing"
    assert registry.rollback("tuned").current == one.id
    assert registry.resolve(TUNED).adapter == one.id
    assert registry.rollback("tuned").current == two.id
    standings = {row.adapter.id: [standing for _, standing in row.standing] for row in registry.placed()}
    assert standings == {one.id: [Standing.PREVIOUS], two.id: [Standing.CURRENT]}


def test_the_first_rollback_leads_to_the_bare_model(registry: Registry, tmp_path: Path) -> None:
    registry.promote(kept(registry, tmp_path).id)
    assert registry.rollback("tuned").current == ""
    assert registry.resolve(TUNED).adapter == ""


def test_names_belong_to_one_model_each(registry: Registry, tmp_path: Path) -> None:
    made = kept(registry, tmp_path)
    registry.promote(made.id, "tickets")
    registry.promote(made.id, "tickets", model="http://127.0.0.1:8000/v1#small")
    served = replace(TUNED, adapter="tickets", model="http://127.0.0.1:8000/v1#small")
    assert registry.resolve(served).adapter == made.id
    with pytest.raises(UsageProblem, match="--model"):
        registry.rollback("tickets")
    assert registry.rollback("tickets", "local:starter").current == ""
    assert registry.resolve(served).adapter == made.id
    with pytest.raises(NotFound, match="tickets"):
        registry.rollback("nothing")


def test_a_recipe_may_name_an_adapter_and_a_server_its_own(registry: Registry, tmp_path: Path) -> None:
    made = kept(registry, tmp_path)
    assert registry.resolve(replace(TUNED, adapter=made.id[:6])).adapter == made.id
    theirs = replace(TUNED, adapter="sql-lora", model="http://127.0.0.1:8000/v1")
    assert registry.resolve(theirs) == theirs
    plain = Recipe()
    assert registry.resolve(plain) is plain


@pytest.mark.parametrize("name", ["abcd", "deadbeef", "a/b", "..", "x" * 65])
def test_a_name_cannot_be_taken_for_an_id_or_a_path(registry: Registry, tmp_path: Path, name: str) -> None:
    made = kept(registry, tmp_path)
    with pytest.raises(UsageProblem, match="cannot name a slot"):
        registry.promote(made.id, name)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"parity": None}, "parity.*was not measured"),
        ({"parity": replace(SAME, agreement=0.96)}, r"parity.*agreement 0\.960"),
        ({"parity": replace(SAME, kl=0.02)}, r"parity.*KL 0\.0200"),
        ({"report": AdapterReport()}, "no gate was measured"),
        ({"report": AdapterReport((GateResult("grounding", GateOutcome.FAIL, "9 points worse"),))}, "9 points worse"),
        ({"report": AdapterReport((GateResult("grounding", GateOutcome.INCONCLUSIVE, "30 more"),))}, "30 more"),
    ],
)
def test_what_was_not_proved_is_not_promoted(
    registry: Registry, tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    made = registry.add(adapter(weights(tmp_path / "made"), **changes))
    with pytest.raises(GateFailed, match=match):
        registry.promote(made.id)
    assert registry.slots() == []
    if "parity" in changes:
        with pytest.raises(GateFailed):
            registry.promote(made.id, without_gates=True)
    else:
        assert registry.promote(made.id, without_gates=True).current == made.id


def test_lost_weights_are_named_before_anything_is_switched(registry: Registry, tmp_path: Path) -> None:
    one, two = kept(registry, tmp_path, b"one"), kept(registry, tmp_path, b"two")
    registry.promote(one.id)
    shutil.rmtree(two.folder)
    with pytest.raises(ConfigProblem, match=f"weights of adapter {two.id}"):
        registry.promote(two.id)
    assert registry.resolve(TUNED).adapter == one.id
    assert kept(registry, tmp_path, b"two").id == two.id, "training again puts the weights back"
    assert registry.promote(two.id).current == two.id


def test_only_what_answers_nowhere_can_be_removed(registry: Registry, tmp_path: Path) -> None:
    one, two = kept(registry, tmp_path, b"one"), kept(registry, tmp_path, b"two")
    registry.promote(one.id)
    with pytest.raises(UsageProblem, match="tuned"):
        registry.remove(one.id)
    registry.remove(two.id)
    assert [row.id for row in registry.all()] == [one.id]
    assert not Path(two.folder).exists()


def test_another_process_sees_a_promotion_at_its_next_question(tmp_path: Path) -> None:
    here, there = (SqliteRecords(tmp_path / "state.db") for _ in range(2))
    ours, theirs = (Registry(records, tmp_path / "adapters") for records in (here, there))
    made = [kept(ours, tmp_path, content) for content in (b"one", b"two")]
    for one in [*made, *made]:
        ours.promote(one.id)
        assert theirs.resolve(TUNED).adapter == one.id
    ours.rollback("tuned")
    assert theirs.resolve(TUNED).adapter == made[0].id
    here.close()
    there.close()


def test_readers_never_see_a_name_without_an_adapter_while_it_switches(registry: Registry, tmp_path: Path) -> None:
    made = [kept(registry, tmp_path, bytes([i])) for i in range(3)]
    registry.promote(made[0].id)
    known, seen = {one.id for one in made}, set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(registry.resolve(TUNED).adapter)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(30):
        registry.promote(made[i % 3].id)
    done.set()
    reader.join()
    assert seen <= known


def test_what_died_half_way_leaves_nothing_for_ever(registry: Registry, tmp_path: Path) -> None:
    old, young = tmp_path / "adapters" / ".new-old", tmp_path / "adapters" / ".new-young"
    for folder in (old, young):
        weights(folder)
    os.utime(old, (1, 1))
    kept(registry, tmp_path)
    assert not old.exists()
    assert young.exists(), "another process may be copying it"


def test_examples_an_adapter_was_taught_are_left_out_of_the_proof(registry: Registry, tmp_path: Path) -> None:
    made = kept(registry, tmp_path)
    rows = [
        ("known", "What is  a KITE?", Split.TEST),
        ("new", "What is a boat?", None),
        ("own", "What is a kite?", Split.TRAIN),
    ]
    suite = Suite("s", tuple(Example(id, Expect(), question=text, split=split) for id, text, split in rows))
    left = untaught(suite, Split.TEST, registry.used([registry.resolve(replace(TUNED, adapter=made.id))]))
    assert [one.id for one in left.examples] == ["new", "own"]
    assert "1 examples are left out" in left.notes[0]
    assert untaught(suite, Split.TEST, []) is suite
    alone = replace(suite, examples=suite.examples[:1])
    with pytest.raises(UsageProblem, match="trained on every example"):
        untaught(alone, Split.TEST, [made])


# --- from rows to a kept adapter --------------------------------------------------------------------------


class Taught:
    """A trainer whose weights are the rows; `parity` is what it will report."""

    name = "fake"

    def __init__(self) -> None:
        self.asked: list[TrainRow] = []

    def key(self, plan: TrainPlan, rows: object, validation: object) -> str:
        return "job"

    def price(self, plan: TrainPlan, rows: object, validation: object) -> None: ...

    def train(self, plan: TrainPlan, rows: object, validation: object, folder: str) -> object:
        yield Step(1, 1, 1.0, 0.5, 0.1, 10.0, 0.0)
        return replace(TRAINED, folder=str(weights(Path(folder) / "result", str(rows).encode())))

    def choose(self, plan: TrainPlan, folder: str, step: int) -> None: ...

    def parity(self, base: str, adapter: str, rows: list[TrainRow], positions: int = 300) -> ParityReport:
        assert (Path(adapter) / WEIGHTS).is_file()
        self.asked = list(rows)
        return SAME


def test_a_course_becomes_a_kept_adapter_with_its_parity(registry: Registry, tmp_path: Path) -> None:
    lessons = Lessons(
        "house",
        (
            Lesson("a", "What is a kite?", "A toy.", Origin.FILE, "f:1", uris=frozenset({"toys.md"})),
            Lesson("b", "What is a boat?", "A ship.", Origin.CORRECTION, "t", split=Split.DEV),
        ),
    )
    prompts = [TrainRow(one.id, (Message("user", one.question),), one.target) for one in lessons.lessons]
    trainer = Taught()
    flow = make(Course(TUNED, lessons, (prompts[0],), (prompts[1],)), TrainPlan(), trainer, registry, tmp_path / "work")  # type: ignore[arg-type]
    assert isinstance(next(flow), Step)
    with pytest.raises(StopIteration) as done:
        next(flow)
    made: Adapter = done.value.value
    assert registry.get(made.id) == made
    assert made.parity == SAME
    assert trainer.asked == [prompts[1]], "parity is measured on rows that were not trained on"
    assert made.taught == {taught_as("What is a kite?")}
    assert made.uris == {"toys.md"}
    assert made.origins == {Origin.FILE: 1}
    assert made.recipe.adapter == ""
    assert list((tmp_path / "work").iterdir()) == []
    with pytest.raises(GateFailed, match="no gate was measured"):
        registry.promote(made.id)


# --- values as JSON and back ------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    st.builds(
        Lesson,
        id=st.text(),
        question=st.text(),
        target=st.text(),
        origin=st.sampled_from(Origin),
        source=st.text(),
        history=st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), st.text())).map(tuple),
        expect=st.builds(
            Expect,
            facts=st.lists(st.lists(st.text()).map(tuple)).map(tuple),
            abstain=st.none() | st.booleans(),
            label=st.none() | st.text(),
            fields=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers())),
        ),
        access=st.frozensets(st.text()),
        split=st.sampled_from(Split),
    )
)
def test_values_come_back_from_json_as_they_were(lesson: Lesson) -> None:
    assert from_plain(Lesson, json.loads(json.dumps(to_plain(lesson)))) == lesson


def test_an_adapter_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    made = adapter(tmp_path, origins={Origin.FILE: 2}, uris=frozenset({"a", "b"}))
    assert from_plain(Adapter, json.loads(json.dumps(to_plain(made)))) == made
    newer = to_plain(made) | {"from_a_later_version": 1}
    assert from_plain(Adapter, newer) == made
