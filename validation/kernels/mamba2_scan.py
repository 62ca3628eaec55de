"""The Mamba-2 recurrence over a sequence, chunk by chunk as matrix products.

Within a chunk the recurrence is a masked product of matrices; between chunks only the state is
passed on. Five kernels: decays, scores per group, the state that each chunk adds, the states passed
from chunk to chunk, and the outputs.

References
----------
dao-2024 (Mamba-2), section 6
"""

from dataclasses import dataclass

import torch

from validation.kernels.buffers import workspace
from validation.kernels.kernel import Kernel, Outputs, Tolerance
from validation.kernels.launch import (
    LOG2_E,
    device_class,
    dot,
    narrow,
    tl,
    triton,
    triton_available,
)
from validation.kernels.recurrence import scan_reference
from validation.kernels.state_space import (
    ScanInputs,
    check_state_space,
    make_scan_inputs,
    make_scan_outputs,
    supports_mamba2,
)
from validation.kernels.tensor_checks import require, require_shape

TOLERANCES = {
    torch.float32: Tolerance(
        overall=5e-6,
        row=5e-5,
        reason="fp32 throughout; decays are differences of running sums, whose error grows with "
        "the chunk",
    ),
    torch.float16: Tolerance(
        overall=8e-4,
        row=3e-3,
        reason="weights within a chunk, scaled inputs and passed states are rounded to fp16 (unit "
        "round-off 4.9e-4) before products",
    ),
    torch.bfloat16: Tolerance(
        overall=6e-3,
        row=2.5e-2,
        reason="weights within a chunk, scaled inputs and passed states are rounded to bf16 (unit "
        "round-off 3.9e-3) before products",
    ),
}
CHUNKS = (16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class ScanTile:
    """How one launch is cut up.

    Parameters
    ----------
    block_m, block_k : int
        Rows of a tile of outputs and of an inner product, at most a chunk. [tokens]
    warps, stages : int
        Warps of one program, and tiles in flight. [1]
    """

    block_m: int
    block_k: int
    warps: int
    stages: int


@triton.jit
def _decays(
    dt, a, steps, decays, dt_batch, dt_token, tokens, heads, log2_e,
    chunk: tl.constexpr, block_h: tl.constexpr,
):  # fmt: skip
    """Store steps by head, and the running sums of ``dt·a`` within a chunk, to base 2."""
    part = tl.program_id(0)
    head = tl.program_id(1) * block_h + tl.arange(0, block_h)
    batch = tl.program_id(2)
    token = part * chunk + tl.arange(0, chunk)
    real = head[:, None] < heads
    source = batch.to(tl.int64) * dt_batch + token[None, :].to(tl.int64) * dt_token + head[:, None]
    step = tl.load(dt + source, mask=real & (token[None, :] < tokens), other=0.0).to(tl.float32)
    rate = tl.load(a + head, mask=head < heads, other=0.0).to(tl.float32)
    running = tl.cumsum(step * (rate * log2_e)[:, None], axis=1)
    padded = tl.num_programs(0) * chunk
    place = (batch.to(tl.int64) * heads + head[:, None]) * padded + token[None, :]
    tl.store(steps + place, step, mask=real)
    tl.store(decays + place, running, mask=real)


@triton.jit
def _scores(
    b, c, scores, b_batch, b_token, b_group, c_batch, c_token, c_group, tokens, groups,
    chunk: tl.constexpr, state_dim: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Store ``C Bᵀ`` of one chunk and group, on and below the diagonal."""
    per_side: tl.constexpr = chunk // block
    row_tile = tl.program_id(0) // per_side
    column_tile = tl.program_id(0) % per_side
    group = tl.program_id(1) % groups
    part = tl.program_id(1) // groups
    batch = tl.program_id(2)
    if column_tile <= row_tile:
        rows = row_tile * block + tl.arange(0, block)
        columns = column_tile * block + tl.arange(0, block)
        states = tl.arange(0, state_dim)
        row_token = (part * chunk + rows)[:, None]
        column_token = (part * chunk + columns)[:, None]
        own = c + batch.to(tl.int64) * c_batch + group * c_group
        out_of = tl.load(
            own + row_token.to(tl.int64) * c_token + states[None, :],
            mask=row_token < tokens,
            other=0.0,
        )
        own = b + batch.to(tl.int64) * b_batch + group * b_group
        into = tl.load(
            own + column_token.to(tl.int64) * b_token + states[None, :],
            mask=column_token < tokens,
            other=0.0,
        )
        product = dot(out_of, tl.trans(into), tl.zeros([block, block], dtype=tl.float32))
        chunks = tl.num_programs(1) // groups
        square = ((batch.to(tl.int64) * chunks + part) * groups + group) * chunk * chunk
        tl.store(scores + square + rows[:, None] * chunk + columns[None, :], product)


@triton.jit
def _chunk_states(
    x, b, steps, decays, states, x_batch, x_token, x_head, b_batch, b_token, b_group,
    tokens, heads, head_dim,
    per_group: tl.constexpr, chunk: tl.constexpr, state_dim: tl.constexpr, block_p: tl.constexpr,
    block_k: tl.constexpr,
):  # fmt: skip
    """Store what the tokens of one chunk leave in the state at its end."""
    dims = tl.program_id(0) * block_p + tl.arange(0, block_p)
    head = tl.program_id(1) % heads
    part = tl.program_id(1) // heads
    batch = tl.program_id(2)
    chunks = tl.num_programs(1) // heads
    column = tl.arange(0, state_dim)
    inputs = x + batch.to(tl.int64) * x_batch + head * x_head
    into = b + batch.to(tl.int64) * b_batch + head // per_group * b_group
    line = (batch.to(tl.int64) * heads + head) * chunks * chunk + part * chunk
    last = tl.load(decays + line + chunk - 1)
    total = tl.zeros([block_p, state_dim], dtype=tl.float32)
    for first in tl.range(0, tl.minimum(chunk, tokens - part * chunk), block_k):
        inner = first + tl.arange(0, block_k)
        token = (part * chunk + inner)[:, None]
        values = tl.load(
            inputs + token.to(tl.int64) * x_token + dims[None, :],
            mask=(token < tokens) & (dims[None, :] < head_dim),
            other=0.0,
        )
        keys = tl.load(
            into + token.to(tl.int64) * b_token + column[None, :], mask=token < tokens, other=0.0
        )
        weight = tl.exp2(last - tl.load(decays + line + inner)) * tl.load(steps + line + inner)
        scaled = narrow(keys.to(tl.float32) * weight[:, None], values.dtype)
        total = dot(tl.trans(values), scaled, total)
    place = ((batch.to(tl.int64) * chunks + part) * heads + head) * head_dim
    pointers = states + (place + dims)[:, None] * state_dim + column[None, :]
    tl.store(pointers, total, mask=dims[:, None] < head_dim)


@triton.jit
def _pass_states(
    states, incoming, initial, final, decays, chunks, heads, size, chunk,
    has_initial: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Walk from chunk to chunk: store the state before each, and the one after the last."""
    place = tl.program_id(0) * block + tl.arange(0, block)
    head = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    real = place < size
    own = (batch * heads + head) * size
    state = tl.zeros([block], dtype=tl.float32)
    if has_initial:
        state = tl.load(initial + own + place, mask=real, other=0.0)
    for part in tl.range(0, chunks):
        at = ((batch * chunks + part) * heads + head) * size + place
        added = tl.load(states + at, mask=real, other=0.0)
        last = tl.load(decays + ((batch * heads + head) * chunks + part + 1) * chunk - 1)
        tl.store(incoming + at, narrow(state, incoming.dtype.element_ty), mask=real)
        state = state * tl.exp2(last) + added
    tl.store(final + own + place, state, mask=real)


@triton.jit
def _outputs(
    x, c, d, steps, decays, scores, incoming, y, x_batch, x_token, x_head, c_batch, c_token,
    c_group, y_batch, y_token, y_head, tokens, heads, head_dim,
    per_group: tl.constexpr, chunk: tl.constexpr, state_dim: tl.constexpr, block_m: tl.constexpr,
    block_p: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """Store the outputs of a tile of tokens of one head: from the state, the chunk and the skip."""
    row_tiles: tl.constexpr = chunk // block_m
    rows = tl.program_id(0) % row_tiles * block_m + tl.arange(0, block_m)
    dims = tl.program_id(0) // row_tiles * block_p + tl.arange(0, block_p)
    head = tl.program_id(1) % heads
    part = tl.program_id(1) // heads
    batch = tl.program_id(2)
    chunks = tl.num_programs(1) // heads
    group = head // per_group
    column = tl.arange(0, state_dim)
    token = (part * chunk + rows)[:, None]
    wide = dims[None, :] < head_dim
    line = (batch.to(tl.int64) * heads + head) * chunks * chunk + part * chunk
    decay = tl.load(decays + line + rows)

    own = c + batch.to(tl.int64) * c_batch + group * c_group
    out_of = tl.load(
        own + token.to(tl.int64) * c_token + column[None, :], mask=token < tokens, other=0.0
    )
    place = ((batch.to(tl.int64) * chunks + part) * heads + head) * head_dim
    state = tl.load(
        incoming + (place + dims)[:, None] * state_dim + column[None, :],
        mask=dims[:, None] < head_dim,
        other=0.0,
    )
    total = dot(out_of, tl.trans(state), tl.zeros([block_m, block_p], dtype=tl.float32))
    total = total * tl.exp2(decay)[:, None]

    inputs = x + batch.to(tl.int64) * x_batch + head * x_head
    square = ((batch.to(tl.int64) * chunks + part) * (heads // per_group) + group) * chunk * chunk
    stop = (tl.program_id(0) % row_tiles + 1) * block_m
    for first in tl.range(0, tl.minimum(stop, tokens - part * chunk), block_k):
        inner = first + tl.arange(0, block_k)
        earlier = rows[:, None] >= inner[None, :]
        score = tl.load(
            scores + square + rows[:, None] * chunk + inner[None, :], mask=earlier, other=0.0
        )
        fade = decay[:, None] - tl.load(decays + line + inner)[None, :]
        weight = tl.exp2(tl.where(earlier, fade, float("-inf")))
        weight = weight * score * tl.load(steps + line + inner)[None, :]
        source = (part * chunk + inner)[:, None]
        values = tl.load(
            inputs + source.to(tl.int64) * x_token + dims[None, :],
            mask=(source < tokens) & wide,
            other=0.0,
        )
        total = dot(narrow(weight, values.dtype), values, total)

    real = (token < tokens) & wide
    skip = tl.load(inputs + token.to(tl.int64) * x_token + dims[None, :], mask=real, other=0.0)
    total += skip.to(tl.float32) * tl.load(d + head).to(tl.float32)
    own = y + batch.to(tl.int64) * y_batch + head * y_head
    pointers = own + token.to(tl.int64) * y_token + dims[None, :]
    tl.store(pointers, narrow(total, y.dtype.element_ty), mask=real)


def tiles_for(chunk: int, dtype: torch.dtype, device: torch.device) -> tuple[ScanTile, ...]:
    """Return how a launch may be cut up on a device, the default first.

    Parameters
    ----------
    chunk : int
        Tokens of one chunk. [tokens]
    dtype : torch.dtype
        Of x, b and c.
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of ScanTile
        At least one.
    """
    if dtype.itemsize > 2:
        tiles = [ScanTile(32, 32, 4, 2)]
    elif device_class(device) in ("hopper", "blackwell"):
        tiles = [ScanTile(64, 64, 4, 3), ScanTile(128, 64, 8, 3), ScanTile(128, 32, 4, 4)]
    elif device_class(device) == "ampere":
        tiles = [ScanTile(64, 32, 4, 4), ScanTile(128, 32, 4, 3), ScanTile(64, 64, 4, 3)]
    else:
        tiles = [ScanTile(64, 32, 4, 2)]
    return tuple(
        ScanTile(min(tile.block_m, chunk), min(tile.block_k, chunk), tile.warps, tile.stages)
        for tile in tiles
    )


def mamba2_scan(
    inputs: ScanInputs, *, out: Outputs | None = None, tile: ScanTile | None = None
) -> Outputs:
    """Run the recurrence over a sequence.

    Parameters
    ----------
    inputs : ScanInputs
        The sequence and the state before it.
    out : dict of str to torch.Tensor, optional
        Where to write: ``y`` like x, and ``state``, contiguous, fp32.
    tile : ScanTile, optional
        How to cut it up; the device's default otherwise.

    Returns
    -------
    dict of str to torch.Tensor
        ``y`` of shape ``(batch, tokens, heads, head_dim)`` and the last ``state`` of shape
        ``(batch, heads, head_dim, state_dim)``.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit, or the chunk is not one of :data:`CHUNKS`.
    """
    check_state_space(inputs)
    x, chunk = inputs.x, inputs.chunk
    state_shape = (x.shape[0], *x.shape[2:], inputs.b.shape[-1])
    require(chunk in CHUNKS, "chunk", "no tiles for it", chunk, str(CHUNKS))
    if out is None:
        out = {"y": torch.empty_like(x), "state": torch.empty(state_shape, device=x.device)}
    y, final = out["y"], out["state"]
    require_shape("y", y, tuple(x.shape))
    require_shape("state", final, state_shape)
    require(final.is_contiguous(), "state", "not contiguous", final.stride(), "contiguous memory")
    _launch(inputs, y, final, tiles_for(chunk, x.dtype, x.device)[0] if tile is None else tile)
    return {"y": y, "state": final}


def _launch(inputs: ScanInputs, y: torch.Tensor, final: torch.Tensor, tile: ScanTile) -> None:
    x, b, c, state_dim = inputs.x, inputs.b, inputs.c, inputs.b.shape[-1]
    batch, tokens, heads, head_dim = x.shape
    groups, chunk = b.shape[2], inputs.chunk
    size = head_dim * state_dim
    chunks, per_group = triton.cdiv(tokens, chunk), heads // groups
    block_p = min(64, max(16, triton.next_power_of_2(head_dim)))
    parts_p = triton.cdiv(head_dim, block_p)
    full = torch.float32
    steps = workspace((batch, heads, chunks * chunk), full, x.device)
    decays = workspace((batch, heads, chunks * chunk), full, x.device)
    scores = workspace((batch, chunks, groups, chunk, chunk), full, x.device)
    states = workspace((batch, chunks, heads, head_dim, state_dim), full, x.device)
    incoming = workspace((batch, chunks, heads, head_dim, state_dim), x.dtype, x.device)
    options = {"num_warps": tile.warps, "num_stages": tile.stages}

    _decays[(chunks, triton.cdiv(heads, 4), batch)](
        inputs.dt, inputs.a, steps, decays, *inputs.dt.stride()[:2], tokens, heads, LOG2_E,
        chunk=chunk, block_h=4, num_warps=4,
    )  # fmt: skip
    block = min(64 if x.dtype.itemsize == 2 else 32, chunk)
    _scores[((chunk // block) ** 2, chunks * groups, batch)](
        b, c, scores, *b.stride()[:3], *c.stride()[:3], tokens, groups,
        chunk=chunk, state_dim=state_dim, block=block, num_warps=4, num_stages=1,
    )  # fmt: skip
    _chunk_states[(parts_p, chunks * heads, batch)](
        x, b, steps, decays, states, *x.stride()[:3], *b.stride()[:3], tokens, heads, head_dim,
        per_group=per_group, chunk=chunk, state_dim=state_dim, block_p=block_p,
        block_k=tile.block_k, **options,
    )  # fmt: skip
    _pass_states[(triton.cdiv(size, 1024), heads, batch)](
        states, incoming, inputs.state if inputs.state is not None else states, final, decays,
        chunks, heads, size, chunk,
        has_initial=inputs.state is not None, block=1024, num_warps=4,
    )  # fmt: skip
    _outputs[(chunk // tile.block_m * parts_p, chunks * heads, batch)](
        x, c, inputs.d, steps, decays, scores, incoming, y, *x.stride()[:3], *c.stride()[:3],
        *y.stride()[:3], tokens, heads, head_dim,
        per_group=per_group, chunk=chunk, state_dim=state_dim, block_m=tile.block_m,
        block_p=block_p, block_k=tile.block_k, **options,
    )  # fmt: skip


def _candidates(inputs: ScanInputs) -> tuple[ScanTile, ...]:
    return tiles_for(inputs.chunk, inputs.x.dtype, inputs.x.device)


def _run_with(inputs: ScanInputs, out: Outputs | None, candidate: ScanTile | None) -> Outputs:
    return mamba2_scan(inputs, out=out, tile=candidate)


def _run(inputs: ScanInputs, out: Outputs | None = None) -> Outputs:
    return mamba2_scan(inputs, out=out)


KERNELS = (
    Kernel(
        name="triton_mamba2_scan",
        kind="state_space_prefill",
        provider="triton",
        variant="mamba2",
        make_inputs=make_scan_inputs,
        make_outputs=make_scan_outputs,
        run=_run,
        reference=scan_reference,
        tolerances=TOLERANCES,
        available=triton_available,
        supports=supports_mamba2,
        candidates=_candidates,
        run_with=_run_with,
    ),
)
