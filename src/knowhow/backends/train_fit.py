"""Builds the trainer of trl for a plan: LoRA on every linear layer, every setting stated, rows as counted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from knowhow.backends.train_base import Machine
from knowhow.backends.train_rows import Tokens
from knowhow.errors import UsageProblem
from knowhow.types import Device, Mark, Method, Precision, TrainPlan

LOOKS = 10
"""Validations and checkpoints in a training whose plan names no number."""
_SORTED_TOGETHER = 16
"""Batches within which rows are sorted by length; more would make batches alike from epoch to epoch."""
_IGNORED = -100
"""What torch's losses take for "no target here"."""


@dataclass(frozen=True, slots=True)
class Course:
    """How many steps a training has, and how many lie between two looks."""

    steps: int
    every: int


def course(rows: int, plan: TrainPlan) -> Course:
    """Raises `UsageProblem` for a batch that cannot be divided into what is computed together."""
    if plan.batch % plan.at_once:
        raise UsageProblem(f"batch = {plan.batch} is no multiple of at_once = {plan.at_once}; change one of them")
    if plan.method is Method.KTO and plan.at_once < 2:
        raise UsageProblem("kto compares the rows computed together, so at_once must be at least 2")
    steps = max(1, ceil(rows * plan.epochs / plan.batch))
    steps = min(steps, plan.max_steps) if plan.max_steps else steps
    return Course(steps, plan.evaluate_every or max(1, steps // LOOKS))


def in_order(rows: Sequence[Tokens], plan: TrainPlan, steps: int) -> list[Tokens]:
    """The rows of every step, one after the other: each epoch drawn anew with the seed, rows of like length together
    so that little is padded.

    A training that goes on after a stop skips what it has seen. The samplers of transformers draw an order that then
    is another, so the order is made here.
    """
    found: list[Tokens] = []
    epoch = 0
    while len(found) < steps * plan.batch:
        draw = random.Random(f"{plan.seed} {epoch}")
        drawn = draw.sample(list(rows), len(rows))
        size = plan.batch * _SORTED_TOGETHER
        alike = [row for i in range(0, len(drawn), size) for row in sorted(drawn[i : i + size], key=_length)]
        batches = [alike[i : i + plan.batch] for i in range(0, len(alike), plan.batch)]
        draw.shuffle(batches)
        found += [row for batch in batches for row in batch]
        epoch += 1
    return found[: min(steps * plan.batch, max(1, round(len(rows) * plan.epochs)))]


def _length(row: Tokens) -> int:
    return row.length


def build(
    plan: TrainPlan,
    machine: Machine,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Tokens],
    validation: Sequence[Tokens],
    way: Course,
    folder: Path,
    callback: Any,
) -> Any:
    """The trainer of trl that belongs to `plan.method`, with LoRA on every linear layer but the output.

    It takes `rows` as they come, once: see `in_order`.
    """
    from peft import LoraConfig
    from transformers import PrinterCallback, ProgressCallback

    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.rank,
        lora_alpha=plan.alpha,
        use_rslora=plan.rslora,
        lora_dropout=plan.dropout,
        target_modules="all-linear",
    )
    config, trainer = _kinds(plan.method)
    built = trainer(
        model=model,
        args=config(**_settings(plan, machine, way, folder, looks=bool(validation))),
        train_dataset=_dataset(rows, plan),
        eval_dataset=_dataset(validation, plan) if validation else None,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[callback],
    )
    for printing in (PrinterCallback, ProgressCallback):
        built.remove_callback(printing)
    return built


def _kinds(method: Method) -> tuple[Any, Any]:
    """Settings and trainer of a method; the preference trainers take rows that are tokenised already as they are."""
    import trl

    if method is Method.SFT:
        return trl.SFTConfig, trl.SFTTrainer

    class Dpo(trl.DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    class Kto(trl.KTOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    return (trl.DPOConfig, Dpo) if method is Method.DPO else (trl.KTOConfig, Kto)


def _settings(plan: TrainPlan, machine: Machine, way: Course, folder: Path, *, looks: bool) -> dict[str, Any]:
    """What trl would choose by itself is stated, since its defaults are those of a large GPU."""
    half = machine.precision is Precision.BFLOAT16
    common = {
        "output_dir": str(folder),
        "use_cpu": machine.device is Device.CPU,
        "bf16": half,
        "fp16": False,
        "gradient_checkpointing": False,
        "optim": "adamw_torch",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": round(plan.warmup * way.steps),
        "max_steps": way.steps,
        "per_device_train_batch_size": plan.at_once,
        "per_device_eval_batch_size": plan.at_once,
        "gradient_accumulation_steps": plan.batch // plan.at_once,
        "seed": plan.seed,
        "data_seed": plan.seed,
        "train_sampling_strategy": "sequential",
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": way.every,
        "eval_strategy": "steps" if looks else "no",
        "eval_steps": way.every if looks else None,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": machine.device is Device.CUDA,
    }
    if plan.method is Method.SFT:
        # Rows are measured against max_tokens before; max_length would cut them, and packing mix them.
        return common | {
            "max_length": None,
            "packing": False,
            "completion_only_loss": True,
        }
    return common | {"max_length": None, "beta": plan.beta}


def _dataset(rows: Sequence[Tokens], plan: TrainPlan) -> Any:
    from datasets import Dataset

    if plan.method is Method.SFT:
        return Dataset.from_list([_completion(row) for row in rows])
    if plan.method is Method.DPO:
        return Dataset.from_list(
            [{"prompt_ids": row.prompt, "chosen_ids": row.target, "rejected_ids": row.rejected} for row in rows]
        )
    # KTO estimates how far the model has moved from replies to other prompts: those of the row before in each part
    # of a batch that is computed together (arXiv 2402.01306, section 4.1; trl pairs them in the same way).
    others = [_before(rows, i, plan.at_once) for i in range(len(rows))]
    return Dataset.from_list(
        [
            {
                "prompt_ids": row.prompt,
                "completion_ids": row.target,
                "KL_completion_ids": other.target,
                "label": row.mark is Mark.GOOD,
            }
            for row, other in zip(rows, others, strict=True)
        ]
    )


def _completion(row: Tokens) -> dict[str, list[int]]:
    """One sequence with its loss on the reply alone."""
    return {"input_ids": [*row.prompt, *row.target], "labels": [_IGNORED] * len(row.prompt) + row.target}


def _before(rows: Sequence[Tokens], i: int, together: int) -> Tokens:
    start = i - i % together
    return rows[min(start + together, len(rows)) - 1] if i == start else rows[i - 1]
