"""Every form of attention: what it holds, remembers and does, with goldens from publications."""

from __future__ import annotations

from typing import Any

import pytest

from planner.model import Step
from planner.model.alternating import AltUp
from planner.model.encoder_cache import EncoderCache
from planner.model.execution import half
from planner.model.layout import Layout, Section
from planner.model.mixers.attention import Attention
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.projection import Projection

GIB, MIB = 2**30, 2**20


def attention(**fields: Any) -> Attention:
    usual = {"hidden": 512, "query_heads": 8, "kv_heads": 2, "head_dim": 64}
    return Attention(**{**usual, **fields})


def elements(part: Any) -> int:
    return sum(tensor.elements for tensor in part.tensors())


def flop(part: Any, step: Step, name: str = "self_attn.attention") -> float:
    (operation,) = (op for op in part.operations(step, half()) if op.name == name)
    return float(operation.flop)


# --- what it holds ---


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"qkv_bias": True}, 512 + 2 * 128),
        ({"qkv_bias": True, "key_bias": False}, 512 + 128),
        ({"output_bias": True}, 512),
        ({"qk_norm": "head"}, 2 * 64),
        ({"qk_norm": "layer_norm_head"}, 4 * 64),
        ({"qk_norm": "full"}, 512 + 128),
        ({"qk_norm": "weightless"}, 0),
        ({"sinks": True}, 8),
        ({"output_gate": "element"}, 512 * 512),
        ({"output_gate": "head"}, 512 * 8),
        ({"value_projection": False}, -128 * 512),
        ({"own_kv": False}, -2 * 128 * 512),
        ({"own_kv": False, "qk_norm": "full"}, -2 * 128 * 512 + 512),
        ({"value_dim": 32}, -(2 * 32 * 512) - 8 * 32 * 512),
        ({"chunk": 128}, 0),
        ({"causal": False}, 0),
    ],
)
def test_parameters(fields: dict[str, Any], more: int) -> None:
    assert elements(attention(**fields)) - elements(attention()) == more


def test_keys_and_values_of_different_width() -> None:
    part = attention(kv_heads=8, head_dim=192, value_dim=128)
    (cache,) = part.caches()
    assert cache.token_bytes(half(), tp=1) == 8 * (192 + 128) * 2
    assert flop(part, Step.decode(1, 100)) == 2 * 100 * 8 * (192 + 128)
    shape = next(op for op in part.operations(Step.decode(1, 9), half()) if "window" in op.shape)
    assert shape.shape["value_dim"] == 128


def test_ranks_share_everything_that_has_heads() -> None:
    part = attention(qk_norm="full", output_gate="element", sinks=True, qkv_bias=True)
    sizes = {t.name: t.on_rank(Layout(tp=8)).elements for t in part.tensors()}
    assert sizes["self_attn.gate_proj.weight"] == 64 * 512
    assert sizes["self_attn.q_norm.weight"] == 64
    assert sizes["self_attn.k_norm.weight"] == 64, "one of two KV heads on each of eight ranks"
    assert sizes["self_attn.sinks"] == 1
    (cache,) = part.caches()
    assert cache.token_bytes(half(), tp=8) == cache.token_bytes(half(), tp=2)


# --- what it remembers ---


def test_a_layer_that_reads_another_layers_keys_keeps_none_and_reads_all() -> None:
    own, shared = attention(), attention(own_kv=False)
    assert shared.caches() == ()
    step = Step.decode(4, 1000)

    def read(part: Attention) -> float:
        return sum(op.cache_read_bytes for op in part.operations(step, half()))

    def written(part: Attention) -> float:
        return sum(op.cache_write_bytes for op in part.operations(step, half()))

    assert read(shared) == read(own) == 4 * 1000 * 2 * 2 * 64 * 2
    assert (written(shared), written(own)) == (0, 4 * 2 * 2 * 64 * 2)


def test_both_ways_reads_the_text_once_and_keeps_nothing() -> None:
    part = attention(causal=False)
    assert part.caches() == ()
    operations = part.operations(Step.prefill(2, 100), half())
    assert sum(op.cache_read_bytes + op.cache_write_bytes for op in operations) == 0
    assert flop(part, Step.prefill(2, 100)) == 4 * 2 * 100 * 100 * 512
    assert part.variant == "bidirectional GQA"


