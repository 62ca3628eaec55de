"""What lives outside the device: bytes, the link they rest on, and bad questions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import Scenario, load_hardware, load_model, plan
from planner.errors import ScenarioError
from planner.model.offload import Offload
from planner.offloading import parse_offload
from planner.plan import Plan

MODELS = ("llama-3.1-70b", "mixtral-8x7b", "gemma-3-27b", "mamba2-2.7b", "deepseek-v3")


def answer(model: str, device: str, offload: Offload, **given: Any) -> Plan:
    hardware = load_hardware(device, given.pop("devices", None))
    return plan(Scenario(model=load_model(model), hardware=hardware, offload=offload, **given))


@given(st.sampled_from(MODELS), st.floats(0, 1), st.floats(0, 1), st.integers(1, 64))
@settings(max_examples=25, deadline=None)
def test_what_is_absent_and_what_stays_is_the_whole_and_two_layers_of_room(
    name: str, weights: float, cache: float, sequences: int
) -> None:
    offload = Offload(weights_fraction=weights, cache_fraction=cache)
    load = {"sequences": sequences, "context": 4096}
    here = answer(name, "h200-sxm", offload, **load)
    all_of_it = answer(name, "h200-sxm", Offload(), **load)
    for part in ("weights", "cache"):
        stays = getattr(here.memory, f"{part}_bytes")
        absent = getattr(here.memory, f"offloaded_{part}_bytes")
        whole = getattr(all_of_it.memory, f"{part}_bytes")
        assert whole - absent <= stays <= whole
    for after, before in ((here.decode, all_of_it.decode), (here.prefill, all_of_it.prefill)):
        streamed = sum(
            cost.operation.message_bytes for cost in after.operations if cost.layer == "offload"
        )
        assert after.floor_s >= before.floor_s
        assert after.floor_s >= streamed / 63e9


def test_all_weights_streamed_over_pcie_take_their_time() -> None:
    """A 70B model in bf16 over PCIe 5.0: what the layers hold over 63 GB/s, once per step."""
    result = answer("llama-3.1-70b", "h100-sxm", Offload(weights_fraction=1.0), context=4096)
    assert result.fits
    layers = 80 * 855_654_400 * 2
    assert result.memory.offloaded_weights_bytes == layers
    two_layers = 2 * layers // 80
    stays = 4 * 128_256 * 8192 + 2 * 8192 + two_layers
    assert result.memory.weights_bytes == stays
    assert layers / 63e9 <= float(result.decode.floor_s) <= 1.1 * layers / 63e9
    assert result.decode.bound == "communication"


def test_a_slower_way_is_slower_and_a_faster_one_no_faster_than_the_link() -> None:
    times = [
        float(
            answer(
                "llama-3.1-70b",
                "h100-sxm",
                Offload(weights_fraction=0.5, to="nvme", bandwidth_bytes_per_s=rate),
                context=4096,
            ).decode.floor_s
        )
        for rate in (7e9, 14e9, 63e9, 500e9)
    ]
    assert times[0] > times[1] > times[2] == times[3]


def test_stages_and_ranks_offload_their_own_share() -> None:
    offload = Offload(weights_fraction=0.5)
    alone = answer("llama-3.1-70b", "h200-sxm", offload, context=4096)
    spread = answer(
        "llama-3.1-70b", "8x-h200-sxm", offload, tp=4, pp=2, context=4096
    ).deployment.memory
    absent = sum(stage.use(4096, 1).offloaded_weights_bytes * 4 for stage in spread.stages)
    norms = 3 * 80 * 2 * 8192 * 2 // 2
    assert absent == alone.memory.offloaded_weights_bytes + norms


@pytest.mark.parametrize(
    ("offload", "device", "words"),
    [
        (Offload(cache_fraction=0.5, to="nvme"), "h100-sxm", "NVMe drives is not known"),
        (Offload(weights_fraction=1.0, capacity_bytes=2**30), "h100-sxm", "too little"),
        (Offload(weights_fraction=1.0), "8x-h100-sxm", "the host's memory holds"),
    ],
)
def test_what_cannot_be_offloaded_is_said(offload: Offload, device: str, words: str) -> None:
    model = "llama-3.1-405b" if device.startswith("8x") else "llama-3.1-8b"
    given = {"tp": 1, "dp": 8} if device.startswith("8x") else {}
    with pytest.raises(ScenarioError, match=words):
        answer(model, device, offload, **given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"offload_weights": "81 layers"}, "more than there is"),
        ({"offload_cache": "3 layers"}, "not a share"),
        ({"offload_weights": "much"}, "not a share"),
        ({"offload_to": "nvme"}, "nothing is offloaded"),
        ({"offload_weights": "0.5", "offload_bandwidth": "fast"}, "not a whole number"),
    ],
)
def test_shares_in_words_are_checked(options: dict[str, str | None], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        parse_offload(options, layers=80)
