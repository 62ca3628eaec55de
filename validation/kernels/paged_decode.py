"""Decode attention over a paged cache, the keys of a sequence split over programs.

The query heads that share a KV head, and the few new tokens of a sequence, are the rows of one
matrix product, so that the cache is read once for all of them.

References
----------
Kwon et al. (2023), Efficient memory management for LLM serving with PagedAttention,
arXiv:2309.06180; Dao, Haziza, Massa and Sizov (2023), Flash-Decoding for long-context inference
"""

from dataclasses import dataclass

import torch

from validation.kernels.attention import ATTENTION_TOLERANCES
from validation.kernels.flash_prefill import HEAD_DIMS, supports
from validation.kernels.kernel import Kernel, Outputs
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
from validation.kernels.paged_cache import (
    PagedInputs,
    check_paged,
    make_paged_inputs,
    make_paged_outputs,
    reference,
)
from validation.kernels.split_kv import (
    choose_splits,
    combine,
    make_parts,
    split_range,
    store_part,
)
from validation.kernels.tensor_checks import require, require_shape

TOLERANCES = ATTENTION_TOLERANCES
# Rows of one product: 16 is the least that tensor cores take.
_LEAST_ROWS = 16
_MOST_ROWS = 64
# Programs whose tiles in flight one multiprocessor holds at once.
_RESIDENT_PROGRAMS = 2


@dataclass(frozen=True, slots=True)
class DecodeTile:
    """How one launch is cut up.

    Parameters
    ----------
    block_n : int
        Keys of one tile. [tokens]
    warps, stages : int
        Warps of one program, and tiles in flight. [1]
    splits : int, optional
        Programs per sequence and head; chosen from the shapes otherwise. [1]
    """

    block_n: int
    warps: int
    stages: int
    splits: int | None = None


