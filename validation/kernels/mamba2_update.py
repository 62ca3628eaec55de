"""The Mamba-2 recurrence for one token of each sequence: the state is read, advanced, written.

References
----------
dao-2024 (Mamba-2)
"""

from dataclasses import dataclass

import torch

from validation.kernels.kernel import Kernel, Outputs, Tolerance
from validation.kernels.launch import LOG2_E, fit_tile, narrow, tl, triton, triton_available
from validation.kernels.recurrence import update_reference
from validation.kernels.state_space import (
    UpdateInputs,
    check_state_space,
    make_update_inputs,
    make_update_outputs,
    supports_mamba2,
)
from validation.kernels.tensor_checks import require, require_shape

# The state's format rounds too: the tolerance holds for a state no wider rounded than the inputs.
TOLERANCES = {
    torch.float32: Tolerance(
        overall=1e-6, row=5e-6, reason="fp32 throughout; one sum over the state's width"
    ),
    torch.float16: Tolerance(
        overall=5e-4, row=1.5e-3, reason="only the output is rounded to fp16 (round-off 4.9e-4)"
    ),
    torch.bfloat16: Tolerance(
        overall=4e-3,
        row=1e-2,
        reason="the output, and the state where it is kept so, is rounded to bf16 (round-off "
        "3.9e-3)",
    ),
}


@dataclass(frozen=True, slots=True)
class UpdateTile:
    """How one launch is cut up.

    Parameters
    ----------
    block : int
        Slice of the state that one program updates. [elements]
    warps : int
        Warps of one program. [1]
    """

    block: int
    warps: int


@triton.jit
def _update(
    state, x, dt, a, b, c, d, y, x_batch, x_head, dt_batch, b_batch, b_group, c_batch, c_group,
    y_batch, y_head, heads, head_dim, log2_e,
    per_group: tl.constexpr, state_dim: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    """Advance a slice of the state of one head of one sequence."""
    dims = tl.program_id(0) * block_p + tl.arange(0, block_p)
    head = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    column = tl.arange(0, state_dim)
    real = dims < head_dim
    place = (batch * heads + head) * head_dim + dims
    pointers = state + place[:, None] * state_dim + column[None, :]
    before = tl.load(pointers, mask=real[:, None], other=0.0).to(tl.float32)

    step = tl.load(dt + batch * dt_batch + head).to(tl.float32)
    decay = tl.exp2(step * tl.load(a + head).to(tl.float32) * log2_e)
    value = tl.load(x + batch * x_batch + head * x_head + dims, mask=real, other=0.0)
    value = value.to(tl.float32)
    into = tl.load(b + batch * b_batch + head // per_group * b_group + column).to(tl.float32)
    out_of = tl.load(c + batch * c_batch + head // per_group * c_group + column).to(tl.float32)

    after = before * decay + (step * value)[:, None] * into[None, :]
    tl.store(pointers, narrow(after, state.dtype.element_ty), mask=real[:, None])
    result = tl.sum(after * out_of[None, :], 1) + tl.load(d + head).to(tl.float32) * value
    own = y + batch * y_batch + head * y_head + dims
    tl.store(own, narrow(result, y.dtype.element_ty), mask=real)


def tiles_for(
    batch: int, heads: int, head_dim: int, device: torch.device
) -> tuple[UpdateTile, ...]:
    """Return how a launch may be cut up, the default first.

    Parameters
    ----------
    batch, heads : int
        Sequences, and heads of the state. [1]
    head_dim : int
        Width of the state along the axis that is sliced. [elements]
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of UpdateTile
        At least one.
    """
    block = fit_tile(head_dim, batch * heads, device, least=8, most=64)
    first = UpdateTile(block, 4)
    others = (UpdateTile(block, 8), UpdateTile(max(8, block // 2), 4), UpdateTile(64, 8))
    return tuple(dict.fromkeys((first, *others)))


def mamba2_update(
    inputs: UpdateInputs, *, out: torch.Tensor | None = None, tile: UpdateTile | None = None
) -> torch.Tensor:
    """Advance the recurrence by one token; ``inputs.state`` is updated in place.

    Parameters
    ----------
    inputs : UpdateInputs
        One token of each sequence and the state before it.
    out : torch.Tensor, optional
        Where to write, like x.
    tile : UpdateTile, optional
        How to cut it up; chosen from the shapes otherwise.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, heads, head_dim)``.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    check_state_space(inputs)
    x, dt, b, c = inputs.x, inputs.dt, inputs.b, inputs.c
    batch, heads, head_dim = x.shape
    out = torch.empty_like(x) if out is None else out
    require_shape("out", out, tuple(x.shape))
    require(out.stride(-1) == 1, "out", "last axis is strided", out.stride(), "stride 1")
    tile = tiles_for(batch, heads, head_dim, x.device)[0] if tile is None else tile
    _update[(triton.cdiv(head_dim, tile.block), heads, batch)](
        inputs.state, x, dt, inputs.a, b, c, inputs.d, out, *x.stride()[:2], dt.stride(0),
        *b.stride()[:2], *c.stride()[:2], *out.stride()[:2], heads, head_dim, LOG2_E,
        per_group=heads // b.shape[1], state_dim=b.shape[2], block_p=tile.block,
        num_warps=tile.warps,
    )  # fmt: skip
    return out


def _candidates(inputs: UpdateInputs) -> tuple[UpdateTile, ...]:
    return tiles_for(*inputs.x.shape, inputs.x.device)


def _run_with(inputs: UpdateInputs, out: Outputs | None, candidate: UpdateTile | None) -> Outputs:
    y = mamba2_update(inputs, out=out["y"] if out else None, tile=candidate)
    return {"y": y, "state": inputs.state}


def _run(inputs: UpdateInputs, out: Outputs | None = None) -> Outputs:
    return _run_with(inputs, out, None)


KERNELS = (
    Kernel(
        name="triton_mamba2_update",
        kind="state_space_decode",
        provider="triton",
        variant="mamba2",
        make_inputs=make_update_inputs,
        make_outputs=make_update_outputs,
        run=_run,
        reference=update_reference,
        tolerances=TOLERANCES,
        available=triton_available,
        supports=supports_mamba2,
        candidates=_candidates,
        run_with=_run_with,
    ),
)
