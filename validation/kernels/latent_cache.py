"""Absorbed latent attention over a cache in pages or in a row: its inputs and its equation.

The unused slots of a sequence's last page hold NaN, so that a kernel that lets one in shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from validation.kernels.attention import ATTENTION_TOLERANCES, integer, visible
from validation.kernels.buffers import poisoned
from validation.kernels.kernel import Outputs, Shape
from validation.kernels.paged_cache import context_lengths, poison_unused, scattered_blocks
from validation.kernels.tensor_checks import (
    require,
    require_floating,
    require_last_axis_contiguous,
    require_shape,
)

# The same rounding as in attention with separate values: the latent is both.
TOLERANCES = ATTENTION_TOLERANCES
DEFAULT_BLOCK_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentInputs:
    """Absorbed queries of new tokens and a cache of latents that holds old and new tokens.

    Parameters
    ----------
    query : torch.Tensor
        Shape ``(batch, new_tokens, query_heads, latent_dim + rope_dim)``: the query through the
        key projection, then its rotated part.
    cache : torch.Tensor
        Shape ``(blocks, block_tokens, latent_dim + rope_dim)`` with a table, otherwise
        ``(batch, tokens, latent_dim + rope_dim)``.
    block_table : torch.Tensor or None
        The block of each page of a sequence, shape ``(batch, pages)``, int32.
    lengths : torch.Tensor
        Tokens of each sequence, the new ones included, shape ``(batch,)``, int32. [tokens]
    longest : int
        The largest length, known without asking the device. [tokens]
    latent_dim : int
        The part of the latent that is value too. [elements]
    scale : float
        Factor of the scores. [1]
    """

    query: torch.Tensor
    cache: torch.Tensor
    block_table: torch.Tensor | None
    lengths: torch.Tensor
    longest: int
    latent_dim: int
    scale: float


def check_latent(inputs: LatentInputs) -> None:
    """Raise unless queries, cache, table and lengths go together.

    Parameters
    ----------
    inputs : LatentInputs
        The inputs.

    Raises
    ------
    KernelInputError
        Shapes or dtypes do not fit.
    """
    query, cache, table = inputs.query, inputs.cache, inputs.block_table
    require(query.dim() == 4, "query", "wrong number of axes", query.dim(), "4")
    require(cache.dim() == 3, "cache", "wrong number of axes", cache.dim(), "3")
    batch, new_tokens, _, width = query.shape
    require(cache.shape[2] == width, "cache", "wrong width", cache.shape[2], f"{width}")
    require_floating("query, cache", query, cache)
    require_last_axis_contiguous("query, cache", query, cache)
    require_shape("lengths", inputs.lengths, (batch,))
    require(inputs.lengths.dtype == torch.int32, "lengths", "dtype", inputs.lengths.dtype, "int32")
    if table is None:
        fits = cache.shape[0] == batch and cache.shape[1] >= inputs.longest
        allowed = f"({batch}, {inputs.longest} or more, {width}) without a table"
        require(fits, "cache", "wrong shape", tuple(cache.shape), allowed)
    else:
        pages = -(-inputs.longest // cache.shape[1])
        fits = table.dim() == 2 and table.shape[0] == batch and table.shape[1] >= pages
        allowed = f"({batch}, {pages} or more pages)"
        require(fits, "block_table", "wrong shape", tuple(table.shape), allowed)
        require(table.dtype == torch.int32, "block_table", "dtype", table.dtype, "int32")
    enough = 0 < new_tokens <= inputs.longest
    require(enough, "longest", "shorter than the new tokens", inputs.longest, f"{new_tokens} …")
    require(inputs.scale > 0, "scale", "not positive", inputs.scale, "a positive number")


def make_latent_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> LatentInputs:
    """Return random absorbed queries and a random cache of latents.

    Parameters
    ----------
    shape : mapping
        ``batch, query_heads, kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim, cached_tokens``;
        also ``new_tokens`` (1), ``block_tokens`` (64; 0 lays each sequence in a row) and
        ``context_lengths``.
    dtype : torch.dtype
        Of queries and cache.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    LatentInputs
        The latent is standard normal and the queries are scaled so that scores are too; unused
        slots are NaN.

    Raises
    ------
    KernelInputError
        The shape is incomplete or contradictory.
    """
    generator = torch.Generator(device).manual_seed(seed)
    lengths = context_lengths(shape)
    latent_dim, rope_dim = integer(shape, "kv_lora_rank"), integer(shape, "qk_rope_head_dim")
    width = latent_dim + rope_dim
    scale = (integer(shape, "qk_nope_head_dim", 128) + rope_dim) ** -0.5
    block_tokens = integer(shape, "block_tokens", DEFAULT_BLOCK_TOKENS)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(size, dtype=dtype, device=device, generator=generator)

    if block_tokens:
        table = scattered_blocks(lengths, block_tokens, device, generator)
        cache = normal(table.numel(), block_tokens, width)
        poison_unused(cache, table, lengths, block_tokens)
    else:
        table = None
        cache = normal(len(lengths), max(lengths), width)
        for sequence, length in zip(cache, lengths, strict=True):
            sequence[length:] = float("nan")
    heads, new_tokens = integer(shape, "query_heads"), integer(shape, "new_tokens", 1)
    return LatentInputs(
        query=normal(len(lengths), new_tokens, heads, width) / (scale * math.sqrt(width)),
        cache=cache,
        block_table=table,
        lengths=torch.tensor(lengths, dtype=torch.int32, device=device),
        longest=max(lengths),
        latent_dim=latent_dim,
        scale=scale,
    )


def make_latent_outputs(inputs: LatentInputs) -> Outputs:
    """Return a poisoned output.

    Parameters
    ----------
    inputs : LatentInputs
        The inputs.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(batch, new_tokens, query_heads, latent_dim)``, all NaN.
    """
    query = inputs.query
    return {"out": poisoned((*query.shape[:3], inputs.latent_dim), query.dtype, query.device)}


def latents_of(inputs: LatentInputs, index: int) -> torch.Tensor:
    """Return the latents of one sequence in a row.

    Parameters
    ----------
    inputs : LatentInputs
        A batch.
    index : int
        Which sequence. [1]

    Returns
    -------
    torch.Tensor
        Shape ``(tokens, latent_dim + rope_dim)``.
    """
    length = int(inputs.lengths[index])
    if inputs.block_table is None:
        return inputs.cache[index, :length]
    pages = inputs.block_table[index, : -(-length // inputs.cache.shape[1])].long()
    return inputs.cache[pages].flatten(0, 1)[:length]


def reference(inputs: LatentInputs) -> Outputs:
    r"""Compute absorbed latent attention by its equation, in double precision.

    .. math::
        o_h = \sum_j \mathrm{softmax}_j(\text{scale} \cdot q_h \cdot [c_j; r_j]) \, c_j

    Parameters
    ----------
    inputs : LatentInputs
        Queries, cache, table and lengths.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(batch, new_tokens, query_heads, latent_dim)``, fp64.

    References
    ----------
    DeepSeek-AI (2024), DeepSeek-V2, arXiv:2405.04434, section 2.1 and appendix C
    """
    rows = []
    for index in range(len(inputs.lengths)):
        latents = latents_of(inputs, index).double()
        query = inputs.query[index].double().transpose(0, 1)
        scores = inputs.scale * (query @ latents.T)
        positions = torch.arange(len(latents), device=latents.device)
        mask = visible(positions[len(latents) - query.shape[1] :], positions, None)
        weights = torch.softmax(scores.masked_fill(~mask, -math.inf), dim=-1)
        rows.append((weights @ latents[:, : inputs.latent_dim]).transpose(0, 1))
    return {"out": torch.stack(rows)}
