"""Training on a tiny random model: what is told, that it repeats itself, and that no death of it loses anything."""

from __future__ import annotations

import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from knowhow.backends import train_checkpoints as kept
from knowhow.backends.train_base import find_base, load_model, load_tokenizer
from knowhow.backends.train_lora import LoraTrainer
from knowhow.backends.train_rows import tokenize
from knowhow.backends.train_run import chosen, ready
from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem
from knowhow.types import (
    Began,
    Device,
    Method,
    Precision,
    Saved,
    Step,
    Stopped,
    Trained,
    TrainPlan,
    Validated,
)
from tiny_model import write_tiny
from train_world import Ear, marked, name, pairs, plan, row, rows, trained

pytestmark = pytest.mark.train


def test_training_tells_what_happens_and_learns(tmp_path: Path) -> None:
    ear = Ear()
    done = trained(plan(tmp_path), tmp_path / "t", [*rows(40), row("blank", target=" ")], rows(4, 1), ear)
    assert done is not None
    began = ear.events[0]
    assert isinstance(began, Began)
    assert (began.steps, began.device, began.precision, began.threads) == (10, Device.CPU, Precision.FLOAT32, 1)
    assert (began.counted.rows_in, began.counted.rows) == (41, 40)
    assert ear.steps == list(range(1, 11))
    assert ear.saved == list(range(1, 11))
    last = [event for event in ear.events if isinstance(event, Step)][-1]
    assert last.seconds_left == 0
    assert last.tokens_per_s > 0
    assert done.losses[-1][1] < 0.6 * done.losses[0][1]
    assert ear.looks == [loss for _, loss in done.validation_losses]
    assert done.validation_loss == min(ear.looks)
    assert done.stopped is Stopped.DONE
    assert done.counted.left_out[0].id == "blank"
    assert done.trained_tokens == 2 * done.counted.target_tokens


def test_the_loss_is_over_replies_alone(tmp_path: Path) -> None:
    """The first loss is that of the untouched base over reply tokens, summed up by hand."""
    import torch

    quick = plan(tmp_path, batch=8, at_once=8, max_steps=1)
    done = trained(quick, tmp_path / "t", rows(8))
    assert done is not None
    base = find_base(quick.base)
    start = ready(quick, rows(8), [])
    tokens, _ = tokenize(rows(8), quick, load_tokenizer(base))
    model = load_model(base, start.machine)
    total, count = 0.0, 0
    with torch.no_grad():
        for one in tokens:
            logs = torch.log_softmax(model(torch.tensor([one.prompt + one.target])).logits[0], -1)
            for offset, token in enumerate(one.target):
                total -= float(logs[len(one.prompt) + offset - 1, token])
                count += 1
    assert done.losses[0][1] == pytest.approx(total / count, rel=1e-4)


def test_equal_plans_give_equal_adapters_and_others_do_not(tmp_path: Path) -> None:
    quick = plan(tmp_path, max_steps=4)
    first = name(trained(quick, tmp_path / "a", rows(24)))
    assert name(trained(quick, tmp_path / "b", rows(24))) == first
    assert name(trained(replace(quick, seed=1), tmp_path / "c", rows(24))) != first
    assert name(trained(quick, tmp_path / "d", rows(24, seed=1))) != first


