"""Adapters as GGUF: the factor, the order of rows, and that llama.cpp says what the training stack says."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.backends import export_gguf, train_base
from knowhow.backends.chat_llama import gguf_file
from knowhow.backends.export_gguf import folded_alpha, interleaved, shape_of, write_adapter, write_whole
from knowhow.backends.llama_engine import Engine, EngineSpec
from knowhow.backends.train_lora import LoraTrainer
from knowhow.backends.train_parity import lumped_kl
from knowhow.errors import ConfigProblem
from knowhow.store.records import SqliteRecords
from knowhow.tune.registry import Registry
from knowhow.types import Lesson, Lessons, Origin, Trained, TrainPlan
from knowhow.workspace import Workspace
from test_registry import PASSED, SAME, adapter
from tiny_model import write_tiny
from train_world import name, plan, rows, trained

# --- without torch ----------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 5))
def test_interleaving_takes_the_halves_of_each_head_in_turn(heads: int, half: int, rank: int) -> None:
    matrix = np.arange(heads * 2 * half * rank, dtype=np.float32).reshape(heads * 2 * half, rank)
    mixed = interleaved(matrix, heads)
    for head in range(heads):
        for i in range(half):
            start = head * 2 * half
            assert (mixed[start + 2 * i] == matrix[start + i]).all()
            assert (mixed[start + 2 * i + 1] == matrix[start + half + i]).all()


@given(st.integers(1, 256), st.floats(0.5, 512))
def test_llama_cpp_s_factor_is_peft_s(rank: int, alpha: float) -> None:
    assert folded_alpha(rank, alpha, rslora=False) / rank == pytest.approx(alpha / rank)
    assert folded_alpha(rank, alpha, rslora=True) / rank == pytest.approx(alpha / math.sqrt(rank))


@given(st.lists(st.floats(-8, 8), min_size=4, max_size=30), st.data())
def test_a_lumped_divergence_is_never_more_than_the_whole(values: list[float], data: st.DataObject) -> None:
    def logs(numbers: list[float]) -> np.ndarray:
        array = np.array(numbers)
        return array - np.log(np.exp(array).sum())

    p = logs(values)
    q = logs([value + data.draw(st.floats(-1, 1)) for value in values])
    seen = np.argsort(-q)[: data.draw(st.integers(1, len(values)))]
    whole = float((np.exp(p) * (p - q)).sum())
    lumped = lumped_kl(p, seen, q[seen])
    assert -1e-6 <= lumped <= whole + 1e-6
    assert lumped_kl(p, np.argsort(-p), np.sort(p)[::-1]) == pytest.approx(0, abs=1e-6)


def test_without_the_extra_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = util.find_spec
    monkeypatch.setattr(train_base, "find_spec", lambda name: None if name in ("torch", "trl") else found("json"))
    with pytest.raises(ConfigProblem, match=r"torch, trl, which are not installed; run: pip install .*\[train\]"):
        LoraTrainer()
    assert ConfigProblem.exit_code == 3


# --- with torch and llama.cpp -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainPlan, Trained]:
    """A tiny model's adapter that changes most replies."""
    folder = tmp_path_factory.mktemp("taught")
    quick = plan(folder)
    done = trained(quick, folder / "t", rows(40))
    assert done is not None
    return quick, done


@pytest.mark.train
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("rslora", [False, True])
def test_llama_cpp_says_what_the_training_stack_says(tmp_path: Path, architecture: str, rslora: bool) -> None:
    base = write_tiny(tmp_path / "tiny.gguf", architecture=architecture)
    quick = TrainPlan(base=f"local:{base}", rank=4, rslora=rslora, epochs=2.0, learning_rate=5e-3, threads=1)
    done = trained(quick, tmp_path / "t", rows(40))
    assert done is not None
    report = LoraTrainer().parity(quick.base, done.folder, rows(20), positions=120)
    assert report.positions == 120
    assert report.agreement >= 0.99
    assert report.kl < 1e-4
    assert report.passed
    assert report.adapter_agreement < 0.5, "an adapter that changes little proves little"


