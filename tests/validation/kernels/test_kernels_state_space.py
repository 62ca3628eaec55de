"""State-space kernels against their equation, and the equations against other implementations."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
pytest.importorskip("transformers")

from validation.kernels import load  # noqa: E402
from validation.kernels.gated_delta_update import (  # noqa: E402
    DeltaTile,
    gated_delta_update,
    make_delta_inputs,
)
from validation.kernels.gated_delta_update import reference as delta_reference  # noqa: E402
from validation.kernels.kernel import KernelInputError, compare, verify  # noqa: E402
from validation.kernels.launch import triton_available  # noqa: E402
from validation.kernels.mamba2_scan import ScanTile, mamba2_scan  # noqa: E402
from validation.kernels.mamba2_update import UpdateTile, mamba2_update  # noqa: E402
from validation.kernels.recurrence import scan_reference, update_reference  # noqa: E402
from validation.kernels.state_space import (  # noqa: E402
    ScanInputs,
    UpdateInputs,
    make_scan_inputs,
    make_update_inputs,
)

CPU = torch.device("cpu")
HERE, WHY_NOT = triton_available(CPU)

pytestmark = [pytest.mark.oracle, pytest.mark.skipif(not HERE, reason=WHY_NOT)]

HALF, FULL = [torch.bfloat16], [torch.float32, torch.bfloat16, torch.float16]
SMALL = {"batch": 1, "heads": 2, "head_dim": 16, "groups": 1, "state_dim": 16}


def each_in(dtypes: list[Any], *shapes: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    return [(shape, dtype) for shape in shapes for dtype in dtypes]


def check(name: str, shape: dict[str, Any], dtype: Any, candidate: Any = None) -> None:
    kernel = load(name)
    inputs = kernel.make_inputs(shape, dtype, CPU, 7)
    if candidate is None:
        result = verify(kernel, inputs, dtype)
    else:
        expected = kernel.reference(inputs)
        actual = kernel.run_with(inputs, kernel.make_outputs(inputs), candidate)
        result = compare(actual, expected, kernel.tolerance(dtype))
    assert result.correct, result.reason


# --- Mamba-2 over a sequence ---


@pytest.mark.parametrize(
    ("shape", "dtype"),
    each_in(FULL, {"new_tokens": 100, "chunk": 32, "initial_state": True, "batch": 2})
    + each_in(
        HALF,
        {"new_tokens": 1, "chunk": 64},
        {"new_tokens": 32, "chunk": 32},
        {"new_tokens": 129, "chunk": 64, "heads": 4, "groups": 2},
        {"new_tokens": 150, "chunk": 128, "head_dim": 64, "state_dim": 128},
        {"new_tokens": 130, "chunk": 256, "head_dim": 80, "state_dim": 64, "initial_state": True},
    ),
    ids=str,
)
def test_mamba2_scan(shape: dict[str, Any], dtype: Any) -> None:
    check("triton_mamba2_scan", SMALL | shape, dtype)


@pytest.mark.parametrize("tile", [ScanTile(16, 32, 4, 1), ScanTile(64, 16, 4, 1)], ids=str)
def test_mamba2_scan_at_every_boundary_of_its_tiles(tile: ScanTile) -> None:
    shape = SMALL | {"new_tokens": 90, "chunk": 64, "initial_state": True}
    check("triton_mamba2_scan", shape, torch.bfloat16, tile)


def test_mamba2_scan_in_two_parts_is_the_whole() -> None:
    whole = make_scan_inputs(SMALL | {"new_tokens": 50, "chunk": 16}, torch.float32, CPU, 1)

    def part(tokens: slice, state: Any) -> ScanInputs:
        cut = {name: getattr(whole, name)[:, tokens].contiguous() for name in ("x", "dt", "b", "c")}
        return ScanInputs(a=whole.a, d=whole.d, state=state, chunk=16, **cut)

    first = mamba2_scan(part(slice(0, 23), None))
    second = mamba2_scan(part(slice(23, 50), first["state"]))
    at_once = mamba2_scan(whole)
    assert torch.allclose(torch.cat([first["y"], second["y"]], 1), at_once["y"], atol=1e-4)
    assert torch.allclose(second["state"], at_once["state"], atol=1e-5)


def test_scan_equation_agrees_with_its_quadratic_form() -> None:
    """The dual of Mamba-2: one masked product per head, no state at all."""
    inputs = make_scan_inputs(
        SMALL | {"new_tokens": 40, "heads": 4, "groups": 2}, torch.float32, CPU, 2
    )
    x, dt = inputs.x.double(), inputs.dt.double()
    b, c = (each.double().repeat_interleave(2, 2) for each in (inputs.b, inputs.c))
    sums = torch.cumsum(dt * inputs.a.double(), 1).movedim(1, 2)
    fade = torch.exp((sums[..., :, None] - sums[..., None, :]).tril()).tril()
    weights = torch.einsum("bthn,bshn->bhts", c, b) * fade
    y = torch.einsum("bhts,bsh,bshp->bthp", weights, dt, x) + inputs.d.double()[:, None] * x
    assert torch.allclose(scan_reference(inputs)["y"], y, atol=1e-10)


@pytest.mark.parametrize("tokens", [21, 32])
def test_scan_equation_agrees_with_transformers(tokens: int) -> None:
    from transformers.models.mamba2.modeling_mamba2 import mamba2_chunk_scan

    shape = SMALL | {"batch": 2, "heads": 4, "groups": 2, "initial_state": True}
    inputs = make_scan_inputs(shape | {"new_tokens": tokens}, torch.float32, CPU, 3)
    y, state = mamba2_chunk_scan(
        inputs.x,
        inputs.dt,
        inputs.a,
        inputs.b,
        inputs.c,
        chunk_size=8,
        D=inputs.d,
        initial_states=inputs.state,
        return_final_states=True,
    )
    expected = scan_reference(inputs)
    assert torch.allclose(y.double(), expected["y"], rtol=1e-4, atol=1e-4)
    assert torch.allclose(state.double(), expected["state"], rtol=1e-4, atol=1e-5)


def test_update_equation_agrees_with_transformers() -> None:
    from transformers.models.mamba2.modeling_mamba2 import mamba2_selective_state_update

    inputs = make_update_inputs(
        SMALL | {"batch": 2, "heads": 4, "groups": 2}, torch.float32, CPU, 3
    )
    state = inputs.state.clone()
    y = mamba2_selective_state_update(
        state,
        inputs.x,
        inputs.dt[..., None].expand(-1, -1, 16),
        inputs.a[:, None, None].expand(-1, 16, 16),
        inputs.b,
        inputs.c,
        inputs.d[:, None].expand(-1, 16),
    )
    expected = update_reference(inputs)
    assert torch.allclose(y.double(), expected["y"], rtol=1e-4, atol=1e-5)
    assert torch.allclose(state.double(), expected["state"], rtol=1e-5, atol=1e-6)


# --- Mamba-2, one token ---


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"batch": 3, "heads": 4, "groups": 2, "head_dim": 80, "state_dim": 128},
        {"heads": 3, "head_dim": 64, "state_dim": 256},
    ],
    ids=str,
)
def test_mamba2_update(shape: dict[str, Any], dtype: Any) -> None:
    check("triton_mamba2_update", SMALL | shape, dtype)


def test_mamba2_update_of_a_narrow_state() -> None:
    shape = SMALL | {"state_format": "bf16", "head_dim": 24}
    check("triton_mamba2_update", shape, torch.bfloat16, UpdateTile(16, 4))


def test_mamba2_update_token_by_token_is_the_scan() -> None:
    whole = make_scan_inputs(SMALL | {"new_tokens": 6}, torch.float32, CPU, 4)
    state = torch.zeros(1, 2, 16, 16)
    rows = [
        mamba2_update(
            UpdateInputs(
                **{name: getattr(whole, name)[:, i] for name in ("x", "dt", "b", "c")},
                a=whole.a,
                d=whole.d,
                state=state,
            )
        )
        for i in range(6)
    ]
    expected = scan_reference(whole)
    assert torch.allclose(torch.stack(rows, 1).double(), expected["y"], atol=1e-5)
    assert torch.allclose(state.double(), expected["state"], atol=1e-6)


# --- the gated delta rule ---


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"batch": 2, "heads": 6, "groups": 2, "head_dim": 72, "state_dim": 64},
        {"heads": 4, "groups": 4, "head_dim": 128, "state_dim": 128},
    ],
    ids=str,
)
def test_gated_delta_update(shape: dict[str, Any], dtype: Any) -> None:
    check("triton_gated_delta_update", SMALL | shape, dtype)


def test_gated_delta_update_of_a_narrow_state() -> None:
    shape = SMALL | {"state_format": "bf16", "head_dim": 40}
    check("triton_gated_delta_update", shape, torch.bfloat16, DeltaTile(32, 4))


@pytest.mark.parametrize("normalise", [False, True])
def test_delta_equation_agrees_with_transformers(normalise: bool) -> None:
    from transformers.models.qwen3_next.modeling_qwen3_next import (
        torch_recurrent_gated_delta_rule,
    )

    inputs = make_delta_inputs(SMALL | {"batch": 2, "heads": 4, "groups": 4}, torch.float32, CPU, 5)
    inputs = type(inputs)(
        **{name: getattr(inputs, name) for name in ("query", "value", "gate", "beta", "state")},
        key=inputs.key / 4,
        scale=16**-0.5,
        normalise=normalise,
    )
    expected = delta_reference(inputs)
    out, state = torch_recurrent_gated_delta_rule(
        *(each[:, None] for each in (inputs.query, inputs.key, inputs.value)),
        g=inputs.gate[:, None],
        beta=inputs.beta[:, None],
        initial_state=inputs.state.clone(),
        output_final_state=True,
        use_qk_l2norm_in_kernel=normalise,
    )
    assert torch.allclose(out[:, 0].double(), expected["out"], rtol=1e-4, atol=1e-5)
    assert torch.allclose(state.double(), expected["state"], rtol=1e-4, atol=1e-5)
    got = gated_delta_update(inputs)
    assert torch.allclose(got.double(), expected["out"], rtol=1e-4, atol=1e-5)


def test_a_correction_of_one_stores_the_value() -> None:
    """With β = 1 and a key of norm 1, reading with the key gives the value back."""
    made = make_delta_inputs(SMALL, torch.float32, CPU, 6)
    key = torch.nn.functional.normalize(made.key, dim=-1)
    inputs = type(made)(
        query=key,
        key=key,
        value=made.value,
        gate=made.gate,
        beta=torch.ones_like(made.beta),
        state=made.state,
    )
    assert torch.allclose(gated_delta_update(inputs), made.value, atol=1e-5)


# --- what they refuse ---


def test_they_refuse_what_does_not_fit() -> None:
    scan = SMALL | {"new_tokens": 8}
    for shape, word in (
        (scan | {"heads": 3, "groups": 2}, "divisor of 3"),
        (scan | {"state_dim": 24}, "state_dim"),
        (scan | {"chunk": 100}, "chunk"),
    ):
        with pytest.raises(KernelInputError, match=word):
            mamba2_scan(make_scan_inputs(shape, torch.float32, CPU, 0))
    with pytest.raises(KernelInputError, match="state_format"):
        make_update_inputs(SMALL | {"state_format": "bf16"}, torch.float32, CPU, 0)
    with pytest.raises(KernelInputError, match="value heads"):
        gated_delta_update(
            make_delta_inputs(SMALL | {"heads": 3, "groups": 2}, torch.float32, CPU, 0)
        )
    update = make_update_inputs(SMALL, torch.float32, CPU, 0)
    with pytest.raises(KernelInputError, match="out"):
        mamba2_update(update, out=torch.empty(1, 2, 8))


def test_a_variant_is_not_taken_for_another() -> None:
    kernel = load("triton_mamba2_update")
    shape = SMALL | {"variant": "gated_delta_net"}
    assert kernel.usable(shape, torch.float32, CPU) == (
        False,
        "a kernel of mamba2, not of gated_delta_net",
    )
    assert load("triton_gated_delta_update").usable(shape, torch.float32, CPU) == (True, "")


def test_references_leave_the_state_alone() -> None:
    update, delta = (
        make(SMALL, torch.float32, CPU, 0) for make in (make_update_inputs, make_delta_inputs)
    )
    before = update.state.clone(), delta.state.clone()
    update_reference(update)
    delta_reference(delta)
    assert torch.equal(before[0], update.state)
    assert torch.equal(before[1], delta.state)
