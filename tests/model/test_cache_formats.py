"""Stored bytes of keys and values in every format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import PrecisionError
from planner.importers import load_model
from planner.model import Step
from planner.model.execution import half
from planner.model.storage import cache_format

# Bytes of one token of Llama 3.1 8B (32 layers, 8 KV heads of 128), from the engines' layouts.
TOKEN_BYTES = {
    "bf16": 131_072, "fp8": 65_536, "int8": 67_584, "fp8_per_token_head": 67_584, "int4": 34_816,
    "mxfp8": 67_584, "nvfp4": 36_864, "q8_0": 69_632, "q5_1": 49_152, "q5_0": 45_056,
    "q4_1": 40_960, "q4_0": 36_864, "kivi2": 24_576, "turboquant_k8v4": 50_176,
    "turboquant_4bit_nc": 34_304,
    "FP8_E4M3": 65_536, "int8_per_token_head": 67_584, "F16": 131_072,
    "turboquant_k3v4_nc": 30_208, "turboquant_3bit_nc": 26_112,
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), TOKEN_BYTES.items())
def test_bytes_per_token(name: str, size: int) -> None:
    execution = replace(half(), cache=cache_format(name))
    assert load_model("llama-3.1-8b").cache_bytes_per_token(execution) == size


def test_keys_and_values_may_differ() -> None:
    execution = replace(half(), cache=cache_format("q8_0/q4_0"))
    assert load_model("llama-3.1-8b").cache_bytes_per_token(execution) == (69_632 + 36_864) // 2


@given(context=st.integers(0, 10_000))
def test_kivi_keeps_its_newest_tokens_wide(context: int) -> None:
    model = load_model("llama-3.1-8b")
    wide = model.cache_bytes(context, half())
    small = model.cache_bytes(context, replace(half(), cache=cache_format("kivi2")))
    recent = min(context, 128)
    assert small == (context - recent) * 24_576 + recent * 131_072
    assert small <= wide


@pytest.mark.parametrize("model", ["llama-3.1-8b", "gemma-2-9b", "deepseek-v3", "deepseek-v3.2"])
@pytest.mark.parametrize("name", ["bf16", "fp8", "q8_0/q4_0", "kivi2", "nvfp4"])
def test_decode_over_everything_reads_what_is_kept(model: str, name: str) -> None:
    loaded = load_model(model)
    execution = replace(half(), cache=cache_format(name))
    context = 2048  # no more than DeepSeek-V3.2 selects, no less than windows hold
    step = Step.decode(1, context)
    read = sum(op.cache_read_bytes * n for _, op, n in loaded.operations(step, execution))
    assert read == loaded.cache_bytes(context, execution)


def test_arrays_of_contexts() -> None:
    model = load_model("gemma-2-9b")
    execution = replace(half(), cache=cache_format("kivi4"))
    contexts = np.array([1, 100, 128, 5000])
    expected = [model.cache_bytes(int(context), execution) for context in contexts]
    assert list(model.cache_bytes(contexts, execution)) == expected


@pytest.mark.parametrize("name", ["q9", "", "q8_0/", "kivi2/q8_0", "fp8/fp8/fp8", "/fp8"])
def test_unknown_formats_name_the_known(name: str) -> None:
    with pytest.raises(PrecisionError, match="q8_0"):
        cache_format(name)
