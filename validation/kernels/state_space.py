"""The Mamba-2 recurrence: its inputs, for a sequence and for one token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from validation.kernels.attention import integer
from validation.kernels.buffers import poisoned
from validation.kernels.kernel import DTYPES, Answer, Outputs, Shape
from validation.kernels.tensor_checks import (
    require,
    require_floating,
    require_last_axis_contiguous,
    require_shape,
)

DEFAULT_CHUNK = 256
STATE_DIMS = (16, 32, 64, 128, 256)
# Steps and decay rates as models start training with them: 0.001 … 0.1 and −1 … −16.
_STEP_RANGE = (1e-3, 1e-1)
_RATE_RANGE = (1.0, 16.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanInputs:
    """What the recurrence takes over a sequence.

    Parameters
    ----------
    x : torch.Tensor
        Inputs, shape ``(batch, tokens, heads, head_dim)``.
    dt : torch.Tensor
        Steps, positive, after bias and softplus, shape ``(batch, tokens, heads)``.
    a : torch.Tensor
        Decay rate per head, negative, shape ``(heads,)``, fp32.
    b, c : torch.Tensor
        Into and out of the state, shape ``(batch, tokens, groups, state_dim)``.
    d : torch.Tensor
        Skip per head, shape ``(heads,)``, fp32.
    state : torch.Tensor or None
        State before the first token, shape ``(batch, heads, head_dim, state_dim)``, fp32; zero
        otherwise.
    chunk : int
        Tokens that a kernel handles as one matrix product. [tokens]
    """

    x: torch.Tensor
    dt: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor
    c: torch.Tensor
    d: torch.Tensor
    state: torch.Tensor | None
    chunk: int = DEFAULT_CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateInputs:
    """What the recurrence takes for one token.

    Parameters
    ----------
    x : torch.Tensor
        Input, shape ``(batch, heads, head_dim)``.
    dt : torch.Tensor
        Step, positive, shape ``(batch, heads)``.
    a, d : torch.Tensor
        Decay rate (negative) and skip per head, shape ``(heads,)``, fp32.
    b, c : torch.Tensor
        Into and out of the state, shape ``(batch, groups, state_dim)``.
    state : torch.Tensor
        Shape ``(batch, heads, head_dim, state_dim)``; a kernel updates it in place.
    """

    x: torch.Tensor
    dt: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor
    c: torch.Tensor
    d: torch.Tensor
    state: torch.Tensor


def check_state_space(inputs: ScanInputs | UpdateInputs) -> None:
    """Raise unless inputs of the recurrence go together.

    Parameters
    ----------
    inputs : ScanInputs or UpdateInputs
        The inputs.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    x, b = inputs.x, inputs.b
    *outer, heads, head_dim = x.shape
    groups, state_dim = b.shape[-2:]
    axes = 4 if isinstance(inputs, ScanInputs) else 3
    require(x.dim() == axes, "x", "wrong number of axes", x.dim(), f"{axes}")
    require_shape("dt", inputs.dt, (*outer, heads))
    require_shape("b", b, (*outer, groups, state_dim))
    require_shape("c", inputs.c, (*outer, groups, state_dim))
    require_shape("a", inputs.a, (heads,))
    require_shape("d", inputs.d, (heads,))
    require_floating("x, b, c", x, b, inputs.c)
    given = [x, inputs.dt, inputs.a, b, inputs.c, inputs.d]
    if inputs.state is not None:
        require_shape("state", inputs.state, (outer[0], heads, head_dim, state_dim))
        contiguous = inputs.state.is_contiguous()
        require(contiguous, "state", "not contiguous", inputs.state.stride(), "contiguous memory")
    require_last_axis_contiguous("x, dt, a, b, c, d", *given)
    divides = groups > 0 and heads % groups == 0
    require(divides, "groups", "do not divide the heads", groups, f"a divisor of {heads}")
    require(state_dim in STATE_DIMS, "state_dim", "no tiles for it", state_dim, str(STATE_DIMS))


def takes(shape: Shape, variant: str) -> Answer:
    """Return whether a state-space kernel of a variant takes a shape.

    Parameters
    ----------
    shape : mapping
        Shape columns of the kind; a ``variant`` that is given must be this one.
    variant : str
        The kernel's.

    Returns
    -------
    (bool, str)
        Yes or no, and why not.
    """
    asked = shape.get("variant") or variant
    if asked != variant:
        return False, f"a kernel of {variant}, not of {asked}"
    state_dim = integer(shape, "state_dim")
    power = state_dim in STATE_DIMS
    return power, "" if power else f"state_dim {state_dim} is not one of {STATE_DIMS}"


