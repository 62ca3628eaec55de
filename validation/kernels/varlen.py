"""The library's variable-length flash attention: windows and cached prefixes, and paged decoding.

Needs a CUDA device, and for pages a PyTorch whose ``varlen_attn`` takes a block table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch

from validation.kernels import attention, paged_cache
from validation.kernels.attention import AttentionInputs, make_attention_inputs
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape
from validation.kernels.paged_cache import PagedInputs, make_paged_inputs

TOLERANCES = {
    dtype: attention.ATTENTION_TOLERANCES[dtype] for dtype in (torch.bfloat16, torch.float16)
}
# The least that the library's paged kernel takes.
_BLOCK_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class VarlenInputs:
    """A batch laid end to end.

    Parameters
    ----------
    query : torch.Tensor
        Shape ``(batch · new_tokens, query_heads, head_dim)``.
    key, value : torch.Tensor
        Shape ``(batch · keys, kv_heads, head_dim)``, or a cache in pages.
    query_starts, key_starts : torch.Tensor or None
        Where each sequence starts, shape ``(batch + 1,)``, int32; None for keys in pages.
    most_keys : int
        Keys of the longest sequence. [tokens]
    source : AttentionInputs or PagedInputs
        What they are views of.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    query_starts: torch.Tensor
    key_starts: torch.Tensor | None
    most_keys: int
    source: AttentionInputs | PagedInputs


def _starts(batch: int, tokens: int, device: torch.device) -> torch.Tensor:
    return tokens * torch.arange(batch + 1, dtype=torch.int32, device=device)


def _make_prefill(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> VarlenInputs:
    source = make_attention_inputs(shape, dtype, device, seed)
    batch, new_tokens = source.query.shape[:2]
    keys = source.key.shape[1]
    return VarlenInputs(
        query=source.query.flatten(0, 1),
        key=source.key.flatten(0, 1),
        value=source.value.flatten(0, 1),
        query_starts=_starts(batch, new_tokens, device),
        key_starts=_starts(batch, keys, device),
        most_keys=keys,
        source=source,
    )


def _make_decode(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> VarlenInputs:
    source = make_paged_inputs({**shape, "block_tokens": _BLOCK_TOKENS}, dtype, device, seed)
    batch, new_tokens = source.query.shape[:2]
    # The library weighs unused slots by zero, which NaN would survive.
    for cache in (source.key_cache, source.value_cache):
        cache.nan_to_num_(nan=0.0)
    return VarlenInputs(
        query=source.query.flatten(0, 1),
        key=source.key_cache,
        value=source.value_cache,
        query_starts=_starts(batch, new_tokens, device),
        key_starts=None,
        most_keys=source.longest,
        source=source,
    )


def _run(inputs: VarlenInputs, out: Outputs | None = None) -> Outputs:
    from torch.nn.attention.varlen import varlen_attn

    source = inputs.source
    paged = {}
    if isinstance(source, PagedInputs):
        paged = {"seqused_k": source.lengths, "block_table": source.block_table}
    attended = varlen_attn(
        inputs.query,
        inputs.key,
        inputs.value,
        inputs.query_starts,
        inputs.key_starts,
        source.query.shape[1],
        inputs.most_keys,
        scale=source.scale,
        # The library counts the keys to the left of the query, without itself.
        window_size=(-1 if source.window is None else source.window - 1, 0),
        enable_gqa=inputs.query.shape[1] != inputs.key.shape[-2],
        **paged,
    )
    return {"out": attended.view(source.query.shape)}


def _reference(inputs: VarlenInputs) -> Outputs:
    if isinstance(inputs.source, PagedInputs):
        return paged_cache.reference(inputs.source)
    return attention.reference(inputs.source)


def _no_outputs(inputs: VarlenInputs) -> Outputs:
    return {}


def _available(needs: tuple[str, ...]) -> Callable[[torch.device], Answer]:
    def available(device: torch.device) -> Answer:
        if device.type != "cuda" or not torch.cuda.is_available():
            return False, "variable-length flash attention needs a CUDA device"
        try:
            from torch.nn.attention.varlen import varlen_attn
        except ImportError:
            return False, f"PyTorch {torch.__version__} has no varlen_attn"
        missing = [each for each in needs if each not in inspect.signature(varlen_attn).parameters]
        if missing:
            return False, f"varlen_attn of PyTorch {torch.__version__} takes no {missing[0]}"
        return True, ""

    return available


KERNELS = (
    Kernel(
        name="prefill_varlen_flash",
        kind="attention_prefill",
        provider="varlen_flash",
        make_inputs=_make_prefill,
        make_outputs=_no_outputs,
        run=_run,
        reference=_reference,
        tolerances=TOLERANCES,
        available=_available(("window_size", "enable_gqa")),
    ),
    Kernel(
        name="decode_varlen_flash",
        kind="attention_decode",
        provider="varlen_flash",
        make_inputs=_make_decode,
        make_outputs=_no_outputs,
        run=_run,
        reference=_reference,
        tolerances=TOLERANCES,
        available=_available(("window_size", "enable_gqa", "block_table", "seqused_k")),
    ),
)
