"""llama.cpp's compute buffer: the most that the graph of one step holds at once, in fp32."""

from __future__ import annotations

from dataclasses import replace

from planner.arrays import Numeric, maximum
from planner.cost.activations import activation_peak
from planner.engines.llama_cpp.context import Context
from planner.model import Execution, Model
from planner.model.formats.number_format import FP32
from planner.model.mixers.attention import Attention

_BYTES = 4
_HALF = 2
_STREAMS = 3
_QUERIES = 2


def compute_bytes(model: Model, execution: Execution, context: Context, length: Numeric) -> Numeric:
    """Return the compute buffer of a device that holds the whole stack.

    Three moments compete: the logits of every token of a step, the scores of attention where they
    are not fused, and the widest operation of a layer. The mask and the residual stream with its
    copies stand beside each.

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
    wide = replace(execution, stream=FP32, activations=FP32)
    per_token = activation_peak(model, wide)
    tokens = context.step_tokens
    stream = _STREAMS * model.hidden * _BYTES
    logits = tokens * (model.head.vocabulary * _BYTES + stream)
    layer = tokens * (int(per_token.widest_bytes) + stream)
    return maximum(maximum(logits, layer), _attention_bytes(model, context, length))


def _attention_bytes(model: Model, context: Context, length: Numeric) -> Numeric:
    """Return the most that an attention layer holds: scores, mask, queries, keys and values."""
    most: Numeric = 0
    for _, part, _ in model.parts:
        if not isinstance(part, Attention):
            continue
        for cache in part.caches():
            cells = context.cache_cells(cache, length)
            width = part.query_heads * part.head_dim
            own = _STREAMS * model.hidden + _QUERIES * width
            own += cache.heads.units * (cache.key_dim + cache.value_dim)
            scores = _HALF if context.flash else _BYTES * (part.query_heads + 1)
            most = maximum(most, context.step_tokens * (cells * scores + own * _BYTES))
    return most
