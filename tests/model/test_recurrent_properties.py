"""What holds for every recurrent, convolutional and sparse part, on any sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import SpecError
from planner.model import Layer, Model, Step
from planner.model.connection import AttentionResidual, InnerNorm, LearnedScale, OutputGate
from planner.model.description import (
    check_model,
    description_to_yaml,
    model_from_description,
    model_to_description,
)
from planner.model.embedding import Embedding, Head
from planner.model.execution import Execution, half
from planner.model.feed_forward import Dense
from planner.model.layout import Layout
from planner.model.mixers.attention import Attention
from planner.model.mixers.convolution import Hyena, ShortConvolution
from planner.model.mixers.convolution_modal import ModalHyena
from planner.model.mixers.convolution_vector import VectorConvolution
from planner.model.mixers.linear_attention import GatedLinearAttention, LightningAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_griffin import RgLru
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.linear_rwkv import Rwkv4TimeMix, RwkvChannelMix
from planner.model.mixers.linear_rwkv_state import RwkvTimeMix
from planner.model.mixers.linear_xlstm import MatrixLstm, ScalarLstm
from planner.model.mixers.relative import RelativePositions
from planner.model.mixers.sparse import LongformerAttention
from planner.model.mixers.sparse_hashing import ReformerAttention
from planner.model.mixers.sparse_selection import TopKAttention, selected_pairs
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.mixers.structured import MonarchDense
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.router import RouterNetwork
from planner.model.shared_block import SharedBlock

WIDE = 256
RECURRENT: list[Part] = [
    Mamba1(hidden=WIDE, inner=512, state_dim=16, rank=16, norm=True),
    Mamba2(hidden=WIDE, heads=8, head_dim=64, groups=2, state_dim=32),
    GatedDeltaNet(hidden=WIDE, key_heads=4, value_heads=8, key_dim=32, value_dim=32),
    KimiDeltaAttention(hidden=WIDE, heads=8, head_dim=32, gate_bias=True),
    LightningAttention(hidden=WIDE, heads=8, head_dim=32),
    GatedLinearAttention(hidden=WIDE, heads=4, kv_heads=4, key_dim=32, value_dim=64),
    RgLru(hidden=WIDE, inner=512, blocks=8),
    Rwkv4TimeMix(hidden=WIDE, inner=WIDE),
    RwkvTimeMix(kind="rwkv5", hidden=WIDE, inner=WIDE, head_dim=32),
    RwkvTimeMix(
        kind="rwkv6", hidden=WIDE, inner=WIDE, head_dim=32, mix_rank=16, decay_rank=16
    ),
    RwkvTimeMix(
        kind="rwkv7", hidden=WIDE, inner=WIDE, head_dim=32, decay_rank=16, replace_rank=16,
        value_rank=8, gate_rank=16,
    ),
    RwkvChannelMix(hidden=WIDE, intermediate=512),
    MatrixLstm(hidden=WIDE, heads=4, key_dim=32, value_dim=64),
    ScalarLstm(hidden=WIDE, heads=4),
    ShortConvolution(hidden=WIDE, bias=True),
    ModalHyena(hidden=WIDE, state_dim=8, filter_groups=8),
    VectorConvolution(hidden=WIDE, name="v", kv_heads=8, head_dim=16, dynamic=True),
    VectorConvolution(
        hidden=WIDE, name="qk", query_heads=8, kv_heads=4, head_dim=16, grouped=True, bias=True
    ),
]  # fmt: skip
OTHER: list[Part] = [
    Hyena(hidden=WIDE),
    Hyena(hidden=WIDE, transform="monarch"),
    LongformerAttention(hidden=WIDE, heads=8, window=16, global_tokens=2),
    LongformerAttention(hidden=WIDE, heads=8, window=16, form="band"),
    ReformerAttention(hidden=WIDE, heads=8, head_dim=32, chunk=16),
    ReformerAttention(hidden=WIDE, heads=8, head_dim=32, chunk=16, rounds=2),
    TopKAttention(hidden=WIDE, query_heads=8, kv_heads=4, head_dim=32, blocks=4, block=8),
    MonarchDense(hidden=WIDE, intermediate=512, blocks=4, gated=True),
    SharedBlock(
        hidden=WIDE,
        attention=Attention(
            hidden=WIDE, query_heads=8, kv_heads=8, head_dim=64, input_width=2 * WIDE
        ),
        feed_forward=Dense(hidden=WIDE, intermediate=512),
        adapter_rank=8,
    ),
    OutputGate(hidden=WIDE, heads=8, width=32),
    AttentionResidual(hidden=WIDE, entries=4, name="residual"),
    AttentionResidual(hidden=WIDE, entries=4, name="residual", inputs=3, norm=False),
    LearnedScale(width=WIDE, name="scale", vectors=2),
    RouterNetwork(hidden=WIDE, width=32, choices=5),
    RelativePositions(hidden=WIDE, heads=8, profiles=4, extent=32),
    VectorConvolution(hidden=WIDE, name="out"),
    VectorConvolution(
        hidden=WIDE, name="delay", kv_heads=4, head_dim=8, conv_kernel=2, learned=False
    ),
    InnerNorm(width=WIDE, name="inner", bias=True),
]  # fmt: skip
PARTS = [*RECURRENT, *OTHER]
ENCODERS = {"longformer"}
COPIED = {
    "inner_norm", "attention_residual", "learned_scale", "router_network", "monarch_dense",
    "vector_convolution",
}  # fmt: skip
"""Parts that every rank holds whole."""
lengths = st.integers(min_value=1, max_value=4096)


def named(part: Part) -> str:
    return getattr(part, "kind", type(part).__name__)


def one_layer(part: Part) -> Model:
    norm = Norm(kind="rms_norm", width=WIDE)
    return Model(
        id="model",
        name="model",
        embedding=Embedding(vocabulary=64, width=WIDE, hidden=WIDE),
        layers=(Layer("layer", (norm, part)),),
        final=(norm,),
        head=Head(vocabulary=64, width=WIDE, hidden=WIDE),
        usable_context=None,
    )


def split(tp: int) -> Execution:
    return replace(half(), layout=Layout(tp=tp))


def figures(part: Part, step: Step, execution: Execution) -> list[tuple[str, object]]:
    names = (
        "flop", "weight_bytes", "cache_read_bytes", "cache_write_bytes", "input_bytes",
        "output_bytes", "workspace_bytes",
    )  # fmt: skip
    return [
        (f"{op.name} {name}", getattr(op, name))
        for op in part.operations(step, execution)
        for name in names
    ]


@pytest.mark.parametrize("part", PARTS, ids=named)
def test_a_description_gives_the_part_back(part: Part) -> None:
    model = one_layer(part)
    check_model(model, "model")
    again = yaml.safe_load(description_to_yaml(model_to_description(model)))
    assert model_from_description(again, "model").layers[0].parts[1] == part


@pytest.mark.parametrize("part", PARTS, ids=named)
@pytest.mark.parametrize("decode", [False, True])
def test_arrays_give_what_single_figures_give(part: Part, decode: bool) -> None:
    if decode and named(part) in ENCODERS:
        pytest.skip("an encoder makes no single tokens")
    contexts = [1, 7, 64, 100, 4096]
    make: Callable[..., Step] = Step.decode if decode else Step.prefill
    for tp in (1, 4):
        together = figures(part, make(np.array([2] * 5), np.array(contexts)), split(tp))
        alone = [figures(part, make(2, context), split(tp)) for context in contexts]
        for i, (name, values) in enumerate(together):
            expected = [one[i][1] for one in alone]
            assert np.broadcast_to(np.asarray(values, dtype=float), 5) == pytest.approx(
                np.asarray(expected, dtype=float)
            ), name


@pytest.mark.parametrize("part", RECURRENT, ids=named)
@given(context=lengths)
def test_one_more_token_costs_the_same_at_any_length(part: Part, context: int) -> None:
    assert figures(part, Step.decode(1, context + 1), half()) == figures(
        part, Step.decode(1, 2), half()
    )
    assert sum(cache.token_bytes(half(), tp=1) for cache in part.caches()) == 0


TRANSFORMED = {"modal_hyena"}
"""Fourier transforms of a long text are more work than those of its chunks."""


@pytest.mark.parametrize("part", RECURRENT, ids=named)
@given(chunks=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_prefill_in_chunks_does_the_work_of_one(part: Part, chunks: list[int]) -> None:
    size = 512
    whole = part.operations(Step.prefill(2, size * sum(chunks)), half())
    done, flop = 0, 0.0
    for chunk in chunks:
        step = Step.prefill(2, size * chunk, done)
        operations = part.operations(step, half())
        flop += sum(op.flop for op in operations)
        kept = sum(op.cache_read_bytes for op in operations)
        written = sum(op.cache_write_bytes for op in operations)
        assert kept == (written if done else 0)
        done += size * chunk
    at_once = sum(op.flop for op in whole)
    assert flop == pytest.approx(at_once) or (named(part) in TRANSFORMED and flop < at_once)


@pytest.mark.parametrize("part", RECURRENT, ids=named)
def test_a_step_moves_the_whole_state_both_ways(part: Part) -> None:
    state = sum(cache.sequence_bytes(0, half(), tp=1) for cache in part.caches())
    operations = part.operations(Step.decode(3, 100), half())
    assert sum(op.cache_read_bytes for op in operations) == 3 * state
    assert sum(op.cache_write_bytes for op in operations) == 3 * state


@pytest.mark.parametrize("part", PARTS, ids=named)
def test_ranks_hold_at_least_their_share(part: Part) -> None:
    whole = sum(tensor.elements for tensor in part.tensors())
    for tp in (2, 4):
        held = sum(tensor.on_rank(Layout(tp=tp)).elements for tensor in part.tensors())
        assert whole <= held * tp
        assert held < whole or named(part) in COPIED


@pytest.mark.parametrize("part", RECURRENT, ids=named)
def test_weights_are_read_once(part: Part) -> None:
    step = Step.prefill(1, 64)
    read = sum(op.weight_bytes for op in part.operations(step, half()))
    whole = 2 * sum(tensor.elements for tensor in part.tensors())
    assert 0.98 * whole <= read <= whole


@given(
    new=st.integers(1, 60), cached=st.integers(0, 60), blocks=st.integers(1, 6),
    block=st.integers(1, 9),
)  # fmt: skip
def test_selected_pairs_are_those_of_a_count(
    new: int, cached: int, blocks: int, block: int
) -> None:
    pairs = 0
    for place in range(cached, cached + new):
        own, inside = divmod(place, block)
        pairs += min(own, blocks - 1) * block + inside + 1
    assert selected_pairs(new, cached, blocks, block) == pairs


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (GatedDeltaNet(hidden=WIDE, key_heads=3, value_heads=8, key_dim=8, value_dim=8), "head"),
        (Mamba2(hidden=WIDE, heads=8, head_dim=8, groups=3, state_dim=8), "group"),
        (RgLru(hidden=WIDE, inner=500, blocks=8), "block"),
        (LongformerAttention(hidden=WIDE, heads=7, window=16), "head"),
    ],
)
def test_uneven_shares_are_refused(part: Part, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_model(one_layer(part), "model")
