"""A plan under an engine: figures explain themselves, verdict and suggestions hold together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner import EngineSettings, Plan, Scenario, load_hardware, load_model, plan, sweep
from planner.cli import run
from planner.engines import steps
from planner.errors import ScenarioError, UnknownNameError
from planner.explain import EXPLAIN

CASES = {
    "fits": {"model": "llama-3.1-8b", "device": "h100-sxm", "context": 8192, "sequences": 16},
    "does not fit": {
        "model": "llama-3.1-70b", "device": "h100-sxm", "devices": 4, "tp": 4, "context": 8192,
        "sequences": 64,
    },
    "stages": {"model": "gemma-3-27b", "device": "a100-sxm-40gb", "devices": 4, "tp": 2, "pp": 2},
    "states": {"model": "qwen3.5-9b", "device": "h100-sxm", "context": 16384, "sequences": 8},
    "older": {
        "model": "gpt-oss-20b", "device": "l40s", "sequences": 4, "context": 4096,
        "engine": "vllm@0.11.0",
    },
    "too long": {"model": "llama-3.1-8b", "device": "rtx-4090", "context": 2048},
}  # fmt: skip


def answer(**given: Any) -> Plan:
    given = dict(given)
    model, device = given.pop("model"), given.pop("device")
    hardware = load_hardware(device)
    hardware = replace(hardware, devices=given.pop("devices", 1))
    settings = EngineSettings(engine=given.pop("engine", "vllm@0.33.0"), **given.pop("flags", {}))
    return plan(Scenario(model=load_model(model), hardware=hardware, engine=settings, **given))


@pytest.mark.parametrize("case", CASES)
def test_every_figure_explains_itself(case: str) -> None:
    result = answer(**CASES[case])
    data = result.to_dict()
    for path in EXPLAIN:
        explanation = result.explain(path)
        value: Any = data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert explanation.value == pytest.approx(value, rel=1e-12), path
        assert explanation.formula
        assert explanation.substituted
        assert set(explanation.sources) <= set(result.cited()), path


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("figure", ["weights_bytes", "total_bytes"])
def test_terms_of_a_sum_add_up(case: str, figure: str) -> None:
    explanation = answer(**CASES[case]).explain(f"memory.per_device.{figure}")
    assert sum(term.value for term in explanation.terms) == explanation.value


@pytest.mark.parametrize("case", CASES)
def test_the_way_ends_at_the_headroom(case: str) -> None:
    result = answer(**CASES[case])
    allocation = result.deployment.allocation
    assert allocation is not None
    way = steps(allocation, int(result.memory.cache_bytes))
    assert way[0].left_bytes == result.deployment.scenario.hardware.device.vendor_capacity_bytes
    assert way[-1].left_bytes == result.headroom_bytes
    assert sum(item.bytes for item in allocation.budget.items) == allocation.budget.pool_bytes


def test_what_a_request_may_be_at_most_decides_whether_the_engine_starts() -> None:
    result = answer(**CASES["too long"])
    assert not result.fits
    first = result.suggestions[0]
    assert first.fits
    shorter = answer(**CASES["too long"], flags={"max_model_len": first.change["--max-model-len"]})
    assert shorter.fits
    assert int(shorter.memory.total_bytes) == first.total_bytes
    longest = answer(**CASES["too long"], flags={"max_model_len": -1})
    assert longest.fits
    assert longest.to_dict()["inputs"]["max_model_len"] == first.change["--max-model-len"]


def test_a_grid_has_the_figures_of_single_plans() -> None:
    result = answer(**CASES["states"])
    scenario = result.deployment.scenario
    grid = sweep(scenario, context=[1024, 16384], sequences=[1, 8])
    assert grid.total_bytes[1, 1] == int(result.memory.total_bytes)


def test_an_unknown_version_is_answered_by_the_nearest_rules() -> None:
    result = answer(model="llama-3.1-8b", device="h100-sxm", engine="vllm@0.99.0")
    assert any("0.99.0" in text and "0.33.0" in text for text in result.deployment.warnings)
    assert result.to_dict()["engine"]["version"] == "0.99.0"


@pytest.mark.parametrize(
    ("given", "error", "where"),
    [
        ({"engine": "vlm"}, UnknownNameError, ""),
        ({"engine": "vllm@new"}, ScenarioError, "--engine"),
        ({"flags": {"gpu_memory_utilization": 1.5}}, ScenarioError, "--gpu-memory-utilization"),
        ({"flags": {"options": (("enable_prefix", "true"),)}}, ScenarioError, "--engine-option"),
        ({"flags": {"options": (("enforce_eager", "x"),)}}, ScenarioError, "--engine-option"),
        ({"flags": {"block_size": 24}}, ScenarioError, "--block-size"),
        ({"flags": {"max_model_len": 4096}, "context": 8192}, ScenarioError, "--context"),
    ],
)
def test_impossible_flags_are_typed_errors(
    given: dict[str, Any], error: type[Exception], where: str
) -> None:
    with pytest.raises(error) as caught:
        answer(model="llama-3.1-8b", device="h100-sxm", **given)
    assert (getattr(caught.value, "where", None) or "").startswith(where)


def test_the_command_line_prints_what_cannot_be_served(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["plan", "-m", "llama-3.1-8b", "-d", "h100-sxm", "--engine", "vllm@0.33.0"]
    assert run([*flags, "--kv-pool-bytes", "1000000000", "--max-model-len", "32K"]) == 3
    assert "vllm 0.33.0" in capsys.readouterr().out
    assert run([*flags, "--engine-option", "num_gpu_blocks_override=5000"]) == 3
    assert run([*flags, "--block-size", "24"]) == 2
    assert run(["plan", "-m", "gpt2", "-d", "l4", "--block-size", "16"]) == 2
    assert "--engine" in capsys.readouterr().err
