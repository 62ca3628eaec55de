"""The gated delta rule for one token of each sequence: decay, correct along the key, read.

References
----------
Yang, Kautz and Hatamizadeh (2024), Gated Delta Networks, arXiv:2412.06464, equation 10
"""

from dataclasses import dataclass

import torch

from validation.kernels.attention import integer
from validation.kernels.buffers import poisoned
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape, Tolerance
from validation.kernels.launch import LOG2_E, fit_tile, narrow, tl, triton, triton_available
from validation.kernels.state_space import STATE_DIMS, state_dtype, takes
from validation.kernels.tensor_checks import (
    require,
    require_floating,
    require_last_axis_contiguous,
    require_shape,
)

TOLERANCES = {
    torch.float32: Tolerance(
        overall=2e-6, row=1e-5, reason="fp32 throughout; two sums over the key's width in sequence"
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
# What keeps the norm of a null vector from dividing by zero.
_NORM_EPSILON = 1e-6
_GATE_RANGE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaInputs:
    """What the rule takes for one token.

    Parameters
    ----------
    query, key : torch.Tensor
        Shape ``(batch, key_heads, key_dim)``; each serves ``value_heads / key_heads`` value heads.
    value : torch.Tensor
        Shape ``(batch, value_heads, value_dim)``.
    gate : torch.Tensor
        Logarithm of the decay, not positive, shape ``(batch, value_heads)``, fp32.
    beta : torch.Tensor
        Strength of the correction, 0 … 1, shape ``(batch, value_heads)``, fp32.
    state : torch.Tensor
        Shape ``(batch, value_heads, key_dim, value_dim)``; a kernel updates it in place.
    scale : float
        Factor of the query. [1]
    normalise : bool
        Whether queries and keys are first divided by their Euclidean norm.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    gate: torch.Tensor
    beta: torch.Tensor
    state: torch.Tensor
    scale: float = 1.0
    normalise: bool = False


@dataclass(frozen=True, slots=True)
class DeltaTile:
    """How one launch is cut up.

    Parameters
    ----------
    block : int
        Columns of the state that one program updates. [elements]
    warps : int
        Warps of one program. [1]
    """

    block: int
    warps: int


def make_delta_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> DeltaInputs:
    """Return random inputs of the rule for one token.

    Parameters
    ----------
    shape : mapping
        ``batch, heads`` (of values), ``head_dim`` (of values), ``groups`` (heads of queries and
        keys), ``state_dim`` (width of queries and keys); also ``state_format`` (``fp32``).
    dtype : torch.dtype
        Of queries, keys and values.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    DeltaInputs
        Standard normal, normalised in the kernel; mild decays and corrections of 0 … 1.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    generator = torch.Generator(device).manual_seed(seed)
    batch, heads = integer(shape, "batch"), integer(shape, "heads")
    width, key_dim = integer(shape, "head_dim"), integer(shape, "state_dim")
    key_heads = integer(shape, "groups")
    kept = state_dtype(shape, dtype)

    def normal(*size: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.randn(size, dtype=kind, device=device, generator=generator)

    def uniform() -> torch.Tensor:
        return torch.rand((batch, heads), device=device, generator=generator)

    return DeltaInputs(
        query=normal(batch, key_heads, key_dim),
        key=normal(batch, key_heads, key_dim),
        value=normal(batch, heads, width),
        gate=-_GATE_RANGE * uniform(),
        beta=uniform(),
        state=normal(batch, heads, key_dim, width, kind=kept),
        scale=key_dim**-0.5,
        normalise=True,
    )


def make_delta_outputs(inputs: DeltaInputs) -> Outputs:
    """Return a poisoned output.

    Parameters
    ----------
    inputs : DeltaInputs
        The inputs.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` like the values, all NaN; the state is updated in place.
    """
    value = inputs.value
    return {"out": poisoned(tuple(value.shape), value.dtype, value.device)}


def reference(inputs: DeltaInputs) -> Outputs:
    r"""Compute the rule by its equation, in double precision; the inputs' state stays.

    .. math::
        S \leftarrow e^{g} S, \quad S \leftarrow S + \beta\, k \otimes (v - S^\top k), \quad
        o = S^\top q

    Parameters
    ----------
    inputs : DeltaInputs
        One token of each sequence.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(batch, value_heads, value_dim)`` and the next ``state``, fp64.

    References
    ----------
    Yang, Kautz and Hatamizadeh (2024), arXiv:2412.06464, equation 10
    """
    query, key = inputs.query.double(), inputs.key.double()
    if inputs.normalise:
        query, key = (
            each * torch.rsqrt(each.square().sum(-1, keepdim=True) + _NORM_EPSILON)
            for each in (query, key)
        )
    shared = inputs.value.shape[1] // key.shape[1]
    query, key = (each.repeat_interleave(shared, 1) for each in (inputs.scale * query, key))
    state = inputs.state.double() * torch.exp(inputs.gate.double())[..., None, None]
    held = torch.einsum("bhkv,bhk->bhv", state, key)
    correction = inputs.beta.double()[..., None] * (inputs.value.double() - held)
    state = state + key[..., :, None] * correction[..., None, :]
    return {"out": torch.einsum("bhkv,bhk->bhv", state, query), "state": state}


@triton.jit
def _update(
    state, query, key, value, gate, beta, out, query_batch, query_head, key_batch, key_head,
    value_batch, value_head, gate_batch, beta_batch, out_batch, out_head, heads, value_dim,
    scale, log2_e, epsilon,
    per_key: tl.constexpr, key_dim: tl.constexpr, block_v: tl.constexpr, normalise: tl.constexpr,
):  # fmt: skip
    """Update some columns of the state of one head of one sequence."""
    columns = tl.program_id(0) * block_v + tl.arange(0, block_v)
    head = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    real = columns < value_dim
    rows = tl.arange(0, key_dim)
    place = ((batch * heads + head) * key_dim + rows)[:, None] * value_dim + columns[None, :]
    before = tl.load(state + place, mask=real[None, :], other=0.0).to(tl.float32)

    shared = head // per_key
    queries = tl.load(query + batch * query_batch + shared * query_head + rows).to(tl.float32)
    keys = tl.load(key + batch * key_batch + shared * key_head + rows).to(tl.float32)
    if normalise:
        queries = queries * tl.rsqrt(tl.sum(queries * queries, 0) + epsilon)
        keys = keys * tl.rsqrt(tl.sum(keys * keys, 0) + epsilon)
    own = value + batch * value_batch + head * value_head + columns
    values = tl.load(own, mask=real, other=0.0).to(tl.float32)
    decay = tl.exp2(tl.load(gate + batch * gate_batch + head).to(tl.float32) * log2_e)
    strength = tl.load(beta + batch * beta_batch + head).to(tl.float32)

    faded = before * decay
    correction = strength * (values - tl.sum(faded * keys[:, None], 0))
    after = faded + keys[:, None] * correction[None, :]
    tl.store(state + place, narrow(after, state.dtype.element_ty), mask=real[None, :])
    result = tl.sum(after * (queries * scale)[:, None], 0)
    own = out + batch * out_batch + head * out_head + columns
    tl.store(own, narrow(result, out.dtype.element_ty), mask=real)


def check_delta(inputs: DeltaInputs) -> None:
    """Raise unless inputs of the rule go together.

    Parameters
    ----------
    inputs : DeltaInputs
        The inputs.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    query, value = inputs.query, inputs.value
    require(query.dim() == 3, "query", "wrong number of axes", query.dim(), "3")
    require(value.dim() == 3, "value", "wrong number of axes", value.dim(), "3")
    batch, key_heads, key_dim = query.shape
    heads, value_dim = value.shape[1:]
    require_shape("key", inputs.key, (batch, key_heads, key_dim))
    require_shape("value", value, (batch, heads, value_dim))
    require_shape("gate", inputs.gate, (batch, heads))
    require_shape("beta", inputs.beta, (batch, heads))
    require_shape("state", inputs.state, (batch, heads, key_dim, value_dim))
    require_floating("query, key, value", query, inputs.key, value)
    given = (query, inputs.key, value, inputs.gate, inputs.beta)
    require_last_axis_contiguous("query, key, value, gate, beta", *given)
    contiguous = inputs.state.is_contiguous()
    require(contiguous, "state", "not contiguous", inputs.state.stride(), "contiguous memory")
    divides = key_heads > 0 and heads % key_heads == 0
    require(divides, "key heads", "do not divide the value heads", key_heads, f"divisor of {heads}")
    require(key_dim in STATE_DIMS, "key_dim", "no tiles for it", key_dim, str(STATE_DIMS))


def tiles_for(
    batch: int, heads: int, value_dim: int, device: torch.device
) -> tuple[DeltaTile, ...]:
    """Return how a launch may be cut up, the default first.

    Parameters
    ----------
    batch, heads : int
        Sequences, and heads of the state. [1]
    value_dim : int
        Width of the state along the axis that is sliced. [elements]
    device : torch.device
        Where it runs.

    Returns
    -------
    tuple of DeltaTile
        At least one.
    """
    block = fit_tile(value_dim, batch * heads, device, least=16, most=64)
    first = DeltaTile(block, 4)
    others = (DeltaTile(block, 8), DeltaTile(max(16, block // 2), 4), DeltaTile(64, 8))
    return tuple(dict.fromkeys((first, *others)))


def gated_delta_update(
    inputs: DeltaInputs, *, out: torch.Tensor | None = None, tile: DeltaTile | None = None
) -> torch.Tensor:
    """Apply the rule to one token of each sequence; ``inputs.state`` is updated in place.

    Parameters
    ----------
    inputs : DeltaInputs
        One token of each sequence and the state before it.
    out : torch.Tensor, optional
        Where to write, like the values.
    tile : DeltaTile, optional
        How to cut it up; chosen from the shapes otherwise.

    Returns
    -------
    torch.Tensor
        Shape ``(batch, value_heads, value_dim)``.

    Raises
    ------
    KernelInputError
        Shapes, dtypes or heads do not fit.
    """
    check_delta(inputs)
    query, key, value = inputs.query, inputs.key, inputs.value
    batch, heads, value_dim = value.shape
    out = torch.empty_like(value) if out is None else out
    require_shape("out", out, tuple(value.shape))
    require(out.stride(-1) == 1, "out", "last axis is strided", out.stride(), "stride 1")
    tile = tiles_for(batch, heads, value_dim, value.device)[0] if tile is None else tile
    _update[(triton.cdiv(value_dim, tile.block), heads, batch)](
        inputs.state, query, key, value, inputs.gate, inputs.beta, out, *query.stride()[:2],
        *key.stride()[:2], *value.stride()[:2], inputs.gate.stride(0), inputs.beta.stride(0),
        *out.stride()[:2], heads, value_dim, inputs.scale, LOG2_E, _NORM_EPSILON,
        per_key=heads // key.shape[1], key_dim=key.shape[2], block_v=tile.block,
        normalise=inputs.normalise, num_warps=tile.warps,
    )  # fmt: skip
    return out


def _supports(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
    return takes(shape, "gated_delta_net")


def _candidates(inputs: DeltaInputs) -> tuple[DeltaTile, ...]:
    return tiles_for(*inputs.value.shape, inputs.value.device)


def _run_with(inputs: DeltaInputs, out: Outputs | None, candidate: DeltaTile | None) -> Outputs:
    result = gated_delta_update(inputs, out=out["out"] if out else None, tile=candidate)
    return {"out": result, "state": inputs.state}


def _run(inputs: DeltaInputs, out: Outputs | None = None) -> Outputs:
    return _run_with(inputs, out, None)


KERNELS = (
    Kernel(
        name="triton_gated_delta_update",
        kind="state_space_decode",
        provider="triton",
        variant="gated_delta_net",
        make_inputs=make_delta_inputs,
        make_outputs=make_delta_outputs,
        run=_run,
        reference=reference,
        tolerances=TOLERANCES,
        available=triton_available,
        supports=_supports,
        candidates=_candidates,
        run_with=_run_with,
    ),
)
