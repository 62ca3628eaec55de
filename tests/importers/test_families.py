"""Every family: exact counts, windows, biases, and the traps of its configuration files."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from planner.errors import SpecError, UnsupportedConfigError
from planner.importers import import_config
from planner.importers.registry import family, model_types
from planner.model import Model
from planner.model.execution import half
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention

ENTRIES = json.loads(
    (Path(__file__).resolve().parent.parent / "data" / "configurations.json").read_text("utf-8")
)
BY_NAME = {entry["name"]: entry["config"] for entry in ENTRIES}

KINDS_OF_PART = frozenset(
    ["gla", "longformer", "mamba", "mamba2", "rwkv", "rwkv5", "rwkv6", "rwkv7"]
)
"""Words for a layer or its mixer, some of which are names of families too."""


def load(name: str, **changes: Any) -> Model:
    config = {**BY_NAME[name], **changes}
    return import_config({key: v for key, v in config.items() if v != "absent"}, where=name)


def attentions(model: Model) -> list[Attention]:
    return [part for _, part, _ in model.parts if isinstance(part, Attention)]


def windows(model: Model) -> list[int | None]:
    return [
        part.window for layer in model.layers for part in layer.parts if hasattr(part, "window")
    ]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_counts_are_exact(entry: dict[str, Any]) -> None:
    model = import_config(entry["config"], where=entry["name"])
    assert model.parameters == entry["parameters"], entry["source"]
    assert model.active_parameters == entry["active_parameters"]


# --- heads ---


def test_missing_kv_heads_mean_one_per_query_head() -> None:
    (attention,) = attentions(load("llama-3.1-8b", num_key_value_heads="absent"))
    assert attention.kv_heads == 32
    (attention,) = attentions(load("llama-3.1-8b", num_key_value_heads=None))
    assert attention.kv_heads == 32


def test_head_dim_need_not_divide_the_hidden_width() -> None:
    (attention,) = attentions(load("qwen3-0.6b"))
    assert (attention.query_heads * attention.head_dim, attention.hidden) == (2048, 1024)


def test_falcon_7b_has_one_kv_head_though_it_says_71() -> None:
    model = load("falcon-7b")
    assert {part.kv_heads for part in attentions(model)} == {1}
    assert model.cache_bytes_per_token(half()) == 32 * 2 * 64 * 2


def test_falcon_40b_uses_its_kv_heads_though_it_says_multi_query() -> None:
    assert {part.kv_heads for part in attentions(load("falcon-40b"))} == {8}


def test_falcon_in_its_first_dialect() -> None:
    first = {
        "model_type": "RefinedWebModel",
        "hidden_size": 4544,
        "n_layer": 32,
        "n_head": 71,
        "multi_query": True,
        "parallel_attn": True,
        "alibi": False,
        "bias": False,
        "vocab_size": 65024,
        "torch_dtype": "bfloat16",
    }
    assert import_config(first, where="falcon-7b").parameters == 6_921_720_704


# --- windows ---


def test_mistral_v01_has_a_window_on_every_layer_and_v03_none() -> None:
    assert windows(load("mistral-7b-v0.1")) == [4096] * 32
    assert windows(load("mistral-7b-v0.3")) == [None] * 32


def test_a_missing_window_is_mistrals_default_and_null_is_none() -> None:
    assert windows(load("mistral-7b-v0.1", sliding_window="absent")) == [4096] * 32
    assert windows(load("mistral-7b-v0.1", sliding_window=None)) == [None] * 32


def test_qwen_states_a_window_that_it_does_not_use() -> None:
    assert BY_NAME["qwen2.5-7b"]["sliding_window"] == 131072
    assert windows(load("qwen2.5-7b")) == [None] * 28


def test_qwen_with_windows_keeps_its_first_layers_full() -> None:
    model = load("qwen2.5-7b", use_sliding_window=True, sliding_window=512, max_window_layers=20)
    assert windows(model) == [None] * 20 + [512] * 8
    assert [(layer.name, n) for layer, n in model.groups] == [("full", 20), ("sliding", 8)]


def test_gemma_2_alternates_without_saying_so() -> None:
    assert windows(load("gemma-2-9b")) == [4096, None] * 21


def test_gemma_3_has_five_windows_before_each_full_layer() -> None:
    found = Counter(windows(load("gemma-3-27b")))
    assert found == {1024: 52, None: 10}
    assert windows(load("gemma-3-27b"))[:6] == [1024] * 5 + [None]


def test_gpt_oss_alternates_as_listed() -> None:
    assert windows(load("gpt-oss-20b")) == [128, None] * 12
    assert windows(load("gpt-oss-20b", layer_types="absent")) == [128, None] * 12


def test_a_list_of_layer_types_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(SpecError, match="one entry for each of the 24 layers"):
        load("gpt-oss-20b", layer_types=["full_attention"])


def test_an_unknown_kind_of_layer_is_refused() -> None:
    with pytest.raises(UnsupportedConfigError, match="chunked_attention"):
        load("gpt-oss-20b", layer_types=["chunked_attention"] * 24)


# --- mixtures of experts ---


def test_dense_layers_between_sparse_ones() -> None:
    model = load("qwen3-30b-a3b", decoder_sparse_step=2, mlp_only_layers=[1])
    assert [(layer.name, n) for layer, n in model.groups] == [("dense", 25), ("moe", 23)]


def test_more_experts_per_token_than_there_are() -> None:
    with pytest.raises(SpecError, match=r"num_experts_per_tok.*from 1 to 8"):
        load("mixtral-8x7b", num_experts_per_tok=9)


def test_gpt_oss_has_biases_everywhere_and_sinks() -> None:
    model = load("gpt-oss-20b")
    moe = next(part for _, part, _ in model.parts if isinstance(part, MixtureOfExperts))
    assert (moe.bias, moe.router_bias) == (True, True)
    assert all(part.sinks and part.qkv_bias and part.output_bias for part in attentions(model))


# --- embeddings and heads ---


def test_ties_are_the_familys_default_where_the_file_is_silent() -> None:
    assert load("gemma-2-9b").head.tied
    assert load("gpt2").head.tied
    assert not load("llama-2-7b").head.tied


def test_opt_350m_embeds_in_half_the_width() -> None:
    opt_350m = {
        "model_type": "opt",
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "ffn_dim": 4096,
        "max_position_embeddings": 2048,
        "vocab_size": 50272,
        "word_embed_proj_dim": 512,
        "do_layer_norm_before": False,
        "torch_dtype": "float16",
    }
    model = import_config(opt_350m, where="opt-350m")
    # The printed modules of the released checkpoint: 331,196,416 parameters.
    assert model.parameters == 331_196_416
    assert model.final == ()


def test_phi_2_rotates_a_part_of_each_head() -> None:
    assert {part.rotary_dim for part in attentions(load("phi-2"))} == {32}


def test_the_authors_mamba_2_file_pads_its_vocabulary() -> None:
    model = load("mamba2-2.7b")
    assert (model.embedding.vocabulary, model.usable_context) == (50288, None)


def test_the_authors_dialect_without_layers_of_mamba_2() -> None:
    mixers = {part.kind for _, part, _ in load("mamba2-2.7b", ssm_cfg={}).parts}
    assert "mamba1" in mixers
    assert "mamba2" not in mixers
    with pytest.raises(UnsupportedConfigError, match="attn_layer_idx"):
        load("mamba2-2.7b", attn_layer_idx=[9])


# --- multimodal files ---


def test_the_tower_is_counted_and_named() -> None:
    model = load("gemma-3-27b")
    (tower,) = model.towers
    assert (tower.name, tower.parameters) == ("vision", 27_432_406_640 - 27_009_346_304)


def test_ties_said_outside_the_text_section_count() -> None:
    name = "devstral-small-2"
    tied = load(name, tie_word_embeddings=True)
    assert tied.parameters == load(name).parameters - 131072 * 5120


def test_a_missing_text_section_is_named() -> None:
    with pytest.raises(SpecError, match="text_config"):
        load("gemma-3-27b", text_config="absent")


def test_an_unknown_field_of_a_section_is_named() -> None:
    text = BY_NAME["gemma-3-27b"]["text_config"]
    odd = {**text, "shares_things": True}
    assert "text_config.shares_things" in load("gemma-3-27b", text_config=odd).warnings[-1]
    with pytest.raises(UnsupportedConfigError, match=r"text_config\.num_shared_things"):
        load("gemma-3-27b", text_config={**text, "num_shared_things": 4})


# --- the registry ---


def test_a_second_reader_for_a_kind_is_refused() -> None:
    assert "llama" in model_types()
    with pytest.raises(ValueError, match="two readers for llama"):
        family("llama")(lambda config: None)  # type: ignore[arg-type, return-value]


def test_families_are_one_file_each_and_no_core_file_names_them() -> None:
    package = Path(__file__).resolve().parents[2] / "planner" / "importers"
    names = set(model_types())
    for path in package.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        }
        texts = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not (texts - docstrings) & names - KINDS_OF_PART, path
