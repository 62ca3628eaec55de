"""Kernels under validation, by name: our own in Triton, a naive baseline, the library's.

Listing them imports neither Torch nor Triton; :func:`load` imports what one kernel needs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.errors import PlannerError, UnknownNameError

if TYPE_CHECKING:
    from validation.kernels.kernel import Kernel


class KernelUnavailableError(PlannerError):
    """A kernel's libraries cannot be imported here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a kernel is and what it does.

    Parameters
    ----------
    module : str
        Module of this package whose ``KERNELS`` holds it.
    kind : str
        Kind of operation, as in the planner and in tables of measurements.
    provider : str
        ``triton`` for our own, otherwise the library and its backend.
    variant : str
        Which of several things of the kind, or empty.
    """

    module: str
    kind: str
    provider: str
    variant: str = ""


KERNELS: dict[str, Entry] = {
    "triton_flash_prefill": Entry("flash_prefill", "attention_prefill", "triton"),
    "triton_paged_decode": Entry("paged_decode", "attention_decode", "triton"),
    "triton_mla_decode": Entry("mla_decode", "mla_decode", "triton"),
    "triton_mamba2_scan": Entry("mamba2_scan", "state_space_prefill", "triton", "mamba2"),
    "triton_mamba2_update": Entry("mamba2_update", "state_space_decode", "triton", "mamba2"),
    "triton_gated_delta_update": Entry(
        "gated_delta_update", "state_space_decode", "triton", "gated_delta_net"
    ),
    "naive_attention": Entry("naive_attention", "attention_prefill", "naive"),
    "prefill_sdpa_math": Entry("sdpa", "attention_prefill", "sdpa_math"),
    "prefill_sdpa_flash": Entry("sdpa", "attention_prefill", "sdpa_flash"),
    "prefill_sdpa_efficient": Entry("sdpa", "attention_prefill", "sdpa_efficient"),
    "prefill_sdpa_cudnn": Entry("sdpa", "attention_prefill", "sdpa_cudnn"),
    "decode_sdpa_math": Entry("sdpa", "attention_decode", "sdpa_math"),
    "decode_sdpa_flash": Entry("sdpa", "attention_decode", "sdpa_flash"),
    "decode_sdpa_efficient": Entry("sdpa", "attention_decode", "sdpa_efficient"),
    "decode_sdpa_cudnn": Entry("sdpa", "attention_decode", "sdpa_cudnn"),
    "prefill_flex": Entry("flex", "attention_prefill", "flex"),
    "decode_flex": Entry("flex", "attention_decode", "flex"),
    "prefill_varlen_flash": Entry("varlen", "attention_prefill", "varlen_flash"),
    "decode_varlen_flash": Entry("varlen", "attention_decode", "varlen_flash"),
    "torch_matmul": Entry("matmul", "gemm", "torch"),
    "torch_scaled_matmul": Entry("matmul", "gemm", "torch"),
    "torch_copy": Entry("streams", "memory_copy", "torch"),
    "torch_fused_rms_norm": Entry("streams", "elementwise", "torch_fused", "rms_norm"),
    "torch_unfused_rms_norm": Entry("streams", "elementwise", "torch_unfused", "rms_norm"),
    "torch_fused_layer_norm": Entry("streams", "elementwise", "torch_fused", "layer_norm"),
    "torch_unfused_layer_norm": Entry("streams", "elementwise", "torch_unfused", "layer_norm"),
}


def names(kind: str | None = None, provider: str | None = None) -> tuple[str, ...]:
    """Return the names of kernels, in the registry's order.

    Parameters
    ----------
    kind : str, optional
        Only of this kind of operation.
    provider : str, optional
        Only of this provider.

    Returns
    -------
    tuple of str
        Names that :func:`load` takes.

    Examples
    --------
    >>> names("mla_decode"), names("gemm")
    (('triton_mla_decode',), ('torch_matmul', 'torch_scaled_matmul'))
    """
    return tuple(
        name
        for name, entry in KERNELS.items()
        if kind in (None, entry.kind) and provider in (None, entry.provider)
    )


def load(name: str) -> Kernel:
    """Return a kernel, importing the libraries that it needs.

    Parameters
    ----------
    name : str
        Its name in the registry.

    Returns
    -------
    Kernel
        The kernel.

    Raises
    ------
    UnknownNameError
        No kernel has this name.
    KernelUnavailableError
        A library that it needs is not installed.
    """
    if name not in KERNELS:
        raise UnknownNameError("kernel", name, KERNELS)
    try:
        module = importlib.import_module(f"validation.kernels.{KERNELS[name].module}")
    except ImportError as error:
        raise KernelUnavailableError(
            f"a library that it needs cannot be imported ({error})",
            where=name,
            fix="Install the validation extra: pip install 'llm-capacity-planner[validation]'.",
        ) from error
    found: dict[str, Kernel] = {each.name: each for each in module.KERNELS}
    return found[name]
