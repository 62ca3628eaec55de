"""Multi-head latent attention, its indexer and its caches against published and counted figures.

DeepSeek-V3 and V3.2 as their configurations have them; the FLOP of both forms by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.model import Execution, Layout, Step
from planner.model.execution import half
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.latent import LatentAttention
from planner.model.operation import Operation
from planner.model.storage import BF16, CACHE_FORMATS, WeightScheme

MLA = LatentAttention(
    hidden=7168,
    query_heads=128,
    q_lora_rank=1536,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
)
DSA = LatentAttention(
    hidden=7168,
    query_heads=128,
    q_lora_rank=1536,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    index_topk=2048,
)
INDEXER = Indexer(hidden=7168, query_dim=1536, heads=64, head_dim=128)


def run(step: Step, part: LatentAttention | Indexer = MLA) -> dict[str, Operation]:
    return {operation.name: operation for operation in part.operations(step, half())}


def execution(cache: str, tp: int = 1) -> Execution:
    return Execution(
        weights=WeightScheme(base=BF16, quantised=BF16),
        activations=BF16,
        stream=BF16,
        cache=CACHE_FORMATS[cache],
        layout=Layout(tp=tp),
    )


# --- what it remembers ---


@pytest.mark.parametrize("tp", [1, 2, 8, 16])
def test_a_latent_is_576_wide_and_whole_on_every_rank(tp: int) -> None:
    (cache,) = MLA.caches()
    # Report: (512 + 64) · 2 bytes · 61 layers = 70,272 bytes per token on each GPU.
    assert 61 * cache.token_bytes(execution("bf16", tp), tp=tp) == 70_272
    assert cache.sequence_bytes(10**6, execution("bf16", tp), tp=tp) * 61 == 70_272 * 10**6


def test_an_fp8_latent_of_dense_attention_has_one_byte_per_element() -> None:
    assert MLA.caches()[0].token_bytes(execution("fp8"), tp=1) == 576


def test_the_packed_fp8_latent_of_sparse_attention_and_its_index_key() -> None:
    # FlashMLA: 512 fp8 + 4 fp32 scales + 64 bf16 = 656; the indexer's key 128 fp8 + 1 fp32.
    latent = DSA.caches()[0].token_bytes(execution("fp8"), tp=8)
    key = INDEXER.caches()[0].token_bytes(execution("fp8"), tp=8)
    assert (latent, key, latent + key) == (656, 132, 788)
    assert 61 * (latent + key) == 48_068


def test_the_index_key_is_fp8_whatever_the_latents_are() -> None:
    latent = DSA.caches()[0].token_bytes(execution("bf16"), tp=1)
    key = INDEXER.caches()[0].token_bytes(execution("bf16"), tp=1)
    assert 61 * (latent + key) == 78_324


def test_expanded_keys_and_values_would_take_71_times_as_much() -> None:
    heads, key, value = MLA.query_heads, MLA.qk_head_dim, MLA.v_head_dim
    assert 61 * heads * (key + value) * 2 == 4_997_120
    assert pytest.approx(71.1, abs=0.05) == 4_997_120 / 70_272


def test_a_layer_that_reads_another_ones_latents_keeps_none() -> None:
    reader = LatentAttention(
        hidden=64,
        query_heads=4,
        kv_lora_rank=32,
        qk_nope_head_dim=16,
        qk_rope_head_dim=8,
        v_head_dim=16,
        owns_latent=False,
    )
    assert reader.caches() == ()
    names = [tensor.name for tensor in reader.tensors()]
    assert not any("kv_a" in name for name in names)
    reads = [op for op in reader.operations(Step.decode(1, 100), half()) if op.cache_read_bytes]
    assert [op.cache_read_bytes for op in reads] == [100 * (32 + 8) * 2]


# --- what it does ---


def test_a_pair_costs_3_4_times_as_much_absorbed() -> None:
    context = 4096
    prefill = run(Step.prefill(1, 1, context - 1))["self_attn.attention"].flop
    decode = run(Step.decode(1, context))["self_attn.attention"].flop
    assert decode / prefill == pytest.approx(3.4, abs=1e-12)


def test_prefill_of_4096_is_cheaper_expanded() -> None:
    operations = run(Step.prefill(1, 4096))
    expanded = operations["self_attn.kv_b_proj"].flop + operations["self_attn.attention"].flop
    assert expanded / 1e9 == pytest.approx(824.8, abs=0.05)
    step = Step(batch=1, new_tokens=4096, cached_tokens=0, phase="decode")
    assert absorbed(step) / 1e9 == pytest.approx(2474, abs=0.5)


def test_decode_at_32768_is_cheaper_absorbed() -> None:
    step = Step.decode(1, 32769)
    assert absorbed(step) / 1e9 == pytest.approx(9.2, abs=0.05)
    operations = run(Step.prefill(1, 1, 32768))
    again = operations["self_attn.kv_b_proj"].flop + operations["self_attn.attention"].flop
    assert again / 1e9 == pytest.approx(1102, abs=0.5)


def absorbed(step: Step) -> float:
    names = ("self_attn.k_absorb", "self_attn.attention", "self_attn.v_absorb")
    operations = run(step)
    assert "self_attn.kv_b_proj" not in operations
    return float(sum(operations[name].flop for name in names))


def test_absorbed_halves_replace_the_expansion_byte_for_byte() -> None:
    halves = run(Step.decode(1, 100))
    whole = run(Step.prefill(1, 100))["self_attn.kv_b_proj"]
    weights = halves["self_attn.k_absorb"].weight_bytes + halves["self_attn.v_absorb"].weight_bytes
    assert weights == whole.weight_bytes == 128 * 256 * 512 * 2
    one = run(Step.prefill(1, 1))["self_attn.kv_b_proj"]
    flop = halves["self_attn.k_absorb"].flop + halves["self_attn.v_absorb"].flop
    assert flop == one.flop


def test_absorbed_attention_reads_each_latent_once_for_all_heads() -> None:
    assert run(Step.decode(3, 1000))["self_attn.attention"].cache_read_bytes == 3 * 1000 * 1152


def test_a_prefix_found_in_the_cache_is_expanded_again() -> None:
    expansion = run(Step.prefill(2, 100, 900))["self_attn.kv_b_proj"]
    assert expansion.shape["m"] == 2 * 1000
    assert expansion.cache_read_bytes == 2 * 900 * 1152


def test_the_selection_bounds_decode_at_128k() -> None:
    step = Step.decode(1, 131_073)
    scores = run(step, INDEXER)["indexer.scores"].flop / 1e6
    sparse = run(step, DSA)["self_attn.attention"].flop / 1e6
    dense = run(step, MLA)["self_attn.attention"].flop / 1e6
    assert (round(scores), round(sparse), round(dense)) == (2148, 570, 36508)


def test_the_indexer_costs_as_much_as_sparse_attention_at_34816() -> None:
    step = Step.decode(1, 34_816)
    scores = run(step, INDEXER)["indexer.scores"].flop
    assert scores == run(step, DSA)["self_attn.attention"].flop


def test_a_short_context_is_not_cut_by_the_selection() -> None:
    step = Step.decode(4, 2048)
    assert run(step, DSA)["self_attn.attention"] != run(step, MLA)["self_attn.attention"]
    sparse, dense = (run(step, part)["self_attn.attention"] for part in (DSA, MLA))
    assert (sparse.flop, sparse.cache_read_bytes) == (dense.flop, dense.cache_read_bytes)


def test_shape_columns_are_those_of_tables_of_operations() -> None:
    columns = {
        "batch", "query_heads", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim",
        "v_head_dim", "new_tokens", "cached_tokens",
    }  # fmt: skip
    for step, kind in ((Step.prefill(2, 64), "mla_prefill"), (Step.decode(2, 64), "mla_decode")):
        operation = run(step)["self_attn.attention"]
        assert operation.kind == kind
        assert columns <= set(operation.shape)


# --- under tensor parallelism ---


@pytest.mark.parametrize("tp", [2, 4, 8, 16])
def test_ranks_share_the_heads_and_copy_what_makes_latents(tp: int) -> None:
    whole = {t.name: t.elements for t in MLA.tensors()}
    ranked = {t.name: t.on_rank(Layout(tp=tp)).elements for t in MLA.tensors()}
    copied = {"self_attn.q_a_proj.weight", "self_attn.kv_a_proj_with_mqa.weight"}
    copied |= {name for name in whole if "layernorm" in name}
    for name, elements in whole.items():
        assert ranked[name] == (elements if name in copied else elements // tp), name


def test_every_rank_reads_the_whole_latent() -> None:
    alone = run(Step.decode(1, 4096))["self_attn.attention"]
    ranked = {op.name: op for op in MLA.operations(Step.decode(1, 4096), half(Layout(tp=8)))}
    attention = ranked["self_attn.attention"]
    assert attention.cache_read_bytes == alone.cache_read_bytes
    assert attention.flop * 8 == alone.flop


# --- numbers and arrays alike ---


@given(
    batch=st.lists(st.integers(1, 64), min_size=2, max_size=4),
    new=st.integers(1, 5000),
    cached=st.integers(0, 200_000),
    decode=st.booleans(),
    sparse=st.booleans(),
)
def test_a_grid_gives_what_single_steps_give(
    batch: list[int], new: int, cached: int, decode: bool, sparse: bool
) -> None:
    phase = "decode" if decode else "prefill"
    part = DSA if sparse else MLA

    def steps(sequences: object) -> Step:
        return Step(batch=sequences, new_tokens=new, cached_tokens=cached, phase=phase)

    grid = part.operations(steps(np.array(batch)), half())
    for i, sequences in enumerate(batch):
        for together, alone in zip(grid, part.operations(steps(sequences), half()), strict=True):
            for name in ("flop", "read_bytes", "write_bytes"):
                value = np.broadcast_to(getattr(together, name), (len(batch),))[i]
                assert value == pytest.approx(float(getattr(alone, name)), rel=1e-12)
