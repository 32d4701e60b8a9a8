"""Trains the starter on commits and their changelog lines, and says what that took: price, speed, memory, parity.

python bench/training.py ../shared/data/ruff_changelog_style --rows 200 --out training.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from knowhow.answer import prompt
from knowhow.backends.train_base import Machine, find_base, load_model, load_tokenizer
from knowhow.backends.train_lora import LoraTrainer
from knowhow.backends.train_rows import tokenize
from knowhow.types import Context, Device, Precision, Recipe, Step, TrainPlan, TrainRow
from knowhow.types.plain import to_plain

RECIPE = Recipe(
    name="changelog",
    context=Context.NONE,
    cite=False,
    instructions="Write the line of the changelog for this commit, as the project writes them.",
)


def rows(folder: Path) -> list[TrainRow]:
    """One row for each commit, in time order."""
    lines = (folder / "pairs.jsonl").read_text("utf-8").splitlines()
    return [_row(str(i), json.loads(line)) for i, line in enumerate(lines)]


def _row(id: str, pair: dict[str, str]) -> TrainRow:
    return TrainRow(id, prompt.messages(pair["commit_subject"], (), RECIPE), pair["changelog_line"])


def whole_loss(base: str, adapter: str, looks: list[TrainRow]) -> dict[str, float]:
    """Mean loss per reply token in float32, without and with the adapter, whatever it was trained in."""
    import torch
    from peft import PeftModel

    found = find_base(base)
    tokens, _ = tokenize(looks, TrainPlan(base=base), load_tokenizer(found))
    model = PeftModel.from_pretrained(load_model(found, Machine(Device.CPU, Precision.FLOAT32, 1)), adapter).eval()

    def loss() -> float:
        total = 0.0
        with torch.no_grad():
            for one in tokens:
                logits = model(torch.tensor([one.prompt + one.target])).logits[0, len(one.prompt) - 1 : -1]
                total += float(torch.nn.functional.cross_entropy(logits, torch.tensor(one.target), reduction="sum"))
        return total / sum(len(one.target) for one in tokens)

    with model.disable_adapter():
        before = loss()
    return {"before": before, "after": loss()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--validation", type=int, default=40)
    parser.add_argument("--plan", type=json.loads, default={}, help="fields of TrainPlan as JSON")
    parser.add_argument("--base", default="local:starter")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    every = rows(given.folder)
    lessons, looks = every[: given.rows], every[given.rows : given.rows + given.validation]
    plan = TrainPlan(base=given.base, **given.plan)
    trainer = LoraTrainer()
    began = time.time()
    price = trainer.price(plan, lessons, looks)
    priced = time.time() - began
    print(price.in_words, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        training = trainer.train(plan, lessons, looks, scratch)
        while True:
            try:
                event = next(training)
            except StopIteration as done:
                trained = done.value
                break
            if not isinstance(event, Step) or event.step % 10 == 0:
                print(event, flush=True)
        began = time.time()
        parity = trainer.parity(plan.base, trained.folder, looks)
        compared = time.time() - began
        losses = whole_loss(plan.base, trained.folder, looks)
        size = {path.name: path.stat().st_size for path in Path(trained.folder).iterdir()}
    tokens = trained.counted.prompt_tokens + trained.counted.target_tokens
    report = {
        "plan": to_plain(plan),
        "price": to_plain(price) | {"took_s": priced},
        "trained": to_plain(trained),
        "tokens_per_s": tokens * trained.losses[-1][0] * plan.batch / trained.counted.rows / trained.seconds,
        "parity": to_plain(parity) | {"took_s": compared},
        "loss_float32": losses,
        "bytes": size,
    }
    text = json.dumps(report, indent=2)
    print(text) if given.out is None else given.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
