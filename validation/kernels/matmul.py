"""The library's matrix product in fp32, bf16, fp16 and fp8."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from validation.kernels.attention import integer
from validation.kernels.buffers import poisoned
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape, Tolerance

TOLERANCES = {
    torch.float32: Tolerance(
        overall=1e-5,
        row=2e-5,
        reason="fp32 sums of thousands of products (unit round-off 6e-8); TF32 would miss this "
        "by far, and is meant to",
    ),
    torch.float16: Tolerance(
        overall=1e-3,
        row=3e-3,
        reason="the output is rounded to fp16 (unit round-off 4.9e-4), partial sums may be too",
    ),
    torch.bfloat16: Tolerance(
        overall=6e-3,
        row=1.5e-2,
        reason="the output is rounded to bf16 (unit round-off 3.9e-3), partial sums may be too",
    ),
}
FP8_TOLERANCES = {
    torch.float8_e4m3fn: Tolerance(
        overall=2e-2,
        row=4e-2,
        reason="operands are fp8 in the reference too; tensor cores keep about 14 bits of the "
        "running sum in their fast mode, and the output is bf16",
    ),
}
# The scaled product starts with Ada and Hopper.
_OLDEST_FP8 = (8, 9)
_FP8_MULTIPLE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MatmulInputs:
    """Activations, and a weight that is stored outputs first.

    Parameters
    ----------
    activations : torch.Tensor
        Shape ``(m, k)``.
    weight : torch.Tensor
        Shape ``(n, k)``.
    activation_scale, weight_scale : torch.Tensor or None
        One factor for each operand in fp8, fp32.
    """

    activations: torch.Tensor
    weight: torch.Tensor
    activation_scale: torch.Tensor | None = None
    weight_scale: torch.Tensor | None = None


def make_inputs(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> MatmulInputs:
    """Return random operands.

    Parameters
    ----------
    shape : mapping
        ``m, n, k``.
    dtype : torch.dtype
        Of both; fp8 operands come with a scale each.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    MatmulInputs
        Standard normal, so that switching power is that of real data.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    generator = torch.Generator(device).manual_seed(seed)
    m, n, k = (integer(shape, column) for column in "mnk")
    narrow = dtype.itemsize == 1
    kind = torch.bfloat16 if narrow else dtype

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(size, dtype=kind, device=device, generator=generator).to(dtype)

    return MatmulInputs(
        activations=normal(m, k),
        weight=normal(n, k),
        activation_scale=torch.tensor(1.0, device=device) if narrow else None,
        weight_scale=torch.tensor(k**-0.5, device=device) if narrow else None,
    )


def reference(inputs: MatmulInputs) -> Outputs:
    r"""Compute the product in double precision.

    .. math::
        C = s_a s_w \, A W^\top

    Parameters
    ----------
    inputs : MatmulInputs
        Operands.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(m, n)``, fp64.
    """
    product = inputs.activations.double() @ inputs.weight.double().T
    for scale in (inputs.activation_scale, inputs.weight_scale):
        product = product if scale is None else product * scale.double()
    return {"out": product}


def make_outputs(inputs: MatmulInputs) -> Outputs:
    """Return a poisoned output; the fp8 product allocates its own.

    Parameters
    ----------
    inputs : MatmulInputs
        Operands.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(m, n)``, all NaN.
    """
    a, weight = inputs.activations, inputs.weight
    return {"out": poisoned((a.shape[0], weight.shape[0]), a.dtype, a.device)}


def _run(inputs: MatmulInputs, out: Outputs | None = None) -> Outputs:
    into = out["out"] if out else None
    return {"out": torch.mm(inputs.activations, inputs.weight.T, out=into)}


def _run_fp8(inputs: MatmulInputs, out: Outputs | None = None) -> Outputs:
    product = torch._scaled_mm(
        inputs.activations,
        inputs.weight.T,
        scale_a=inputs.activation_scale,
        scale_b=inputs.weight_scale,
        out_dtype=torch.bfloat16,
        use_fast_accum=True,
    )
    return {"out": product}


def _no_outputs(inputs: MatmulInputs) -> Outputs:
    return {}


def _fp8_available(device: torch.device) -> Answer:
    if device.type != "cuda" or not torch.cuda.is_available():
        return False, "fp8 products need a CUDA device"
    capability = torch.cuda.get_device_capability(device)
    if capability < _OLDEST_FP8:
        return False, f"fp8 needs compute capability 8.9, not {capability[0]}.{capability[1]}"
    return True, ""


def _fp8_supports(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
    uneven = [each for each in "nk" if integer(shape, each) % _FP8_MULTIPLE]
    return not uneven, f"{uneven[0]} is not a multiple of {_FP8_MULTIPLE}" if uneven else ""


KERNELS = (
    Kernel(
        name="torch_matmul",
        kind="gemm",
        provider="torch",
        make_inputs=make_inputs,
        make_outputs=make_outputs,
        run=_run,
        reference=reference,
        tolerances=TOLERANCES,
    ),
    Kernel(
        name="torch_scaled_matmul",
        kind="gemm",
        provider="torch",
        make_inputs=make_inputs,
        make_outputs=_no_outputs,
        run=_run_fp8,
        reference=reference,
        tolerances=FP8_TOLERANCES,
        available=_fp8_available,
        supports=_fp8_supports,
    ),
)
