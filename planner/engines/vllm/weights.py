"""Weights as vLLM holds them: fused, padded for its kernels, in PyTorch's blocks, with tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from planner.engines.caching_allocator import block_bytes
from planner.engines.rotary_tables import rotary_bytes
from planner.engines.version import Version
from planner.engines.vllm.versions import PADDED_EXPERTS
from planner.model import Execution, Model
from planner.model.placement import stored_tensors
from planner.model.storage import WeightScheme
from planner.model.tensor import Tensor

_FUSED = {
    "q_proj.weight": "qkv_proj", "k_proj.weight": "qkv_proj", "v_proj.weight": "qkv_proj",
    "gate_proj.weight": "gate_up_proj", "up_proj.weight": "gate_up_proj",
}  # fmt: skip
_COLUMN_STEP = 256
_ROW_STEP = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWeights:
    """What the weights of a rank take once loaded.

    Parameters
    ----------
    stored_bytes : int
        As in the checkpoint. [bytes]
    padding_bytes : int
        What kernels pad. [bytes]
    rounding_bytes : int
        What is left of the allocator's blocks. [bytes]
    rotary_bytes : int
        Tables of sines and cosines. [bytes]
    """

    stored_bytes: int
    padding_bytes: int
    rounding_bytes: int
    rotary_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it. [bytes]."""
        return self.stored_bytes + self.padding_bytes + self.rounding_bytes + self.rotary_bytes


def loaded_weights(model: Model, execution: Execution, version: Version) -> LoadedWeights:
    """Return what the weights of a rank take once loaded.

    Parameters
    ----------
    model : Model
        The model, or the pipeline stage of a rank.
    execution : Execution
        Formats and layout.
    version : Version
        Of vLLM; newer kernels pad more.

    Returns
    -------
    LoadedWeights
        Matrices that share an input stand in one block.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.

    References
    ----------
    pytorch-allocator, vllm-rotary, vllm-mxfp4

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> qwen = loaded_weights(load_model("qwen2.5-7b-instruct"), half(), Version((0, 19, 0)))
    >>> round(qwen.total_bytes / 2**30, 2)
    14.25
    """
    blocks: dict[tuple[str, str, int], int] = defaultdict(int)
    stored = execution.weights.extra_bytes
    padding = 0
    sizes: dict[tuple[Tensor, WeightScheme], tuple[int, int]] = {}
    for layer, tensor, count, scheme in stored_tensors(model, execution.weights):
        if (tensor, scheme) not in sizes:
            own = tensor.on_rank(execution.layout)
            sizes[tensor, scheme] = (
                scheme.tensor_bytes(own), _padding_bytes(own, scheme, version)
            )  # fmt: skip
        size, padded = sizes[tensor, scheme]
        stored, padding = stored + size * count, padding + padded * count
        module, _, last = tensor.name.rpartition("proj.")
        stem = f"{module}proj.{last}".rpartition(".")[0].rpartition(".")
        name = _FUSED.get(f"{stem[2]}.{last}")
        blocks[layer, f"{stem[0]}.{name}" if name else tensor.name, count] += size + padded
    rounding = sum((block_bytes(size) - size) * count for (_, _, count), size in blocks.items())
    return LoadedWeights(
        stored_bytes=stored,
        padding_bytes=padding,
        rounding_bytes=rounding,
        rotary_bytes=rotary_bytes(model, execution),
    )


def _padding_bytes(tensor: Tensor, scheme: WeightScheme, version: Version) -> int:
    """Return what kernels for mxfp4 experts pad a stack to; its scales stay as they are."""
    if len(tensor.shape) != 3 or scheme.format_of(tensor).name != "mxfp4":
        return 0
    experts, rows, columns = tensor.shape
    wide = experts * rows * _up(columns, _COLUMN_STEP)
    if version >= PADDED_EXPERTS:
        step = _COLUMN_STEP if "down" in tensor.name else 2 * _ROW_STEP
        inner = _ROW_STEP if "down" in tensor.name else _COLUMN_STEP
        wide = experts * _up(rows, step) * _up(columns, inner)
    return (wide - tensor.elements) // 2


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
