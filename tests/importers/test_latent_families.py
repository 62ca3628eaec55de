"""Families with latents, indexers and many experts: exact counts, caches, traps of their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import PlannerError, SpecError, UnsupportedConfigError
from planner.importers import import_config, read_json
from planner.model import Execution, Layout, Model
from planner.model.description import model_from_description, model_to_description
from planner.model.execution import half
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.compressed import CompressedAttention
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.selected import SelectedAttention
from planner.model.storage import BF16, CACHE_FORMATS, WeightScheme

ENTRIES = json.loads(
    (Path(__file__).resolve().parent.parent / "data" / "configurations_latent.json").read_text(
        "utf-8"
    )
)
BY_NAME = {entry["name"]: entry["config"] for entry in ENTRIES}
FP8 = Execution(
    weights=WeightScheme(base=BF16, quantised=BF16),
    activations=BF16,
    stream=BF16,
    cache=CACHE_FORMATS["fp8"],
)


def load(name: str, **changes: Any) -> Model:
    config = {**BY_NAME[name], **changes}
    return import_config({k: v for k, v in config.items() if v != "absent"}, where=name)


def parts(model: Model, kind: type) -> list[Any]:
    return [part for layer in model.layers for part in layer.parts if isinstance(part, kind)]


def growth(model: Model, execution: Execution) -> float:
    """Bytes per token once windows are full and over whole groups of compressed tokens."""
    near, far = (model.cache_bytes(n, execution) for n in (2**20, 2**21))
    return (far - near) / 2**20


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_counts_are_exact(entry: dict[str, Any]) -> None:
    model = import_config(entry["config"], where=entry["name"])
    assert model.parameters == entry["parameters"], entry["source"]
    assert model.active_parameters == entry["active_parameters"]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_description_gives_the_same_model_back(name: str) -> None:
    model = load(name)
    again = model_from_description(model_to_description(model), name)
    assert [layer.parts for layer in again.layers] == [layer.parts for layer in model.layers]
    assert [layer.parts for layer in again.mtp] == [layer.parts for layer in model.mtp]
    assert (again.parameters, again.mtp_parameters) == (model.parameters, model.mtp_parameters)


# --- caches ---


@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_deepseek_v3_leaves_70272_bytes_on_every_rank(tp: int) -> None:
    assert load("deepseek-v3").cache_bytes_per_token(half(), layout=Layout(tp=tp)) == 70_272


@pytest.mark.parametrize(("name", "layers"), [("deepseek-v3.2", 61), ("glm-5", 78)])
def test_sparse_attention_leaves_788_bytes_per_layer_in_fp8(name: str, layers: int) -> None:
    assert load(name).cache_bytes_per_token(FP8) == layers * 788
    assert load(name).cache_bytes_per_token(half()) == layers * (1152 + 132)


def test_layers_that_share_a_selection_have_neither_indexer_nor_index_keys() -> None:
    model = load("glm-5.2")
    attentions, indexers = parts(model, LatentAttention), parts(model, Indexer)
    assert (len(attentions), len(indexers)) == (78, 21)
    assert {part.index_topk for part in attentions} == {2048}
    assert model.cache_bytes_per_token(FP8) == 78 * 656 + 21 * 132


def test_a_pattern_in_letters_and_a_frequency_say_the_same_as_a_list() -> None:
    listed = load("glm-5.2")
    by_frequency = load("glm-5.2", indexer_types="absent")
    letters = "".join(
        "F" if kind == "full" else "S" for kind in BY_NAME["glm-5.2"]["indexer_types"]
    )
    by_letters = load("glm-5.2", indexer_types="absent", index_topk_pattern=letters)
    for other in (by_frequency, by_letters):
        assert [layer.parts for layer in other.layers] == [layer.parts for layer in listed.layers]


@pytest.mark.parametrize(
    ("name", "bytes_per_token", "share"),
    [("deepseek-v4-flash", 3514.25, 0.073), ("deepseek-v4-pro", 5031.4375, 0.105)],
)
def test_deepseek_v4_grows_by_a_tenth_of_v3_2(
    name: str, bytes_per_token: float, share: float
) -> None:
    model = load(name)
    assert growth(model, FP8) == bytes_per_token
    assert growth(model, FP8) / 48_068 == pytest.approx(share, abs=0.0005)
    # Index keys in fp8 instead of fp4 take 64 bytes more per entry of four tokens.
    sparse = len(parts(model, Indexer))
    assert bytes_per_token + sparse * 64 / 4 == pytest.approx(
        {"deepseek-v4-flash": 3850, "deepseek-v4-pro": 5511}[name], abs=0.5
    )


def test_deepseek_v4_keeps_windows_and_compressors_of_fixed_size() -> None:
    model = load("deepseek-v4-flash")
    rings = [cache for _, cache, _ in model.caches if cache.kind == "sliding"]
    assert sum(43 * ring.sequence_bytes(10**6, FP8, tp=1) for ring in rings) == 43 * 128 * 584
    assert pytest.approx(3.07, abs=0.005) == 43 * 128 * 584 / 2**20
    pools = 21 * (8 * 4 * 512 * 4 + 8 * 4 * 128 * 4) + 20 * 128 * 2 * 512 * 4
    assert model.state_bytes(FP8) == pools


def test_the_last_ratio_is_that_of_the_layer_beside_the_stack() -> None:
    config = BY_NAME["deepseek-v4-flash"]
    assert len(config["compress_ratios"]) == config["num_hidden_layers"] + 1
    model = load("deepseek-v4-flash")
    assert [part.stride for part in parts(model, CompressedAttention)] == [
        *config["compress_ratios"][:-1]
    ]
    (beside,) = model.mtp
    assert [p.stride for p in beside.parts if isinstance(p, CompressedAttention)] == [0]


def test_longcat_keeps_two_latents_per_layer() -> None:
    model = load("longcat-flash")
    assert len(model.layers) == 28
    assert model.cache_bytes_per_token(half()) == 56 * 1152


def test_windows_of_mimo_have_other_kv_heads_and_values_are_narrower() -> None:
    model = load("mimo-v2-flash")
    attentions = parts(model, Attention)
    assert [(p.window, p.kv_heads) for p in attentions[:3]] == [(None, 4), (128, 8), (128, 8)]
    full = sum(part.window is None for part in attentions)
    assert full == 9
    assert growth(model, half()) == full * 4 * (192 + 128) * 2


def test_hunyuan_shares_keys_and_values_only_where_it_says_so() -> None:
    assert load("hunyuan-a13b").cache_bytes_per_token(half()) == 32 * 2 * 8 * 128 * 2
    shared = load("hunyuan-a13b", use_cla=True)
    assert shared.cache_bytes_per_token(half()) == 16 * 2 * 8 * 128 * 2
    saved = load("hunyuan-a13b").parameters - shared.parameters
    assert saved == 16 * (2 * 4096 * 8 * 128 + 128)


# --- what stands beside the parameters ---


def test_the_routers_corrections_are_buffers() -> None:
    assert load("deepseek-v3").buffers == 58 * 256 == 14_848
    assert load("kimi-k2").buffers == 60 * 384 == 23_040
    assert load("deepseek-v2-lite").buffers == 0
    assert load("deepseek-v4-flash").buffers == 40 * 256 + 3 * 129_280 * 6


def test_the_layer_for_multi_token_prediction_is_counted_apart() -> None:
    model = load("deepseek-v3")
    loaded = model.with_mtp()
    assert model.mtp_parameters + (loaded.buffers - model.buffers) == 11_610_068_224
    assert loaded.parameters == model.parameters + model.mtp_parameters
    assert (len(model.layers), len(loaded.layers)) == (61, 62)
    assert loaded.cache_bytes_per_token(half()) == 62 * 1152
    assert loaded.with_mtp() is loaded


def test_no_such_layer_where_the_file_has_none() -> None:
    assert load("kimi-k2").mtp == ()
    assert load("deepseek-v3", num_nextn_predict_layers=0).mtp == ()


def test_modules_of_unknown_shape_leave_a_note() -> None:
    (note,) = load("minimax-m2.5").warnings
    assert "num_mtp_modules: 3" in note


# --- traps ---


def test_no_query_latent_and_a_missing_one_differ() -> None:
    assert load("deepseek-v2-lite").parameters == 15_706_484_224
    # The class's default is 1,536, which presets that leave the field out get.
    missing = load("deepseek-v2-lite", q_lora_rank="absent")
    assert {part.q_lora_rank for part in parts(missing, LatentAttention)} == {1536}
    assert missing.parameters / 1e9 == pytest.approx(15.75, abs=0.01)


def test_head_dim_means_nothing_beside_latents() -> None:
    for value in (64, 192, "absent"):
        assert load("glm-5", head_dim=value).parameters == load("glm-5").parameters


def test_dense_layers_come_first_as_listed_or_counted() -> None:
    kinds = [p.kind for layer in load("deepseek-v3").layers for p in layer.parts if "moe" in p.kind]
    assert len(kinds) == 58
    listed = load("deepseek-v3", mlp_layer_types=["dense"] * 3 + ["sparse"] * 58)
    assert [layer.parts for layer in listed.layers] == [
        layer.parts for layer in load("deepseek-v3").layers
    ]
    by_flags = load("deepseek-v3", moe_layer_freq=[0] * 3 + [1] * 58)
    assert by_flags.parameters == load("deepseek-v3").parameters


def test_minimax_m3_selects_blocks_behind_its_dense_layers() -> None:
    m3 = {
        **{k: v for k, v in BY_NAME["minimax-m2.5"].items() if not k.startswith(("use_", "mtp"))},
        "model_type": "minimax_m3",
        "qk_norm_type": "per_head",
        "num_hidden_layers": 4,
        "dense_intermediate_size": 12288,
        "shared_intermediate_size": 1536,
        "num_mtp_modules": 0,
        "moe_layer_freq": [0, 1, 1, 1],
        "sparse_attention_config": {
            "use_sparse_attention": True,
            "sparse_attention_freq": [0, 1, 1, 1],
            "sparse_num_index_heads": 4,
            "sparse_index_dim": 128,
            "sparse_topk_blocks": 16,
            "sparse_block_size": 128,
            "sparse_local_block": 1,
        },
    }
    model = import_config(m3, where="m3")
    assert [part.selected for part in parts(model, SelectedAttention)] == [2048] * 3
    assert len(parts(model, Indexer)) == len(parts(model, MixtureOfExperts)) == 3
    assert model.cache_bytes_per_token(half()) == 4 * 2 * 8 * 128 * 2 + 3 * 132


def test_step_3_has_one_key_value_head_and_queries_through_a_latent() -> None:
    step3 = {
        "model_type": "step3_text",
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "num_hidden_layers": 61,
        "num_attention_heads": 64,
        "num_attention_groups": 1,
        "head_dim": 256,
        "share_q_dim": 2048,
        "moe_intermediate_size": 5120,
        "moe_num_experts": 48,
        "moe_top_k": 3,
        "share_expert_dim": 5120,
        "moe_layers_enum": ",".join(map(str, range(4, 60))),
        "vocab_size": 128_815,
        "max_position_embeddings": 65_536,
        "torch_dtype": "bfloat16",
    }
    model = import_config(step3, where="step3")
    attention = 7168 * (2048 + 2 * 256) + 2048 + 2048 * 64 * 256 + 64 * 256 * 7168
    expert = 3 * 7168 * 5120
    sparse = 48 * expert + 48 * 7168 + expert
    dense = 3 * 7168 * 18432
    stack = 61 * (attention + 2 * 7168) + 56 * sparse + 5 * dense
    assert model.parameters == stack + 7168 + 2 * 128_815 * 7168
    assert model.parameters / 1e9 == pytest.approx(316, abs=0.5)
    assert model.cache_bytes_per_token(half(), layout=Layout(tp=8)) == 61 * 2 * 256 * 2


def test_window_layers_of_step_3_5_have_more_heads_each_with_a_gate() -> None:
    step = {
        "model_type": "step3p5",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_attention_groups": 2,
        "head_dim": 16,
        "attention_other_setting": {"num_attention_heads": 6},
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "sliding_window": 8,
        "moe_intermediate_size": 32,
        "moe_num_experts": 8,
        "moe_top_k": 2,
        "share_expert_dim": 32,
        "moe_layers_enum": [1, 2],
        "vocab_size": 160,
        "max_position_embeddings": 64,
        "num_nextn_predict_layers": 1,
    }
    model = import_config(step, where="step", weights_given=True)
    heads = [(p.query_heads, p.window, p.output_gate) for p in parts(model, Attention)]
    assert heads == [(4, None, "head"), (6, 8, "head")]
    assert len(parts(model, MixtureOfExperts)) == 1


def test_an_expert_format_of_its_own_is_not_passed_over() -> None:
    with pytest.raises(UnsupportedConfigError, match="expert_dtype"):
        load("deepseek-v4-flash", expert_dtype="fp4")
    named = import_config(
        {**BY_NAME["deepseek-v4-flash"], "expert_dtype": "fp4"}, where="v4", weights_given=True
    )
    assert named.parameters == 284_332_230_231


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("deepseek-v4-flash", {"compress_ratios": [0, 4]}, "compress_ratios"),
        ("deepseek-v4-flash", {"compress_ratios": [{}] * 44}, "compress_ratios"),
        ("deepseek-v4-flash", {"compress_ratios": "absent"}, "compress_ratios"),
        ("deepseek-v4-flash", {"compress_rate_csa": 256}, "compress_rates"),
        ("glm-5.2", {"indexer_types": ["shared"] * 78}, "indexer_types"),
        ("glm-5.2", {"mlp_layer_types": [[]] * 78}, "mlp_layer_types"),
        ("deepseek-v3", {"kv_lora_rank": 0}, "kv_lora_rank"),
        ("deepseek-v3", {"num_experts_per_tok": 257}, "num_experts_per_tok"),
        ("mimo-v2-flash", {"hybrid_layer_pattern": [2] * 48}, "hybrid_layer_pattern"),
        ("hunyuan-a13b", {"moe_topk": [8, 8]}, "moe_topk"),
        ("dbrx", {"ffn_config": None}, "ffn_config"),
        ("minimax-m2.5", {"qk_norm_type": "per_head"}, "qk_norm_type"),
        ("ernie-4.5-300b", {"use_bias": True}, "use_bias"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, change: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError, match=field):
        load(name, **change)


_STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**40),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(-1, 5), st.text(max_size=3), st.none()), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_strange_value_ends_in_a_model_or_a_typed_error(data: st.DataObject) -> None:
    config = dict(BY_NAME[data.draw(st.sampled_from(sorted(BY_NAME)))])
    for name in data.draw(st.sets(st.sampled_from(sorted(config)), min_size=1, max_size=3)):
        config[name] = data.draw(_STRANGE)
    try:
        import_config(config, where="config.json")
    except PlannerError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert "\n" not in refusal


# --- the real files, where the folder lies beside the checkout ---

WITH_TOWERS = frozenset(["kimi_k25", "minimax_m3_vl", "mistral_large4", "muse_spark"])

SHARED_KEYS = {"reconstructed/Tencent__Hunyuan-Large.json": 32 * (2 * 6400 * 8 * 80 + 80)}
"""The class that counted this file gives every layer keys and values of its own; the model's own
code has none in layers that share them."""

SHARED_NORMS = {"muse_spark": 62 * 4096 * (256 - 8) // 256}
"""The index scales a norm behind the experts by their share, though every token passes it."""


@pytest.fixture(scope="module")
def configurations(shared_data: Path) -> list[dict[str, Any]]:
    folder = shared_data / "hf_configs"
    index = json.loads((folder / "INDEX.json").read_text(encoding="utf-8"))
    ours = {entry["config"]["model_type"] for entry in ENTRIES} | WITH_TOWERS
    ours |= {
        "axk1", "youtu", "mistral4", "solar_open", "hy_v3", "kolibri1", "mellum", "minimax_m3",
        "deepseek_ref",
    }  # fmt: skip
    return [
        {**entry, "path": folder / entry["file"]} for entry in index if entry["model_type"] in ours
    ]


def test_real_files_are_exact(configurations: list[dict[str, Any]]) -> None:
    wrong = []
    for entry in configurations:
        model = import_config(read_json(entry["path"]), where=entry["file"], weights_given=True)
        if entry["params_total"] is None:
            continue
        apart = SHARED_KEYS.get(entry["file"], 0)
        expected = [entry["params_total"] - apart]
        active = entry["params_active"]
        if isinstance(active, int) and active > 1000:
            expected.append(active - apart + SHARED_NORMS.get(entry["model_type"], 0))
        if [model.parameters, model.active_parameters][: len(expected)] != expected:
            wrong.append((entry["file"], model.parameters, model.active_parameters, expected))
        if entry["context_length"] != model.usable_context:
            wrong.append((entry["file"], model.usable_context, entry["context_length"]))
    assert wrong == []
    assert len(configurations) >= 50
