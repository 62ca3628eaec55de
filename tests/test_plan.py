"""The whole answer: keys, explanations, resolution of open choices, bad questions."""

import json
from dataclasses import asdict
from itertools import product
from typing import Any

import pytest

from planner import PlannerError, Scenario, load_hardware, load_model, plan
from planner.errors import LayoutError, PrecisionError, ScenarioError, UnknownNameError
from planner.explain import EXPLAIN
from planner.layouts import SIZES, flag_of
from planner.model.offload import Offload
from planner.plan import Plan

CASES = {
    "fits": {"model": "llama-3.1-70b", "device": "h100-sxm", "devices": 4, "tp": 4,
             "context": 8192, "sequences": 32},
    "does not fit": {"model": "llama-3.1-405b", "device": "h100-sxm", "devices": 8,
                     "context": 32768, "sequences": 16},
    "mixture": {"model": "gpt-oss-120b", "device": "h100-sxm", "context": 131_072},
    "windows": {"model": "gemma-3-27b", "device": "h100-sxm", "context": 100_000},
    "state space": {"model": "mamba2-2.7b", "device": "a100-pcie-40gb", "context": 1_000_000},
    "fp8": {"model": "llama-3.1-8b", "device": "l4", "weights": "fp8", "kv_cache_dtype": "fp8"},
    "stages": {"model": "gemma-2-9b", "device": "rtx-4090", "tp": 2, "pp": 3, "devices": 6,
               "context": 4096, "sequences": 40},
    "experts": {"model": "deepseek-v3", "device": "8x-h200-sxm", "tp": 2, "ep": 8,
                "context": 32_768, "sequences": 16},
    "context parallel": {"model": "llama-3.1-70b", "device": "8x-h100-sxm", "tp": 4, "cp": 2,
                         "context": 131_072, "sequences": 2},
    "offload": {"model": "llama-3.1-70b", "device": "h100-sxm", "context": 8192, "sequences": 64,
                "offload": Offload(weights_fraction=0.6, cache_fraction=0.5)},
    "node": {"model": "mixtral-8x7b", "device": "8x-h100-sxm", "isl": 1000, "osl": 200,
             "sequences": 100},
}  # fmt: skip


def answer(**given: Any) -> Plan:
    model, device = given.pop("model"), given.pop("device")
    hardware = load_hardware(device, given.pop("devices", None))
    return plan(Scenario(model=load_model(model), hardware=hardware, **given))


def numbers(data: Any, path: str = "") -> dict[str, Any]:
    if isinstance(data, dict):
        found: dict[str, Any] = {}
        for key, value in data.items():
            found |= numbers(value, f"{path}.{key}" if path else key)
        return found
    return {path: data} if isinstance(data, int | float) and not isinstance(data, bool) else {}


@pytest.mark.parametrize("case", CASES)
def test_every_figure_explains_itself(case: str) -> None:
    result = answer(**CASES[case])
    data = result.to_dict()
    shown = {key: data[key] for key in ("model", "memory", "engine", "prefill", "decode")}
    shown |= {"capacity": data["capacity"], "verdict": {"headroom_bytes": result.headroom_bytes}}
    figures = numbers(shown)
    assert set(figures) <= set(EXPLAIN)
    for path, value in figures.items():
        explanation = result.explain(path)
        assert explanation.value == pytest.approx(value, rel=1e-12), path
        assert explanation.formula
        assert explanation.substituted
        assert set(explanation.sources) <= set(result.cited()), path


ADDITIVE = ("weights_bytes", "cache_bytes", "total_bytes", "flop", "read_bytes", "write_bytes",
            "parameters", "time_s", "layers")  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_terms_of_a_sum_add_up(case: str) -> None:
    result = answer(**CASES[case])
    checked = 0
    for path in EXPLAIN:
        explanation = result.explain(path)
        if path.rsplit(".", 1)[1] in ADDITIVE:
            total = sum(term.value for term in explanation.terms)
            assert total == pytest.approx(explanation.value, rel=1e-12), path
            checked += 1
    assert checked >= 12


@pytest.mark.parametrize("case", CASES)
def test_the_plan_is_one_json_object_with_the_promised_keys(case: str) -> None:
    result = answer(**CASES[case])
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(data) >= {
        "schema_version", "planner_version", "inputs", "warnings", "assumptions", "sources",
        "model", "memory", "engine", "prefill", "decode", "verdict",
    }  # fmt: skip
    assert set(data["memory"]["architectural"]) == {
        "weights_bytes", "cache_bytes", "cache_bytes_per_token", "state_bytes_per_sequence",
    }  # fmt: skip
    assert set(data["engine"]) == {
        "name", "version", "cache_pool_bytes", "block_tokens", "blocks", "reported_cache_tokens",
        "max_concurrency", "max_context_tokens",
    }  # fmt: skip
    for phase in ("prefill", "decode"):
        assert {"flop", "read_bytes", "write_bytes", "time_s", "time_p10_s", "time_p90_s",
                "bound"} <= set(data[phase])  # fmt: skip
        operations = data[phase]["operations"]
        assert sum(op["time_s"] for op in operations) == pytest.approx(data[phase]["time_s"])
    assert any("floor" in text for text in data["assumptions"])
    assert plan(result.deployment.scenario).to_dict() == result.to_dict()


