"""Cases become the planner's operations: figures by hand, and reasons where there are none."""

from __future__ import annotations

from typing import Any

import pytest

from planner.cost.shapes import NoModelError, execution_of, operations_of
from planner.errors import PlannerError, PrecisionError, ScenarioError
from planner.hardware import load_device
from validation.predict import forecast

HEADS = {"batch": 2, "query_heads": 32, "kv_heads": 8, "head_dim": 128}

LATENT = {"batch": 2, "query_heads": 16, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
          "qk_nope_head_dim": 128, "v_head_dim": 128}  # fmt: skip
STATE = {"batch": 4, "new_tokens": 1, "hidden": 512, "heads": 16, "head_dim": 64, "groups": 1,
         "state_dim": 128, "conv_kernel": 4}  # fmt: skip


def only(kind: str, shape: dict[str, Any], dtype: str = "bf16", **formats: str) -> Any:
    ((_, operation, _),) = operations_of(kind, shape, execution_of(dtype, **formats))
    return operation


def test_product() -> None:
    operation = only("gemm", {"m": 16, "n": 4096, "k": 1024})
    assert operation.flop == 2 * 16 * 4096 * 1024
    assert operation.read_bytes == 2 * (4096 * 1024 + 16 * 1024)
    assert operation.write_bytes == 2 * 16 * 4096


def test_product_in_fp8_reads_half() -> None:
    operation = only("gemm", {"m": 16, "n": 4096, "k": 1024}, "fp8")
    assert operation.read_bytes == 4096 * 1024 + 4 * 4096 + 16 * 1024
    assert operation.precision == "fp8"


@pytest.mark.parametrize(
    ("dtype", "precision", "weight_bits"),
    [("int4_wo", "bf16", 4), ("nvfp4", "fp4", 4), ("int8", "int8", 8), ("fp8_block", "fp8", 8),
     ("w4a8_mxfp4_mxfp8", "fp8", 4), ("half", "fp16", 16)],
)  # fmt: skip
def test_dtypes_of_tables(dtype: str, precision: str, weight_bits: int) -> None:
    operation = only("gemm", {"m": 1, "n": 4096, "k": 4096}, dtype)
    assert operation.precision == precision
    assert operation.weight_bytes / 4096**2 == pytest.approx(weight_bits / 8, rel=0.13)


def test_prefill_counts_a_triangle() -> None:
    operation = only("attention_prefill", HEADS | {"new_tokens": 100, "cached_tokens": 50})
    pairs = 100 * 50 + 100 * 101 / 2
    assert operation.flop == 4 * 2 * pairs * 32 * 128
    assert operation.cache_read_bytes == 2 * 150 * 2 * 8 * 128 * 2


def test_decode_sees_the_cached_tokens_and_itself() -> None:
    operation = only("attention_decode", HEADS | {"cached_tokens": 999})
    assert operation.flop == 4 * 2 * 1000 * 32 * 128
    assert operation.cache_read_bytes == 2 * 1000 * 2 * 8 * 128 * 2


def test_decode_in_a_window() -> None:
    operation = only("attention_decode", HEADS | {"cached_tokens": 999, "window": 100})
    assert operation.flop == 4 * 2 * 100 * 32 * 128


def test_decode_with_an_fp8_cache() -> None:
    operation = only("attention_decode", HEADS | {"cached_tokens": 999}, kv_dtype="fp8")
    assert operation.cache_read_bytes == 2 * 1000 * 2 * 8 * 128


def test_experts() -> None:
    shape = {"tokens": 3, "hidden": 64, "intermediate": 32, "experts": 8, "top_k": 2}
    assert only("moe", shape | {"gated": "True", "tp": "2"}).flop == 2 * 3 * 2 * 64 * 3 * 16
    assert only("moe", shape | {"gated": "False"}).flop == 2 * 3 * 2 * 64 * 2 * 32


def test_state_space_update() -> None:
    operation = only("state_space_decode", STATE | {"variant": "mamba2"})
    assert operation.cache_read_bytes == 4 * 16 * 64 * 128 * 4, "an fp32 state"


