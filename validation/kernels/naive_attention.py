"""Materialised attention: scores, softmax and product as separate operations.

This is attention before FlashAttention: scores and probabilities of every pair of tokens lie in
memory, so its high-water mark grows with the square of the sequence.

References
----------
vaswani-2017; dao-2022, algorithm 0
"""

from __future__ import annotations

import math

import torch

from validation.kernels.attention import (
    AttentionInputs,
    check_attention,
    make_attention_inputs,
    make_attention_outputs,
    reference,
    visible,
)
from validation.kernels.kernel import Kernel, Outputs, Tolerance
from validation.kernels.tensor_checks import require_shape

TOLERANCES = {
    torch.float32: Tolerance(
        overall=1e-5,
        row=1e-4,
        reason="fp32 throughout (unit round-off 6e-8), by a library that may split products",
    ),
    torch.float16: Tolerance(
        overall=2e-3,
        row=8e-3,
        reason="scores are rounded to fp16 (unit round-off 4.9e-4) before the exponential, which "
        "turns it into a relative error of a few times that; then probabilities and outputs",
    ),
    torch.bfloat16: Tolerance(
        overall=1.5e-2,
        row=5e-2,
        reason="scores are rounded to bf16 (unit round-off 3.9e-3) before the exponential, which "
        "turns it into a relative error of a few times that; then probabilities and outputs",
    ),
}


def naive_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    window: int | None = None,
    scale: float | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attend causally with every score in memory.

    Parameters
    ----------
    query : torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.
    key, value : torch.Tensor
        Shape ``(batch, cached_tokens + new_tokens, kv_heads, head_dim)``.
    window : int, optional
        Keys a query may see, itself included; None for all. [tokens]
    scale : float, optional
        Factor of the scores; ``head_dim ** −0.5`` by default. [1]
    out : torch.Tensor, optional
        Where to write, of the query's shape.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    check_attention(query, key, value, window)
    batch, new_tokens, query_heads, head_dim = query.shape
    keys, kv_heads = key.shape[1:3]
    group = query_heads // kv_heads
    positions = torch.arange(keys, device=query.device)
    hidden = ~visible(positions[keys - new_tokens :], positions, window)

    # The query heads of a group are rows of one product, so that keys are not copied per head.
    rows = query.transpose(1, 2).reshape(batch, kv_heads, group * new_tokens, head_dim)
    scores = (rows * (head_dim**-0.5 if scale is None else scale)) @ key.permute(0, 2, 3, 1)
    scores = scores.view(batch, kv_heads, group, new_tokens, keys).masked_fill_(hidden, -math.inf)
    weights = torch.softmax(scores, dim=-1).view(batch, kv_heads, group * new_tokens, keys)
    attended = weights @ value.transpose(1, 2)
    result = attended.view(batch, query_heads, new_tokens, head_dim).transpose(1, 2)
    if out is None:
        return result
    require_shape("out", out, tuple(query.shape))
    return out.copy_(result)


def _run(inputs: AttentionInputs, out: Outputs | None = None) -> Outputs:
    result = naive_attention(
        inputs.query,
        inputs.key,
        inputs.value,
        window=inputs.window,
        scale=inputs.scale,
        out=out["out"] if out else None,
    )
    return {"out": result}


KERNELS = (
    Kernel(
        name="naive_attention",
        kind="attention_prefill",
        provider="naive",
        make_inputs=make_attention_inputs,
        make_outputs=make_attention_outputs,
        run=_run,
        reference=reference,
        tolerances=TOLERANCES,
    ),
)
