"""FlexAttention, for windows: compiled on a CUDA device, unfused elsewhere."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from validation.kernels.attention import (
    ATTENTION_TOLERANCES,
    AttentionInputs,
    make_attention_inputs,
    reference,
)
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape
from validation.kernels.naive_attention import TOLERANCES as MATERIALISED_TOLERANCES

# Compiled where there is a CUDA device; the unfused form elsewhere rounds scores.
TOLERANCES = ATTENTION_TOLERANCES if torch.cuda.is_available() else MATERIALISED_TOLERANCES
# Every shape is compiled for itself. Past the library's own limit it would run unfused without a
# word, and a time would be that of another kernel.
_MOST_COMPILED_SHAPES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FlexInputs:
    """Queries, keys and values as the library wants them, and the blocks of the mask.

    Parameters
    ----------
    query, key, value : torch.Tensor
        Views of the inputs, shape ``(batch, heads, tokens, head_dim)``.
    blocks : BlockMask
        Which tiles the mask admits wholly or in part.
    source : AttentionInputs
        What they are views of.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    blocks: BlockMask
    source: AttentionInputs


def _make_inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> FlexInputs:
    source = make_attention_inputs(shape, dtype, device, seed)
    cached, window = source.cached_tokens, source.window
    new_tokens, keys = source.query.shape[1], source.key.shape[1]

    def admitted(
        batch: torch.Tensor, head: torch.Tensor, row: torch.Tensor, column: torch.Tensor
    ) -> torch.Tensor:
        distance = cached + row - column
        causal = distance >= 0
        return causal if window is None else causal & (distance < window)

    return FlexInputs(
        query=source.query.transpose(1, 2),
        key=source.key.transpose(1, 2),
        value=source.value.transpose(1, 2),
        blocks=create_block_mask(admitted, None, None, new_tokens, keys, device=device),
        source=source,
    )


@functools.cache
def _compiled() -> Callable[..., torch.Tensor]:
    import torch._dynamo

    torch._dynamo.config.recompile_limit = _MOST_COMPILED_SHAPES
    torch._dynamo.config.accumulated_recompile_limit = _MOST_COMPILED_SHAPES
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return torch.compile(flex_attention, dynamic=False)


def _attend(attend: Callable[..., torch.Tensor], inputs: FlexInputs) -> torch.Tensor:
    return attend(
        inputs.query,
        inputs.key,
        inputs.value,
        block_mask=inputs.blocks,
        scale=inputs.source.scale,
        enable_gqa=inputs.query.shape[1] != inputs.key.shape[1],
    )


def _run(inputs: FlexInputs, out: Outputs | None = None) -> Outputs:
    if inputs.query.is_cuda:
        return {"out": _attend(_compiled(), inputs).transpose(1, 2)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        return {"out": _attend(flex_attention, inputs).transpose(1, 2)}


def _reference(inputs: FlexInputs) -> Outputs:
    return reference(inputs.source)


def _no_outputs(inputs: FlexInputs) -> Outputs:
    return {}


def _available(device: torch.device) -> Answer:
    if device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_available()):
        return True, ""
    return False, f"no device {device}"


def _kernel(kind: str, name: str) -> Kernel:
    return Kernel(
        name=name,
        kind=kind,
        provider="flex",
        make_inputs=_make_inputs,
        make_outputs=_no_outputs,
        run=_run,
        reference=_reference,
        tolerances=TOLERANCES,
        available=_available,
    )


KERNELS = (
    _kernel("attention_prefill", "prefill_flex"),
    _kernel("attention_decode", "decode_flex"),
)
