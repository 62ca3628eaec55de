"""Towers and encoders: what they hold, when they work, how ranks and formats treat them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.cost.activations import activation_peak
from planner.errors import UnknownNameError
from planner.importers import import_config
from planner.model import Layer, Model, Step
from planner.model.description import (
    description_to_yaml,
    model_from_description,
    model_to_description,
)
from planner.model.execution import half
from planner.model.feed_forward import Dense
from planner.model.layout import Layout
from planner.model.mixers.attention import Attention
from planner.model.storage import BF16, WEIGHT_FORMATS, WeightScheme
from planner.model.tower import ENCODER, Tower

LLAVA: dict[str, Any] = {
    "model_type": "llava",
    "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "vocab_size": 160,
        "max_position_embeddings": 64,
    },
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 48,
        "intermediate_size": 90,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "image_size": 28,
        "patch_size": 14,
    },
}
T5: dict[str, Any] = {
    "model_type": "t5",
    "torch_dtype": "bfloat16",
    "d_model": 64,
    "d_kv": 8,
    "d_ff": 96,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 8,
    "vocab_size": 160,
    "is_encoder_decoder": True,
}
WHISPER: dict[str, Any] = {
    "model_type": "whisper",
    "torch_dtype": "bfloat16",
    "d_model": 1280,
    "encoder_layers": 32,
    "decoder_layers": 32,
    "encoder_attention_heads": 20,
    "decoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_ffn_dim": 5120,
    "vocab_size": 51866,
    "num_mel_bins": 128,
    "max_source_positions": 1500,
    "max_target_positions": 448,
    "is_encoder_decoder": True,
}


def read(config: dict[str, Any]) -> Model:
    return import_config(config, where=config["model_type"])


def flop(model: Model, step: Step) -> float:
    return sum(float(op.flop) * count for _, op, count in model.operations(step, half()))


def test_a_tower_is_held_and_does_nothing_unless_asked() -> None:
    model = read(LLAVA)
    (tower,) = model.towers
    alone = replace(model, towers=())
    assert model.parameters == alone.parameters + tower.parameters
    assert model.weights_bytes(half()) == alone.weights_bytes(half()) + 2 * tower.parameters
    step = Step.prefill(2, 10)
    assert flop(model, step) == flop(alone, step)
    assert len(model.layers) == 2
    asked = model.reading("vision", 5)
    assert flop(asked, step) > flop(model, step)
    assert flop(asked, Step.prefill(2, 10, 5)) == flop(model, Step.prefill(2, 10, 5))
    assert flop(asked, Step.decode(2, 10)) == flop(model, Step.decode(2, 10))


def test_formats_leave_towers_as_they_are() -> None:
    model = read(LLAVA)
    (tower,) = model.towers
    alone = replace(model, towers=())
    scheme = WeightScheme(base=BF16, quantised=WEIGHT_FORMATS["int4"])
    execution = replace(half(), weights=scheme)
    more = model.weights_bytes(execution) - alone.weights_bytes(execution)
    assert more == 2 * tower.parameters
    roles = {tensor.role for layer, tensor, _ in model.tensors if layer.startswith("vision")}
    assert "linear" not in roles
    assert "tower" in roles


@pytest.mark.parametrize(("tp", "cut"), [(2, True), (4, False), (8, False)])
def test_ranks_cut_a_tower_where_they_divide_it_and_copy_it_where_not(tp: int, cut: bool) -> None:
    model = read(LLAVA)
    assert model.admits(Layout(tp=tp))
    (tower,) = model.towers
    matrices = [t for _, t, _ in tower.tensors() if t.name == "self_attn.q_proj.weight"]
    assert [t.on_rank(Layout(tp=tp)).shape for t in matrices] == [(48 // tp if cut else 48, 48)]
    asked = model.reading("vision", 5)
    execution = half(Layout(tp=tp))
    kinds = [op.kind for _, op, _ in tower.operations(Step.prefill(1, 5), execution)]
    assert kinds == []
    kinds = [op.kind for _, op, _ in asked.towers[0].operations(Step.prefill(1, 5), execution)]
    assert ("all_reduce" in kinds) is cut


def test_an_encoder_is_quantised_and_cut_as_its_decoder_is() -> None:
    model = read(T5)
    (encoder,) = model.towers
    assert encoder.name == ENCODER
    scheme = WeightScheme(base=BF16, quantised=WEIGHT_FORMATS["int4"])
    small = model.weights_bytes(replace(half(), weights=scheme))
    assert small < model.weights_bytes(half()) / 2
    assert not model.admits(Layout(tp=16))
    assert model.admits(Layout(tp=8))


def test_an_encoder_works_when_a_sequence_begins() -> None:
    model = read(T5).reading(ENCODER, 40)
    begin, later = Step.prefill(2, 1), Step.decode(2, 2)
    layers = {layer for layer, _, _ in model.operations(begin, half())}
    assert any(layer.startswith("encoder") for layer in layers)
    assert not any(layer.startswith("encoder") for layer, _, _ in model.operations(later, half()))
    crossing = [cache for _, cache, _ in model.caches if cache.kind == "encoder"]
    assert [cache.sequence_bytes(0, half(), tp=1) for cache in crossing] == [40 * 2 * 64 * 2]
    assert model.state_bytes(half()) == 3 * 40 * 2 * 64 * 2
    assert model.usable_context is None
    assert model.positions is not None
    assert model.positions.kind == "relative"


def test_a_tower_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown tower"):
        read(T5).reading("vision", 5)


def test_whisper_large() -> None:
    model = read(WHISPER)
    assert model.parameters == 1_543_490_560
    assert round(model.state_bytes(half()) / 2**20, 1) == 234.4
    assert (len(model.layers), model.usable_context) == (32, 448)
    peak = activation_peak(model, half())
    assert peak.bytes(1, 1) > activation_peak(replace(model, towers=()), half()).bytes(1, 1)


@pytest.mark.parametrize("config", [LLAVA, T5, WHISPER], ids=["llava", "t5", "whisper"])
def test_descriptions_keep_stacks_beside_the_main_one(config: dict[str, Any]) -> None:
    import yaml

    model = read(config)
    text = description_to_yaml(model_to_description(model))
    back = model_from_description(yaml.safe_load(text), "model.yaml")
    assert back.parameters == model.parameters
    assert back.towers == model.towers
    assert back.layers == model.layers
    assert back.initial == model.initial
    assert back.positions == model.positions


def test_a_tower_may_be_as_wide_as_it_likes() -> None:
    layer = Layer(
        "block",
        (
            Attention(hidden=48, query_heads=6, kv_heads=6, head_dim=8, causal=False),
            Dense(hidden=48, intermediate=90, gated=False),
        ),
    )
    tower = Tower(name="vision", layers=(layer, layer))
    assert tower.parameters == 2 * (4 * 48 * 48 + 2 * 48 * 90)
    assert [name for name, _, _ in tower.parts] == ["vision.block"] * 2
