"""Writes a small LoRA adapter as a GGUF file, so that adapters are tested without training one.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_ALIGN = 32
_UINT32, _FLOAT32, _STRING = 4, 6, 8


def write_lora(path: Path, architecture: str, tensors: dict[str, NDArray[np.float32]], alpha: float) -> None:
    """`tensors`: "NAME.lora_a" of shape (rank, in) and "NAME.lora_b" of shape (out, rank)."""
    pairs = [
        ("general.architecture", _STRING, architecture),
        ("general.type", _STRING, "adapter"),
        ("adapter.type", _STRING, "lora"),
        ("adapter.lora.alpha", _FLOAT32, alpha),
        ("general.alignment", _UINT32, _ALIGN),
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, kind, value in pairs:
        head += _string(key) + struct.pack("<I", kind)
        head += _string(str(value)) if kind == _STRING else struct.pack("<I" if kind == _UINT32 else "<f", value)
    data = b""
    for name, values in tensors.items():
        head += _string(name) + struct.pack("<I", values.ndim)
        head += struct.pack(f"<{values.ndim}Q", *reversed(values.shape)) + struct.pack("<IQ", 0, len(data))
        data += _padded(np.ascontiguousarray(values, dtype="<f4").tobytes())
    path.write_bytes(_padded(head) + data)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGN)
