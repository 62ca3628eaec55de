"""What tensor-parallel ranks hold adds up to the model, plus the copies that are declared."""

from __future__ import annotations

import pytest

from planner.errors import LayoutError
from planner.importers import load_model
from planner.model import Layout, Tensor
from planner.model.admission import check_layout, tensor_parallel_sizes
from planner.model.execution import half
from planner.model.layout import Section

MODELS = (
    "gpt2", "llama-3.1-8b", "mixtral-8x7b", "gemma-3-27b", "gpt-oss-120b", "qwen3-30b-a3b",
    "mamba2-2.7b", "phi-2", "opt-125m", "qwen1.5-moe-a2.7b",
)  # fmt: skip


def pieces_per_rank(section: Section, tp: int) -> list[set[int]]:
    """Deal the pieces of an axis to ranks one by one, in order."""
    if section.beyond == "replicate" and tp > section.units:
        return [{rank * section.units // tp} for rank in range(tp)]
    share = -(-section.units // tp)
    ranks = [set(range(rank * share, min((rank + 1) * share, section.units))) for rank in range(tp)]
    assert section.beyond == "pad" or all(len(rank) == share for rank in ranks)
    return ranks


def check(tensor: Tensor, tp: int) -> None:
    held = tensor.on_rank(Layout(tp=tp))
    if tensor.split is None:
        assert held == tensor
        return
    axis = tensor.split.axis
    fullest = 0
    for section in tensor.split.sections:
        ranks = pieces_per_rank(section, tp)
        assert set().union(*ranks) == set(range(section.units)), "a piece is on no rank"
        copies = sum(map(len, ranks)) / section.units
        assert copies == (tp / section.units if tp > section.units and copies > 1 else 1)
        fullest += max(map(len, ranks)) * section.width
    assert held.shape[axis] == fullest
    assert sum(s.units * s.width for s in tensor.split.sections) == tensor.shape[axis]
    others = [n for i, n in enumerate(tensor.shape) if i != axis]
    assert [n for i, n in enumerate(held.shape) if i != axis] == others


@pytest.mark.parametrize("name", MODELS)
def test_ranks_hold_every_piece(name: str) -> None:
    model = load_model(name)
    sizes = [tp for tp in tensor_parallel_sizes(model, 16) if tp in (1, 2, 3, 4, 8, 16)]
    assert sizes[0] == 1
    for tp in sizes:
        for _, tensor, _ in model.tensors:
            check(tensor, tp)


@pytest.mark.parametrize("name", MODELS)
def test_no_rank_holds_less_than_its_share_nor_more_than_all(name: str) -> None:
    model = load_model(name)
    whole = model.weights_bytes(half())
    for tp in tensor_parallel_sizes(model, 8):
        rank = model.weights_bytes(half(), layout=Layout(tp=tp))
        assert whole / tp <= rank <= whole
        assert model.cache_bytes(999, half(), layout=Layout(tp=tp)) * tp >= model.cache_bytes(
            999, half()
        )


def test_kv_heads_are_copied_beyond_their_number() -> None:
    model = load_model("llama-3.1-8b")
    tokens = [model.cache_bytes_per_token(half(), layout=Layout(tp=tp)) for tp in (1, 2, 8, 16, 32)]
    assert tokens == [131_072, 65_536, 16_384, 16_384, 16_384]


def test_a_vocabulary_is_padded() -> None:
    table = load_model("gpt2").embedding.tensors()[0]
    assert table.on_rank(Layout(tp=4)).shape == (12_565, 768)


def test_ranks_that_do_not_divide_are_refused_with_the_sizes_that_do() -> None:
    model = load_model("llama-3.1-70b")
    with pytest.raises(LayoutError, match=r"7 tensor-parallel ranks.*allowed: 1, 2, 4, 8"):
        check_layout(model, Layout(tp=7))
    falcon = load_model("falcon-7b")
    assert tensor_parallel_sizes(falcon, 8) == (1,)
