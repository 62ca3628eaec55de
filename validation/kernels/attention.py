"""Causal attention over keys in a row: its inputs, its equation, its tolerances.

Flash prefill, materialised attention and the library's kernels all take these inputs and are held
to this reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from validation.kernels.buffers import poisoned
from validation.kernels.kernel import Outputs, Shape, Tolerance
from validation.kernels.tensor_checks import require, require_floating, require_shape

ATTENTION_TOLERANCES = {
    torch.float32: Tolerance(
        overall=2e-6,
        row=1e-5,
        reason="fp32 throughout (unit round-off 6e-8); exponentials and sums over thousands of "
        "keys in another order",
    ),
    torch.float16: Tolerance(
        overall=5e-4,
        row=1.5e-3,
        reason="probabilities and outputs are rounded to fp16 (unit round-off 4.9e-4), scores and "
        "sums stay fp32",
    ),
    torch.bfloat16: Tolerance(
        overall=4e-3,
        row=1e-2,
        reason="probabilities and outputs are rounded to bf16 (unit round-off 3.9e-3), scores and "
        "sums stay fp32",
    ),
}

# Scores of one chunk of queries, all heads, in double precision: 512 MiB.
_REFERENCE_SCORES = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionInputs:
    """Queries of new tokens, and keys and values of cached and new tokens.

    Parameters
    ----------
    query : torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.
    key, value : torch.Tensor
        Shape ``(batch, cached_tokens + new_tokens, kv_heads, head_dim)``.
    window : int or None
        Keys a query may see, itself included; None for all. [tokens]
    scale : float
        Factor of the scores. [1]
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    window: int | None
    scale: float

    @property
    def cached_tokens(self) -> int:
        """Keys before the first query. [tokens]."""
        return self.key.shape[1] - self.query.shape[1]


def check_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int | None
) -> None:
    """Raise unless queries, keys and values go together.

    Parameters
    ----------
    query, key, value : torch.Tensor
        As in :class:`AttentionInputs`.
    window : int or None
        Keys a query may see, itself included. [tokens]

    Raises
    ------
    KernelInputError
        Shapes, dtypes, heads or window do not fit.
    """
    require(query.dim() == 4, "query", "wrong number of axes", query.dim(), "4")
    require(key.dim() == 4, "key", "wrong number of axes", key.dim(), "4")
    batch, new_tokens, query_heads, head_dim = query.shape
    keys, kv_heads = key.shape[1:3]
    require_shape("key", key, (batch, keys, kv_heads, head_dim))
    require_shape("value", value, tuple(key.shape))
    require_floating("query, key, value", query, key, value)
    require(new_tokens > 0, "query", "no new token", new_tokens, "1 or more")
    require(
        keys >= new_tokens,
        "key",
        "fewer keys than queries",
        keys,
        f"{new_tokens} or more (cached and new tokens)",
    )
    require(
        kv_heads > 0 and query_heads % kv_heads == 0,
        "kv_heads",
        "do not divide the query heads",
        kv_heads,
        f"a divisor of {query_heads}",
    )
    require(
        window is None or window >= 1, "window", "out of range", window, "1 or more tokens, or None"
    )


def integer(shape: Shape, column: str, default: int | None = None) -> int:
    """Return a shape column as an integer.

    Parameters
    ----------
    shape : mapping
        Shape columns; a table read from a file may hold floats.
    column : str
        Which one.
    default : int, optional
        What an absent or empty column means; None makes it obligatory.

    Returns
    -------
    int
        Its value.

    Raises
    ------
    KernelInputError
        It is absent, not a whole number, or negative.
    """
    value = shape.get(column)
    if value is None or value == "":
        require(default is not None, column, "missing in the shape", sorted(shape), "a number")
        return int(default or 0)
    number = float(value)
    require(
        math.isfinite(number) and number == int(number) and number >= 0,
        column,
        "not a whole number",
        value,
        "0, 1, 2, …",
    )
    return int(number)


def window_of(shape: Shape) -> int | None:
    """Return the window column: None where it is absent or empty.

    Parameters
    ----------
    shape : mapping
        Shape columns.

    Returns
    -------
    int or None
        Keys a query may see, itself included. [tokens]

    Raises
    ------
    KernelInputError
        It is not a whole number.
    """
    given = shape.get("window")
    return None if given is None or given == "" else integer(shape, "window")


