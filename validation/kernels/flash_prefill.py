"""Flash attention for prefill: softmax over tiles of keys, so that no score reaches memory.

One program owns a tile of queries of one head and walks over the tiles of keys that it sees. Tiles
that every query of the tile sees run without a mask; those on the diagonal and on the window's far
edge with one; the rest are never visited.

References
----------
dao-2022; Dao (2023), FlashAttention-2, arXiv:2307.08691; Milakov and Gimelshein (2018), Online
normalizer calculation for softmax, arXiv:1805.02867
"""

import torch

from validation.kernels.attention import (
    ATTENTION_TOLERANCES,
    AttentionInputs,
    check_attention,
    integer,
    make_attention_inputs,
    make_attention_outputs,
    reference,
)
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape
from validation.kernels.launch import (
    LOG2_E,
    TensorDescriptor,
    dot,
    narrow,
    tl,
    triton,
    triton_available,
)
from validation.kernels.online_softmax import MASKED, absorb
from validation.kernels.prefill_tiles import PrefillTile, tiles_for
from validation.kernels.tensor_checks import require, require_last_axis_contiguous, require_shape

TOLERANCES = ATTENTION_TOLERANCES
HEAD_DIMS = (16, 32, 64, 128, 256)

# A tensor-map descriptor needs its base and strides on 16 bytes.
_DESCRIPTOR_ALIGNMENT_BYTES = 16


@triton.jit
def _load_keys(
    source, row_stride, tokens, batch, head, first, rows, dims, masked: tl.constexpr,
    block_n: tl.constexpr, head_dim: tl.constexpr, descriptor: tl.constexpr,
):  # fmt: skip
    """Load a tile ``(block_n, head_dim)`` of keys or values; zeros beyond the sequence."""
    if descriptor:
        tile = source.load([batch, head, first, 0]).reshape(block_n, head_dim)
    else:
        corner = source + tl.cast(first, tl.int64) * row_stride
        pointers = corner + rows[:, None] * row_stride + dims[None, :]
        if masked:
            tile = tl.load(pointers, mask=(first + rows)[:, None] < tokens, other=0.0)
        else:
            tile = tl.load(pointers)
    return tile


@triton.jit
def _attend(
    attended, peak, total, query, key_source, value_source, key_stride, value_stride,
    tokens, batch, head, start, stop, positions, window, scale_log2,
    masked: tl.constexpr, windowed: tl.constexpr, block_n: tl.constexpr, head_dim: tl.constexpr,
    descriptor: tl.constexpr,
):  # fmt: skip
    """Take the keys from ``start`` to ``stop`` into the running softmax."""
    rows = tl.arange(0, block_n)
    dims = tl.arange(0, head_dim)
    for first in tl.range(start, stop, block_n):
        key = _load_keys(
            key_source, key_stride, tokens, batch, head, first, rows, dims, masked,
            block_n, head_dim, descriptor,
        )  # fmt: skip
        none = tl.zeros([query.shape[0], block_n], dtype=tl.float32)
        scores = dot(query, tl.trans(key), none)
        if masked:
            # Keys beyond the sequence lie after every query that is stored.
            distance = positions[:, None] - (first + rows)[None, :]
            seen = distance >= 0
            if windowed:
                seen = seen & (distance < window)
            scores = tl.where(seen, scores, MASKED)
        value = _load_keys(
            value_source, value_stride, tokens, batch, head, first, rows, dims, masked,
            block_n, head_dim, descriptor,
        )  # fmt: skip
        attended, peak, total = absorb(attended, peak, total, scores, value, scale_log2)
    return attended, peak, total


