"""Orders of attention in a plan's prefill, as command line and page show them."""

from __future__ import annotations

import json

import pytest

from planner import Scenario, load_hardware, load_model
from planner.attention_io import ORDERS, layer_traffic
from planner.cli import BAD_INPUT, OK, run
from planner.cost.traffic import attention_traffic
from planner.errors import ScenarioError
from planner.plan import Plan, plan


def answer(model: str, device: str = "h100-sxm", tp: int = 1, isl: int = 8192) -> Plan:
    hardware = load_hardware(device, tp)
    return plan(Scenario(model=load_model(model), hardware=hardware, tp=tp, isl=isl))


def test_heads_are_those_of_the_rank() -> None:
    (whole,) = layer_traffic(answer("llama-3.1-70b"))
    (ranked,) = layer_traffic(answer("llama-3.1-70b", tp=8))
    assert (whole.layers, whole.traffic.query_heads, whole.traffic.kv_heads) == (80, 64, 8)
    assert (ranked.traffic.query_heads, ranked.traffic.kv_heads) == (8, 1)
    assert whole.traffic.materialised_bytes == 8 * ranked.traffic.materialised_bytes


def test_layers_with_a_window_are_left_out() -> None:
    (full,) = layer_traffic(answer("gemma-3-27b"))
    assert full.layers == 10


def test_the_fused_order_moves_no_less_than_a_plans_operation_counts() -> None:
    result = answer("llama-3.1-8b")
    (layer,) = layer_traffic(result)
    (item,) = [i for i in result.prefill.operations if i.operation.kind == "attention_prefill"]
    moved = item.operation.read_bytes + item.operation.write_bytes
    assert moved == layer.traffic.compulsory_bytes <= layer.traffic.fused_bytes


def test_figures_are_those_of_the_library() -> None:
    (layer,) = layer_traffic(answer("gpt2", "a100-sxm-80gb", isl=1024))
    device = load_hardware("a100-sxm-80gb", 1).device
    fmt = layer.traffic.format
    assert fmt.name == "fp32"
    alone = attention_traffic(device, tokens=1024, head_dim=64, query_heads=12, fmt=fmt)
    for figure in ORDERS:
        assert getattr(layer.traffic, figure) == getattr(alone, figure)


@pytest.mark.parametrize("model", ["mamba2-2.7b", "deepseek-v3", "mistral-7b-v0.1"])
def test_models_without_such_a_layer_are_told(model: str) -> None:
    with pytest.raises(ScenarioError, match="whole prompt"):
        layer_traffic(answer(model, "h200-sxm", tp=8 if model == "deepseek-v3" else 1))


def test_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["attention", "-m", "llama-3.1-8b", "-d", "h100-sxm", "--isl", "8192"]
    assert run([*asked, "--format", "json"]) == OK
    (layer,) = json.loads(capfd.readouterr().out)
    figures = {each["figure"]: each["value"] for each in layer["figures"]}
    assert figures["materialised_bytes"] == 32 * (4 * 8192**2 + 4 * 8192 * 128) * 2
    assert figures["saving"] == pytest.approx(
        figures["materialised_bytes"] / figures["fused_bytes"]
    )
    assert run(asked) == OK
    text = capfd.readouterr().out
    assert "128 × 128" in text or "128 × 64" in text
    assert "level 2" in text
    assert run(["attention", "-m", "mamba2-2.7b", "-d", "h100-sxm"]) == BAD_INPUT
    assert capfd.readouterr().out == ""
