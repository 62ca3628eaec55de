"""Programs and reports on programs whose rules the engine follows."""

from __future__ import annotations

from planner.sources import Source

IMPLEMENTATIONS: dict[str, Source] = {
    "flashmla-2025": Source(
        kind="repository",
        title="FlashMLA: the packed fp8 layouts of latent caches",
        publisher="DeepSeek",
        date="2025",
        locator="README.md, commit 9241ae3e",
    ),
    "vllm-pipeline-2026": Source(
        kind="repository",
        title="vLLM: which layers a pipeline stage holds (get_pp_indices)",
        publisher="vLLM project",
        date="2026",
        locator="vllm/distributed/utils.py at 0.33.0",
    ),
    "zero-inference-2022": Source(
        kind="article",
        title="ZeRO-Inference: Democratizing massive model inference",
        publisher="DeepSpeed",
        date="2022-09-09",
    ),
}
"""Implementation by id."""
