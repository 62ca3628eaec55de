"""The registry and the comparison: uniform, light to list, and not easily fooled."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planner.errors import UnknownNameError
from validation import kernels

ROOT = Path(__file__).resolve().parents[3]

HEADS = {"batch": 2, "query_heads": 4, "kv_heads": 2, "head_dim": 64}
SHAPES: dict[str, list[dict[str, Any]]] = {
    "attention_prefill": [
        HEADS | {"new_tokens": 33},
        HEADS | {"new_tokens": 20, "cached_tokens": 31},
        HEADS | {"new_tokens": 20, "cached_tokens": 31, "window": 9},
    ],
    "attention_decode": [
        HEADS | {"cached_tokens": 60},
        HEADS | {"cached_tokens": 60, "window": 9},
        HEADS | {"cached_tokens": 60, "new_tokens": 3},
    ],
    "mla_decode": [
        {
            "batch": 1,
            "query_heads": 16,
            "kv_lora_rank": 128,
            "qk_rope_head_dim": 32,
            "cached_tokens": 40,
        }
    ],
    "state_space_prefill": [
        {"batch": 1, "new_tokens": 50, "heads": 2, "head_dim": 32, "groups": 1, "state_dim": 32}
    ],
    "state_space_decode": [{"batch": 1, "heads": 2, "head_dim": 32, "groups": 1, "state_dim": 32}],
    "gemm": [{"m": 64, "n": 96, "k": 512}, {"m": 1, "n": 16, "k": 32}],
    "memory_copy": [{"total_bytes": 4096}],
    "elementwise": [{"tokens": 10, "width": 256}],
}


# --- without Torch ---


def test_listing_is_light() -> None:
    program = "import sys, validation.kernels; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "triton"} & set(done.stdout.split())


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="triton_mla_decode"):
        kernels.load("triton_mla_decod")


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> None:
        raise ImportError("No module named 'triton'")

    monkeypatch.setattr(importlib, "import_module", fails)
    with pytest.raises(kernels.KernelUnavailableError, match="validation extra"):
        kernels.load("triton_mla_decode")


def test_names_by_kind_and_provider() -> None:
    assert kernels.names("mla_decode") == ("triton_mla_decode",)
    assert set(kernels.names(provider="triton")) == {
        name for name in kernels.KERNELS if name.startswith("triton_")
    }
    assert set(SHAPES) == {entry.kind for entry in kernels.KERNELS.values()}


# --- with it ---


@pytest.fixture
def torch() -> Any:
    module = pytest.importorskip("torch")
    pytest.importorskip("triton")
    return module


@pytest.mark.oracle
@pytest.mark.parametrize("name", kernels.KERNELS)
def test_every_kernel_is_right_on_the_cpu_or_says_why_not(name: str, torch: Any) -> None:
    from validation.kernels.kernel import verify

    kernel, entry, cpu = kernels.load(name), kernels.KERNELS[name], torch.device("cpu")
    assert (kernel.kind, kernel.provider, kernel.variant) == (
        entry.kind,
        entry.provider,
        entry.variant,
    )
    for dtype in kernel.tolerances:
        for shape in SHAPES[kernel.kind]:
            usable, reason = kernel.usable(shape, dtype, cpu)
            if not usable:
                assert reason
                continue
            inputs = kernel.make_inputs(shape, dtype, cpu, 3)
            result = verify(kernel, inputs, dtype)
            assert result.correct, f"{dtype} {shape}: {result.reason}"
            assert result.overall_error <= result.row_error or result.row_error == 0.0


@pytest.mark.oracle
@pytest.mark.parametrize("name", kernels.KERNELS)
def test_inputs_are_fresh_but_repeatable(name: str, torch: Any) -> None:
    from validation.kernels.kernel import held_bytes, tensors

    kernel, cpu = kernels.load(name), torch.device("cpu")
    shape, dtype = SHAPES[kernel.kind][0], next(iter(kernel.tolerances))
    one, same, other = (kernel.make_inputs(shape, dtype, cpu, seed) for seed in (1, 1, 2))

    def bits(inputs: Any) -> list[Any]:
        return [each.double().nan_to_num() for each in tensors(inputs)]

    assert all(map(torch.equal, bits(one), bits(same)))
    assert not torch.equal(bits(one)[0], bits(other)[0])
    assert 0 < held_bytes(one) <= sum(each.nbytes for each in tensors(one))


@pytest.mark.oracle
def test_a_dtype_that_is_not_taken(torch: Any) -> None:
    from validation.kernels.kernel import KernelInputError

    kernel = kernels.load("torch_matmul")
    with pytest.raises(KernelInputError, match="float64"):
        kernel.tolerance(torch.float64)
    assert not kernel.usable(SHAPES["gemm"][0], torch.float64, torch.device("cpu"))[0]


@pytest.mark.oracle
def test_what_is_wrong_is_found(torch: Any) -> None:
    """An unwritten element, one wrong row of many, a wrong shape, a missing output."""
    from validation.kernels.kernel import Tolerance, compare

    tolerance = Tolerance(overall=1e-3, row=1e-2, reason="test")
    right = torch.randn(5000, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert compare({"y": right.float()}, {"y": right}, tolerance).correct

    unwritten = right.clone()
    unwritten[7, 3] = float("nan")
    found = compare({"y": unwritten}, {"y": right}, tolerance)
    assert not found.correct
    assert "1 elements" in found.reason
    assert found.overall_error == float("inf")

    one_row = right.clone()
    one_row[4999] *= 1.03
    found = compare({"y": one_row}, {"y": right}, tolerance)
    assert found.overall_error < tolerance.overall
    assert not found.correct
    assert "a row of y" in found.reason

    assert "shape" in compare({"y": right[:1]}, {"y": right}, tolerance).reason
    assert "missing" in compare({}, {"y": right}, tolerance).reason
    zero = torch.zeros(2, 2)
    assert compare({"y": zero}, {"y": zero}, tolerance).correct
    assert not compare({"y": zero + 1}, {"y": zero}, tolerance).correct


@pytest.mark.oracle
def test_a_kernel_that_leaves_an_element_unwritten_is_found(torch: Any) -> None:
    from validation.kernels.kernel import verify

    honest = kernels.load("torch_copy")

    def forgetful(inputs: Any, out: Any = None) -> Any:
        out["out"][:-1] = inputs.source[:-1]
        return out

    inputs = honest.make_inputs({"total_bytes": 800}, torch.float32, torch.device("cpu"), 0)
    result = verify(replace(honest, run=forgetful), inputs, torch.float32)
    assert not result.correct
    assert "1 elements" in result.reason


@pytest.mark.oracle
def test_naive_attention_takes_memory_of_every_pair_flash_does_not(torch: Any) -> None:
    """The library's own record of allocations, at twice the tokens."""
    from torch.profiler import ProfilerActivity, profile

    from validation.kernels.launch import triton_available

    here, why_not = triton_available(torch.device("cpu"))
    if not here:
        pytest.skip(why_not)

    def most_bytes(name: str, tokens: int) -> int:
        kernel = kernels.load(name)
        shape = {"batch": 1, "query_heads": 2, "kv_heads": 1, "head_dim": 64, "new_tokens": tokens}
        inputs = kernel.make_inputs(shape, torch.float32, torch.device("cpu"), 0)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
            kernel.run(inputs)
        return sum(max(0, each.self_cpu_memory_usage) for each in trace.events())

    naive = most_bytes("naive_attention", 512) / most_bytes("naive_attention", 256)
    flash = most_bytes("triton_flash_prefill", 512) / most_bytes("triton_flash_prefill", 256)
    assert naive > 3
    assert flash < 2.5


@pytest.mark.oracle
def test_integers_of_a_shape_are_checked(torch: Any) -> None:
    from validation.kernels.attention import integer, window_of
    from validation.kernels.kernel import KernelInputError

    assert integer({"m": 4.0}, "m") == 4
    assert integer({"m": ""}, "m", 2) == 2
    assert window_of({"window": ""}) is None
    assert window_of({"window": 8.0}) == 8
    for wrong in (1.5, -1, float("nan"), float("inf")):
        with pytest.raises(KernelInputError, match="whole number"):
            integer({"m": wrong}, "m")


@pytest.mark.oracle
@pytest.mark.parametrize("module", ["validation.kernels", "validation.kernels.split_kv"])
def test_examples(module: str, torch: Any) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed


@pytest.mark.oracle
def test_splits_fill_the_device_and_no_more(torch: Any) -> None:
    from validation.kernels.split_kv import choose_splits

    for programs in (1, 7, 64, 132, 500, 5000):
        for tiles in (1, 3, 64, 2048):
            splits = choose_splits(programs, tiles, 264)
            assert 1 <= splits <= min(tiles, 128)
    assert choose_splits(1, 2048, 264) == 128
    assert choose_splits(264, 2048, 264) == 1
