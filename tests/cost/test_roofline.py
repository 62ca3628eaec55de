"""Floor times against published arithmetic and what must always hold."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import Scenario, load_hardware, load_model, plan
from planner.cost.links import Links
from planner.cost.roofline import step_cost
from planner.deployment import resolve
from planner.model import Step

MODELS = ("llama-3.1-8b", "mixtral-8x7b", "gemma-2-9b", "gpt-oss-20b", "mamba2-2.7b", "gpt2")


@pytest.mark.parametrize(
    ("model", "device", "milliseconds"),
    [("llama-3.1-8b", "h100-sxm", 7.05), ("llama-2-7b", "a100-sxm-80gb", 23.3)],
)
def test_decode_floor(model: str, device: str, milliseconds: float) -> None:
    """(Weights without the input table + caches of 16 × 4,096 tokens) over the bandwidth."""
    answer = plan(
        Scenario(
            model=load_model(model),
            hardware=load_hardware(device),
            weights="bf16",
            context=4096,
            sequences=16,
        )
    )
    assert float(answer.decode.floor_s) * 1e3 == pytest.approx(milliseconds, rel=0.01)
    assert answer.decode.bound == "memory"


def test_llama_flop() -> None:
    """2 FLOP per weight and token, 4·pairs·width of attention, one row of logits."""
    answer = plan(
        Scenario(model=load_model("llama-3.1-8b"), hardware=load_hardware("h100-sxm"), context=8192)
    )
    per_token = 32 * (41_943_040 + 176_160_768)
    head = 128_256 * 4096
    pairs = 8192 * 8193 // 2
    assert float(answer.prefill.flop) == 2 * (8192 * per_token + head) + 4 * 32 * pairs * 4096
    assert float(answer.prefill.flop) == pytest.approx(131.9e12, rel=1e-3)
    assert float(answer.decode.flop) == 2 * (per_token + head) + 4 * 32 * 8192 * 4096
    assert float(answer.decode.flop) == pytest.approx(19.30e9, rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 512), new=st.integers(1, 8192), cached=st.integers(0, 100_000))
def test_no_operation_beats_a_roof(name: str, batch: int, new: int, cached: int) -> None:
    deployment = resolve(Scenario(model=load_model(name), hardware=load_hardware("h100-sxm")))
    device = deployment.scenario.hardware.device
    step = Step(batch=batch, new_tokens=new, cached_tokens=cached, phase="prefill")
    cost = step_cost(deployment.scenario.model, step, deployment.execution, device, Links())
    for item in cost.operations:
        operation = item.operation
        moved = operation.read_bytes + operation.write_bytes
        each = item.floor_s / item.count * (1 + 1e-12)
        assert each >= moved / device.memory_bandwidth_bytes_per_s
        assert each >= operation.flop / device.rate(operation.precision)
    assert float(cost.floor_s) > 0
    assert sum(cost.time_by_bound().values()) == pytest.approx(float(cost.floor_s))


@settings(max_examples=20, deadline=None)
@given(sequences=st.integers(1, 256), context=st.integers(2, 32_768))
def test_more_ranks_never_slow_a_compute_bound_prefill(sequences: int, context: int) -> None:
    times = []
    for tp in (1, 2, 4, 8):
        deployment = resolve(
            Scenario(
                model=load_model("llama-3.1-8b"),
                hardware=load_hardware("h100-sxm", tp),
                tp=tp,
                context=context,
                sequences=sequences,
            )
        )
        device = deployment.scenario.hardware.device
        cost = step_cost(
            deployment.scenario.model,
            Step.prefill(sequences, context),
            deployment.execution,
            device,
            deployment.links,
        )
        if cost.bound != "compute":
            return
        times.append(float(cost.floor_s))
    assert times == sorted(times, reverse=True)


def test_communication_is_counted_once_ranks_talk() -> None:
    answer = plan(
        Scenario(
            model=load_model("llama-3.1-70b"),
            hardware=load_hardware("h100-sxm", 8),
            tp=8,
            context=8192,
            sequences=32,
        )
    )
    messages = [item for item in answer.decode.operations if item.operation.message_bytes]
    assert sum(item.count for item in messages) == 160
    assert {item.operation.message_bytes for item in messages} == {32 * 8192 * 2}
    ring = 2 * 7 / 8 * 32 * 8192 * 2 / 450e9
    assert messages[0].communication_s == pytest.approx(ring)