@pytest.mark.parametrize(
    ("variant", "elements"), [("gated_delta_net", 16 * 64 * 128), ("kda", 16 * 64 * 64)]
)
def test_linear_updates(variant: str, elements: int) -> None:
    shape = STATE | {"variant": variant, "state_format": "fp32"}
    operation = only("state_space_decode", shape)
    assert operation.cache_read_bytes == operation.cache_write_bytes == 4 * elements * 4


def test_latent_decode_reads_each_latent_once_for_all_heads() -> None:
    operation = only("mla_decode", LATENT | {"cached_tokens": 99})
    assert operation.flop == 2 * 2 * 100 * 16 * (576 + 512)
    assert operation.cache_read_bytes == 2 * 100 * 576 * 2


def test_latent_prefill_runs_on_full_keys() -> None:
    operation = only("mla_prefill", LATENT | {"new_tokens": 100})
    assert operation.flop == 2 * 2 * (100 * 101 / 2) * 16 * (192 + 128)


def test_attention_without_a_mask_counts_a_square() -> None:
    shape = HEADS | {"new_tokens": 100, "causal": "False"}
    assert only("attention_prefill", shape).flop == 4 * 2 * 100 * 100 * 32 * 128


def test_streams() -> None:
    copied = only("memory_copy", {"total_bytes": 4096}, "fp32")
    assert (copied.read_bytes, copied.write_bytes) == (2048, 2048)
    norm = only("elementwise", {"tokens": 8, "width": 512})
    assert norm.read_bytes + norm.write_bytes == 2 * 8 * 512 * 2
    table = only("elementwise", {"tokens": "8", "width": "512", "total_bytes": "999424"})
    assert table.read_bytes + table.write_bytes == 999424


@pytest.mark.parametrize(
    ("kind", "shape", "reason"),
    [
        ("sampling", {"tokens": 8}, "no model of this kind yet"),
        ("state_space_decode", STATE | {"variant": "rwkv9"}, "no model of this state space yet"),
        ("all_reduce", {"ranks": 16, "message_bytes": 8, "nodes": 2}, "several nodes"),
    ],
)
def test_what_has_no_model_says_so(kind: str, shape: dict[str, Any], reason: str) -> None:
    with pytest.raises(NoModelError, match=reason):
        operations_of(kind, shape, execution_of("bf16"))


@pytest.mark.parametrize("shape", [{"m": 1, "n": 2}, {"m": "one", "n": 2, "k": 3}])
def test_unusable_shapes_are_refused(shape: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="unusable shape"):
        operations_of("gemm", shape, execution_of("bf16"))


def test_unknown_dtypes_are_refused() -> None:
    with pytest.raises(PrecisionError, match="unknown dtype"):
        execution_of("fp2")
    with pytest.raises(PrecisionError, match="unknown cache"):
        execution_of("bf16", kv_dtype="fp2")


def test_floor_is_the_slower_of_two() -> None:
    device = load_device("h100-sxm")
    said = forecast("gemm", {"m": 8192, "n": 8192, "k": 8192}, execution_of("bf16"), device)
    assert said.floor_s == pytest.approx(2 * 8192**3 / 989.4e12)
    assert said.bound == "compute"
    thin = forecast("gemm", {"m": 1, "n": 8192, "k": 8192}, execution_of("bf16"), device)
    assert thin.floor_s == pytest.approx(2 * (8192**2 + 2 * 8192) / 3.35e12)
    assert thin.bound == "memory"
    assert "memory bound" in thin.explain()


def test_a_collective_takes_the_devices_link() -> None:
    shape = {"ranks": 4, "message_bytes": 450_000_000}
    said = forecast("all_reduce", shape, execution_of("bf16"), load_device("h100-sxm"))
    assert said.floor_s == pytest.approx(1.5e-3)
    with pytest.raises(PlannerError, match="what joins the ranks"):
        forecast("all_reduce", shape, execution_of("bf16"), load_device("l40s"))


def test_an_unknown_device_has_counts_but_no_floor() -> None:
    said = forecast("gemm", {"m": 1, "n": 2, "k": 3}, execution_of("bf16"), None)
    assert said.floor_s is None
    assert said.prediction().flop == 12