@pytest.mark.train
@pytest.mark.parametrize("fault", ["order", "factor"])
def test_parity_sees_a_wrong_export(
    taught: tuple[TrainPlan, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    quick, done = taught
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for path in Path(done.folder).iterdir():
        (wrong / path.name).write_bytes(path.read_bytes())
    if fault == "order":
        monkeypatch.setattr(export_gguf, "_PERMUTED", set())
    else:
        monkeypatch.setattr(export_gguf, "folded_alpha", lambda rank, alpha, rslora: alpha * 2)
    base = train_base.find_base(quick.base).path
    write_adapter(wrong, shape_of(base), wrong / "adapter.gguf")
    assert not LoraTrainer().parity(quick.base, str(wrong), rows(20), positions=60).passed


@pytest.mark.train
def test_with_the_adapter_off_llama_cpp_s_logits_are_the_base_s_bit_for_bit(
    taught: tuple[TrainPlan, Trained],
) -> None:
    quick, done = taught
    base = gguf_file(train_base.find_base(quick.base).path)
    bare = Engine(EngineSpec(base, (), 512, threads=1, parallel=1))
    adapted = (("x", gguf_file(Path(done.folder) / "adapter.gguf")),)
    loaded = Engine(EngineSpec(base, adapted, 512, threads=1, parallel=1))
    prompt = list(range(5, 60))
    without, off, on = (
        engine.next_tokens(prompt, name, 200) for engine, name in ((bare, ""), (loaded, ""), (loaded, "x"))
    )
    assert (without[0] == off[0]).all()
    assert (without[1] == off[1]).all()
    assert (on[1] != off[1]).any()
    again = loaded.next_tokens(prompt, "", 200)
    assert (again[1] == off[1]).all(), "having been on leaves no trace"


@pytest.mark.train
def test_with_the_adapter_off_the_training_stack_s_logits_are_the_base_s_bit_for_bit(
    taught: tuple[TrainPlan, Trained],
) -> None:
    import torch
    from peft import PeftModel

    quick, done = taught
    base = train_base.find_base(quick.base)
    machine = train_base.choose(quick)
    batch = torch.tensor([list(range(5, 60)), list(range(60, 115))])
    with torch.no_grad():
        bare = train_base.load_model(base, machine).eval()(batch).logits
        model = PeftModel.from_pretrained(train_base.load_model(base, machine), done.folder).eval()
        with model.disable_adapter():
            off = model(batch).logits
        on = model(batch).logits
    assert torch.equal(bare, off)
    assert not torch.equal(bare, on)


@pytest.mark.train
def test_a_quantised_base_in_float32_is_what_transformers_makes_of_it(tmp_path: Path) -> None:
    import gguf
    from transformers import AutoModelForCausalLM

    plain = write_tiny(tmp_path / "plain.gguf")
    reader = gguf.GGUFReader(plain)
    writer = gguf.GGUFWriter(tmp_path / "small.gguf", "llama")
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    kind = gguf.GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        whole = tensor.data.reshape(tuple(reversed([int(size) for size in tensor.shape])))
        if whole.ndim == 2:
            writer.add_tensor(tensor.name, gguf.quants.quantize(whole, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, whole)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    write_whole(tmp_path / "small.gguf", tmp_path / "whole.gguf")
    small, whole_one = (
        AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file).state_dict()
        for file in ("small.gguf", "whole.gguf")
    )
    assert all((small[key] == whole_one[key]).all() for key in small)
    assert (small["model.layers.0.mlp.up_proj.weight"] != 0).any()


@pytest.mark.train
@pytest.mark.parametrize("setting", [{"use_dora": True}, {"rank_pattern": {"q_proj": 8}}, {"bias": "all"}])
def test_what_gguf_cannot_say_is_refused(
    taught: tuple[TrainPlan, Trained], tmp_path: Path, setting: dict[str, object]
) -> None:
    quick, done = taught
    folder = tmp_path / "odd"
    folder.mkdir()
    for path in Path(done.folder).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "adapter_config.json").read_text("utf-8")) | setting
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ConfigProblem, match=next(iter(setting))):
        write_adapter(folder, shape_of(train_base.find_base(quick.base).path), tmp_path / "out.gguf")


# --- served, promoted and rolled back in a running process ------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> tuple[Path, str]:
    """A workspace whose tuned recipe asks a tiny model."""
    base = write_tiny(tmp_path / "tiny.gguf")
    Workspace.init(tmp_path / "desk").close()
    toml = f'[recipes.tuned]\nmodel = "local:{base}"\nsampling = {{max_tokens = 12}}\n'
    (tmp_path / "desk" / "knowhow.toml").write_text(toml, "utf-8")
    return tmp_path / "desk", f"local:{base}"


@pytest.mark.train
def test_promote_and_rollback_reach_a_running_process_within_a_second(served: tuple[Path, str]) -> None:
    desk, model = served
    quick = TrainPlan(base=model, rank=4, epochs=2.0, learning_rate=5e-3, threads=1)
    with Workspace.open(desk) as running:
        recipe = replace(running.recipe("tuned"), instructions="Be brief.")
        lessons = tuple(
            Lesson(str(i), f"What is {i}?", f"{word} {i}!", Origin.FILE, "f")
            for word in ("yes", "no")
            for i in range(24)
        )
        made = []
        for half in (lessons[:24], lessons[24:]):
            flow = running.adapters.train(running.adapters.course(Lessons("house", half), recipe), quick)
            while True:
                try:
                    next(flow)
                except StopIteration as done:
                    made.append(done.value)
                    break
        assert all(one.parity.passed for one in made)
        other = Registry(SqliteRecords(desk / ".knowhow" / "state.db"), desk / ".knowhow" / "adapters")

        def said() -> str:
            return running.ask("What is 3?", recipe).text

        other.promote(made[0].id, without_gates=True)
        first = said()
        began = time.monotonic()
        other.promote(made[1].id, without_gates=True)
        second = said()
        promoted = time.monotonic() - began
        other.rollback("tuned")
        assert said() == first
        assert second != first
        assert promoted < 1.0
        assert time.monotonic() - began - promoted < 1.0
        bare = running.ask("What is 3?", replace(recipe, adapter=""))
        assert bare.text != first
        trace = running.trace(running.ask("What is 3?", recipe).trace_id)
        assert trace["recipe"]["adapter"] == made[0].id, "a trace names the adapter that answered"


@pytest.mark.train
def test_an_adapter_is_not_asked_on_another_base(served: tuple[Path, str], tmp_path: Path) -> None:
    desk, model = served
    quick = TrainPlan(base=model, rank=4, epochs=1.0, learning_rate=5e-3, threads=1)
    done = trained(quick, tmp_path / "t", rows(16))
    assert done is not None
    with Workspace.open(desk) as running:
        registry: Registry = running.adapters.registry
        made = registry.add(
            replace(adapter(Path(done.folder)), base=model, base_hash=done.base_hash, report=PASSED, parity=SAME)
        )
        assert made.id == name(done)
        registry.promote(made.id)
        write_tiny(Path(model.removeprefix("local:")), seed=7)
        with pytest.raises(ConfigProblem, match="was trained on another model"):
            running.ask("What is 3?", replace(running.recipe("tuned"), instructions="Be brief."))
