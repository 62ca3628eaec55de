"""Engines and libraries whose rules are followed, and what they have printed."""

from __future__ import annotations

from planner.sources import Source

SOFTWARE: dict[str, Source] = {
    "llama-cpp": Source(
        kind="repository",
        title="llama.cpp: caches, recurrent states and the reserved graph",
        publisher="ggml-org",
        date="2026",
        locator="as vendored by llama-cpp-python 0.3.36: src/llama-kv-cache.cpp, "
        "llama-kv-cache-iswa.cpp, llama-memory-recurrent.cpp and llama-context.cpp",
    ),
    "vllm-kv-planning": Source(
        kind="repository",
        title="vLLM: planning of its cache of keys and values",
        publisher="vLLM project",
        date="2026",
        locator="release 0.33.0: vllm/v1/core/kv_cache_planning.py, vllm/v1/kv_cache_interface.py, "
        "vllm/platforms/interface.py",
    ),
    "vllm-memory-budget": Source(
        kind="repository",
        title="vLLM: memory profiling and the room for its cache",
        publisher="vLLM",
        date="2026",
        locator="release 0.33.0, vllm/v1/worker/gpu_worker.py, vllm/utils/mem_utils.py and "
        "vllm/config/cache.py",
    ),
    "vllm-profile-run": Source(
        kind="repository",
        title="vLLM: the dummy step and the dummy sampling of its profile run",
        publisher="vLLM",
        date="2026",
        locator="release 0.33.0, vllm/v1/worker/gpu_model_runner.py, vllm/v1/sample and "
        "vllm/model_executor/layers/fused_moe",
    ),
    "vllm-rotary": Source(
        kind="repository",
        title="vLLM: tables of rotary positions",
        publisher="vLLM",
        date="2026",
        locator="release 0.33.0, vllm/model_executor/layers/rotary_embedding",
    ),
    "vllm-mxfp4": Source(
        kind="repository",
        title="vLLM: padding of mxfp4 experts for their kernels",
        publisher="vLLM",
        date="2026",
        locator="release 0.33.0, vllm/model_executor/layers/quantization/mxfp4.py",
    ),
    "vllm-start-up-logs": Source(
        kind="log",
        title="Start-up logs of vLLM: memory profile and CUDA graphs",
        publisher="llm-d-incubation",
        url="https://github.com/llm-d-incubation/llm-d-planner/pull/205",
        locator="accuracy/results/v0.19.0/logs; other public logs in validation/records/engines",
    ),
    "pytorch-allocator": Source(
        kind="repository",
        title="PyTorch: caching allocator of CUDA memory",
        publisher="PyTorch",
        date="2026",
        locator="release 2.13.0, c10/cuda/CUDACachingAllocator.cpp",
    ),
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
    "sglang-memory": Source(
        kind="repository",
        title="SGLang: its share of static memory and its pools of tokens and states",
        publisher="sgl-project",
        date="2026",
        locator="release 0.5.23, sglang/srt/arg_groups/memory_hook.py and "
        "sglang/srt/mem_cache/kv_cache_configurator.py",
    ),
    "tensorrt-llm-memory": Source(
        kind="repository",
        title="TensorRT-LLM: the PyTorch back end's room for its cache",
        publisher="NVIDIA",
        date="2026",
        locator="release 1.3.0rc7, tensorrt_llm/_torch/pyexecutor/_util.py",
    ),
    "transformers-caches": Source(
        kind="repository",
        title="Transformers: dynamic, static and sliding caches",
        publisher="Hugging Face",
        date="2026",
        locator="release 5.23.0, src/transformers/cache_utils.py",
    ),
}
"""Sources of what engines allocate, by id."""