@triton.jit
def _key_ranges(
    first_position, tokens, window, windowed: tl.constexpr, block_m: tl.constexpr,
    block_n: tl.constexpr,
):  # fmt: skip
    """Return where keys start, where all queries of a tile see all, the diagonal, and the end.

    Tiles before the second are on the window's far edge, those from the third on the diagonal.
    """
    stop = tl.minimum(first_position + block_m, tokens)
    start = 0
    shared = 0
    if windowed:
        start = tl.maximum(first_position + 1 - window, 0) // block_n * block_n
        shared = tl.cdiv(tl.maximum(first_position + block_m - window, 0), block_n) * block_n
    diagonal = tl.maximum((first_position + 1) // block_n * block_n, shared)
    return start, shared, diagonal, stop


@triton.jit
def _flash_prefill(
    query, key, value, out,
    query_batch, query_token, query_head, key_batch, key_token, key_head,
    value_batch, value_token, value_head, out_batch, out_token, out_head,
    query_heads, new_tokens, cached_tokens, window, scale_log2,
    group: tl.constexpr, head_dim: tl.constexpr, block_m: tl.constexpr, block_n: tl.constexpr,
    windowed: tl.constexpr, descriptor: tl.constexpr,
):  # fmt: skip
    """Attend from one tile of queries of one head; the longest tiles of a head start first."""
    tiles = tl.cdiv(new_tokens, block_m)
    tile = tiles - 1 - tl.program_id(0) % tiles
    head = tl.program_id(0) // tiles % query_heads
    batch = tl.program_id(0) // tiles // query_heads
    kv_head = head // group
    tokens = cached_tokens + new_tokens

    rows = tile * block_m + tl.arange(0, block_m)
    dims = tl.arange(0, head_dim)
    real = rows[:, None] < new_tokens
    own = query + batch.to(tl.int64) * query_batch + head * query_head
    offsets = rows[:, None].to(tl.int64) * query_token + dims[None, :]
    queries = tl.load(own + offsets, mask=real, other=0.0)
    if descriptor:
        key_source = key
        value_source = value
    else:
        key_source = key + batch.to(tl.int64) * key_batch + kv_head * key_head
        value_source = value + batch.to(tl.int64) * value_batch + kv_head * value_head

    positions = cached_tokens + rows
    start, shared, diagonal, stop = _key_ranges(
        cached_tokens + tile * block_m, tokens, window, windowed, block_m, block_n
    )
    attended = tl.zeros([block_m, head_dim], dtype=tl.float32)
    peak = tl.full([block_m], float("-inf"), dtype=tl.float32)
    total = tl.zeros([block_m], dtype=tl.float32)
    if windowed:
        attended, peak, total = _attend(
            attended, peak, total, queries, key_source, value_source, key_token, value_token,
            tokens, batch, kv_head, start, tl.minimum(shared, stop), positions, window, scale_log2,
            True, True, block_n, head_dim, descriptor,
        )  # fmt: skip
    attended, peak, total = _attend(
        attended, peak, total, queries, key_source, value_source, key_token, value_token,
        tokens, batch, kv_head, shared, diagonal, positions, window, scale_log2,
        False, windowed, block_n, head_dim, descriptor,
    )  # fmt: skip
    attended, peak, total = _attend(
        attended, peak, total, queries, key_source, value_source, key_token, value_token,
        tokens, batch, kv_head, diagonal, stop, positions, window, scale_log2,
        True, windowed, block_n, head_dim, descriptor,
    )  # fmt: skip

    result = narrow(attended / total[:, None], out.dtype.element_ty)
    own = out + batch.to(tl.int64) * out_batch + head * out_head
    tl.store(own + rows[:, None].to(tl.int64) * out_token + dims[None, :], result, mask=real)


def _describable(tensor: torch.Tensor) -> bool:
    steps = (tensor.data_ptr(), *(each * tensor.itemsize for each in tensor.stride()[:-1]))
    return all(step % _DESCRIPTOR_ALIGNMENT_BYTES == 0 for step in steps)


def _described(tensor: torch.Tensor, tile: PrefillTile) -> TensorDescriptor:
    """Describe ``(batch, heads, tokens, head_dim)``, of which a tile is ``block_n`` tokens."""
    view = tensor.permute(0, 2, 1, 3)
    block = [1, 1, tile.block_n, tensor.shape[3]]
    return TensorDescriptor(view, list(view.shape), list(view.stride()), block)


def flash_prefill(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    window: int | None = None,
    scale: float | None = None,
    out: torch.Tensor | None = None,
    tile: PrefillTile | None = None,
) -> torch.Tensor:
    """Attend causally from new tokens to cached and new tokens.

    Parameters
    ----------
    query : torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.
    key, value : torch.Tensor
        Shape ``(batch, cached_tokens + new_tokens, kv_heads, head_dim)``; query ``i`` stands at
        position ``cached_tokens + i``.
    window : int, optional
        Keys a query may see, itself included; None for all. [tokens]
    scale : float, optional
        Factor of the scores, positive; ``head_dim ** −0.5`` by default. [1]
    out : torch.Tensor, optional
        Where to write, of the query's shape and dtype.
    tile : PrefillTile, optional
        How to cut it up; the device's default otherwise.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, new_tokens, query_heads, head_dim)``.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit, or the width is not one of :data:`HEAD_DIMS`.
    """
    check_attention(query, key, value, window)
    head_dim = query.shape[-1]
    require(head_dim in HEAD_DIMS, "head_dim", "no tiles for it", head_dim, str(HEAD_DIMS))
    out = torch.empty_like(query) if out is None else out
    require_shape("out", out, tuple(query.shape))
    require_last_axis_contiguous("query, key, value, out", query, key, value, out)
    scale = head_dim**-0.5 if scale is None else scale
    require(scale > 0, "scale", "not positive", scale, "a positive number")
    tile = tiles_for(head_dim, query.dtype, query.device)[0] if tile is None else tile
    _launch(query, key, value, out, window, scale, tile)
    return out


def _launch(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    out: torch.Tensor,
    window: int | None,
    scale: float,
    tile: PrefillTile,
) -> None:
    batch, new_tokens, query_heads, head_dim = query.shape
    keys, kv_heads = key.shape[1:3]
    descriptor = tile.descriptor and _describable(key) and _describable(value)
    programs = triton.cdiv(new_tokens, tile.block_m) * query_heads * batch
    _flash_prefill[(programs,)](
        query,
        _described(key, tile) if descriptor else key,
        _described(value, tile) if descriptor else value,
        out,
        *query.stride()[:3], *key.stride()[:3], *value.stride()[:3], *out.stride()[:3],
        query_heads, new_tokens, keys - new_tokens, keys if window is None else window,
        scale * LOG2_E,
        group=query_heads // kv_heads, head_dim=head_dim, block_m=tile.block_m,
        block_n=tile.block_n, windowed=window is not None and window < keys,
        descriptor=descriptor, num_warps=tile.warps, num_stages=tile.stages,
    )  # fmt: skip


def supports(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
    """Return whether the kernel takes a shape.

    Parameters
    ----------
    shape : mapping
        Shape columns of ``attention_prefill``.
    dtype : torch.dtype
        Of queries, keys and values.
    device : torch.device
        Where it would run.

    Returns
    -------
    (bool, str)
        Yes or no, and why not.
    """
    head_dim = integer(shape, "head_dim")
    fits = head_dim in HEAD_DIMS
    return fits, "" if fits else f"head_dim {head_dim} is not one of {HEAD_DIMS}"


def _candidates(inputs: AttentionInputs) -> tuple[PrefillTile, ...]:
    return tiles_for(inputs.query.shape[-1], inputs.query.dtype, inputs.query.device)


def _run_with(
    inputs: AttentionInputs, out: Outputs | None, candidate: PrefillTile | None
) -> Outputs:
    result = flash_prefill(
        inputs.query,
        inputs.key,
        inputs.value,
        window=inputs.window,
        scale=inputs.scale,
        out=out["out"] if out else None,
        tile=candidate,
    )
    return {"out": result}


def _run(inputs: AttentionInputs, out: Outputs | None = None) -> Outputs:
    return _run_with(inputs, out, None)


KERNELS = (
    Kernel(
        name="triton_flash_prefill",
        kind="attention_prefill",
        provider="triton",
        make_inputs=make_attention_inputs,
        make_outputs=make_attention_outputs,
        run=_run,
        reference=reference,
        tolerances=TOLERANCES,
        available=triton_available,
        supports=supports,
        candidates=_candidates,
        run_with=_run_with,
    ),
)
