"""A model as plain data and back, and what a description may not say."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import SpecError
from planner.importers import load_model, model_ids
from planner.model import Model
from planner.model.description import (
    description_to_yaml,
    model_from_description,
    model_to_description,
)
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.state_space import Mamba2
from planner.model.model import Layer
from planner.model.norm import Norm


def same(one: Model, other: Model) -> bool:
    names = (
        "id name embedding layers final head usable_context checkpoint hf_id aliases sources "
        "warnings parameters"
    )
    return all(getattr(one, name) == getattr(other, name) for name in names.split())


@pytest.mark.parametrize("name", model_ids())
def test_catalog_models_survive_the_round_trip(name: str) -> None:
    model = load_model(name)
    description = model_to_description(model)
    text = description_to_yaml(description)
    again = model_from_description(yaml.safe_load(text), name)
    assert same(model, again)
    assert model_to_description(again) == description


flags = st.booleans()
sizes = st.integers(min_value=1, max_value=64)
attention = st.builds(
    lambda kv, group, dim, window, **rest: Attention(
        hidden=32, query_heads=kv * group, kv_heads=kv, head_dim=dim, window=window, **rest
    ),
    kv=sizes, group=sizes, dim=sizes, window=st.none() | sizes,
    qkv_bias=flags, output_bias=flags, sinks=flags, rotary=flags,
    qk_norm=st.sampled_from(["none", "head", "layer_norm_head"]),
)  # fmt: skip
mamba = st.builds(
    lambda groups, times, **rest: Mamba2(hidden=32, groups=groups, heads=groups * times, **rest),
    groups=sizes, times=sizes, head_dim=sizes, state_dim=sizes, conv_kernel=sizes,
    bias=flags, norm=flags, state_format=st.sampled_from(["fp32", "bf16"]),
)  # fmt: skip
dense = st.builds(Dense, hidden=st.just(32), intermediate=sizes, gated=flags, bias=flags)
moe = st.builds(
    lambda top, more, **rest: MixtureOfExperts(hidden=32, experts=top + more, top_k=top, **rest),
    top=sizes, more=st.integers(0, 64), intermediate=sizes, bias=flags, router_bias=flags,
    shared_intermediate=st.integers(0, 64), shared_gate=flags,
)  # fmt: skip
norm = st.builds(
    Norm, kind=st.sampled_from(["rms_norm", "layer_norm"]), width=st.just(32), bias=flags
)
blocks = st.lists(
    st.lists(st.one_of(attention, mamba, dense, moe, norm), min_size=1, max_size=4).map(tuple),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def models(draw: Callable[..., Any]) -> Model:
    layers = [Layer(f"block{i}", parts) for i, parts in enumerate(draw(blocks))]
    order = draw(st.lists(st.sampled_from(layers), min_size=1, max_size=40))
    return Model(
        id="drawn",
        name="Drawn",
        embedding=Embedding(vocabulary=draw(sizes), width=32, hidden=32, norm=draw(flags)),
        layers=tuple(order),
        final=(),
        head=Head(vocabulary=draw(sizes), width=32, hidden=32),
        usable_context=draw(st.none() | sizes),
        sources={},
    )


@given(models())
def test_any_stack_survives_the_round_trip(model: Model) -> None:
    text = description_to_yaml(model_to_description(model))
    assert same(model, model_from_description(yaml.safe_load(text), "drawn"))


def test_a_pattern_of_layers_is_written_once() -> None:
    layers = model_to_description(load_model("gemma-3-27b"))["layers"]
    assert layers == [
        {"blocks": ["sliding"] * 5 + ["full"], "repeat": 10},
        {"blocks": ["sliding"] * 2, "repeat": 1},
    ]


# --- what a description may not say ---


@pytest.fixture
def mixtral() -> dict[str, Any]:
    return copy.deepcopy(model_to_description(load_model("mixtral-8x7b")))


def edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        *way, last = path.split(".")
        for key in way:
            data = data[int(key) if key.isdigit() else key]
        data[int(last) if last.isdigit() else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("parameters", 46_702_792_705, "add up to 46,702,792,704 parameters"),
        ("surprise", 1, "surprise: an unknown field"),
        ("blocks.moe.1.surprise", 1, "blocks.moe.1.surprise: an unknown field"),
        ("embedding.vocabulary", 10**9, "embedding.vocabulary: "),
        ("embedding.vocabulary", 32000.0, "valid integer"),
        ("embedding.hidden", 0, "greater than or equal to 1"),
        ("blocks.moe.1.hidden", True, "blocks.moe.1.hidden"),
        ("blocks.moe.1.hidden", "4096", "text where a number belongs"),
        ("blocks.moe.1.kind", "hypernet", "hypernet"),
        ("blocks.moe.1.kv_heads", 5, "a divisor of 32"),
        ("blocks.moe.1.hidden", 4095, "4,096, as the embedding says"),
        ("blocks.moe.3.top_k", 9, "at most 8"),
        ("blocks.moe", [], "at least 1 item"),
        ("blocks.spare", [{"kind": "rms_norm", "width": 4096}], "no layer uses: spare"),
        ("layers", [{"blocks": ["moe"], "repeat": 2000}] * 2, "too many layers"),
        ("layers", [{"blocks": ["moe"] * 2000, "repeat": 2000}] * 2000, "too many layers"),
        ("layers", [{"blocks": ["none"]}], "no such block"),
        ("usable_context", -1, "usable_context"),
        ("checkpoint.dtype", "bf17", "unknown format"),
        ("checkpoint.roles", ["everything"], "checkpoint.roles.0"),
        ("schema_version", 2, "schema_version"),
        ("id", "Not An Id", "id: "),
        ("hf_id", "no-slash", "hf_id"),
        ("head", None, "head"),
        ("sources.config.kind", "rumour", "sources.config.kind"),
    ],
)
def test_what_is_wrong_is_named(mixtral: dict[str, Any], path: str, value: Any, said: str) -> None:
    edit(path, value)(mixtral)
    with pytest.raises(SpecError) as caught:
        model_from_description(mixtral, "own.yaml")
    text = str(caught.value)
    assert text.startswith("own.yaml: ")
    assert said in text
    assert "\n" not in text


def test_a_missing_field_is_named(mixtral: dict[str, Any]) -> None:
    del mixtral["embedding"]["width"]
    with pytest.raises(SpecError, match=r"embedding\.width: a required field is missing"):
        model_from_description(mixtral, "own.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "alias"),
        ("id: a\nid: b\n", "twice"),
        ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
        ("a: [1", "not valid YAML"),
        ("- 1\n", "not a mapping"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("parameters: 1e12\nschema_version: 1\n", "missing"),
    ],
)
def test_hostile_yaml(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=said) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_two_kinds_of_layer_need_two_names() -> None:
    model = load_model("gpt2")
    other = Layer("full", (Norm(kind="rms_norm", width=768),))
    with pytest.raises(SpecError, match="one name"):
        model_to_description(replace(model, layers=(*model.layers, other)))
