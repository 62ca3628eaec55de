"""vLLM's budget: weights as loaded, the profile run, defaults by version and device."""

from __future__ import annotations

import pytest

from planner import load_device
from planner.engines import Allocation
from planner.engines.caching_allocator import block_bytes
from planner.engines.version import Version
from planner.engines.vllm.limits import default_step
from planner.engines.vllm.profile_run import Conditions, ProfileRun, profile_run
from planner.engines.vllm.weights import loaded_weights
from planner.units import GIB, MIB
from tests.engines.situations import allocation, execution_of, model_of

V19 = Version((0, 19, 0))
LIMITS = {"max_model_len": 8192, "max_num_batched_tokens": 8192, "max_num_seqs": 1024}


# Weights that vLLM printed per device, github.com/llm-d-incubation/llm-d-planner/pull/205,
# .../llm-d-benchmark/pull/732 for 0.11, and vllm-project/vllm issues 15815 and 12569.
@pytest.mark.parametrize(
    ("model", "tp", "weights", "version", "printed_gib"),
    [
        ("qwen2.5-7b-instruct", 1, None, (0, 19, 0), 14.25),
        ("qwen2.5-7b-instruct", 2, None, (0, 19, 0), 7.12),
        ("llama-3.1-8b", 4, None, (0, 19, 0), 3.77),
        ("llama-3.1-8b", 1, "fp32", (0, 19, 0), 29.98),
        ("llama-3.1-8b", 1, "fp8", (0, 19, 0), 8.49),
        ("llama-3.3-70b", 2, "int8", (0, 19, 0), 33.88),
        ("gemma-3-4b", 1, None, (0, 19, 0), 8.58),
        ("gemma-3-27b", 1, None, (0, 19, 0), 51.45),
        ("gpt-oss-20b", 1, None, (0, 19, 0), 13.64),
        ("gpt-oss-120b", 1, None, (0, 11, 0), 64.38),
        ("qwen3-30b-a3b", 1, None, (0, 19, 0), 56.88),
        ("qwen2.5-32b-instruct", 2, None, (0, 8, 4), 30.71),
        ("llama-3.1-70b", 1, "int8", (0, 7, 0), 67.72),
    ],
)
def test_weights_are_those_that_vllm_printed(
    model: str, tp: int, weights: str | None, version: tuple[int, ...], printed_gib: float
) -> None:
    found = model_of(model)
    execution = execution_of(found, tp=tp, weights=weights)
    size = loaded_weights(found, execution, Version(version)).total_bytes
    assert size / GIB == pytest.approx(printed_gib, abs=0.012)


def run_of(model: str, *, tp: int = 1, stages: int = 1, **given: int) -> ProfileRun:
    found = model_of(model)
    version = Version((0, given.get("minor", 19), 0))
    conditions = Conditions(
        execution=execution_of(found, tp=tp),
        device=load_device("h100-sxm"),
        version=version,
        tokens=given.get("tokens", 8192),
        rows=given.get("rows", 1024),
    )
    return profile_run(found, conditions, stages=stages)


# Peaks that vLLM printed on H100, same sources.
@pytest.mark.parametrize(
    ("model", "tp", "minor", "printed_gib"),
    [
        ("llama-3.1-8b", 1, 19, 1.89),
        ("llama-3.1-8b", 4, 19, 1.89),
        ("codellama-7b", 1, 19, 0.77),
        ("phi-2", 1, 19, 0.79),
        ("gemma-2-9b", 1, 19, 3.65),
        ("qwen1.5-moe-a2.7b", 1, 19, 2.47),
        ("qwen3-30b-a3b", 1, 19, 2.68),
        ("gpt-oss-20b", 2, 19, 2.87),
        ("phi-4", 1, 19, 1.52),
        ("mixtral-8x7b", 2, 19, 1.21),
        ("gpt-oss-20b", 1, 11, 7.38),
        ("qwen3-0.6b", 1, 11, 5.56),
    ],
)
def test_peaks_are_those_that_vllm_printed(
    model: str, tp: int, minor: int, printed_gib: float
) -> None:
    peak = run_of(model, tp=tp, minor=minor).peak_bytes
    assert peak / GIB == pytest.approx(printed_gib, abs=0.03)


