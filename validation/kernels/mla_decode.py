"""Multi-head latent attention in decoding, the key and value projections absorbed.

The cache holds one latent vector per token for all heads; its first part is key and value at once,
its second part carries the position and belongs to the key alone. A tile of the cache is loaded
once and used in both products.

References
----------
DeepSeek-AI (2024), DeepSeek-V2, arXiv:2405.04434, section 2.1 and appendix C
"""

from dataclasses import dataclass

import torch

from validation.kernels.attention import integer
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape
from validation.kernels.latent_cache import (
    TOLERANCES,
    LatentInputs,
    check_latent,
    make_latent_inputs,
    make_latent_outputs,
    reference,
)
from validation.kernels.launch import (
    LOG2_E,
    device_class,
    dot,
    multiprocessors,
    tl,
    triton,
    triton_available,
)
from validation.kernels.online_softmax import MASKED, absorb
from validation.kernels.paged_decode import load_pages
from validation.kernels.split_kv import (
    choose_splits,
    combine,
    make_parts,
    split_range,
    store_part,
)
from validation.kernels.tensor_checks import require, require_shape

LATENT_DIMS = (64, 128, 256, 512)
ROPE_DIMS = (16, 32, 64)
# Rows of one product: 16 is the least that tensor cores take.
_LEAST_ROWS = 16


@dataclass(frozen=True, slots=True)
class LatentTile:
    """How one launch is cut up.

    Parameters
    ----------
    block_m : int
        Query heads of one tile at most. [1]
    block_n : int
        Cached tokens of one tile. [tokens]
    warps, stages : int
        Warps of one program, and tiles in flight. [1]
    splits : int, optional
        Programs per sequence and tile of heads; chosen from the shapes otherwise. [1]
    """

    block_m: int
    block_n: int
    warps: int
    stages: int
    splits: int | None = None


@triton.jit
def _mla_decode(
    query, cache, block_table, lengths, parts, peaks,
    query_batch, query_token, query_head, cache_block, cache_token, table_batch,
    rows_of_all, heads, splits, scale_log2,
    new_tokens: tl.constexpr, latent_dim: tl.constexpr, rope_dim: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_tokens: tl.constexpr, paged: tl.constexpr,
):  # fmt: skip
    """Attend from a tile of heads of one sequence to one split of its latents."""
    split = tl.program_id(0)
    row_tile = tl.program_id(1)
    batch = tl.program_id(2)
    length = tl.load(lengths + batch)

    rows = row_tile * block_m + tl.arange(0, block_m)
    real = rows < new_tokens * heads
    token = rows // heads
    head = rows % heads
    latents = tl.arange(0, latent_dim)
    ropes = latent_dim + tl.arange(0, rope_dim)
    own = batch.to(tl.int64) * query_batch + token * query_token + head * query_head
    latent_query = tl.load(query + own[:, None] + latents[None, :], mask=real[:, None], other=0.0)
    rope_query = tl.load(query + own[:, None] + ropes[None, :], mask=real[:, None], other=0.0)
    positions = length - new_tokens + token

    start, stop = split_range(length, 0, split, splits, block_n)

    attended = tl.zeros([block_m, latent_dim], dtype=tl.float32)
    peak = tl.full([block_m], float("-inf"), dtype=tl.float32)
    total = tl.zeros([block_m], dtype=tl.float32)
    table = block_table + batch.to(tl.int64) * table_batch
    pages = batch.to(tl.int64)
    if paged:
        pages = load_pages(table, start, length, block_n, block_tokens)
    for first in tl.range(start, stop, block_n):
        columns = first + tl.arange(0, block_n)
        inside = columns < length
        if paged:
            tokens = pages * cache_block + columns % block_tokens * cache_token
            pages = load_pages(table, first + block_n, length, block_n, block_tokens)
        else:
            tokens = pages * cache_block + columns.to(tl.int64) * cache_token
        latent = tl.load(
            cache + tokens[:, None] + latents[None, :], mask=inside[:, None], other=0.0
        )
        rope = tl.load(cache + tokens[:, None] + ropes[None, :], mask=inside[:, None], other=0.0)

        scores = dot(latent_query, tl.trans(latent), tl.zeros([block_m, block_n], tl.float32))
        scores = dot(rope_query, tl.trans(rope), scores)
        seen = inside[None, :] & (columns[None, :] <= positions[:, None])
        scores = tl.where(seen, scores, MASKED)
        attended, peak, total = absorb(attended, peak, total, scores, latent, scale_log2)

    row = (batch * new_tokens + token) * heads + head
    store_part(parts, peaks, attended, peak, total, split, row, rows_of_all, real, latent_dim)


