"""Times of plans of random scenarios: no faster than the hardware, and inside their own bands."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import Scenario, load_hardware, load_model, plan
from planner.importers import model_ids

DEVICES = ("a100-sxm-80gb", "h100-sxm", "b200-sxm", "l40s", "h200-sxm", "gb200", "b300-sxm", "a40",
           "rtx-pro-6000-blackwell-server")  # fmt: skip
ROUNDING = 1 + 1e-9


@given(
    model=st.sampled_from(model_ids()),
    device=st.sampled_from(DEVICES),
    context=st.integers(1, 32_768),
    sequences=st.integers(1, 256),
)
@settings(max_examples=60, deadline=None)
def test_no_operation_beats_the_hardware_and_bands_hold_the_point(
    model: str, device: str, context: int, sequences: int
) -> None:
    answer = plan(
        Scenario(
            model=load_model(model),
            hardware=load_hardware(device),
            context=context,
            sequences=sequences,
        )
    ).to_dict()
    for name in ("prefill", "decode"):
        phase = answer[name]
        ends = [phase[key] for key in ("floor_s", "time_p10_s", "time_s", "time_p90_s")]
        assert all(low <= high * ROUNDING for low, high in pairwise(ends)), ends
        for operation in phase["operations"]:
            assert operation["floor_s"] <= operation["time_s"] * ROUNDING, operation


@pytest.mark.parametrize("model", ["llama-3.1-8b", "deepseek-v3", "qwen3-30b-a3b"])
def test_more_devices_do_not_slow_a_compute_bound_prefill(model: str) -> None:
    """Over NVLink; on boxes with PCIe alone messages outweigh what is saved."""
    times = []
    for devices in (1, 2, 4, 8):
        scenario = Scenario(
            model=load_model(model), hardware=load_hardware("h100-sxm", devices),
            tp=devices, isl=8192, osl=1, sequences=4,
        )  # fmt: skip
        times.append(plan(scenario).to_dict()["prefill"]["time_s"])
    assert times == sorted(times, reverse=True)
