"""Exchanging mixers: the backbone stays, the new mixer is what its name says."""

from __future__ import annotations

import pytest

from planner import load_model
from planner.errors import PlannerError, ScenarioError, UnknownNameError
from planner.model import Model
from planner.model.description import model_from_description, model_to_description
from planner.model.execution import half
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.variants import VARIANTS, Exchange, parse_exchange, parse_exchanges, variant

MODELS = ["llama-3.1-8b", "gemma-2-9b", "mixtral-8x7b", "mamba2-2.7b", "gpt2", "gpt-oss-20b"]


def feed_forward(model: Model) -> list[object]:
    return [
        part
        for layer in model.layers
        for part in layer.parts
        if isinstance(part, Dense | MixtureOfExperts)
    ]


def mixer_names(model: Model) -> list[str]:
    return [
        part.variant for layer in model.layers for part in layer.parts if hasattr(part, "variant")
    ]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", VARIANTS)
def test_variants_keep_the_backbone(name: str, kind: str) -> None:
    model = load_model(name)
    other = variant(model, kind)  # type: ignore[arg-type]
    assert len(other.layers) == len(model.layers)
    assert other.hidden == model.hidden
    assert feed_forward(other) == feed_forward(model)
    described = model_from_description(model_to_description(other), "variant")
    assert described.parameters == other.parameters


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["MHA", "GQA", "MQA", "MLA", "SWA", "SSM"])
def test_every_layer_gets_the_named_mixer(name: str, kind: str) -> None:
    found = set(mixer_names(variant(load_model(name), kind)))  # type: ignore[arg-type]
    assert len(found) == 1
    assert kind in found.pop()


def test_caches_shrink_from_mha_to_ssm_at_long_context() -> None:
    model = load_model("llama-3.1-8b")
    sizes = {name: variant(model, name).cache_bytes(131_072, half()) for name in VARIANTS}
    assert sizes["MHA"] == 32 * sizes["MQA"] == 4 * sizes["GQA"]
    assert sizes["MLA"] == 131_072 * 32 * 576 * 2
    assert sizes["SWA"] == variant(model, "GQA").cache_bytes(4096, half())
    assert sizes["SSM"] == variant(model, "SSM").cache_bytes(1, half())
    assert 8 * sizes["HYBRID"] == sizes["GQA"] + 7 * sizes["SSM"]


def test_gqa_of_a_gqa_model_is_the_model() -> None:
    model = load_model("llama-3.1-8b")
    assert variant(model, "GQA").parameters == model.parameters


@pytest.mark.parametrize(
    ("text", "bytes_per_token"),
    [("GQA:4", 65_536), ("GQA:16", 262_144), ("MLA:256", 32 * 320 * 2), ("SWA:1K", 131_072)],
)
def test_sizes_are_options(text: str, bytes_per_token: int) -> None:
    other = variant(load_model("llama-3.1-8b"), parse_exchange(text))
    assert other.cache_bytes_per_token(half()) == bytes_per_token


def test_the_window_is_an_option() -> None:
    model = load_model("llama-3.1-8b")
    sizes = [
        variant(model, Exchange(name="SWA", size=window)).cache_bytes(10**6, half())
        for window in (128, 1024, 65_536)
    ]
    assert sizes == [window * 131_072 for window in (128, 1024, 65_536)]


@pytest.mark.parametrize("ratio", [1, 3, 7, 15])
def test_a_hybrid_attends_in_every_nth_layer(ratio: int) -> None:
    names = mixer_names(variant(load_model("llama-3.1-8b"), Exchange(name="HYBRID", size=ratio)))
    assert names.count("GQA") == 32 // (ratio + 1)
    assert next(i for i, name in enumerate(names) if name == "GQA") == ratio


def test_a_hybrid_keeps_the_models_own_attention() -> None:
    model = load_model("mistral-7b-v0.1")
    names = mixer_names(variant(model, "HYBRID"))
    assert names.count("SWA GQA") == 4
    assert names.count("SSM") == 28


def test_a_larger_state_is_an_option() -> None:
    model = load_model("llama-3.1-8b")
    small, large = (
        variant(model, Exchange(name="SSM", size=size)).state_bytes(half()) for size in (64, 128)
    )
    assert 1.8 < large / small < 2


@pytest.mark.parametrize(
    "text", ["", ",", "XYZ", "MHA:2", "SWA:x", "SWA:0", "HYBRID:-1", "GQA:1.5", "MHA," * 40 + "Q"]
)
def test_what_is_no_list_of_variants_is_refused(text: str) -> None:
    with pytest.raises(PlannerError):
        parse_exchanges(text)


def test_kv_heads_must_divide() -> None:
    with pytest.raises(ScenarioError, match="divisor"):
        variant(load_model("llama-3.1-8b"), Exchange(name="GQA", size=5))


def test_unknown_variant() -> None:
    with pytest.raises(UnknownNameError, match="MHA"):
        variant(load_model("gpt2"), "XYZ")  # type: ignore[arg-type]
