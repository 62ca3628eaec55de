"""SGLang, TensorRT-LLM and Transformers: printed pools; properties that hold for every engine."""

from __future__ import annotations

import pytest

from planner.engines import ENGINES
from planner.errors import ScenarioError
from planner.units import GIB
from tests.engines.situations import allocation, execution_of, model_of

SUBTRACTING = ("sglang", "tensorrt-llm", "llama.cpp", "transformers", "vllm")
MODELS = ("llama-3.1-8b", "gemma-3-4b", "qwen3-next-80b-a3b-instruct", "deepseek-v2-lite")


# github.com/vllm-project/vllm/issues/21348: SGLang, mem_fraction_static 0.93, four H100:
# 367,404 tokens, 8.23 GB each of keys and values.
def test_sglang_pool_of_qwen3_235b() -> None:
    given = (("mem_fraction_static", "0.93"),)
    found = allocation(
        "sglang@0.5", "Qwen/Qwen3-235B-A22B-FP8", "h100-sxm", tp=4, options=given,
        max_model_len=32768,
    )  # fmt: skip
    printed = 2 * 8.23 * GIB
    visible = 79.1 * GIB
    assert abs(found.budget.pool_bytes - printed) / visible < 0.01
    given_pool = allocation(
        "sglang@0.5", "Qwen/Qwen3-235B-A22B-FP8", "h100-sxm", tp=4,
        kv_pool_bytes=367_404 * 48_128, max_model_len=32768,
    )  # fmt: skip
    assert given_pool.pool.reported_cache_tokens == 367_404


# github.com/sgl-project/sglang/issues/17392: Qwen3-30B-A3B with DP attention, every rank with all
# four KV heads: 94.24 GiB hold 1,029,388 tokens.
def test_sglang_tokens_of_a_printed_pool() -> None:
    found = allocation(
        "sglang", "qwen3-30b-a3b", "h200-sxm", kv_pool_bytes=int(94.24 * GIB), max_model_len=32768
    )
    assert found.pool.reported_cache_tokens == pytest.approx(1_029_388, rel=1e-4)


# Public log of TensorRT-LLM 1.3.0rc7, Kimi-K2.5 in NVFP4 on eight B300, fp8 cache:
# 166.02 GiB, 158,543 blocks of 32, 5,073,376 tokens.
def test_tensorrt_llm_blocks_of_kimi_k2_5() -> None:
    found = allocation(
        "tensorrt-llm@1.3", "nvidia/Kimi-K2.5-NVFP4", "b300-sxm", tp=8, cached="fp8",
        kv_pool_bytes=int(166.02 * GIB), max_model_len=262144,
    )  # fmt: skip
    assert found.pool.blocks == pytest.approx(158_543, rel=1e-4)
    assert found.pool.reported_cache_tokens == found.pool.blocks * 32
    free = allocation(
        "tensorrt-llm@1.3", "nvidia/Kimi-K2.5-NVFP4", "b300-sxm", tp=8, cached="fp8",
        max_model_len=262144,
    )  # fmt: skip
    assert abs(free.budget.pool_bytes - 166.02 * GIB) / (267.69 * GIB) < 0.05


def test_tensorrt_llms_share_is_of_what_is_left() -> None:
    most = allocation("tensorrt-llm", "llama-3.1-8b", "h100-sxm", gpu_memory_utilization=1.0)
    usual = allocation("tensorrt-llm", "llama-3.1-8b", "h100-sxm")
    assert usual.budget.pool_bytes == pytest.approx(0.9 * most.budget.pool_bytes)


def test_sglang_deals_states_and_tokens_out_beforehand() -> None:
    found = allocation("sglang", "qwen3-next-80b-a3b-instruct", "h200-sxm", tp=2)
    parts = {item.name: -item.bytes for item in found.pool.items()}
    assert parts["states"] / parts["full layers"] == pytest.approx(0.9, rel=1e-3)
    windowed = allocation("sglang", "gemma-3-4b", "h100-sxm")
    kept = {item.name: item.rule for item in windowed.pool.items()}
    full = int(kept["full layers"].split()[0].replace(",", ""))
    own = int(kept["windows"].split()[0].replace(",", ""))
    assert own == int(0.8 * full)


def test_transformers_static_caches_are_as_long_as_the_longest() -> None:
    static = (("cache_implementation", "static"),)
    model = model_of("llama-3.1-8b")
    token = model.cache_bytes_per_token(execution_of(model))
    pool = allocation(
        "transformers", "llama-3.1-8b", "h100-sxm", max_model_len=4096, max_num_seqs=8,
        options=static,
    ).pool  # fmt: skip
    assert pool.start_bytes == 8 * 4096 * token
    growing = allocation("transformers", "llama-3.1-8b", "h100-sxm", max_model_len=4096).pool
    assert growing.need_bytes(4096, 1) == 4096 * token * 33 // 32


def test_a_kind_of_cache_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScenarioError, match="dynamic, static"):
        allocation(
            "transformers", "llama-3.1-8b", "h100-sxm",
            options=(("cache_implementation", "offloaded"),),
        )  # fmt: skip


@pytest.mark.parametrize("engine", SUBTRACTING)
@pytest.mark.parametrize("model", MODELS)
def test_more_memory_never_gives_fewer_tokens(engine: str, model: str) -> None:
    ascending = ("a100-sxm-40gb", "h100-sxm", "h200-sxm", "b300-sxm")
    found = [
        allocation(
            engine, model, device, max_model_len=8192, max_num_batched_tokens=2048, max_num_seqs=64
        )
        for device in ascending
    ]
    pools = [each.budget.pool_bytes for each in found]
    assert pools == sorted(pools)
    many = [each.pool.max_concurrency or 0.0 for each in found]
    assert many == sorted(many)
    longest = [each.pool.max_context_tokens or 0 for each in found]
    assert longest == sorted(longest)


@pytest.mark.parametrize("engine", SUBTRACTING)
@pytest.mark.parametrize("model", MODELS)
def test_longer_requests_never_give_more_concurrency(engine: str, model: str) -> None:
    many = [
        allocation(engine, model, "b300-sxm", max_model_len=length).pool.max_concurrency or 0.0
        for length in (512, 4096, 5000, 32768)
    ]
    assert many == sorted(many, reverse=True)


@pytest.mark.parametrize("engine", SUBTRACTING)
@pytest.mark.parametrize("model", MODELS)
def test_architecture_is_a_lower_bound(engine: str, model: str) -> None:
    pool = allocation(engine, model, "b300-sxm", max_model_len=32768).pool
    found = model_of(model)
    execution = execution_of(found)
    seeing = 1 if engine != "transformers" else 0.99
    for length in (1, 100, 3000, 32768):
        for many in (1, 7):
            least = many * found.cache_bytes(length, execution)
            assert pool.need_bytes(length, many) >= seeing * least


@pytest.mark.parametrize("engine", SUBTRACTING)
@pytest.mark.parametrize("given", [None, 10 * GIB])
def test_line_items_add_up_to_the_pool(engine: str, given: int | None) -> None:
    budget = allocation(
        engine, "llama-3.1-8b", "h100-sxm", max_model_len=8192, kv_pool_bytes=given
    ).budget
    assert sum(item.bytes for item in budget.items) == budget.pool_bytes
    assert given is None or budget.pool_bytes == given


def test_every_engine_is_tested() -> None:
    assert set(SUBTRACTING) == set(ENGINES)
