"""Compressed attention and hyper-connections of DeepSeek-V4, and pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.model import Execution, Layout, Step
from planner.model.execution import half
from planner.model.latent_cache import LatentCache
from planner.model.mixers.compressed import CompressedAttention
from planner.model.mixers.compressor import Compressor, compressed_pairs
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.selected import SelectedAttention
from planner.model.storage import BF16, CACHE_FORMATS, WeightScheme

FP8 = Execution(
    weights=WeightScheme(base=BF16, quantised=BF16),
    activations=BF16,
    stream=BF16,
    cache=CACHE_FORMATS["fp8"],
)


def attention(stride: int, top: int | None = None) -> CompressedAttention:
    return CompressedAttention(
        hidden=4096,
        query_heads=64,
        head_dim=512,
        rotary_dim=64,
        q_lora_rank=1024,
        output_groups=8,
        output_lora_rank=1024,
        window=128,
        stride=stride,
        index_topk=top,
    )


def one_by_one(new: int, cached: int, stride: int, most: int | None) -> int:
    visible = ((cached + i + 1) // stride for i in range(new))
    return sum(seen if most is None else min(seen, most) for seen in visible)


@given(
    new=st.integers(1, 400),
    cached=st.integers(0, 2000),
    stride=st.integers(1, 130),
    most=st.none() | st.integers(1, 600),
)
def test_pairs_in_closed_form_equal_brute_force(
    new: int, cached: int, stride: int, most: int | None
) -> None:
    exact = one_by_one(new, cached, stride, most)
    assert compressed_pairs(new, cached, stride, most) == exact
    grid = compressed_pairs(np.array([new, new]), np.array([cached, 0]), stride, most)
    assert list(grid) == [exact, one_by_one(new, 0, stride, most)]


def test_an_entry_takes_584_bytes_packed_and_1024_plain() -> None:
    ring, entries, _ = attention(128).caches()
    assert ring.sequence_bytes(128, FP8, tp=8) == 128 * 584
    assert entries.sequence_bytes(128, FP8, tp=8) == 584
    assert entries.sequence_bytes(128, half(), tp=8) == 1024


def test_the_window_is_a_ring_and_entries_are_whole() -> None:
    ring, entries, _ = attention(128).caches()
    for tokens, kept, whole in ((1, 1, 0), (127, 127, 0), (128, 128, 1), (10**6, 128, 7812)):
        assert ring.sequence_bytes(tokens, FP8, tp=1) == kept * 584
        assert entries.sequence_bytes(tokens, FP8, tp=1) == whole * 584


def test_compressors_keep_what_their_next_entry_needs_in_fp32() -> None:
    # Overlapping groups of 4: 8 tokens of two values and two gates; groups of 128: one of each.
    assert attention(4).caches()[-1].sequence_bytes(0, FP8, tp=8) == 8 * 4 * 512 * 4
    assert attention(128).caches()[-1].sequence_bytes(0, FP8, tp=8) == 128 * 2 * 512 * 4


def test_decode_meets_the_window_and_the_selected_entries() -> None:
    step = Step.decode(1, 1_000_000)
    (sparse,) = [o for o in attention(4, 512).operations(step, FP8) if "compressed" in o.kind]
    assert sparse.flop == 4 * (128 + 512) * 64 * 512
    assert sparse.cache_read_bytes == (128 + 512) * 584
    (heavy,) = [o for o in attention(128).operations(step, FP8) if "compressed" in o.kind]
    assert heavy.flop == 4 * (128 + 7812) * 64 * 512


def test_heads_and_groups_are_cut_and_the_one_key_is_copied() -> None:
    part = attention(4, 512)
    on_rank = {t.name: t.on_rank(Layout(tp=8)).elements / t.elements for t in part.tensors()}
    assert on_rank["self_attn.q_b_proj.weight"] == 1 / 8
    assert on_rank["self_attn.o_a_proj.weight"] == 1 / 8
    assert on_rank["self_attn.o_b_proj.weight"] == 1 / 8
    assert on_rank["self_attn.kv_proj.weight"] == 1
    alone = sum(op.flop for op in part.operations(Step.prefill(1, 256), half()))
    ranked = sum(op.flop for op in part.operations(Step.prefill(1, 256), half(Layout(tp=8))))
    assert alone / 8 < ranked < alone


def test_the_grouped_output_reads_every_head_once() -> None:
    (first,) = [op for op in attention(0).operations(Step.decode(1, 8), half()) if "o_a" in op.name]
    assert first.flop == 2 * 8 * 1024 * (64 * 512 // 8)
    assert first.input_bytes == 64 * 512 * 2


def test_index_keys_of_compressed_entries_in_fp4_and_fp8() -> None:
    fp4 = Indexer(hidden=4096, query_dim=1024, heads=64, head_dim=128, stride=4, key_format="mxfp4")
    fp8 = Indexer(hidden=4096, query_dim=1024, heads=64, head_dim=128, stride=4)
    assert fp4.caches()[0].sequence_bytes(4, half(), tp=8) == 68
    assert fp8.caches()[0].sequence_bytes(4, half(), tp=8) == 132
    scores = fp4.operations(Step.decode(1, 1_000_000), half())[-1]
    assert scores.flop == 2 * 250_000 * 64 * 128
    assert scores.cache_read_bytes == 250_000 * 68


def test_pooling_counts_every_token_once() -> None:
    pool = Compressor(hidden=64, dim=16, stride=4, name="c")
    entry = LatentCache(kind="compressed", dim=16, stride=4)
    (product, pooling) = pool.operations(Step.prefill(2, 100), half(), entry)
    assert product.flop == 2 * 200 * 64 * 4 * 16
    assert pooling.cache_write_bytes == 2 * (8 * 4 * 16 * 4 + 25 * 16 * 2)


def test_selected_attention_keeps_everything_and_meets_a_part() -> None:
    part = SelectedAttention(hidden=6144, query_heads=64, kv_heads=4, head_dim=128, selected=2048)
    (cache,) = part.caches()
    assert cache.sequence_bytes(10**5, half(), tp=1) == 10**5 * 2 * 4 * 128 * 2
    long, short = (
        next(op for op in part.operations(Step.decode(1, n), half()) if "attention" in op.kind)
        for n in (10**5, 1000)
    )
    assert long.flop == pytest.approx(4 * 2048 * 64 * 128)
    assert long.cache_read_bytes == pytest.approx(2048 * 2048)
    assert short.flop == pytest.approx(4 * 1000 * 64 * 128)
