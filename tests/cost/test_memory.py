"""Memory of the fullest rank, against golden figures and what must always hold."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import Scenario, load_hardware, load_model, plan
from planner.cost.limits import largest
from planner.deployment import resolve
from planner.model import Layout

MODELS = ("llama-3.1-8b", "gemma-3-27b", "gpt-oss-20b", "mamba2-2.7b", "falcon-7b")


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_largest_finds_the_last_that_fits(edge: int, most: int) -> None:
    assert largest(lambda n: n <= edge, most) == min(edge, most)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25, deadline=None)
@given(context=st.integers(1, 200_000), sequences=st.integers(1, 5_000), data=st.data())
def test_memory_grows_with_context_and_sequences(
    name: str, context: int, sequences: int, data: st.DataObject
) -> None:
    layout = data.draw(st.sampled_from(({}, {"pp": 2}, {"cp": 4}, {"pp": 2, "cp": 2})))
    hardware = load_hardware("8x-h100-sxm")
    memory = resolve(Scenario(model=load_model(name), hardware=hardware, **layout)).memory
    here = memory.use(context, sequences).total_bytes
    more_context = context + data.draw(st.integers(0, 10_000))
    more_sequences = sequences + data.draw(st.integers(0, 100))
    assert memory.use(more_context, sequences).total_bytes >= here
    assert memory.use(context, more_sequences).total_bytes >= here


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("context", "sequences"), [(4096, 3), (32_768, 64), (100, 1)])
def test_inverse_answers_are_the_last_that_fit(name: str, context: int, sequences: int) -> None:
    answer = plan(
        Scenario(
            model=load_model(name),
            hardware=load_hardware("h100-sxm"),
            context=context,
            sequences=sequences,
        )
    )
    memory = answer.deployment.memory
    longest = answer.largest_context
    if longest.limited_by == "memory" and longest.value:
        assert memory.fits(longest.value, sequences)
    if longest.limited_by == "memory":
        assert not memory.fits((longest.value or 0) + 1, sequences)
    many = answer.most_sequences.value
    assert many is not None
    assert many == 0 or memory.fits(context, many)
    assert not memory.fits(context, many + 1)


def test_parts_sum_to_the_total_and_the_pool_fills_the_rest() -> None:
    answer = plan(
        Scenario(
            model=load_model("llama-3.1-70b"),
            hardware=load_hardware("h100-sxm", 4),
            tp=4,
            context=8192,
            sequences=32,
        )
    )
    data = answer.to_dict()
    parts = data["memory"]["per_device"]
    total = sum(
        parts[f"{name}_bytes"] for name in ("weights", "cache", "activations", "runtime", "graphs")
    )
    assert total == parts["total_bytes"]
    assert parts["cache_bytes"] == 32 * 8192 * 327_680 // 4
    without_cache = total - parts["cache_bytes"]
    assert data["engine"]["cache_pool_bytes"] == parts["capacity_bytes"] - without_cache
    assert data["verdict"]["headroom_bytes"] == parts["capacity_bytes"] - total


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16])
def test_ranks_hold_the_whole_and_declared_replicas(tp: int) -> None:
    """Llama-3.1-8B has 8 KV heads: up to 8 ranks share them, 16 hold two copies of each."""
    model = load_model("llama-3.1-8b")
    execution = resolve(Scenario(model=model, hardware=load_hardware("h100-sxm"))).execution
    norms = 65 * 4096
    kv = 2 * 32 * 1024 * 4096
    copies = max(1, tp // 8)
    expected = model.parameters + (tp - 1) * norms + (copies - 1) * kv
    assert tp * model.weights_bytes(execution, layout=Layout(tp=tp)) == 2 * expected
    assert tp * model.cache_bytes(
        1000, execution, layout=Layout(tp=tp)
    ) == copies * model.cache_bytes(1000, execution)
