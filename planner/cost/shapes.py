"""From shape columns to the planner's operations.

Nothing is counted here: a part of a model is built with the shape and asked what it does. Columns
that describe the step (tokens, batches, messages) may be arrays, columns that describe the part
are single numbers or text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from planner.arrays import Numeric
from planner.errors import PrecisionError, ScenarioError
from planner.model import Execution, Layout, Operation, Step
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.state_space import Mamba2
from planner.model.operation import all_reduce, elementwise, gemm
from planner.model.part import Part
from planner.model.storage import (
    BF16,
    CACHE_FORMATS,
    COMPUTE_FORMATS,
    FP16,
    FP32,
    WEIGHT_FORMATS,
    Format,
    WeightScheme,
)
from planner.model.tensor import linear

Shape = Mapping[str, Any]
Counted = tuple[str, Operation, int]
"""Layer, operation, occurrences."""


class NoModelError(ScenarioError):
    """The planner has no model of this kind of operation yet."""


_STREAMS: dict[str, Format] = {"fp32": FP32, "bf16": BF16, "fp16": FP16, "half": FP16}
# As measured → format of the weights, and of the operand they are multiplied with.
_QUANTISED: dict[str, tuple[str, Format]] = {
    "fp8": ("fp8", COMPUTE_FORMATS["fp8"]),
    "fp8_block": ("fp8_block", COMPUTE_FORMATS["fp8"]),
    "int8": ("int8", COMPUTE_FORMATS["int8"]),
    "int8_wo": ("int8", BF16),
    "int4_wo": ("int4", BF16),
    "sq": ("int8", COMPUTE_FORMATS["int8"]),
    "nvfp4": ("nvfp4", WEIGHT_FORMATS["nvfp4"]),
    "w4a16_mxfp4": ("mxfp4", BF16),
    "w4a8_mxfp4_mxfp8": ("mxfp4", COMPUTE_FORMATS["fp8"]),
}


def execution_of(dtype: str, *, kv_dtype: str | None = None, tp: int = 1) -> Execution:
    """Return the conditions under which something was measured.

    Parameters
    ----------
    dtype : str
        As in tables of operations.
    kv_dtype : str, optional
        Format of the cache; that of the stream without it.
    tp : int
        Tensor-parallel ranks. [1]

    Returns
    -------
    Execution
        Formats and layout.

    Raises
    ------
    PrecisionError
        A format is not known.

    Examples
    --------
    >>> execution_of("fp8_block").weights.name, execution_of("fp32").stream.name
    ('fp8_block', 'fp32')
    """
    known = (*_STREAMS, *_QUANTISED)
    if dtype not in known:
        raise PrecisionError("unknown dtype", where="dtype", got=dtype, allowed=", ".join(known))
    stream = _STREAMS.get(dtype, BF16)
    weights, operand = _QUANTISED.get(dtype, (stream.name, stream))
    if kv_dtype and kv_dtype not in CACHE_FORMATS:
        allowed = ", ".join(CACHE_FORMATS)
        raise PrecisionError("unknown cache", where="kv_dtype", got=kv_dtype, allowed=allowed)
    return Execution(
        weights=WeightScheme(base=stream, quantised=WEIGHT_FORMATS[weights]),
        activations=operand,
        stream=stream,
        cache=CACHE_FORMATS[kv_dtype] if kv_dtype else stream,
        layout=Layout(tp=tp),
    )


def _number(value: Any) -> Numeric:
    """A column that describes the step: an array as it is, text as a whole number."""
    return value if isinstance(value, np.ndarray) else int(value or 0)


def _one(operations: tuple[Operation, ...], kind: str) -> tuple[Counted, ...]:
    return tuple(("", operation, 1) for operation in operations if operation.kind == kind)


@contextmanager
def reading(kind: str, shape: Shape) -> Iterator[None]:
    """Tell of a column that is missing or unusable as bad input.

    Parameters
    ----------
    kind : str
        Kind of operation or of step.
    shape : mapping
        The shape columns that are read.

    Yields
    ------
    None
        While they are read.

    Raises
    ------
    ScenarioError
        Names the column, or what it holds.
    """
    try:
        yield
    except (KeyError, ValueError, TypeError) as error:
        raise ScenarioError(f"unusable shape ({error})", where=kind, got=dict(shape)) from error


def step_of(shape: Shape, *, decode: bool) -> Step:
    """Return the forward pass that a shape describes.

    Parameters
    ----------
    shape : mapping
        ``batch``, ``cached_tokens`` and, for a prefill, ``new_tokens``.
    decode : bool
        Whether each sequence makes one token, or checks ``new_tokens`` drafted ones.

    Returns
    -------
    Step
        ``cached_tokens`` are those before the new ones.

    Examples
    --------
    >>> step_of({"batch": 2, "cached_tokens": 127}, decode=True).tokens
    2
    """
    batch, cached = _number(shape["batch"]), _number(shape.get("cached_tokens", 0))
    if decode:
        new = _number(shape.get("new_tokens", 1))
        return Step(batch=batch, new_tokens=new, cached_tokens=cached, phase="decode")
    return Step.prefill(batch, _number(shape["new_tokens"]), cached)


def _gemm(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    weights = linear("weight", int(shape["n"]), int(shape["k"]))
    return (("", gemm(kind, weights, _number(shape["m"]), execution), 1),)


def _attention(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    heads, width = int(shape["query_heads"]), int(shape["head_dim"])
    window = shape.get("window")
    part = Attention(
        hidden=heads * width,
        query_heads=heads,
        kv_heads=int(shape["kv_heads"]),
        head_dim=width,
        window=int(window) if window else None,
        causal=shape.get("causal") not in (False, "False", "false", 0),
    )
    found = _one(part.operations(step_of(shape, decode=kind.endswith("decode")), execution), kind)
    if execution.activations.bits >= 16:
        return found
    precision = execution.activations.precision
    return tuple((layer, replace(op, precision=precision), n) for layer, op, n in found)


def _moe(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    """The share of one rank of ``tp · ep``: its part of each expert, its part of the experts."""
    tp, ep = int(shape.get("tp") or 1), int(shape.get("ep") or 1)
    experts, top_k = int(shape["experts"]), int(shape["top_k"])
    if top_k > experts:
        raise ScenarioError(
            "more experts per token than there are", where="top_k", got=top_k,
            allowed=f"at most {experts}",
        )  # fmt: skip
    part = MixtureOfExperts(
        hidden=int(shape["hidden"]),
        intermediate=int(shape["intermediate"]),
        experts=experts,
        top_k=top_k,
        gated=shape.get("gated") in (True, "True", "true", 1),
    )
    step = Step.prefill(1, _number(shape["tokens"]))
    return _one(part.operations(step, replace(execution, layout=Layout(tp=tp * ep, ep=ep))), kind)


def _latent(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    heads, width = int(shape["query_heads"]), int(shape["v_head_dim"])
    part = LatentAttention(
        hidden=heads * width,
        query_heads=heads,
        kv_lora_rank=int(shape["kv_lora_rank"]),
        qk_nope_head_dim=int(shape["qk_nope_head_dim"]),
        qk_rope_head_dim=int(shape["qk_rope_head_dim"]),
        v_head_dim=width,
    )
    return _one(part.operations(step_of(shape, decode=kind.endswith("decode")), execution), kind)


def _recurrent(shape: Shape) -> Part:
    """The recurrent mixer of a shape; its state is in the format named, else the part's own."""
    variant, heads = shape.get("variant"), int(shape["heads"])
    head_dim, state_dim = int(shape["head_dim"]), int(shape["state_dim"])
    groups, taps = int(shape["groups"]), int(shape.get("conv_kernel") or 4)
    hidden = int(shape.get("hidden") or heads * head_dim // 2)
    kept: dict[str, Any] = {name: shape[name] for name in ("state_format",) if shape.get(name)}
    if variant == "mamba2":
        return Mamba2(
            hidden=hidden, heads=heads, head_dim=head_dim, groups=groups, state_dim=state_dim,
            conv_kernel=taps, **kept,
        )  # fmt: skip
    if variant == "gated_delta_net":
        return GatedDeltaNet(
            hidden=hidden, key_heads=groups, value_heads=heads, key_dim=state_dim,
            value_dim=head_dim, conv_kernel=taps, **kept,
        )  # fmt: skip
    if variant == "kda":
        return KimiDeltaAttention(
            hidden=hidden, heads=heads, head_dim=head_dim, conv_kernel=taps, **kept
        )
    raise NoModelError(
        "no model of this state space yet", where="variant", got=variant,
        allowed="mamba2, gated_delta_net, kda",
    )  # fmt: skip


def _state_space(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    step = step_of(shape, decode=not kind.endswith("prefill"))
    asked = kind.replace("_verify", "_decode")
    return _one(_recurrent(shape).operations(step, execution), asked)


def _elementwise(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    """The bytes that a table gives; without them, as many columns written as read."""
    if "total_bytes" in shape:
        return _moved(kind, shape, execution)
    width = int(shape["width"])
    return (("", elementwise(kind, _number(shape["tokens"]), width, width, execution), 1),)


def _moved(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    """Half of the bytes read and half written: only their sum matters."""
    elements = _number(shape["total_bytes"]) // execution.stream_bytes
    read = elements // 2
    return (("", elementwise(kind, 1, read, elements - read, execution), 1),)


def _collective(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    if int(shape.get("nodes") or 1) > 1:
        raise NoModelError("a collective over several nodes is no single operation", where=kind)
    ranks = replace(execution, layout=Layout(tp=int(shape["ranks"])))
    elements = _number(shape["message_bytes"]) // execution.stream_bytes
    return (("", all_reduce(kind, 1, elements, ranks), 1),)


_KINDS: dict[str, Callable[[str, Shape, Execution], tuple[Counted, ...]]] = {
    "gemm": _gemm,
    "attention_prefill": _attention,
    "attention_decode": _attention,
    "mla_prefill": _latent,
    "mla_decode": _latent,
    "moe": _moe,
    "state_space_prefill": _state_space,
    "state_space_decode": _state_space,
    "short_convolution_prefill": _state_space,
    "short_convolution_decode": _state_space,
    "state_space_verify": _state_space,
    "short_convolution_verify": _state_space,
    "elementwise": _elementwise,
    "memory_copy": _moved,
    "all_reduce": _collective,
    "all_gather": _collective,
    "reduce_scatter": _collective,
    "all_to_all": _collective,
    "send_recv": _collective,
}


def operations_of(kind: str, shape: Shape, execution: Execution) -> tuple[Counted, ...]:
    """Return the planner's operations of a case.

    Parameters
    ----------
    kind : str
        Kind of operation.
    shape : mapping
        Its shape columns; cells may be text, as in a table.
    execution : Execution
        Formats.

    Returns
    -------
    tuple
        Layer, operation and occurrences.

    Raises
    ------
    NoModelError
        The planner has no model of it yet.
    ScenarioError
        A shape column is missing or unusable.

    Examples
    --------
    >>> ((_, operation, _),) = operations_of(
    ...     "gemm", {"m": 1, "n": 4096, "k": 4096}, execution_of("bf16")
    ... )
    >>> operation.flop
    33554432
    """
    if kind not in _KINDS:
        raise NoModelError("no model of this kind yet", where=kind)
    with reading(kind, shape):
        found = _KINDS[kind](kind, shape, execution)
    if not found:
        raise NoModelError("no model of this kind yet", where=kind)
    return found