def test_in_bfloat16_the_adapter_itself_stays_float32(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    quick = plan(tmp_path, precision=Precision.BFLOAT16, max_steps=4)
    done = trained(quick, tmp_path / "t", rows(40))
    assert done is not None
    assert done.precision is Precision.BFLOAT16
    assert done.losses[-1][1] < done.losses[0][1]
    tensors = load_file(Path(done.folder) / "adapter_model.safetensors").values()
    assert {str(one.dtype) for one in tensors} == {"float32"}


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.1}])
def test_a_training_that_was_stopped_goes_on_to_the_very_same_adapter(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    quick = plan(tmp_path, evaluate_every=2, **changes)
    whole = name(trained(quick, tmp_path / "whole", rows(40), rows(4, 1)))
    ear = Ear(stop_at=4)
    assert trained(quick, tmp_path / "parts", rows(40), rows(4, 1), ear) is None
    assert ear.saved == [2, 4, 5], "the step at hand is finished and kept"
    again = Ear()
    done = trained(quick, tmp_path / "parts", rows(40), rows(4, 1), again)
    began = again.events[0]
    assert isinstance(began, Began)
    assert began.resumed_from == 5
    assert again.steps == [6, 7, 8, 9, 10]
    assert name(done) == whole


def test_a_checkpoint_that_was_cut_off_is_not_gone_on_from(tmp_path: Path) -> None:
    quick = plan(tmp_path, evaluate_every=2)
    whole = name(trained(quick, tmp_path / "t", rows(40)))
    ear = Ear(stop_at=3)
    assert trained(quick, tmp_path / "cut", rows(40), ear=ear) is None
    cut = tmp_path / "cut" / "checkpoint-6"
    cut.mkdir()
    (cut / "optimizer.pt").write_bytes(b"half")
    again = Ear()
    assert name(trained(quick, tmp_path / "cut", rows(40), ear=again)) == whole
    assert again.steps[0] == ear.saved[-1] + 1


def test_it_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    """The validation rows want what the lessons unlearn, so their loss rises as soon as it has stopped falling."""
    quick = plan(tmp_path, epochs=8.0, evaluate_every=1, patience=2)
    other = [row(f"o{i}", f"What is {i}?", "ZZZ&&&") for i in range(4)]
    done = trained(quick, tmp_path / "t", rows(40), other)
    assert done is not None
    assert done.stopped is Stopped.EARLY
    looks = dict(done.validation_losses)
    assert done.step == min(looks, key=lambda step: looks[step])
    assert len(looks) == 2 + list(looks).index(done.step) + 1
    weights = tmp_path / "t" / f"checkpoint-{done.step}" / "adapter_model.safetensors"
    assert (Path(done.folder) / "adapter_model.safetensors").read_bytes() == weights.read_bytes()


def test_an_earlier_checkpoint_can_be_chosen(tmp_path: Path) -> None:
    quick = plan(tmp_path, evaluate_every=2)
    done = trained(quick, tmp_path / "t", rows(40), rows(4, 1))
    assert done is not None
    last = name(done)
    other = chosen(tmp_path / "t", 4, done, find_base(quick.base))
    assert (other.step, other.stopped) == (4, Stopped.CHOSEN)
    assert other.validation_loss == dict(done.validation_losses)[4]
    assert name(other) != last
    with pytest.raises(UsageProblem, match="no checkpoint at step 3; there are 2, 4, 6, 8, 10"):
        chosen(tmp_path / "t", 3, done, find_base(quick.base))


@pytest.mark.parametrize("method", [Method.DPO, Method.KTO])
def test_preferences_make_the_better_reply_likelier(tmp_path: Path, method: Method) -> None:
    import torch

    quick = plan(tmp_path, method=method, beta=0.5, at_once=4)
    taught = pairs(24) if method is Method.DPO else marked(24)
    done = trained(quick, tmp_path / "t", taught, taught[:4])
    assert done is not None
    assert done.counted.rows == 24
    base = find_base(quick.base)
    start = ready(quick, taught, [])
    both, _ = tokenize(pairs(4), replace(quick, method=Method.DPO), load_tokenizer(base))

    def preference(model: Any) -> float:
        total = 0.0
        with torch.no_grad():
            for one in both:
                for reply, sign in ((one.target, 1), (one.rejected, -1)):
                    logs = torch.log_softmax(model(torch.tensor([one.prompt + reply])).logits[0], -1)
                    total += sign * sum(float(logs[len(one.prompt) + i - 1, t]) for i, t in enumerate(reply))
        return total

    from peft import PeftModel

    model = PeftModel.from_pretrained(load_model(base, start.machine), done.folder)
    with model.disable_adapter():
        before = preference(model)
    assert preference(model) > before + 1.0


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    quick = plan(tmp_path, evaluate_every=2)
    whole = name(trained(quick, tmp_path / "whole", rows(40)))
    real, written = torch.save, []

    def save(value: Any, path: Any, *rest: Any, **options: Any) -> None:
        if "optimizer" in str(path):
            written.append(path)
        if len(written) == 3:
            Path(path).write_bytes(b"half")
            raise RuntimeError("PytorchStreamWriter failed writing file") from OSError(errno.ENOSPC, "No space left")
        real(value, path, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", save)
        with pytest.raises(ConfigProblem, match=r"is full.*the checkpoint at step 4 is whole.*goes on from there"):
            trained(quick, tmp_path / "full", rows(40))
    newest = kept.newest(tmp_path / "full")
    assert newest is not None
    assert newest.step == 4
    assert not (tmp_path / "full" / "checkpoint-6").exists(), "what was half written takes no space"
    ear = Ear()
    assert name(trained(quick, tmp_path / "full", rows(40), ear=ear)) == whole
    assert ear.steps[0] == 5


def test_wrong_plans_are_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    import torch

    with pytest.raises(UsageProblem, match="batch = 8 is no multiple of at_once = 3"):
        ready(plan(tmp_path, at_once=3), rows(8), [])
    with pytest.raises(UsageProblem, match="at_once must be at least 2"):
        ready(plan(tmp_path, method=Method.KTO, at_once=1), marked(8), [])
    if not torch.cuda.is_available():
        with pytest.raises(UsageProblem, match="sees no GPU"):
            ready(plan(tmp_path, device=Device.CUDA), rows(8), [])


def test_an_adapter_names_its_base_and_no_path_of_this_machine(tmp_path: Path) -> None:
    quick = plan(tmp_path, max_steps=1)
    done = trained(quick, tmp_path / "t", rows(8))
    assert done is not None
    config = json.loads((Path(done.folder) / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == quick.base
    assert sorted(path.name for path in Path(done.folder).iterdir()) == [
        "adapter.gguf",
        "adapter_config.json",
        "adapter_model.safetensors",
        "trained.json",
    ]


# --- in a process of its own ------------------------------------------------------------------------------


def worker(training: Any) -> int:
    pid: int = training.gi_frame.f_locals["worker"]._process.pid
    return pid


def finished(training: Any) -> Trained:
    while True:
        try:
            next(training)
        except StopIteration as done:
            result: Trained = done.value
            return result


def test_killed_at_any_instant_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    quick, trainer = plan(tmp_path, epochs=6.0, evaluate_every=3), LoraTrainer()
    taught, looks = rows(40), rows(4, 1)
    whole = finished(trainer.train(quick, taught, looks, str(tmp_path / "whole")))
    training = trainer.train(quick, taught, looks, str(tmp_path / "killed"))
    for event in training:
        if isinstance(event, Saved) and event.step >= 9:
            os.kill(worker(training), signal.SIGKILL)
            break
    with pytest.raises(ConfigProblem, match=r"killed \(signal 9\).*goes on from step \d+"):
        list(training)
    training = trainer.train(quick, taught, looks, str(tmp_path / "killed"))
    began = next(training)
    assert isinstance(began, Began)
    assert began.resumed_from >= 9
    assert name(finished(training)) == name(whole)
    assert finished(trainer.train(quick, taught, looks, str(tmp_path / "killed"))).step, "done is done"
    with pytest.raises(UsageProblem, match="other rows or another plan"):
        next(trainer.train(replace(quick, seed=2), taught, looks, str(tmp_path / "killed")))


def test_closing_the_generator_leaves_a_checkpoint_and_no_process(tmp_path: Path) -> None:
    quick, trainer = plan(tmp_path, epochs=50.0, evaluate_every=100), LoraTrainer()
    training = trainer.train(quick, rows(40), [], str(tmp_path / "t"))
    assert isinstance(next(training), Began)
    while not isinstance(next(training), Step):
        pass
    pid = worker(training)
    training.close()
    newest = kept.newest(tmp_path / "t")
    assert newest is not None
    assert 1 <= newest.step < 100
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_price_is_measured_and_said(tmp_path: Path) -> None:
    price = LoraTrainer().price(plan(tmp_path), [*rows(40), row("blank", target="")], rows(4, 1))
    assert price.steps == 10
    assert 0 < price.seconds < 60
    assert 100e6 < price.memory_bytes < 4e9
    assert price.counted.left_out[0].id == "blank"
    assert "10 steps" in price.in_words
    assert "GB on the CPU (1 threads, float32)" in price.in_words


def test_errors_of_the_process_are_those_of_the_tree(tmp_path: Path) -> None:
    trainer = LoraTrainer()
    bare = TrainPlan(base=f"local:{write_tiny(tmp_path / 'bare.gguf', template='')}", threads=1)
    with pytest.raises(ConfigProblem, match="no chat template"):
        next(trainer.train(bare, rows(8), [], str(tmp_path / "a")))
    with pytest.raises(UsageProblem, match="none of 1 lessons"):
        trainer.price(plan(tmp_path), [row("a", target="")], [])


def test_an_error_nobody_foresaw_shows_the_log(tmp_path: Path) -> None:
    quick = plan(tmp_path)
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "checkpoint-1").mkdir()
    (folder / "checkpoint-1" / "optimizer.pt").write_bytes(b"nonsense")
    (folder / "checkpoint-1" / "whole.json").write_text('{"step": 1, "seconds": 1.0}')
    with pytest.raises(KnowhowError, match=r"training failed: .*its log says: .*Error"):
        list(LoraTrainer().train(quick, rows(8), [], str(folder)))


def test_validation_rows_count_as_their_own(tmp_path: Path) -> None:
    ear = Ear()
    done = trained(plan(tmp_path), tmp_path / "t", rows(16), [*rows(4, 1), row("blank", target="")], ear)
    assert done is not None
    assert done.validation is not None
    assert (done.validation.rows_in, done.validation.rows) == (5, 4)
    assert isinstance(ear.events[2], Validated)
