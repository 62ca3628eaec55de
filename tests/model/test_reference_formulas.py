"""Worked figures of reference formulas that the other goldens leave out, on the catalog's models.

Sources: configurations and classes of transformers 5.23.0; FlashMLA's README (packed latents);
compress_ratios of the released DeepSeek-V4 checkpoints; the papers of YaRN and Llama 3.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.importers import load_model
from planner.model import Execution, Layout, Step
from planner.model.execution import half
from planner.model.feed_forward import MixtureOfExperts
from planner.model.storage import cache_format
from planner.units import GB, GIB, MIB


def cached_in(name: str) -> Execution:
    return replace(half(), cache=cache_format(name))


def read_bytes(name: str, context: int, execution: Execution) -> float:
    operations = load_model(name).operations(Step.decode(1, context), execution)
    return float(sum(op.cache_read_bytes * count for _, op, count in operations))


# --- parameters ---


def test_active_parameters_of_deepseek_v3() -> None:
    model = load_model("deepseek-v3")
    table = 129_280 * 7168
    assert model.active_parameters - table == 36_625_603_584
    assert round(model.active_parameters / 1e9, 2) == 37.55
    assert model.buffers == 58 * 256 == 14_848


def test_a_tied_head_is_stored_once_and_multiplied_once() -> None:
    model = load_model("gemma-2-9b")
    assert model.parameters == 9_241_705_984
    head = [op for _, op, _ in model.operations(Step.decode(1, 1), half()) if "lm_head" in op.name]
    assert sum(op.flop for op in head) == 2 * 256_000 * 3584


# --- what is kept ---


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16])
def test_latents_are_not_divided_over_ranks(tp: int) -> None:
    model = load_model("deepseek-v3")
    assert model.cache_bytes_per_token(half(), layout=Layout(tp=tp)) == 70_272


def test_sparse_latents_and_their_index_in_fp8() -> None:
    model, fp8 = load_model("deepseek-v3.2"), cached_in("fp8")
    assert model.cache_bytes_per_token(fp8) == 61 * 788 == 48_068
    assert model.cache_bytes_per_token(half()) == 78_324
    assert model.cache_bytes(10**6, fp8) == 48_068 * 10**6


@pytest.mark.parametrize(
    ("name", "token_bytes", "ring_mib"),
    [("deepseek-v4-flash", (3850, 3514), 3.07), ("deepseek-v4-pro", (5511, 5031), None)],
)
def test_compressed_entries(
    name: str, token_bytes: tuple[int, int], ring_mib: float | None
) -> None:
    model, fp8 = load_model(name), cached_in("fp8")
    slope = (model.cache_bytes(1_280_000, fp8) - model.cache_bytes(640_000, fp8)) / 640_000
    assert any(slope == pytest.approx(each, abs=0.6) for each in token_bytes)
    if ring_mib:
        ring = 43 * 128 * 584
        assert ring / MIB == pytest.approx(ring_mib, abs=0.005)


def test_scout_at_a_million_tokens() -> None:
    model = load_model("llama-4-scout-17b-16e-instruct")
    assert model.cache_bytes(10**6, half()) / GB == pytest.approx(50.4, abs=0.05)


def test_a_key_value_head_is_copied_where_ranks_outnumber_it() -> None:
    model = load_model("llama-3.1-8b")
    layouts = [Layout(tp=tp) for tp in (1, 8, 16, 32)]
    sizes = [model.cache_bytes_per_token(half(), layout=layout) for layout in layouts]
    assert sizes == [131_072, 16_384, 16_384, 16_384]


@pytest.mark.parametrize(
    ("name", "layer_token_bytes"),
    [("bf16", 4096), ("fp8", 2048), ("int8", 2112), ("nvfp4", 1152), ("mxfp8", 2112)],
)
def test_formats_of_one_layers_keys_and_values(name: str, layer_token_bytes: int) -> None:
    model = load_model("llama-3.1-8b")
    assert model.cache_bytes_per_token(cached_in(name)) == 32 * layer_token_bytes


# --- what is done ---


def test_logits_of_every_prompt_token() -> None:
    model = load_model("llama-3.1-8b")

    def flop(rows: int) -> float:
        step = replace(Step.prefill(1, 8192), logit_rows=rows)
        return sum(float(op.flop) * count for _, op, count in model.operations(step, half()))

    assert flop(1) == pytest.approx(131.9e12, rel=1e-3)
    assert flop(8192) == pytest.approx(140.6e12, rel=1e-3)


def test_experts_and_router() -> None:
    (experts,) = {
        part for _, part, _ in load_model("deepseek-v3").parts if isinstance(part, MixtureOfExperts)
    }
    tokens = 100
    flop = sum(op.flop for op in experts.operations(Step.decode(tokens, 1), half()))
    assert flop == 2 * tokens * (8 + 1) * 3 * 7168 * 2048 + 2 * tokens * 7168 * 256


# --- what is moved ---


def test_weights_are_read_without_the_input_table() -> None:
    model = load_model("llama-3.1-8b")
    assert model.weights_bytes(half()) / GB == pytest.approx(16.06, abs=0.005)
    read = sum(op.weight_bytes * n for _, op, n in model.operations(Step.decode(1, 1), half()))
    assert read / GB == pytest.approx(15.01, abs=0.005)


def test_windows_bound_what_is_read() -> None:
    model = load_model("gemma-3-27b")
    token = 16 * 256 * 2  # 16 KV heads of 128, keys and values
    assert read_bytes("gemma-3-27b", 131_072, half()) == (10 * 131_072 + 52 * 1024) * token
    assert model.cache_bytes(131_072, half()) / GIB == pytest.approx(10.41, abs=0.005)


def test_sparse_attention_reads_its_selection_and_every_index_key() -> None:
    context = 131_072
    read = read_bytes("deepseek-v3.2", context, cached_in("fp8"))
    assert read == 61 * (2048 * 656 + context * 132)


@pytest.mark.parametrize("name", ["mamba2-2.7b"])
def test_states_are_read_and_written_whole_at_every_token(name: str) -> None:
    model = load_model(name)
    state = model.state_bytes(half())
    operations = list(model.operations(Step.decode(1, 4096), half()))
    assert sum(op.cache_read_bytes * n for _, op, n in operations) == state
    assert sum(op.cache_write_bytes * n for _, op, n in operations) == state


# --- positions ---


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("deepseek-v3", 163_840),  # YaRN by 40 from 4,096
        ("llama-3.1-8b", 131_072),
        ("phi-3-mini-128k", 131_072),
        ("gpt2", 1024),
        ("gpt3-175b", 2048),
        ("deepseek-v4-flash", 1_048_576),
    ],
)
def test_usable_contexts(name: str, usable: int) -> None:
    assert load_model(name).usable_context == usable


def test_the_attention_factors_of_configurations() -> None:
    def factor(name: str) -> float:
        positions = load_model(name).positions
        assert positions is not None
        return max(each.attention_factor(positions.declared) for each in positions.rotations)

    assert factor("phi-3-mini-128k") == pytest.approx(1.190, abs=5e-4)
    assert factor("deepseek-v4-flash") == 1.0
    assert factor("llama-3.1-8b") == 1.0
