"""Writes a trained adapter as a GGUF file that llama.cpp loads, and a base model in float32 to check it.

Names and the order of rows follow llama.cpp's convert_lora_to_gguf.py and convert_hf_to_gguf.py
(https://github.com/ggml-org/llama.cpp); its server adds an adapter with the factor alpha / rank.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ConfigProblem

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PERMUTED = {"llama"}
"""Architectures whose query and key rows llama.cpp keeps in the order of the original LLaMA release: the two halves
of each head interleaved, where transformers has them one after the other."""
_PLAIN = {
    "use_dora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "bias": "none",
    "modules_to_save": None,
    "fan_in_fan_out": False,
}
"""What PEFT's settings must be for two matrices and one factor to say it all."""
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the names and the order of a base model's rows depend on."""

    architecture: str
    blocks: int
    heads: int
    kv_heads: int


def shape_of(base: Path) -> Shape:
    """The shape of a base model in GGUF."""
    from gguf import GGUFReader

    reader = GGUFReader(base)

    def value(key: str, otherwise: Any = None) -> Any:
        field = reader.get_field(key)
        return otherwise if field is None else field.contents()

    name = value("general.architecture")
    heads = value(f"{name}.attention.head_count")
    return Shape(name, value(f"{name}.block_count"), heads, value(f"{name}.attention.head_count_kv", heads))


def write_adapter(folder: Path, shape: Shape, out: Path) -> None:
    """Writes the PEFT adapter in `folder` as a GGUF adapter of a base model of `shape`.

    Raises `ConfigProblem` for an adapter that says more than LoRA matrices and one factor, or that changes what
    llama.cpp's adapters cannot.
    """
    from gguf import GGUFWriter
    from safetensors.numpy import load_file

    config = json.loads((folder / CONFIG).read_text("utf-8"))
    odd = [name for name, plain in _PLAIN.items() if (config.get(name) or plain) != plain]
    if odd:
        raise ConfigProblem(f"{folder} sets {', '.join(odd)}, which GGUF adapters do not have; train without")
    writer = GGUFWriter(out, shape.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", folded_alpha(config["r"], config["lora_alpha"], config["use_rslora"]))
    for name, matrix in sorted(_tensors(load_file(folder / WEIGHTS), shape).items()):
        writer.add_tensor(name, np.ascontiguousarray(matrix, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def folded_alpha(rank: int, alpha: float, rslora: bool) -> float:
    """The alpha with which alpha / rank is the adapter's factor; rsLoRA's is alpha / √rank (arXiv 2312.03732)."""
    return float(alpha * math.sqrt(rank)) if rslora else float(alpha)


def interleaved(matrix: Matrix, heads: int) -> Matrix:
    """Rows of `matrix` (heads x size, …) with the two halves of each head interleaved."""
    half = matrix.shape[0] // heads // 2
    rest = matrix.shape[1:]
    return matrix.reshape(heads, 2, half, *rest).swapaxes(1, 2).reshape(matrix.shape)


def write_whole(base: Path, out: Path) -> None:
    """Writes the model in `base` with every weight in float32: what a quantised file means, number for number."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
    from gguf.quants import dequantize

    reader = GGUFReader(base)
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(out, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    writer.add_file_type(LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor_info(tensor.name, _whole_shape(tensor), np.dtype(np.float32), 4 * int(tensor.n_elements))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        whole = dequantize(tensor.data, tensor.tensor_type).reshape(_whole_shape(tensor))
        writer.write_tensor_data(np.ascontiguousarray(whole, dtype=np.float32))
    writer.close()


def _whole_shape(tensor: Any) -> tuple[int, ...]:
    """GGUF counts dimensions from the fastest, numpy from the slowest."""
    return tuple(int(size) for size in reversed(tensor.shape))


def _tensors(weights: dict[str, Matrix], shape: Shape) -> dict[str, Matrix]:
    """llama.cpp's names and rows for PEFT's."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architecture = next((one for one, name in MODEL_ARCH_NAMES.items() if name == shape.architecture), None)
    if architecture is None:
        raise ConfigProblem(f"the gguf package does not know {shape.architecture} models; pip install -U gguf")
    names = get_tensor_name_map(architecture, shape.blocks)
    found = {}
    for key, matrix in weights.items():
        match = _KEY.fullmatch(key)
        name = names.get_name(f"{match['module']}.weight", try_suffixes=(".weight",)) if match else None
        if match is None or name is None:
            raise ConfigProblem(f"the adapter changes {key}, which has no name in llama.cpp's {shape.architecture}")
        if match["side"] == "B" and shape.architecture in _PERMUTED:
            if match["module"].endswith(".q_proj"):
                matrix = interleaved(matrix, shape.heads)
            elif match["module"].endswith(".k_proj"):
                matrix = interleaved(matrix, shape.kv_heads)
        found[f"{name}.lora_{match['side'].lower()}"] = matrix
    return found
