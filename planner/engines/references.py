"""What the rules of engines rest on."""

from __future__ import annotations

from planner.sources import Source

ENGINE_SOURCES: dict[str, Source] = {
    "vllm-kv-planning": Source(
        kind="repository",
        title="vLLM: planning of its cache of keys and values",
        publisher="vLLM project",
        date="2026",
        locator="release 0.33.0: vllm/v1/core/kv_cache_planning.py, vllm/v1/kv_cache_interface.py, "
        "vllm/platforms/interface.py",
    ),
    "vllm-memory-profiling": Source(
        kind="repository",
        title="vLLM: memory that is left for the cache after a profiled step",
        publisher="vLLM project",
        date="2026",
        locator="release 0.33.0: vllm/v1/worker/gpu_worker.py, vllm/utils/mem_utils.py, "
        "vllm/config/cache.py, vllm/engine/arg_utils.py",
    ),
}
"""Source by id."""
