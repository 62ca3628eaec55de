"""Decode attention over a paged cache: its inputs and its equation.

The unused slots of a sequence's last page hold NaN, so that a kernel that lets one in shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from validation.kernels import attention
from validation.kernels.attention import AttentionInputs, integer, window_of
from validation.kernels.buffers import poisoned
from validation.kernels.kernel import Outputs, Shape
from validation.kernels.tensor_checks import (
    require,
    require_floating,
    require_last_axis_contiguous,
    require_shape,
)

DEFAULT_BLOCK_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedInputs:
    """Queries of new tokens, and a cache in pages that holds old and new tokens.

    Parameters
    ----------
    query : torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.
    key_cache, value_cache : torch.Tensor
        Shape ``(blocks, block_tokens, kv_heads, head_dim)``.
    block_table : torch.Tensor
        The block of each page of a sequence, shape ``(batch, pages)``, int32.
    lengths : torch.Tensor
        Tokens of each sequence, the new ones included, shape ``(batch,)``, int32. [tokens]
    longest : int
        The largest length, known without asking the device. [tokens]
    window : int or None
        Keys a query may see, itself included; None for all. [tokens]
    scale : float
        Factor of the scores. [1]
    """

    query: torch.Tensor
    key_cache: torch.Tensor
    value_cache: torch.Tensor
    block_table: torch.Tensor
    lengths: torch.Tensor
    longest: int
    window: int | None
    scale: float


def check_paged(inputs: PagedInputs) -> None:
    """Raise unless queries, cache, table and lengths go together.

    Parameters
    ----------
    inputs : PagedInputs
        The inputs.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    query, key_cache, table = inputs.query, inputs.key_cache, inputs.block_table
    require(query.dim() == 4, "query", "wrong number of axes", query.dim(), "4")
    require(key_cache.dim() == 4, "key_cache", "wrong number of axes", key_cache.dim(), "4")
    batch, new_tokens, query_heads, head_dim = query.shape
    blocks, block_tokens, kv_heads, _ = key_cache.shape
    require_shape("key_cache", key_cache, (blocks, block_tokens, kv_heads, head_dim))
    require_shape("value_cache", inputs.value_cache, tuple(key_cache.shape))
    require_floating("query and caches", query, key_cache, inputs.value_cache)
    require_last_axis_contiguous("query and caches", query, key_cache, inputs.value_cache, table)
    require_shape("lengths", inputs.lengths, (batch,))
    require(inputs.lengths.dtype == torch.int32, "lengths", "dtype", inputs.lengths.dtype, "int32")
    require(table.dtype == torch.int32, "block_table", "dtype", table.dtype, "int32")
    pages = -(-inputs.longest // block_tokens)
    fits = table.dim() == 2 and table.shape[0] == batch and table.shape[1] >= pages
    require(
        fits, "block_table", "wrong shape", tuple(table.shape), f"({batch}, {pages} or more pages)"
    )
    require(
        kv_heads > 0 and query_heads % kv_heads == 0,
        "kv_heads",
        "do not divide the query heads",
        kv_heads,
        f"a divisor of {query_heads}",
    )
    window = inputs.window
    require(
        window is None or window >= 1, "window", "out of range", window, "1 or more tokens, or None"
    )
    enough = 0 < new_tokens <= inputs.longest
    require(enough, "longest", "shorter than the new tokens", inputs.longest, f"{new_tokens} …")
    require(inputs.scale > 0, "scale", "not positive", inputs.scale, "a positive number")


def context_lengths(shape: Shape) -> list[int]:
    """Return the tokens of each sequence, new ones included.

    Parameters
    ----------
    shape : mapping
        ``batch``, ``cached_tokens``, ``new_tokens`` (1 where absent); or ``context_lengths``, one
        per sequence, in place of ``cached_tokens``.

    Returns
    -------
    list of int
        One per sequence. [tokens]

    Raises
    ------
    KernelInputError
        A sequence is shorter than its new tokens, or there are not as many as the batch.
    """
    batch, new_tokens = integer(shape, "batch"), integer(shape, "new_tokens", 1)
    given = shape.get("context_lengths")
    lengths = [integer(shape, "cached_tokens") + new_tokens] * batch if given is None else [*given]
    require(len(lengths) == batch, "context_lengths", "not one per sequence", lengths, f"{batch}")
    shortest = min(lengths)
    require(0 < new_tokens <= shortest, "context_lengths", "too short", shortest, f"{new_tokens} …")
    return lengths


def scattered_blocks(
    lengths: list[int], block_tokens: int, device: torch.device, generator: torch.Generator
) -> torch.Tensor:
    """Return a block table whose sequences lie scattered over the pool.

    Parameters
    ----------
    lengths : list of int
        Tokens of each sequence. [tokens]
    block_tokens : int
        Tokens of one block. [tokens]
    device : torch.device
        Where it lives.
    generator : torch.Generator
        Source of the order.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, pages of the longest)``, int32; every block belongs to one page at most.
    """
    pages = -(-max(lengths) // block_tokens)
    order = torch.randperm(len(lengths) * pages, generator=generator, device=device)
    return order.to(torch.int32).reshape(len(lengths), pages)


def poison_unused(
    cache: torch.Tensor, block_table: torch.Tensor, lengths: list[int], block_tokens: int
) -> None:
    """Fill the slots beyond each sequence's last token with NaN.

    Parameters
    ----------
    cache : torch.Tensor
        Shape ``(blocks, block_tokens, …)``; changed in place.
    block_table : torch.Tensor
        Shape ``(batch, pages)``.
    lengths : list of int
        Tokens of each sequence. [tokens]
    block_tokens : int
        Tokens of one block. [tokens]
    """
    for table, length in zip(block_table, lengths, strict=True):
        full, used = divmod(length, block_tokens)
        if used:
            cache[table[full].long(), used:] = float("nan")
        cache[table[full + bool(used) :].long()] = float("nan")


def make_paged_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> PagedInputs:
    """Return random queries and a random cache in scattered blocks.

    Parameters
    ----------
    shape : mapping
        ``batch, query_heads, kv_heads, head_dim, cached_tokens, window`` (none where absent);
        also ``new_tokens`` (1), ``block_tokens`` (16) and ``context_lengths``.
    dtype : torch.dtype
        Of queries and cache.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    PagedInputs
        Standard normal; unused slots are NaN.

    Raises
    ------
    KernelInputError
        The shape is incomplete or contradictory.
    """
    generator = torch.Generator(device).manual_seed(seed)
    lengths = context_lengths(shape)
    head_dim, new_tokens = integer(shape, "head_dim"), integer(shape, "new_tokens", 1)
    block_tokens = integer(shape, "block_tokens", DEFAULT_BLOCK_TOKENS)
    table = scattered_blocks(lengths, block_tokens, device, generator)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(size, dtype=dtype, device=device, generator=generator)

    cache_size = (table.numel(), block_tokens, integer(shape, "kv_heads"), head_dim)
    caches = normal(*cache_size), normal(*cache_size)
    for cache in caches:
        poison_unused(cache, table, lengths, block_tokens)
    return PagedInputs(
        query=normal(len(lengths), new_tokens, integer(shape, "query_heads"), head_dim),
        key_cache=caches[0],
        value_cache=caches[1],
        block_table=table,
        lengths=torch.tensor(lengths, dtype=torch.int32, device=device),
        longest=max(lengths),
        window=window_of(shape),
        scale=head_dim**-0.5,
    )


def make_paged_outputs(inputs: PagedInputs) -> Outputs:
    """Return a poisoned output.

    Parameters
    ----------
    inputs : PagedInputs
        The inputs.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of the queries' shape, all NaN.
    """
    query = inputs.query
    return {"out": poisoned(tuple(query.shape), query.dtype, query.device)}


def sequence_of(inputs: PagedInputs, index: int) -> AttentionInputs:
    """Return one sequence with its pages laid in a row.

    Parameters
    ----------
    inputs : PagedInputs
        A batch.
    index : int
        Which sequence. [1]

    Returns
    -------
    AttentionInputs
        A batch of one.
    """
    length = int(inputs.lengths[index])
    block_tokens = inputs.key_cache.shape[1]
    pages = inputs.block_table[index, : -(-length // block_tokens)].long()

    def gathered(cache: torch.Tensor) -> torch.Tensor:
        return cache[pages].flatten(0, 1)[None, :length]

    return AttentionInputs(
        query=inputs.query[index : index + 1],
        key=gathered(inputs.key_cache),
        value=gathered(inputs.value_cache),
        window=inputs.window,
        scale=inputs.scale,
    )


def reference(inputs: PagedInputs) -> Outputs:
    """Compute paged attention by its equation: each sequence alone, its pages laid in a row.

    Parameters
    ----------
    inputs : PagedInputs
        Queries, cache, table and lengths.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(batch, new_tokens, query_heads, head_dim)``, fp64.

    References
    ----------
    vaswani-2017; Kwon et al. (2023), arXiv:2309.06180
    """
    rows = [attention.reference(sequence_of(inputs, i))["out"] for i in range(len(inputs.lengths))]
    return {"out": torch.cat(rows)}