def test_chunks_keep_at_most_one_chunk() -> None:
    # Llama 4 Scout: 12 layers that see everything, 36 that see their chunk of 8,192.
    full = Attention(hidden=5120, query_heads=40, kv_heads=8, head_dim=128, rotary=False)
    chunked = Attention(hidden=5120, query_heads=40, kv_heads=8, head_dim=128, chunk=8192)
    size = sum(
        count * part.caches()[0].sequence_bytes(10**6, half(), tp=1)
        for part, count in ((full, 12), (chunked, 36))
    )
    assert round(size / 1e9, 1) == 50.4
    kinds = [part.caches()[0].kind for part in (full, chunked)]
    assert kinds == ["full", "chunked"]
    assert chunked.variant == "chunked GQA"


def test_a_step_reads_only_what_its_chunk_holds() -> None:
    part = attention(chunk=128)
    per_token = 2 * 2 * 64 * 2
    for context, keys in ((1, 1), (128, 128), (129, 1), (200, 72)):
        operations = part.operations(Step.decode(1, context), half())
        assert sum(op.cache_read_bytes for op in operations) == keys * per_token


def test_windows_among_full_layers() -> None:
    # Gemma 3 27B at 131,072 tokens: 10 full layers, 52 with a window of 1,024.
    full = Attention(hidden=5376, query_heads=32, kv_heads=16, head_dim=128)
    slid = Attention(hidden=5376, query_heads=32, kv_heads=16, head_dim=128, window=1024)
    context = 131_072
    one, other = (p.caches()[0].sequence_bytes(context, half(), tp=1) for p in (full, slid))
    assert round((10 * one + 52 * other) / GIB, 2) == 10.41
    assert round(62 * one / GIB, 2) == 62.0


# --- attention to another sequence ---


def crossing(**fields: Any) -> CrossAttention:
    usual = {
        "hidden": 1280,
        "source_width": 1280,
        "source_tokens": 1500,
        "query_heads": 20,
        "kv_heads": 20,
        "head_dim": 64,
    }
    return CrossAttention(**{**usual, **fields})


def test_whisper_large_holds_its_encoder_whatever_is_decoded() -> None:
    (cache,) = crossing().caches()
    sizes = {cache.sequence_bytes(context, half(), tp=1) for context in (0, 1, 448)}
    assert {round(32 * size / MIB, 1) for size in sizes} == {234.4}
    assert cache.token_bytes(half(), tp=1) == 0


def test_llama_vision_holds_an_image() -> None:
    part = crossing(
        hidden=4096, source_width=4096, source_tokens=6404, query_heads=32, kv_heads=8, head_dim=128
    )
    (cache,) = part.caches()
    assert round(8 * cache.sequence_bytes(0, half(), tp=1) / MIB, 1) == 200.1


def test_keys_of_the_other_sequence_are_made_once() -> None:
    part = crossing()
    begin = {op.name: op for op in part.operations(Step.prefill(2, 10), half())}
    later = {op.name: op for op in part.operations(Step.prefill(2, 10, 10), half())}
    decode = {op.name: op for op in part.operations(Step.decode(2, 11), half())}
    assert begin["cross_attn.kv_proj"].flop == 2 * 2 * 1500 * 1280 * 2560
    assert begin["cross_attn.cache_update"].cache_write_bytes == 2 * 1500 * 5120
    assert later["cross_attn.kv_proj"].flop == later["cross_attn.kv_proj"].read_bytes == 0
    assert later["cross_attn.cache_update"].write_bytes == 0
    assert "cross_attn.kv_proj" not in decode
    assert decode["cross_attn.attention"].flop == 4 * 2 * 1500 * 1280
    assert decode["cross_attn.attention"].cache_read_bytes == 2 * 1500 * 5120


def test_ranks_share_the_encoders_cache() -> None:
    cache = EncoderCache(heads=Section(20, 1, "KV heads"), key_dim=64, value_dim=64, tokens=1500)
    whole = cache.sequence_bytes(0, half(), tp=1)
    assert cache.sequence_bytes(0, half(), tp=4) == whole // 4
    assert "of the other sequence" in cache.describe(0, half(), tp=4)


# --- small parts ---


def test_altup_and_projections() -> None:
    assert elements(AltUp(hidden=2048, copies=4)) == 4 * 2048 + 64 + 16 + 2 * 2048
    merger = Projection(name="merger", inputs=64, outputs=8, bias=True, merged=4)
    assert elements(merger) == 64 * 8 + 8
    (operation,) = merger.operations(Step.prefill(1, 10), half(Layout(tp=2)))
    assert operation.shape["m"] == 2