def test_architectural_is_never_more_than_what_devices_hold() -> None:
    for case in CASES.values():
        data = answer(**case).to_dict()
        whole, part = data["memory"]["architectural"], data["memory"]["per_device"]
        devices = data["inputs"]["devices"]
        for key in ("weights_bytes", "cache_bytes"):
            assert whole[key] <= (part[key] + data["memory"]["offload"][key]) * devices


def test_what_does_not_fit_says_by_how_much_and_what_would_help() -> None:
    result = answer(**CASES["does not fit"])
    assert not result.fits
    assert result.headroom_bytes < 0
    assert result.limiting == "weights"
    assert result.suggestions
    assert any(suggestion.fits for suggestion in result.suggestions)
    assert "too little" in result.verdict


@pytest.mark.parametrize(
    "case",
    [
        {"model": "llama-3.1-8b", "device": "h100-sxm", "context": 131_072, "sequences": 64},
        {"model": "llama-3.1-70b", "device": "h100-sxm", "context": 4096, "sequences": 8},
        {"model": "gpt3-175b", "device": "a100-sxm-80gb", "devices": 4, "sequences": 16,
         "context": 2048},
        {"model": "llama-3.1-8b", "device": "l4", "isl": 60_000, "osl": 1000, "sequences": 2},
    ],
)  # fmt: skip
def test_every_suggestion_gives_what_it_says(case: dict[str, Any]) -> None:
    flags = {"--kv-cache-dtype": "kv_cache_dtype", "--sequences": "sequences",
             "--context": "context", "--weights": "weights", "-n": "devices", "--isl": "isl",
             **{flag_of(size): size for size in SIZES}}  # fmt: skip
    before = answer(**case)
    assert before.suggestions
    for suggestion in before.suggestions:
        changed = {**case, "tp": before.deployment.layout.tp, "dp": before.deployment.layout.dp}
        changed |= {flags[flag]: value for flag, value in suggestion.change.items()}
        after = answer(**changed)
        assert int(after.memory.total_bytes) == suggestion.total_bytes
        assert after.fits == suggestion.fits


def test_the_fewest_devices_are_enough_and_no_fewer() -> None:
    case = {"model": "llama-3.1-70b", "device": "h100-sxm", "context": 8192, "sequences": 200}
    fleet = answer(**case).fewest_devices
    assert fleet is not None
    assert answer(**case, devices=fleet.devices, **asdict(fleet.layout)).fits
    for devices in range(1, fleet.devices):
        for tp, pp in product((1, 2, 4, 8, 16), range(1, devices + 1)):
            if devices % (tp * pp) == 0:
                assert not answer(**case, devices=devices, tp=tp, pp=pp).fits


def test_open_choices_are_made_and_said() -> None:
    result = answer(model="llama-3.1-70b", device="h100-sxm", devices=8)
    assert result.deployment.layout.tp == 2
    assert result.deployment.layout.dp == 4
    text = " ".join(result.deployment.assumptions)
    assert "layout was chosen" in text
    assert "No context was given" in text


def test_beyond_the_usable_context_is_a_warning() -> None:
    result = answer(model="llama-2-7b", device="h100-sxm", context=8192)
    assert any("4,096" in warning for warning in result.deployment.warnings)


def test_eight_bit_weights_multiply_in_eight_bits_where_the_device_can() -> None:
    on_h100 = answer(model="llama-3.1-8b", device="h100-sxm", weights="fp8", context=1000)
    on_a100 = answer(model="llama-3.1-8b", device="a100-sxm-80gb", weights="fp8", context=1000)
    assert on_h100.deployment.execution.activations.name == "fp8"
    assert on_a100.deployment.execution.activations.name == "bf16"
    assert any("widened" in text for text in on_a100.deployment.assumptions)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"tp": 7, "devices": 7}, LayoutError, "1, 2, 4, 8"),
        ({"tp": 3, "devices": 8}, LayoutError, "tp × pp × cp × dp = 8"),
        ({"dp": 3, "devices": 8}, LayoutError, "tp × pp × cp × dp = 8"),
        ({"context": -5}, ScenarioError, "--context"),
        ({"context": 10**30}, ScenarioError, "--context"),
        ({"context": float("nan")}, ScenarioError, "--context"),
        ({"sequences": 0}, ScenarioError, "--sequences"),
        ({"isl": 5000, "osl": 5000, "context": 8192}, ScenarioError, "10000"),
        ({"weights": "q9"}, PrecisionError, "fp8_block"),
        ({"kv_cache_dtype": "q9"}, PrecisionError, "bf16"),
        ({"activations": "int4"}, PrecisionError, "int4"),
        ({"max_num_batched_tokens": 0}, ScenarioError, "--max-num-batched-tokens"),
    ],
)
def test_bad_questions_are_typed_errors(
    change: dict[str, Any], error: type[PlannerError], words: str
) -> None:
    with pytest.raises(error) as caught:
        answer(**{"model": "llama-3.1-8b", "device": "h100-sxm"} | change)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_figure_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"memory\.per_device\.cache_bytes"):
        answer(**CASES["fits"]).explain("memory.per_device.cache_byte")


def test_ranks_beyond_every_known_link_are_a_warning_not_a_guess() -> None:
    result = answer(model="llama-3.1-405b", device="h100-sxm", devices=16, tp=16)
    assert any("is not counted" in warning for warning in result.deployment.warnings)
    assert all(item.communication_s == 0 for item in result.decode.operations)