def tiles_for(rows: int, dtype: torch.dtype, device: torch.device) -> tuple[LatentTile, ...]:
    """Return how a launch may be cut up on a device, the default first.

    Parameters
    ----------
    rows : int
        Query heads times new tokens. [1]
    dtype : torch.dtype
        Of queries and cache.
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of LatentTile
        At least one.
    """
    kind = device_class(device)
    if kind == "interpreter":
        return (LatentTile(32, 32, 4, 1),)
    if dtype.itemsize > 2:
        return (LatentTile(16, 16, 4, 1 if kind == "small" else 2),)
    if kind == "hopper" and rows > 32:
        return LatentTile(64, 32, 8, 3), LatentTile(64, 64, 8, 2), LatentTile(32, 32, 4, 3)
    if kind == "blackwell" and rows > 32:
        # Products of 64 rows would keep a second copy of the latents on chip.
        return LatentTile(32, 32, 4, 3), LatentTile(16, 32, 4, 4)
    if kind in ("hopper", "blackwell"):
        return LatentTile(16, 32, 4, 4), LatentTile(32, 32, 4, 4), LatentTile(16, 64, 4, 3)
    if kind == "ampere" and rows > 32:
        return LatentTile(64, 32, 8, 2), LatentTile(32, 32, 4, 2), LatentTile(16, 32, 4, 3)
    if kind == "ampere":
        return LatentTile(16, 32, 4, 3), LatentTile(32, 32, 4, 2), LatentTile(16, 32, 4, 2)
    return LatentTile(16, 16, 4, 3), LatentTile(16, 32, 4, 2)


def mla_decode(
    inputs: LatentInputs, *, out: torch.Tensor | None = None, tile: LatentTile | None = None
) -> torch.Tensor:
    """Attend causally from the last tokens of each sequence to its latents.

    Parameters
    ----------
    inputs : LatentInputs
        Absorbed queries, cache, table and lengths; each length at least the new tokens.
    out : torch.Tensor, optional
        Where to write, contiguous, of the queries' dtype.
    tile : LatentTile, optional
        How to cut it up; the device's default otherwise.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, new_tokens, query_heads, latent_dim)``.

    Raises
    ------
    KernelInputError
        Shapes or dtypes do not fit.
    """
    check_latent(inputs)
    query, latent_dim = inputs.query, inputs.latent_dim
    batch, new_tokens, heads, width = query.shape
    rope_dim = width - latent_dim
    require(latent_dim in LATENT_DIMS, "latent_dim", "no tiles", latent_dim, str(LATENT_DIMS))
    require(rope_dim in ROPE_DIMS, "rope_dim", "no tiles", rope_dim, str(ROPE_DIMS))
    shape = (batch, new_tokens, heads, latent_dim)
    out = torch.empty(shape, dtype=query.dtype, device=query.device) if out is None else out
    require_shape("out", out, shape)
    require(out.is_contiguous(), "out", "not contiguous", out.stride(), "contiguous memory")
    tile = tiles_for(heads * new_tokens, query.dtype, query.device)[0] if tile is None else tile
    _launch(inputs, out, tile)
    return out


def _launch(inputs: LatentInputs, out: torch.Tensor, tile: LatentTile) -> None:
    query, cache, table = inputs.query, inputs.cache, inputs.block_table
    batch, new_tokens, heads, width = query.shape
    latent_dim, rows = inputs.latent_dim, heads * new_tokens
    block_m = min(tile.block_m, max(_LEAST_ROWS, triton.next_power_of_2(rows)))
    row_tiles = triton.cdiv(rows, block_m)
    splits = tile.splits or choose_splits(
        batch * row_tiles, triton.cdiv(inputs.longest, tile.block_n), multiprocessors(query.device)
    )
    parts = make_parts(splits, out)
    _mla_decode[(splits, row_tiles, batch)](
        query, cache, inputs.lengths if table is None else table, inputs.lengths, parts.out,
        parts.peak, *query.stride()[:3], *cache.stride()[:2],
        0 if table is None else table.stride(0), batch * rows, heads, splits,
        inputs.scale * LOG2_E,
        new_tokens=new_tokens, latent_dim=latent_dim, rope_dim=width - latent_dim,
        block_m=block_m, block_n=tile.block_n,
        block_tokens=1 if table is None else cache.shape[1], paged=table is not None,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    combine(parts, out)


def supports(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
    """Return whether the kernel takes a shape.

    Parameters
    ----------
    shape : mapping
        Shape columns of ``mla_decode``.
    dtype : torch.dtype
        Of queries and cache.
    device : torch.device
        Where it would run.

    Returns
    -------
    (bool, str)
        Yes or no, and why not.
    """
    latent_dim, rope_dim = integer(shape, "kv_lora_rank"), integer(shape, "qk_rope_head_dim")
    if latent_dim in LATENT_DIMS and rope_dim in ROPE_DIMS:
        return True, ""
    return False, f"kv_lora_rank {latent_dim} or qk_rope_head_dim {rope_dim} has no tiles"


def _candidates(inputs: LatentInputs) -> tuple[LatentTile, ...]:
    rows = inputs.query.shape[1] * inputs.query.shape[2]
    return tiles_for(rows, inputs.query.dtype, inputs.query.device)


def _run_with(inputs: LatentInputs, out: Outputs | None, candidate: LatentTile | None) -> Outputs:
    return {"out": mla_decode(inputs, out=out["out"] if out else None, tile=candidate)}


def _run(inputs: LatentInputs, out: Outputs | None = None) -> Outputs:
    return _run_with(inputs, out, None)


KERNELS = (
    Kernel(
        name="triton_mla_decode",
        kind="mla_decode",
        provider="triton",
        make_inputs=make_latent_inputs,
        make_outputs=make_latent_outputs,
        run=_run,
        reference=reference,
        tolerances=TOLERANCES,
        available=triton_available,
        supports=supports,
        candidates=_candidates,
        run_with=_run_with,
    ),
)
