"""What only moves bytes: copies, and norms as one kernel or as several."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import layer_norm, rms_norm

from validation.kernels.attention import integer
from validation.kernels.buffers import poisoned
from validation.kernels.kernel import Kernel, Outputs, Shape, Tolerance

_EXACT = Tolerance(overall=0.0, row=0.0, reason="a copy is exact")
COPY_TOLERANCES = dict.fromkeys((torch.float32, torch.bfloat16, torch.float16), _EXACT)
NORM_TOLERANCES = {
    torch.float32: Tolerance(overall=1e-6, row=5e-6, reason="one fp32 sum over the width"),
    torch.float16: Tolerance(
        overall=1e-3,
        row=2e-3,
        reason="the normalised value and the output are rounded to fp16 (unit round-off 4.9e-4)",
    ),
    torch.bfloat16: Tolerance(
        overall=6e-3,
        row=1.2e-2,
        reason="the normalised value and the output are rounded to bf16 (unit round-off 3.9e-3)",
    ),
}
EPSILON = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyInputs:
    """What is copied, shape ``(elements,)``."""

    source: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class NormInputs:
    """Rows and what scales and shifts them.

    Parameters
    ----------
    rows : torch.Tensor
        Shape ``(tokens, width)``.
    weight, bias : torch.Tensor
        Shape ``(width,)``; the root-mean-square norm has no bias.
    """

    rows: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor


def make_copy_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> CopyInputs:
    """Return random data to copy.

    Parameters
    ----------
    shape : mapping
        ``total_bytes``: read plus written, so half of it is copied.
    dtype : torch.dtype
        Of the elements.
    device : torch.device
        Where it lives.
    seed : int
        The same gives the same.

    Returns
    -------
    CopyInputs
        Standard normal.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    generator = torch.Generator(device).manual_seed(seed)
    elements = integer(shape, "total_bytes") // (2 * dtype.itemsize)
    return CopyInputs(source=torch.randn(elements, dtype=dtype, device=device, generator=generator))


def make_norm_inputs(
    shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
) -> NormInputs:
    """Return random rows, weight and bias.

    Parameters
    ----------
    shape : mapping
        ``tokens, width``.
    dtype : torch.dtype
        Of all.
    device : torch.device
        Where they live.
    seed : int
        The same gives the same.

    Returns
    -------
    NormInputs
        Standard normal.

    Raises
    ------
    KernelInputError
        The shape is incomplete.
    """
    generator = torch.Generator(device).manual_seed(seed)
    tokens, width = integer(shape, "tokens"), integer(shape, "width")

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(size, dtype=dtype, device=device, generator=generator)

    return NormInputs(rows=normal(tokens, width), weight=normal(width), bias=normal(width))


def copy_reference(inputs: CopyInputs) -> Outputs:
    """Return what the copy should hold.

    Parameters
    ----------
    inputs : CopyInputs
        The source.

    Returns
    -------
    dict of str to torch.Tensor
        ``out``, the source itself.
    """
    return {"out": inputs.source}


def rms_norm_reference(inputs: NormInputs) -> Outputs:
    r"""Compute the root-mean-square norm in double precision.

    .. math::
        y = w\, x / \sqrt{\overline{x^2} + \epsilon}

    Parameters
    ----------
    inputs : NormInputs
        Rows and weight.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(tokens, width)``, fp64.

    References
    ----------
    Zhang and Sennrich (2019), Root mean square layer normalization, arXiv:1910.07467
    """
    x = inputs.rows.double()
    return {"out": inputs.weight.double() * x / (x.square().mean(-1, True) + EPSILON).sqrt()}


def layer_norm_reference(inputs: NormInputs) -> Outputs:
    r"""Compute layer normalisation in double precision.

    .. math::
        y = w\, (x - \bar{x}) / \sqrt{\overline{(x - \bar{x})^2} + \epsilon} + b

    Parameters
    ----------
    inputs : NormInputs
        Rows, weight and bias.

    Returns
    -------
    dict of str to torch.Tensor
        ``out`` of shape ``(tokens, width)``, fp64.

    References
    ----------
    Ba, Kiros and Hinton (2016), Layer normalization, arXiv:1607.06450
    """
    x = inputs.rows.double()
    x = x - x.mean(-1, True)
    normal = x / (x.square().mean(-1, True) + EPSILON).sqrt()
    return {"out": inputs.weight.double() * normal + inputs.bias.double()}


def _copy_outputs(inputs: CopyInputs) -> Outputs:
    source = inputs.source
    return {"out": poisoned(tuple(source.shape), source.dtype, source.device)}


def _no_outputs(inputs: NormInputs) -> Outputs:
    return {}


def _copy(inputs: CopyInputs, out: Outputs | None = None) -> Outputs:
    into = out["out"] if out else torch.empty_like(inputs.source)
    return {"out": into.copy_(inputs.source)}


def _fused_rms_norm(inputs: NormInputs, out: Outputs | None = None) -> Outputs:
    return {"out": rms_norm(inputs.rows, inputs.weight.shape, inputs.weight, EPSILON)}


def _fused_layer_norm(inputs: NormInputs, out: Outputs | None = None) -> Outputs:
    rows, weight = inputs.rows, inputs.weight
    return {"out": layer_norm(rows, weight.shape, weight, inputs.bias, EPSILON)}


def _unfused_rms_norm(inputs: NormInputs, out: Outputs | None = None) -> Outputs:
    x = inputs.rows.float()
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)
    return {"out": inputs.weight * x.to(inputs.rows.dtype)}


def _unfused_layer_norm(inputs: NormInputs, out: Outputs | None = None) -> Outputs:
    x = inputs.rows.float()
    x = x - x.mean(-1, keepdim=True)
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)
    return {"out": (inputs.weight.float() * x + inputs.bias.float()).to(inputs.rows.dtype)}


KERNELS = (
    Kernel(
        name="torch_copy",
        kind="memory_copy",
        provider="torch",
        make_inputs=make_copy_inputs,
        make_outputs=_copy_outputs,
        run=_copy,
        reference=copy_reference,
        tolerances=COPY_TOLERANCES,
    ),
    *(
        Kernel(
            name=f"torch_{label}_{variant}",
            kind="elementwise",
            provider=f"torch_{label}",
            variant=variant,
            make_inputs=make_norm_inputs,
            make_outputs=_no_outputs,
            run=run,
            reference=reference,
            tolerances=NORM_TOLERANCES,
        )
        for label, variant, run, reference in (
            ("fused", "rms_norm", _fused_rms_norm, rms_norm_reference),
            ("unfused", "rms_norm", _unfused_rms_norm, rms_norm_reference),
            ("fused", "layer_norm", _fused_layer_norm, layer_norm_reference),
            ("unfused", "layer_norm", _unfused_layer_norm, layer_norm_reference),
        )
    ),
)
