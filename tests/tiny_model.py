"""Writes a tiny random language model as a GGUF file that llama.cpp and transformers both load, in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WIDTH, HIDDEN, HEADS, KV_HEADS, BLOCKS = 32, 64, 4, 2, 2


def write_tiny(path: Path, *, seed: int = 0, template: str = TEMPLATE, architecture: str = "llama") -> Path:
    """A model of two blocks that reads bytes; its weights are drawn with `seed`."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    _vocabulary(writer)
    if template:
        writer.add_chat_template(template)
    draw = np.random.default_rng(seed)
    for name, shape in _shapes(architecture).items():
        if name.endswith("norm.weight"):
            values = np.ones(shape)
        else:
            values = draw.normal(0, 0.3 if name.endswith("bias") else 0.6 / np.sqrt(shape[-1]) * 2, shape)
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary(writer: Any) -> None:
    """GPT-2's letters for the 256 bytes, one merge, and ChatML's control tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(rest))]
    tokens = [*SPECIAL, *letters, "th"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(letters) + 1))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)


def _shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    size = 256 + len(SPECIAL) + 1
    kv = WIDTH // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (size, WIDTH), "output_norm.weight": (WIDTH,)}
    for i in range(BLOCKS):
        shapes |= {
            f"blk.{i}.attn_norm.weight": (WIDTH,),
            f"blk.{i}.ffn_norm.weight": (WIDTH,),
            f"blk.{i}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{i}.attn_k.weight": (kv, WIDTH),
            f"blk.{i}.attn_v.weight": (kv, WIDTH),
            f"blk.{i}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{i}.ffn_gate.weight": (HIDDEN, WIDTH),
            f"blk.{i}.ffn_up.weight": (HIDDEN, WIDTH),
            f"blk.{i}.ffn_down.weight": (WIDTH, HIDDEN),
        }
        if architecture == "qwen2":
            shapes |= {f"blk.{i}.attn_{one}.bias": (size,) for one, size in (("q", WIDTH), ("k", kv), ("v", kv))}
    return shapes
