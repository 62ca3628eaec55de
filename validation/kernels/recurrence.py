"""The Mamba-2 recurrence: its equation, for a sequence and for one token."""

from __future__ import annotations

import torch

from validation.kernels.kernel import Outputs
from validation.kernels.state_space import ScanInputs, UpdateInputs


def step(
    state: torch.Tensor, token: ScanInputs | UpdateInputs, index: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Advance the recurrence by one token.

    .. math::
        h \leftarrow e^{\Delta A} h + \Delta\, x \otimes B, \quad y = h\, C + D\, x

    Parameters
    ----------
    state : torch.Tensor
        ``h``, shape ``(batch, heads, head_dim, state_dim)``, fp64.
    token : ScanInputs or UpdateInputs
        Where the token's inputs stand.
    index : int, optional
        Which token of a sequence.

    Returns
    -------
    (torch.Tensor, torch.Tensor)
        The next state and ``y`` of shape ``(batch, heads, head_dim)``, fp64.

    References
    ----------
    dao-2024
    """
    rows = [token.x, token.dt, token.b, token.c]
    x, dt, b, c = (each.double() if index is None else each[:, index].double() for each in rows)
    shared = x.shape[1] // b.shape[1]
    b, c = b.repeat_interleave(shared, 1), c.repeat_interleave(shared, 1)
    decay = torch.exp(dt * token.a.double())
    state = state * decay[..., None, None] + (dt[..., None] * x)[..., None] * b[:, :, None, :]
    return state, (state @ c[..., None])[..., 0] + token.d.double()[:, None] * x


def scan_reference(inputs: ScanInputs) -> Outputs:
    """Compute the recurrence token by token, in double precision.

    Parameters
    ----------
    inputs : ScanInputs
        A sequence.

    Returns
    -------
    dict of str to torch.Tensor
        ``y`` of shape ``(batch, tokens, heads, head_dim)`` and the last ``state``, fp64.

    References
    ----------
    dao-2024
    """
    batch, tokens, heads, head_dim = inputs.x.shape
    size = (batch, heads, head_dim, inputs.b.shape[-1])
    state = torch.zeros(size, dtype=torch.float64, device=inputs.x.device)
    if inputs.state is not None:
        state = inputs.state.double()
    rows = []
    for index in range(tokens):
        state, y = step(state, inputs, index)
        rows.append(y)
    return {"y": torch.stack(rows, dim=1), "state": state}


def update_reference(inputs: UpdateInputs) -> Outputs:
    """Compute one token of the recurrence in double precision; the inputs' state stays.

    Parameters
    ----------
    inputs : UpdateInputs
        One token of each sequence.

    Returns
    -------
    dict of str to torch.Tensor
        ``y`` of shape ``(batch, heads, head_dim)`` and the next ``state``, fp64.

    References
    ----------
    dao-2024
    """
    state, y = step(inputs.state.double(), inputs)
    return {"y": y, "state": state}
