"""The base model as training needs it: found by its name, loaded with its tokenizer, on the device it fits best."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from knowhow.backends.chat_llama import STARTER, gguf_file, starter_file
from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.types import Device, Precision, TrainPlan

NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "gguf")
INSTALL = "pip install 'knowhow-ai[train]'"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on the disk: a GGUF file, or a folder in the format of transformers."""

    name: str
    path: Path

    @property
    def is_gguf(self) -> bool:
        """Whether llama.cpp can load it."""
        return self.path.is_file()


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the sums are done, chosen and stated."""

    device: Device
    precision: Precision
    threads: int


def check_installed() -> None:
    """Raises `ConfigProblem` with the command where a package that training needs is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigProblem(
            f"training needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            f"run: {INSTALL}"
        )


def find_base(name: str) -> Base:
    """The base called `local:starter`, `local:PATH.gguf` or `hf:FOLDER`.

    Raises `UsageProblem` for a model that cannot be trained here, `NotFound`, `ConfigProblem`.
    """
    kind, _, rest = name.partition(":")
    if kind == "local" and rest:
        path = starter_file() if rest == STARTER else Path(rest).expanduser()
        return Base(name, Path(gguf_file(path)[0]))
    if kind == "hf" and rest:
        folder = Path(rest).expanduser()
        if not (folder / "config.json").is_file():
            raise NotFound(f"{folder} holds no model: name a folder with config.json and weights as hf:FOLDER")
        return Base(name, folder.resolve())
    raise UsageProblem(
        f"{name} cannot be trained here: only weights on this machine can (local:starter, local:PATH.gguf, hf:FOLDER)"
    )


def hash_of(base: Base) -> str:
    """16 hex digits over the base model's weights; a file that did not change is read once."""
    stats = [path.stat() for path in _weights(base)]
    return _hash(base, tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


def check_base(name: str, base_hash: str, adapter: str) -> None:
    """Raises `ConfigProblem` where the model called `name` is not the one that an adapter was trained on."""
    if hash_of(find_base(name)) != base_hash:
        raise ConfigProblem(
            f"adapter {adapter} was trained on another model than {name} is now; train it again on this one, or put "
            "the file back"
        )


def _weights(base: Base) -> list[Path]:
    return [base.path] if base.is_gguf else sorted(base.path.glob("*.safetensors"))


@lru_cache(maxsize=16)
def _hash(base: Base, _stats: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in _weights(base):
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def choose(plan: TrainPlan) -> Machine:
    """The device and precision of a training. Raises `UsageProblem` for a GPU that is asked for and not there."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    there = torch.cuda.is_available()
    if plan.device is Device.CUDA and not there:
        raise UsageProblem("device = cuda, but torch sees no GPU here; install a torch that does, or train on the cpu")
    device = Device.CUDA if there and plan.device is not Device.CPU else Device.CPU
    precision = plan.precision
    if precision is Precision.AUTO:
        able = device is Device.CUDA and torch.cuda.is_bf16_supported()
        precision = Precision.BFLOAT16 if able else Precision.FLOAT32
    return Machine(device, precision, plan.threads or cores)


def load_tokenizer(base: Base) -> Any:
    """The base model's tokenizer. Raises `ConfigProblem` for a base that was never taught to talk."""
    from transformers import AutoTokenizer

    found: Any = AutoTokenizer
    tokenizer = _loaded(found, base, {})
    if not tokenizer.chat_template:
        raise ConfigProblem(
            f"{base.name} has no chat template, so it cannot be asked either: name the instruct or chat version of it"
        )
    if tokenizer.eos_token is None:
        raise ConfigProblem(f"{base.name} names no token that ends a reply; name another base model")
    return tokenizer


def load_model(base: Base, machine: Machine) -> Any:
    """The base model's weights in the machine's precision, with nothing to train in them yet."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if machine.precision is Precision.BFLOAT16 else torch.float32
    found: Any = AutoModelForCausalLM
    model = _loaded(found, base, {"dtype": dtype})
    if getattr(model, "is_quantized", False) and base.is_gguf:
        # The weights are ordinary ones by now; what still says that they come from a quantised file forbids training.
        model.is_quantized, model.hf_quantizer = False, None
        del model.config.quantization_config
    return model.to(machine.device.value)


def names_base(folder: Path, base: Base) -> None:
    """Makes an adapter's settings name the base as recipes do, not the place it had on this machine."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["base_model_name_or_path"] = base.name
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _loaded(kind: Any, base: Base, options: dict[str, Any]) -> Any:
    options = options | {"local_files_only": True, "trust_remote_code": False}
    try:
        if base.is_gguf:
            return kind.from_pretrained(base.path.parent, gguf_file=base.path.name, **options)
        return kind.from_pretrained(base.path, **options)
    except (ValueError, OSError, KeyError, NotImplementedError) as problem:
        raise ConfigProblem(
            f"transformers cannot load {base.name}: {problem}; name a base model of an architecture that it reads"
        ) from None
