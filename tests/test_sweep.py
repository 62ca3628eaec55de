import numpy as np
import pytest

from planner import Scenario, load_hardware, load_model, plan, sweep
from planner.errors import ScenarioError


@pytest.mark.parametrize(
    ("model", "devices"),
    [("llama-3.1-8b", 1), ("gemma-2-9b", 2), ("mixtral-8x7b", 4), ("mamba2-2.7b", 1)],
)
def test_a_grid_holds_the_figures_of_single_plans(model: str, devices: int) -> None:
    contexts, many = [1, 100, 4096, 50_000], [1, 7, 64]
    common = {
        "model": load_model(model),
        "hardware": load_hardware("h100-sxm", devices),
        "tp": devices,
    }
    grid = sweep(Scenario(**common), context=contexts, sequences=many)
    for i, context in enumerate(contexts):
        for j, sequences in enumerate(many):
            one = plan(Scenario(**common, context=context, sequences=sequences))
            assert grid.total_bytes[i, j] == int(one.memory.total_bytes)
            assert grid.decode_time_s[i, j] == pytest.approx(float(one.decode.floor_s), rel=1e-12)
            assert grid.fits[i, j] == one.fits


@pytest.mark.parametrize("axis", [[], [[1]], [0], [-1], [1.5], [np.nan], [1e30], ["x"], None])
def test_bad_axes_are_typed_errors(axis: object) -> None:
    scenario = Scenario(model=load_model("gpt2"), hardware=load_hardware("l4"))
    with pytest.raises(ScenarioError, match="context"):
        sweep(scenario, context=axis, sequences=[1])