def make_attention_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> AttentionInputs:
    """Return random queries, keys and values.

    Parameters
    ----------
    shape : mapping
        ``batch, query_heads, kv_heads, head_dim, new_tokens`` (1 where absent), ``cached_tokens``
        (0 where absent), ``window`` (none where absent).
    dtype : torch.dtype
        Of all three.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    AttentionInputs
        Standard normal, so that scores are standard normal too and no key dominates.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    generator = torch.Generator(device).manual_seed(seed)
    batch, query_heads = integer(shape, "batch"), integer(shape, "query_heads")
    kv_heads, head_dim = integer(shape, "kv_heads"), integer(shape, "head_dim")
    new_tokens, cached = integer(shape, "new_tokens", 1), integer(shape, "cached_tokens", 0)

    def normal(tokens: int, heads: int) -> torch.Tensor:
        size = (batch, tokens, heads, head_dim)
        return torch.randn(size, dtype=dtype, device=device, generator=generator)

    return AttentionInputs(
        query=normal(new_tokens, query_heads),
        key=normal(cached + new_tokens, kv_heads),
        value=normal(cached + new_tokens, kv_heads),
        window=window_of(shape),
        scale=head_dim**-0.5,
    )


def make_attention_outputs(inputs: AttentionInputs) -> Outputs:
    """Return a poisoned output.

    Parameters
    ----------
    inputs : AttentionInputs
        The inputs.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of the queries' shape, all NaN.
    """
    query = inputs.query
    return {"out": poisoned(tuple(query.shape), query.dtype, query.device)}


def visible(queries: torch.Tensor, keys: torch.Tensor, window: int | None) -> torch.Tensor:
    """Return which keys a causal mask with a window admits.

    Parameters
    ----------
    queries, keys : torch.Tensor
        Positions in the sequence, of shapes ``(q,)`` and ``(k,)``. [tokens]
    window : int or None
        Keys a query may see, itself included. [tokens]

    Returns
    -------
    torch.Tensor
        Booleans of shape ``(q, k)``: ``key ≤ query`` and ``key > query − window``.
    """
    distance = queries[:, None] - keys[None, :]
    mask = distance >= 0
    return mask if window is None else mask & (distance < window)


def reference(inputs: AttentionInputs) -> Outputs:
    r"""Compute attention by its equation, in double precision.

    .. math::
        o_i = \sum_j \frac{e^{s_{ij}}}{\sum_{j'} e^{s_{ij'}}} v_j, \quad
        s_{ij} = \text{scale} \cdot q_i \cdot k_j, \quad p_i - W < j \le p_i, \; p_i = C + i

    Parameters
    ----------
    inputs : AttentionInputs
        Queries, keys, values.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(batch, new_tokens, query_heads, head_dim)``, fp64.

    References
    ----------
    vaswani-2017, ainslie-2023, jiang-2023
    """
    batch, new_tokens, query_heads, _ = inputs.query.shape
    keys, kv_heads = inputs.key.shape[1:3]
    positions = torch.arange(keys, device=inputs.query.device)
    out = torch.empty(inputs.query.shape, dtype=torch.float64, device=inputs.query.device)
    rows = max(1, _REFERENCE_SCORES // (query_heads * keys))
    for sequence in range(batch):
        # (kv_heads, 1, keys, head_dim): every query head of a group sees the same keys.
        key = inputs.key[sequence].double().transpose(0, 1)[:, None]
        value = inputs.value[sequence].double().transpose(0, 1)[:, None]
        for first in range(0, new_tokens, rows):
            part = slice(first, min(first + rows, new_tokens))
            query = inputs.query[sequence, part].double().transpose(0, 1)
            grouped = query.reshape(kv_heads, query_heads // kv_heads, *query.shape[1:])
            scores = inputs.scale * (grouped @ key.transpose(-1, -2))
            mask = visible(positions[inputs.cached_tokens :][part], positions, inputs.window)
            scores = scores.masked_fill(~mask, -math.inf)
            attended = torch.softmax(scores, dim=-1) @ value
            out[sequence, part] = attended.reshape(query.shape).transpose(0, 1)
    return {"out": out}