def supports_mamba2(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
    """Return whether the Mamba-2 kernels take a shape.

    Parameters
    ----------
    shape : mapping
        Shape columns of the kind.
    dtype : torch.dtype
        Of the inputs.
    device : torch.device
        Where it would run.

    Returns
    -------
    (bool, str)
        Yes or no, and why not.
    """
    return takes(shape, "mamba2")


def _log_uniform(
    size: tuple[int, ...], low: float, high: float, generator: torch.Generator
) -> torch.Tensor:
    uniform = torch.rand(size, device=generator.device, generator=generator)
    return torch.exp(math.log(low) + uniform * math.log(high / low))


def make_scan_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> ScanInputs:
    """Return random inputs of the recurrence over a sequence.

    Parameters
    ----------
    shape : mapping
        ``batch, new_tokens, heads, head_dim, groups, state_dim``; also ``chunk`` (256) and
        ``initial_state`` (a random state before the first token; zero otherwise).
    dtype : torch.dtype
        Of x, b and c; steps, rates, skip and state are fp32.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    ScanInputs
        Standard normal; steps and rates in the range that models start training with.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    generator = torch.Generator(device).manual_seed(seed)
    batch, tokens = integer(shape, "batch"), integer(shape, "new_tokens")
    heads, head_dim = integer(shape, "heads"), integer(shape, "head_dim")
    groups, state_dim = integer(shape, "groups"), integer(shape, "state_dim")

    def normal(*size: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.randn(size, dtype=kind, device=device, generator=generator)

    state = None
    if shape.get("initial_state"):
        state = normal(batch, heads, head_dim, state_dim, kind=torch.float32)
    return ScanInputs(
        x=normal(batch, tokens, heads, head_dim),
        dt=_log_uniform((batch, tokens, heads), *_STEP_RANGE, generator),
        a=-_log_uniform((heads,), *_RATE_RANGE, generator),
        b=normal(batch, tokens, groups, state_dim),
        c=normal(batch, tokens, groups, state_dim),
        d=normal(heads, kind=torch.float32),
        state=state,
        chunk=integer(shape, "chunk", DEFAULT_CHUNK),
    )


def state_dtype(shape: Shape, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that a state is kept in.

    Parameters
    ----------
    shape : mapping
        ``state_format``, ``fp32`` where absent.
    dtype : torch.dtype
        Of the inputs.

    Returns
    -------
    torch.dtype
        fp32 or that of the inputs, so that the inputs' tolerance holds for the state too.

    Raises
    ------
    KernelInputError
        Another is asked for.
    """
    kept = shape.get("state_format") or "fp32"
    allowed = [name for name, each in DTYPES.items() if each in (torch.float32, dtype)]
    require(kept in allowed, "state_format", "not the inputs' nor fp32", kept, ", ".join(allowed))
    return DTYPES[kept]


def make_update_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> UpdateInputs:
    """Return random inputs of the recurrence for one token.

    Parameters
    ----------
    shape : mapping
        ``batch, heads, head_dim, groups, state_dim``; also ``state_format`` (``fp32``).
    dtype : torch.dtype
        Of x, b and c.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    UpdateInputs
        Standard normal, also the state.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    whole = make_scan_inputs({**shape, "new_tokens": 1, "initial_state": True}, dtype, device, seed)
    assert whole.state is not None
    return UpdateInputs(
        x=whole.x[:, 0].contiguous(),
        dt=whole.dt[:, 0].contiguous(),
        a=whole.a,
        b=whole.b[:, 0].contiguous(),
        c=whole.c[:, 0].contiguous(),
        d=whole.d,
        state=whole.state.to(state_dtype(shape, dtype)),
    )


def make_scan_outputs(inputs: ScanInputs) -> Outputs:
    """Return poisoned outputs.

    Parameters
    ----------
    inputs : ScanInputs
        The inputs.

    Returns
    -------
    dict of str to torch.Tensor
        ``y`` like x and the last ``state``, fp32, all NaN.
    """
    x = inputs.x
    state = (x.shape[0], *x.shape[2:], inputs.b.shape[-1])
    return {
        "y": poisoned(tuple(x.shape), x.dtype, x.device),
        "state": poisoned(state, torch.float32, x.device),
    }


def make_update_outputs(inputs: UpdateInputs) -> Outputs:
    """Return a poisoned output.

    Parameters
    ----------
    inputs : UpdateInputs
        The inputs.

    Returns
    -------
    dict of str to torch.Tensor
        ``y`` like x, all NaN; the state is updated in place.
    """
    return {"y": poisoned(tuple(inputs.x.shape), inputs.x.dtype, inputs.x.device)}
