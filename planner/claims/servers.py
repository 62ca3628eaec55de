"""Claims about what servers run."""

from __future__ import annotations

from collections.abc import Mapping

from planner.claims.assumptions import figure
from planner.claims.claim import Claim, Control, Finding, Values, Verdict
from planner.explanation import Term

_ALL = "all"
_FLASH_2 = "FlashAttention-2"

_BACKENDS: Mapping[str, tuple[str, ...]] = {
    "vllm-0.33": (
        _FLASH_2, "FlashAttention-3", "FlashAttention-4", "FlashInfer", "Triton", "FlexAttention",
        "FlashMLA", "CUTLASS MLA", "FlashInfer MLA", "ROCm AITER", "CPU",
    ),
    "sglang-0.5.23": ("FlashAttention-3", "FlashInfer", "TensorRT-LLM MHA"),
    "tensorrt-llm": ("TensorRT-LLM FMHA", "XQA"),
}  # fmt: skip
"""Kernels of attention by engine, as its source lists or selects them."""


def _everyone(values: Values) -> Finding:
    chosen = list(_BACKENDS) if values["engine"] == _ALL else [values["engine"]]
    with_it = [name for name in chosen if _FLASH_2 in _BACKENDS[name]]
    kernels = {kernel for name in chosen for kernel in _BACKENDS[name]}
    verdict: Verdict = "false" if len(with_it) < len(chosen) else "depends"
    return Finding(
        verdict=verdict,
        ruling="false" if verdict == "false" else "one among several",
        explanation=f"{len(with_it)} of {len(chosen)} engines list it, beside "
        f"{len(kernels - {_FLASH_2})} other kernels of attention. Which one runs follows from "
        "device, model and format: latent attention, new devices and those of other vendors have "
        "kernels of their own.",
        figures=(
            figure(
                "engines_with_flash_attention_2",
                len(with_it),
                "engines",
                f"Engines that list {_FLASH_2}.",
                "count",
                f"of {', '.join(chosen)}",
                terms=tuple(
                    Term(
                        label=name,
                        value=float(_FLASH_2 in _BACKENDS[name]),
                        detail=", ".join(_BACKENDS[name]),
                    )
                    for name in chosen
                ),
                sources=("vllm-2026", "sglang-2026", "tensorrt-llm-2026"),
            ),
            figure(
                "other_kernels",
                len(kernels - {_FLASH_2}),
                "kernels",
                "Other kernels of attention that they list.",
                "count",
                ", ".join(sorted(kernels - {_FLASH_2})),
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="p",
        title="FlashAttention-2 everywhere",
        said="Every major server runs FlashAttention-2.",
        controls=(
            Control(
                name="engine",
                label="Engines",
                unit="",
                default=_ALL,
                choices=lambda: (_ALL, *_BACKENDS),
            ),
        ),
        find=_everyone,
        sources=("vllm-2026", "sglang-2026", "tensorrt-llm-2026"),
    ),
)
