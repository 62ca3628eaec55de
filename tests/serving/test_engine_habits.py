"""Constants of engines: what is measured, what stands in, and how they enter a step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from planner.serving.engine_habits import PARTS, Habits, band_of, habits_of, load_habits
from planner.serving.served_load import BareSteps

PLAIN = Habits(
    parts=(1.0,) * len(PARTS),
    pace=1.0,
    step_s=0.0,
    layer_s=0.0,
    sequence_s=0.0,
    interleaved=1.0,
    request_s=0.0,
    launch_s=0.0,
    prompt=1.0,
    waited_steps=0.0,
    burst=0.0,
)
BARE = BareSteps(
    decode_s=np.full((len(PARTS), 2), 0.002),
    prefill_s=np.full((len(PARTS), 2), 0.01),
    sequences=np.array([1.0, 8.0]),
    osl=np.array([100.0, 100.0]),
    layers=32,
)


def test_without_habits_a_step_is_its_kernels() -> None:
    np.testing.assert_allclose(BARE.step_s(PLAIN), [0.01, 0.01])
    np.testing.assert_allclose(BARE.tpot_s(PLAIN), [0.01 + 0.05 / 100, 0.01 + 8 * 0.05 / 100])
    np.testing.assert_allclose(BARE.ttft_s(PLAIN), [0.05, 0.05])
    np.testing.assert_allclose(BARE.batch_ttft_s(PLAIN), [0.05, 0.05])


def test_the_host_adds_for_step_layers_and_sequences() -> None:
    habits = dataclasses.replace(PLAIN, step_s=1e-3, layer_s=1e-5, sequence_s=1e-4)
    np.testing.assert_allclose(BARE.step_s(habits), 0.01 + 1e-3 + 32e-5 + np.array([1, 8]) * 1e-4)


def test_an_unknown_engine_has_the_mean_and_a_wider_band() -> None:
    engines = load_habits().engines.values()
    found = habits_of("never-heard-of", "bf16")
    paces = [each.pace for each in engines]
    assert min(paces) <= found.pace <= max(paces)
    assert not found.measured
    low, high = band_of("tpot", measured=False)
    near_low, near_high = band_of("tpot", measured=True)
    assert low < near_low < 1 < near_high < high


@pytest.mark.parametrize("precision", ["int8", "fp6"])
def test_an_unmeasured_precision_is_said(precision: str) -> None:
    assert not habits_of("vllm", precision).measured
    assert habits_of("vllm", "fp16").measured


def test_no_constant_is_of_a_model_or_a_device() -> None:
    data = load_habits()
    assert set(data.engines) == {"tensorrt-llm", "vllm", "sglang"}
    assert set(data.parts) == set(PARTS)
    assert {row.in_band_fraction <= 1 for each in data.errors.values() for row in each.values()}