@triton.jit
def load_pages(table, first, length, block_n: tl.constexpr, block_tokens: tl.constexpr):
    """Load the blocks that hold a tile of tokens: one where a tile lies within a block."""
    if block_tokens % block_n == 0:
        pages = tl.load(table + first // block_tokens, mask=first < length, other=0)
    else:
        columns = first + tl.arange(0, block_n)
        pages = tl.load(table + columns // block_tokens, mask=columns < length, other=0)
    return pages.to(tl.int64)


@triton.jit
def _paged_decode(
    query, key_cache, value_cache, block_table, lengths, parts, peaks,
    query_batch, query_token, query_head, key_block, key_token, key_head,
    value_block, value_token, value_head, table_batch, rows_of_all, kv_heads, splits, window,
    scale_log2,
    group: tl.constexpr, new_tokens: tl.constexpr, head_dim: tl.constexpr, block_m: tl.constexpr,
    block_n: tl.constexpr, block_tokens: tl.constexpr, windowed: tl.constexpr,
):  # fmt: skip
    """Attend from the rows of one KV head of one sequence to one split of its keys."""
    split = tl.program_id(0)
    kv_head = tl.program_id(1) % kv_heads
    row_tile = tl.program_id(1) // kv_heads
    batch = tl.program_id(2)
    length = tl.load(lengths + batch)

    rows = row_tile * block_m + tl.arange(0, block_m)
    real = rows < new_tokens * group
    token = rows // group
    head = kv_head * group + rows % group
    dims = tl.arange(0, head_dim)
    own = batch.to(tl.int64) * query_batch + token * query_token + head * query_head
    queries = tl.load(query + own[:, None] + dims[None, :], mask=real[:, None], other=0.0)
    positions = length - new_tokens + token

    oldest = 0
    if windowed:
        oldest = tl.maximum(length - new_tokens + 1 - window, 0)
    start, stop = split_range(length, oldest, split, splits, block_n)

    attended = tl.zeros([block_m, head_dim], dtype=tl.float32)
    peak = tl.full([block_m], float("-inf"), dtype=tl.float32)
    total = tl.zeros([block_m], dtype=tl.float32)
    # One loop with masks: a split is a few tiles, and leaving the loop would drain the pipeline
    # for longer than the comparisons take. The pages of the next tile are fetched one round ahead,
    # so that the loads of keys and values wait for no other load and can be queued in depth.
    table = block_table + batch.to(tl.int64) * table_batch
    pages = load_pages(table, start, length, block_n, block_tokens)
    for first in tl.range(start, stop, block_n):
        columns = first + tl.arange(0, block_n)
        inside = (columns >= oldest) & (columns < length)
        slots = columns % block_tokens
        key_rows = pages * key_block + slots * key_token
        value_rows = pages * value_block + slots * value_token
        pages = load_pages(table, first + block_n, length, block_n, block_tokens)
        place = key_rows[:, None] + kv_head * key_head + dims[None, :]
        key = tl.load(key_cache + place, mask=inside[:, None], other=0.0)
        place = value_rows[:, None] + kv_head * value_head + dims[None, :]
        value = tl.load(value_cache + place, mask=inside[:, None], other=0.0)

        scores = dot(queries, tl.trans(key), tl.zeros([block_m, block_n], dtype=tl.float32))
        seen = inside[None, :] & (columns[None, :] <= positions[:, None])
        if windowed:
            seen = seen & (columns[None, :] > positions[:, None] - window)
        scores = tl.where(seen, scores, MASKED)
        attended, peak, total = absorb(attended, peak, total, scores, value, scale_log2)

    row = (batch * new_tokens + token) * kv_heads * group + head
    store_part(parts, peaks, attended, peak, total, split, row, rows_of_all, real, head_dim)


def tiles_for(head_dim: int, dtype: torch.dtype, device: torch.device) -> tuple[DecodeTile, ...]:
    """Return how a launch may be cut up on a device, the default first.

    Parameters
    ----------
    head_dim : int
        Width of one head. [elements]
    dtype : torch.dtype
        Of queries and cache.
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of DecodeTile
        Two programs of the default fit a multiprocessor's shared memory.
    """
    # A tile of keys is 16 KiB whatever the width and dtype.
    block_n = max(16, min(128, 16384 // (max(64, head_dim) * dtype.itemsize)))
    half = max(16, block_n // 2)
    kind = device_class(device)
    if kind == "interpreter":
        return (DecodeTile(block_n, 4, 1),)
    if kind in ("hopper", "blackwell"):
        return (
            DecodeTile(block_n, 4, 4),
            DecodeTile(block_n, 4, 3),
            DecodeTile(half, 4, 4),
            DecodeTile(half, 4, 6),
            DecodeTile(block_n, 8, 4),
        )
    if kind == "ampere":
        return (
            DecodeTile(block_n, 4, 3),
            DecodeTile(half, 4, 4),
            DecodeTile(block_n, 4, 2),
            DecodeTile(half, 4, 6),
        )
    return DecodeTile(half, 4, 3), DecodeTile(half, 4, 2)


def paged_decode(
    inputs: PagedInputs, *, out: torch.Tensor | None = None, tile: DecodeTile | None = None
) -> torch.Tensor:
    """Attend causally from the last tokens of each sequence to its pages.

    Parameters
    ----------
    inputs : PagedInputs
        Queries, cache, table and lengths; each length at least the new tokens.
    out : torch.Tensor, optional
        Where to write, contiguous, of the query's shape and dtype.
    tile : DecodeTile, optional
        How to cut it up; the device's default otherwise.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    check_paged(inputs)
    query = inputs.query
    head_dim = query.shape[-1]
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device) if out is None else out
    require(head_dim in HEAD_DIMS, "head_dim", "no tiles for it", head_dim, str(HEAD_DIMS))
    require_shape("out", out, tuple(query.shape))
    require(out.is_contiguous(), "out", "not contiguous", out.stride(), "contiguous memory")
    tile = tiles_for(head_dim, query.dtype, query.device)[0] if tile is None else tile
    _launch(inputs, out, tile)
    return out


def _launch(inputs: PagedInputs, out: torch.Tensor, tile: DecodeTile) -> None:
    query, keys, values = inputs.query, inputs.key_cache, inputs.value_cache
    batch, new_tokens, query_heads, head_dim = query.shape
    block_tokens, kv_heads = keys.shape[1:3]
    group = query_heads // kv_heads
    rows = group * new_tokens
    block_m = min(_MOST_ROWS, max(_LEAST_ROWS, triton.next_power_of_2(rows)))
    seen = min(inputs.longest, (inputs.window or inputs.longest) + new_tokens - 1)
    row_tiles = triton.cdiv(rows, block_m)
    splits = tile.splits or choose_splits(
        batch * kv_heads * row_tiles,
        triton.cdiv(seen, tile.block_n),
        _RESIDENT_PROGRAMS * multiprocessors(query.device),
    )
    parts = make_parts(splits, out)
    _paged_decode[(splits, kv_heads * row_tiles, batch)](
        query, keys, values, inputs.block_table, inputs.lengths, parts.out, parts.peak,
        *query.stride()[:3], *keys.stride()[:3], *values.stride()[:3],
        inputs.block_table.stride(0), out.numel() // head_dim, kv_heads, splits,
        inputs.window or inputs.longest, inputs.scale * LOG2_E,
        group=group, new_tokens=new_tokens, head_dim=head_dim, block_m=block_m,
        block_n=tile.block_n, block_tokens=block_tokens,
        windowed=inputs.window is not None and inputs.window < inputs.longest,
        num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip
    combine(parts, out)


def _candidates(inputs: PagedInputs) -> tuple[DecodeTile, ...]:
    return tiles_for(inputs.query.shape[-1], inputs.query.dtype, inputs.query.device)


def _run_with(inputs: PagedInputs, out: Outputs | None, candidate: DecodeTile | None) -> Outputs:
    return {"out": paged_decode(inputs, out=out["out"] if out else None, tile=candidate)}


def _run(inputs: PagedInputs, out: Outputs | None = None) -> Outputs:
    return _run_with(inputs, out, None)


KERNELS = (
    Kernel(
        name="triton_paged_decode",
        kind="attention_decode",
        provider="triton",
        make_inputs=make_paged_inputs,
        make_outputs=make_paged_outputs,
        run=_run,
        reference=reference,
        tolerances=TOLERANCES,
        available=triton_available,
        supports=supports,
        candidates=_candidates,
        run_with=_run_with,
    ),
)