def test_fewer_sequences_free_what_the_sampler_takes() -> None:
    many, few = run_of("gemma-2-9b", rows=1024), run_of("gemma-2-9b", rows=64)
    assert many.sampler_bytes > many.forward_bytes
    assert few.sampler_bytes < few.forward_bytes
    assert few.peak_bytes < many.peak_bytes / 2


def test_samplers_shrank_twice() -> None:
    sorting, cutting, drawing = (run_of("llama-3.1-8b", minor=minor) for minor in (11, 19, 29))
    assert sorting.sampler_bytes > 2 * cutting.sampler_bytes
    assert cutting.sampler_bytes - drawing.sampler_bytes == 1024 * 128256 * 4


def test_more_ranks_shrink_the_step_but_not_the_sampler() -> None:
    one, four = run_of("llama-3.1-8b"), run_of("llama-3.1-8b", tp=4)
    assert four.forward_bytes < one.forward_bytes
    assert four.sampler_bytes == one.sampler_bytes


def test_stages_hand_two_streams_on() -> None:
    alone, staged = run_of("llama-3.1-8b"), run_of("llama-3.1-8b", stages=2)
    assert staged.peak_bytes - alone.peak_bytes == 2 * 8192 * 4096 * 2


def budget_of(version: str, device: str = "h100-sxm", **settings: object) -> Allocation:
    return allocation(f"vllm@{version}", "llama-3.1-8b", device, **{**LIMITS, **settings})


def items_of(found: Allocation) -> dict[str, int]:
    return {item.name: item.bytes for item in found.budget.items}


def test_graphs_count_from_0_21_on() -> None:
    before, after = budget_of("0.20.0"), budget_of("0.21.0")
    assert items_of(before)["CUDA graphs"] == 0
    assert items_of(after)["CUDA graphs"] < -500 * MIB
    eager = budget_of("0.21.0", options=(("enforce_eager", "true"),))
    assert items_of(eager)["CUDA graphs"] == 0
    assert eager.budget.pool_bytes > after.budget.pool_bytes


def test_share_of_memory_is_0_92_from_0_21_on() -> None:
    visible = load_device("h100-sxm").capacity_bytes
    for version, share in (("0.20.0", 0.9), ("0.21.0", 0.92)):
        alone = items_of(budget_of(version))["left alone"]
        assert -alone / visible == pytest.approx(1 - share, abs=1e-6)


def test_budget_below_the_weights_has_a_negative_pool() -> None:
    found = budget_of("0.19.0", device="l4", gpu_memory_utilization=0.5)
    assert found.budget.pool_bytes < 0
    assert found.to_dict()["cache_pool_bytes"] == 0


@pytest.mark.parametrize(
    ("device", "version", "step"),
    [
        ("h100-sxm", (0, 19, 0), (8192, 1024)),
        ("a100-sxm-80gb", (0, 19, 0), (2048, 256)),
        ("l40s", (0, 19, 0), (2048, 256)),
        ("b200-sxm", (0, 19, 0), (16384, 1024)),
        ("h100-sxm", (0, 7, 0), (2048, 256)),
    ],
)
def test_default_step_follows_the_device(
    device: str, version: tuple[int, ...], step: tuple[int, int]
) -> None:
    assert default_step(load_device(device), Version(version)) == step


def test_blocks_hold_their_tensors_and_never_a_whole_step_more() -> None:
    for size in (1, 511, 512, MIB, 9 * MIB, 10 * MIB + 1, 123_456_789, GIB):
        assert size <= block_bytes(size) < size + 2 * MIB
