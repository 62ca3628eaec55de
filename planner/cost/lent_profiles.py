"""Kinds of operation that nobody measured, and the measured kind that does most alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from planner.arrays import minimum
from planner.model import Operation

LENDERS: Mapping[str, str] = {
    "index_decode": "mla_decode",
    "index_prefill": "attention_prefill",
    "compressed_attention_decode": "mla_decode",
    "compressed_attention_prefill": "mla_prefill",
}
"""The kind whose profile an operation takes: like latents, the keys of an indexer and compressed
entries are read once for all heads; scores of many new tokens are attention without values."""

WIDER = (-0.35, 0.5)
"""Logarithms by which the band of a lent profile is wider."""

Shape = Mapping[str, Any]


def lender_of(kind: str) -> str:
    """Return the kind whose profile speaks for a kind.

    Parameters
    ----------
    kind : str
        Kind of operation.

    Returns
    -------
    str
        Itself, unless its profile is lent.

    Examples
    --------
    >>> lender_of("index_decode"), lender_of("gemm")
    ('mla_decode', 'gemm')
    """
    return LENDERS.get(kind, kind)


def is_lent(operation: Operation) -> bool:
    """Return whether an operation takes the profile of another one.

    Parameters
    ----------
    operation : Operation
        The operation.

    Returns
    -------
    bool
        True for kinds of :data:`LENDERS`, and where attention reads selected tokens only: it takes
        the profile of as many tokens in a row.
    """
    return operation.kind in LENDERS or operation.shape.get("index_topk") is not None


def shape_of(operation: Operation) -> Shape:
    """Return an operation's shape as the profile that speaks for it knows shapes.

    Parameters
    ----------
    operation : Operation
        The operation.

    Returns
    -------
    mapping
        Its own, where nothing is lent.
    """
    found = _SHAPES.get(operation.kind)
    return found(operation.shape) if found else operation.shape


def _selected(shape: Shape) -> Shape:
    """Attention on the tokens that an indexer chose."""
    most = shape.get("index_topk")
    if most is None:
        return shape
    return {**shape, "cached_tokens": minimum(shape["cached_tokens"], most)}


def _indexer(shape: Shape) -> Shape:
    """One key of all heads per token, or per block of tokens."""
    return {
        **shape,
        "query_heads": shape["heads"],
        "kv_heads": 1,
        "window": None,
        "causal": True,
        "cached_tokens": shape["cached_tokens"] // shape["stride"],
    }


def _compressed(shape: Shape) -> Shape:
    """Recent tokens as they are, and those entries of the others that are chosen."""
    cached = shape["cached_tokens"]
    seen = minimum(cached, shape["window"])
    if shape["stride"]:
        entries = cached // shape["stride"]
        most = shape.get("index_topk")
        seen = seen + (entries if most is None else minimum(entries, most))
    return {**shape, "cached_tokens": seen}


_SHAPES: Mapping[str, Callable[[Shape], Shape]] = {
    "mla_decode": _selected,
    "mla_prefill": _selected,
    "index_decode": _indexer,
    "index_prefill": _indexer,
    "compressed_attention_decode": _compressed,
    "compressed_attention_prefill": _compressed,
}
