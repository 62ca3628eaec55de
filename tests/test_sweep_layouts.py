"""A grid under every kind of layout gives what its points give one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner import Scenario, load_hardware, load_model, plan, sweep
from planner.model.offload import Offload

LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "stages and context ranks": ("llama-3.1-70b", {"tp": 2, "pp": 2, "cp": 2}),
    "experts": ("deepseek-v3", {"tp": 2, "ep": 8}),
    "parts of a latent cache": ("deepseek-v3", {"tp": 8, "dcp": 8}),
    "windows over context ranks": ("gemma-3-27b", {"tp": 2, "cp": 4}),
    "states over stages": ("mamba2-2.7b", {"cp": 2, "pp": 4}),
    "offloading": (
        "llama-3.1-70b",
        {"tp": 8, "offload": Offload(weights_fraction=0.3, cache_fraction=0.6)},
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_grid_holds_what_its_points_hold(case: str) -> None:
    name, layout = LAYOUTS[case]
    scenario = Scenario(model=load_model(name), hardware=load_hardware("8x-h200-sxm"), **layout)
    contexts, sequences = [1000, 20_000], [1, 7, 64]
    grid = sweep(scenario, context=contexts, sequences=sequences)
    for row, context in enumerate(contexts):
        for column, many in enumerate(sequences):
            point = plan(replace(scenario, context=context, sequences=many))
            assert int(grid.total_bytes[row, column]) == int(point.memory.total_bytes)
            assert bool(grid.fits[row, column]) == point.fits
            assert grid.decode_time_s[row, column] == pytest.approx(float(point.decode.floor_s))
