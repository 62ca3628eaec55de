"""Published and derived figures of recurrent, convolutional and sparse parts, each with its source.

Sources: counts of released checkpoints; RWKV-LM's README (parameters and state of RWKV-7, formula
of Qwen3.5's); the formula of RWKV-6's reference model; mamba issue 110 (9 FLOP per element of the
state); papers of SSD, gated delta networks, Hyena, Monarch, Longformer and Reformer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from planner.model import Layer, Model, Step
from planner.model.embedding import Embedding, Head
from planner.model.execution import Execution, half
from planner.model.layout import Layout
from planner.model.mixers.convolution import Hyena, ShortConvolution
from planner.model.mixers.convolution_modal import ModalHyena
from planner.model.mixers.linear_attention import GatedLinearAttention, LightningAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_griffin import RgLru
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.linear_rwkv import RwkvChannelMix
from planner.model.mixers.linear_rwkv_state import RwkvTimeMix
from planner.model.mixers.linear_xlstm import MatrixLstm, ScalarLstm
from planner.model.mixers.scan_flop import delta_scan_flop, linear_scan_flop
from planner.model.mixers.sparse import LongformerAttention
from planner.model.mixers.sparse_hashing import ReformerAttention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.mixers.structured import MonarchDense, monarch, monarch_transform_flop
from planner.model.norm import Norm
from planner.model.part import Part

MIB = 2**20
MAMBA1 = Mamba1(hidden=2560, inner=5120, state_dim=16, rank=160)
MAMBA2 = Mamba2(hidden=2560, heads=80, head_dim=64, groups=1, state_dim=128)
DELTA = GatedDeltaNet(hidden=2048, key_heads=16, value_heads=32, key_dim=128, value_dim=128)
KDA = KimiDeltaAttention(hidden=2304, heads=32, head_dim=128)
LIGHTNING = LightningAttention(hidden=6144, heads=64, head_dim=128)
RWKV7 = RwkvTimeMix(
    kind="rwkv7", hidden=1024, inner=1024, head_dim=64,
    decay_rank=64, replace_rank=64, value_rank=32, gate_rank=128,
)  # fmt: skip
GRIFFIN = RgLru(hidden=2560, inner=2560, blocks=10)


def elements(part: Part) -> int:
    return sum(tensor.elements for tensor in part.tensors())


def state_bytes(part: Part, tp: int = 1) -> float:
    return sum(cache.sequence_bytes(0, half(), tp=tp) for cache in part.caches())


def stack(parts: Sequence[Part], layers: int, vocabulary: int, hidden: int, *, tied: bool) -> Model:
    norm = Norm(kind="rms_norm", width=hidden)
    return Model(
        id="model",
        name="model",
        embedding=Embedding(vocabulary=vocabulary, width=hidden, hidden=hidden),
        layers=(Layer("layer", (norm, *parts)),) * layers,
        final=(norm,),
        head=Head(vocabulary=vocabulary, width=hidden, hidden=hidden, tied=tied),
        usable_context=None,
    )


# --- parameters ---


@pytest.mark.parametrize(
    ("part", "vocabulary", "parameters"),
    [(MAMBA1, 50_280, 2_768_345_600), (MAMBA2, 50_288, 2_702_599_680)],
    ids=["mamba-2.8b", "mamba2-2.7b"],
)
def test_state_space_models(part: Part, vocabulary: int, parameters: int) -> None:
    assert stack([part], 64, vocabulary, 2560, tied=True).parameters == parameters


def rwkv(
    mixer: Part, layers: int, hidden: int, intermediate: int, *, receptance: bool
) -> Sequence[int]:
    """Parameters of a layer and of a whole model with 65,536 tokens."""
    channel = RwkvChannelMix(hidden=hidden, intermediate=intermediate, receptance=receptance)
    layer = elements(mixer) + elements(channel) + 4 * hidden
    return layer, 2 * 65_536 * hidden + 4 * hidden + layers * layer


def test_rwkv_7_as_its_readme_counts() -> None:
    layer, whole = rwkv(RWKV7, 24, 1024, 4096, receptance=False)
    assert layer == 19 * 1024 + 12 * 1024**2 + 2 * 1024 * (64 + 32 + 64 + 128)
    assert whole == 450_834_432


@pytest.mark.parametrize(
    ("layers", "hidden", "parameters"),
    [(24, 2048, 1_599_873_024), (32, 2560, 3_099_863_040), (32, 4096, 7_577_026_560)],
)
def test_rwkv_6(layers: int, hidden: int, parameters: int) -> None:
    mixer = RwkvTimeMix(
        kind="rwkv6", hidden=hidden, inner=hidden, head_dim=64, mix_rank=32, decay_rank=64
    )
    wide = int(3.5 * hidden) // 32 * 32
    assert rwkv(mixer, layers, hidden, wide, receptance=True)[1] == parameters


@pytest.mark.parametrize(
    ("order", "embedding", "width", "inner"), [(2, 5, 64, 2), (3, 33, 64, 2), (2, 3, 16, 1)]
)
def test_hyena_formula(order: int, embedding: int, width: int, inner: int) -> None:
    d = 768
    operator = Hyena(
        hidden=d, order=order, filter_embedding=embedding, filter_width=width, filter_layers=inner
    )
    projections = d * (order + 1) * d + (order + 1) * d + d * d + d
    short = (order + 1) * d * 3 + (order + 1) * d
    hidden_layers = embedding * width + width + inner * (width**2 + width)
    filters = hidden_layers + width * d * (order - 1) + width
    assert elements(operator) == projections + short + filters + (order - 1) * d


def test_hyena_with_the_widths_of_its_paper() -> None:
    assert elements(Hyena(hidden=768)) == 2_430_272


def test_monarch_matrices() -> None:
    assert sum(t.elements for t in monarch("fc", 4096, 4096, 64)) == 524_288
    assert 4096**2 / 524_288 == 32
    # Wider than high and higher than wide: the smaller side is the square factor.
    wide, high = monarch("up", 4096, 1024, 4), monarch("down", 1024, 4096, 4)
    assert [t.elements for t in wide] == [4 * 256 * 256, 4 * 1024 * 256]
    assert [t.elements for t in high] == [4 * 256 * 1024, 4 * 256 * 256]


# --- states ---


@pytest.mark.parametrize(
    ("part", "layers", "mib"),
    [
        (MAMBA1, 64, 11.875),
        (MAMBA2, 64, 161.96875),
        (KDA, 20, 41.40625),
        (LIGHTNING, 70, 280.0),
        (GRIFFIN, 18, 0.439453125),
    ],
    ids=["mamba-2.8b", "mamba2-2.7b", "kimi-linear", "minimax-01", "recurrentgemma-2b"],
)
def test_states_of_a_sequence(part: Part, layers: int, mib: float) -> None:
    assert layers * state_bytes(part) / MIB == pytest.approx(mib, abs=0.02)


def test_state_of_rwkv_7_as_its_readme_counts() -> None:
    channel = RwkvChannelMix(hidden=1024, intermediate=4096, receptance=False)
    kept = [cache for part in (RWKV7, channel) for cache in part.caches()]
    units = [sum(s.units * s.width for s in cache.sections) for cache in kept]
    held = sum(unit * math.prod(cache.shape) for unit, cache in zip(units, kept, strict=True))
    assert 24 * held == 24 * (2 * 1024 + 64 * 1024) == 1_622_016


def test_hyena_keeps_its_inputs_and_modal_hyena_a_state() -> None:
    (inputs,) = [c for c in Hyena(hidden=768).caches() if c.kind != "convolution"]
    assert inputs.token_bytes(half(), tp=1) == (2 + 1) * 768 * 2
    assert inputs.sequence_bytes(4096, half(), tp=1) == 4096 * (2 + 1) * 768 * 2
    modal = ModalHyena(hidden=4096, state_dim=8)
    assert all(cache.token_bytes(half(), tp=1) == 0 for cache in modal.caches())


# --- ranks ---

SPLIT = [
    MAMBA1,
    Mamba2(hidden=4096, heads=128, head_dim=64, groups=8, state_dim=128),
    DELTA,
    KDA,
    LIGHTNING,
    ShortConvolution(hidden=2048),
    MatrixLstm(hidden=4096, heads=8, key_dim=256, value_dim=512),
    GatedLinearAttention(hidden=2048, heads=4, kv_heads=4, key_dim=256, value_dim=512),
]


@pytest.mark.parametrize("part", SPLIT, ids=lambda part: part.kind)
@pytest.mark.parametrize("tp", [2, 4])
def test_ranks_share_channels_and_heads(part: Part, tp: int) -> None:
    assert state_bytes(part, tp) * tp == state_bytes(part)


def test_groups_that_ranks_do_not_divide_are_copied() -> None:
    conv, state = sorted(MAMBA2.caches(), key=lambda cache: cache.kind)
    for tp in (2, 4, 8):
        assert conv.sequence_bytes(0, half(), tp=tp) == (5120 / tp + 2 * 128) * 3 * 2
        assert state.sequence_bytes(0, half(), tp=tp) == 80 / tp * 64 * 128 * 4


def test_vectors_of_the_token_before_are_whole_on_every_rank() -> None:
    shift, state = sorted(RWKV7.caches(), key=lambda cache: cache.kind != "convolution")
    for tp in (1, 2, 4):
        assert shift.sequence_bytes(0, half(), tp=tp) == 1024 * 2
        assert state.sequence_bytes(0, half(), tp=tp) == 1024 * 64 * 4 / tp


# --- FLOP ---


def scans(part: Part, step: Step, execution: Execution | None = None) -> list[float]:
    return [
        op.flop
        for op in part.operations(step, execution or half())
        if op.kind.startswith("state_space")
    ]


def test_mamba_1_takes_nine_flop_per_element() -> None:
    for step in (Step.prefill(2, 512), Step.decode(2, 512)):
        assert sum(scans(MAMBA1, step)) == 9 * step.tokens * 5120 * 16


def test_mamba_2_in_chunks_takes_1_62_times_the_recurrence() -> None:
    tokens = 8192
    (chunked,) = scans(MAMBA2, Step.prefill(1, tokens))
    groups, state = 256 * 128, 80 * 64 * 128
    per_token = 2 * groups + 2 * 256 * 80 * 64 + 4 * state + 2 * state / 256
    assert chunked == tokens * per_token
    (one,) = scans(MAMBA2, Step.decode(1, tokens))
    assert one == 5 * state
    assert chunked / (tokens * one) == pytest.approx(1.62, abs=0.005)


@pytest.mark.parametrize("part", [DELTA, KDA], ids=lambda part: part.kind)
def test_delta_rules(part: Part) -> None:
    assert sum(scans(part, Step.decode(1, 4096))) == pytest.approx(3.67e6, rel=1e-3)
    assert sum(scans(part, Step.prefill(1, 4096))) / 4096 == pytest.approx(5.81e6, rel=1e-3)


def test_a_chunk_of_one_token_is_the_recurrence_and_its_scores() -> None:
    """With chunks of one token, products replace the element-wise decay."""
    one = Step.prefill(1, 1)
    linear = linear_scan_flop(one, chunk=64, heads=2, key_dim=16, value_dim=8)
    assert linear == 2 * (2 * (16 + 8) + 6 * 16 * 8)
    delta = delta_scan_flop(one, chunk=64, heads=2, key_dim=16, value_dim=8)
    assert delta == pytest.approx(2 * (4 * 16 + 2 * 24 + 2 * 8 + 6 * 16 * 8 + 1 / 3))


def test_hyena_flop() -> None:
    length, d = 8192, 768
    transform = 2.5 * 2 * length * math.log2(2 * length)
    expected = (
        2 * length * d * 3 * d
        + 2 * length * d * d
        + 2 * length * 3 * d * 3
        + d * (3 * transform + 6 * (length + 1))
        + 2 * length * d
    )
    flop = sum(op.flop for op in Hyena(hidden=d).operations(Step.prefill(1, length), half()))
    assert expected == pytest.approx(40.139e9, rel=1e-4)
    # Filters come from a small network, once per length: they are not in the formula.
    assert flop >= expected
    assert flop == pytest.approx(expected, rel=0.02)


def test_monarch_transforms() -> None:
    for length in (256, 4096, 65_536):
        assert monarch_transform_flop(length, 2) == 4 * length * math.isqrt(length)
    layer = MonarchDense(hidden=4096, intermediate=4096, blocks=64)
    gemms = [op for op in layer.operations(Step.decode(1, 1), half()) if op.kind == "gemm"]
    assert sum(op.flop for op in gemms) == 2 * 4 * 4096 * 64


def test_longformer_pairs() -> None:
    for n, w, g in ((4096, 512, 1), (4096, 512, 16), (1024, 64, 0)):
        band = LongformerAttention(hidden=768, heads=12, window=w, global_tokens=g, form="band")
        assert band.pairs(n) == (n * (w + 1) + 2 * n * g - g * g,) * 2
        chunks = LongformerAttention(hidden=768, heads=12, window=w)
        assert chunks.pairs(n)[0] == (n // (w // 2) - 1) * w * w
    band = LongformerAttention(hidden=768, heads=12, window=512, form="band")
    chunks = LongformerAttention(hidden=768, heads=12, window=512)
    ratio = sum(chunks.pairs(4096)) / sum(band.pairs(4096))
    assert ratio == pytest.approx(1.7, abs=0.05)
    assert chunks.pairs(4096)[0] / band.pairs(4096)[0] == pytest.approx(2, rel=0.07)


def test_reformer_pairs() -> None:
    lsh = ReformerAttention(hidden=256, heads=2, head_dim=64, chunk=64, rounds=4)
    assert 65_536 * lsh.seen_keys(65_536) == 33_554_432 == 4 * 65_536 * 2 * 64
    flop = lsh.operations(Step.prefill(1, 65_536), half())
    (hashing,) = [op for op in flop if op.name == "attention.hashing"]
    buckets = 2 * 65_536 / 64
    assert hashing.flop == 2 * 65_536 * 128 * buckets / 2 * 4


def test_ranks_share_the_work_of_scans() -> None:
    step = Step.prefill(1, 1024)
    for part in (MAMBA1, DELTA, KDA, LIGHTNING):
        two = Execution(
            weights=half().weights, activations=half().activations, stream=half().stream,
            cache=half().cache, layout=Layout(tp=2),
        )  # fmt: skip
        assert 2 * sum(scans(part, step, two)) == sum(scans(part, step))


def test_a_scalar_lstm_has_block_diagonal_recurrences() -> None:
    block = ScalarLstm(hidden=1024, heads=4)
    recurrent = [t for t in block.tensors() if "recurrent" in t.name]
    assert sum(t.elements for t in recurrent) == 4 * 1024 * 256
