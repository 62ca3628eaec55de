"""The library's ``scaled_dot_product_attention``, one provider for each of its backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from validation.kernels.attention import (
    ATTENTION_TOLERANCES,
    AttentionInputs,
    integer,
    make_attention_inputs,
    reference,
    visible,
    window_of,
)
from validation.kernels.kernel import Answer, Kernel, Outputs, Shape
from validation.kernels.naive_attention import TOLERANCES as MATERIALISED_TOLERANCES

# A fused library kernel may split fp32 products into narrower ones.
FUSED_TOLERANCES = {
    **ATTENTION_TOLERANCES,
    torch.float32: MATERIALISED_TOLERANCES[torch.float32],
}
_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpaInputs:
    """Queries, keys and values as the library wants them, and the mask.

    Parameters
    ----------
    query, key, value : torch.Tensor
        Views of the inputs, shape ``(batch, heads, tokens, head_dim)``.
    mask : torch.Tensor or None
        Booleans of shape ``(new_tokens, keys)``, or the library's causal bias.
    causal : bool
        Whether the mask is the plain causal one.
    source : AttentionInputs
        What they are views of.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor | None
    causal: bool
    source: AttentionInputs


def _mask(inputs: AttentionInputs, *, bias: bool) -> tuple[torch.Tensor | None, bool]:
    """Return the mask, and whether the plain causal flag does."""
    new_tokens, keys = inputs.query.shape[1], inputs.key.shape[1]
    narrowed = inputs.window is not None and inputs.window < keys
    if not narrowed and (new_tokens in (1, keys)):
        return None, new_tokens == keys and keys > 1
    if not narrowed and bias:
        return causal_lower_right(new_tokens, keys), False
    positions = torch.arange(keys, device=inputs.query.device)
    return visible(positions[keys - new_tokens :], positions, inputs.window), False


def _prepare(inputs: AttentionInputs, backend: SDPBackend) -> SdpaInputs:
    seen = inputs
    if inputs.query.shape[1] == 1 and inputs.window is not None:
        # One query sees the last keys only: no mask is needed on a slice.
        seen = AttentionInputs(
            query=inputs.query,
            key=inputs.key[:, -inputs.window :],
            value=inputs.value[:, -inputs.window :],
            window=None,
            scale=inputs.scale,
        )
    biased = inputs.query.is_cuda and backend in (
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
    )
    mask, causal = _mask(seen, bias=biased)
    query, key, value = (each.transpose(1, 2) for each in (seen.query, seen.key, seen.value))
    return SdpaInputs(query=query, key=key, value=value, mask=mask, causal=causal, source=inputs)


def _reference(inputs: SdpaInputs) -> Outputs:
    return reference(inputs.source)


def _no_outputs(inputs: SdpaInputs) -> Outputs:
    return {}


def _make(
    backend: SDPBackend,
) -> Callable[[Shape, torch.dtype, torch.device, int], SdpaInputs]:
    def make_inputs(
        shape: Shape, dtype: torch.dtype, device: torch.device, seed: int
    ) -> SdpaInputs:
        return _prepare(make_attention_inputs(shape, dtype, device, seed), backend)

    return make_inputs


def _run(backend: SDPBackend) -> Callable[..., Outputs]:
    def run(inputs: SdpaInputs, out: Outputs | None = None) -> Outputs:
        with sdpa_kernel(backend):
            attended = scaled_dot_product_attention(
                inputs.query,
                inputs.key,
                inputs.value,
                attn_mask=inputs.mask,
                is_causal=inputs.causal,
                scale=inputs.source.scale,
                enable_gqa=inputs.query.shape[1] != inputs.key.shape[1],
            )
        return {"out": attended.transpose(1, 2)}

    return run


def _available(backend: SDPBackend) -> Callable[[torch.device], Answer]:
    def available(device: torch.device) -> Answer:
        if device.type == "cpu":
            on_host = backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION)
            return on_host, "" if on_host else f"{backend.name} needs a CUDA device"
        if device.type != "cuda" or not torch.cuda.is_available():
            return False, f"no CUDA device {device}"
        if backend is SDPBackend.FLASH_ATTENTION and not (
            torch.backends.cuda.is_flash_attention_available()
        ):
            return False, "this PyTorch was built without flash attention"
        if backend is SDPBackend.CUDNN_ATTENTION and not torch.backends.cudnn.is_available():
            return False, "this PyTorch has no cuDNN"
        return True, ""

    return available


def _supports(backend: SDPBackend) -> Callable[[Shape, torch.dtype, torch.device], Answer]:
    def supports(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
        if device.type != "cuda" or backend is SDPBackend.MATH:
            return True, ""
        grouped = integer(shape, "query_heads") != integer(shape, "kv_heads")
        if backend is SDPBackend.EFFICIENT_ATTENTION:
            return not grouped, "the efficient backend takes no grouped heads" if grouped else ""
        if dtype not in _HALF:
            return False, f"{backend.name} takes bf16 and fp16 only"
        new_tokens, cached = integer(shape, "new_tokens", 1), integer(shape, "cached_tokens", 0)
        window = window_of(shape)
        masked = new_tokens > 1 and window is not None and window < new_tokens + cached
        if backend is SDPBackend.FLASH_ATTENTION and masked:
            return False, "the flash backend takes no window"
        return True, ""

    return supports


def _kernel(kind: str, prefix: str, label: str, backend: SDPBackend) -> Kernel:
    fused = backend is not SDPBackend.MATH
    return Kernel(
        name=f"{prefix}_sdpa_{label}",
        kind=kind,
        provider=f"sdpa_{label}",
        make_inputs=_make(backend),
        make_outputs=_no_outputs,
        run=_run(backend),
        reference=_reference,
        tolerances=FUSED_TOLERANCES if fused else MATERIALISED_TOLERANCES,
        available=_available(backend),
        supports=_supports(backend),
    )


KERNELS = tuple(
    _kernel(kind, prefix, label, backend)
    for kind, prefix in (("attention_prefill", "prefill"), ("attention_decode", "decode"))
    for label, backend in (
        ("math", SDPBackend.MATH),
        ("flash", SDPBackend.FLASH_ATTENTION),
        ("efficient", SDPBackend.EFFICIENT_ATTENTION),
        ("cudnn", SDPBackend.CUDNN_ATTENTION),
    )
)
