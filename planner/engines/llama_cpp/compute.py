"""llama.cpp's compute buffer: the most that the graph of one step holds at once, in fp32."""

from __future__ import annotations

from dataclasses import replace

from planner.arrays import Numeric, maximum
from planner.engines.llama_cpp.context import Context
from planner.model import Execution, Model, Step
from planner.model.formats.number_format import FP32
from planner.model.mixers.attention import Attention

_BYTES = 4
_HALF = 2
_LOGIT_STREAMS = 3
_ATTENTION_STREAMS = 3
_LAYER_STREAMS = 4
_EXPERT_STREAMS = 2
"""Copies of the residual stream beside each moment; experts bring two of their own."""
_QUERIES = 2
_TOKENS = 64


def compute_bytes(model: Model, execution: Execution, context: Context, length: Numeric) -> Numeric:
    """Return the compute buffer of a device that holds the whole stack.

    Three moments compete: the logits of every token of a step, the scores of attention where they
    are not fused, and the widest operation of a layer. Each stands beside copies of the residual
    stream, the last two beside the mask as well, which later layers need again.

    Parameters
    ----------
    model : Model
        The model.
    execution : Execution
        Formats; activations are in fp32 whatever they say.
    context : Context
        Tokens of a step, and whether attention is fused.
    length : numeric
        Longest request. [tokens]

    Returns
    -------
    numeric
        Within a few percent of what llama.cpp prints. [bytes]

    References
    ----------
    llama-cpp

    Examples
    --------
    >>> from planner import load_model
    >>> from planner.model.execution import half
    >>> round(compute_bytes(load_model("llama-3.2-1b"), half(), Context(), 4096) / 2**20)
    262
    """
    stream = model.hidden * _BYTES
    logits = model.head.vocabulary * _BYTES + _LOGIT_STREAMS * stream
    mask = context.most_cells(model, length) * (_HALF if context.flash else _BYTES)
    layer = _widest_bytes(model, execution) + mask
    most = maximum(maximum(logits, layer), _attention_bytes(model, context, length))
    return context.step_tokens * most


def _widest_bytes(model: Model, execution: Execution) -> int:
    """Return the widest operation of a layer and the streams beside it, per token."""
    wide = replace(execution, stream=FP32, activations=FP32)
    stream, most = model.hidden * _BYTES, 0
    for part in model.distinct_parts:
        for operation in part.operations(Step.prefill(1, _TOKENS), wide):
            beside = _EXPERT_STREAMS if operation.kind == "moe" else _LAYER_STREAMS
            most = max(most, int(operation.live_bytes / _TOKENS) + beside * stream)
    return most


def _attention_bytes(model: Model, context: Context, length: Numeric) -> Numeric:
    """Return the most that unfused attention holds per token: scores, mask, queries, pairs."""
    most: Numeric = 0
    for _, part, _ in model.parts:
        if context.flash or not isinstance(part, Attention):
            continue
        for cache in part.caches():
            cells = context.cache_cells(cache, length)
            own = _ATTENTION_STREAMS * model.hidden + _QUERIES * part.query_heads * part.head_dim
            own += cache.heads.units * (cache.key_dim + cache.value_dim)
            most = maximum(most, _BYTES * (cells * (part.query_heads + 1) + own))
    return most
