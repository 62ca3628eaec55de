"""Recurrent and hybrid families: exact counts, states and caches, traps of their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import PlannerError, SpecError
from planner.importers import import_config, read_json
from planner.model import Layout, Model, Step
from planner.model.description import model_from_description, model_to_description
from planner.model.execution import half
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.convolution import ShortConvolution
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.linear_attention import LightningAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_griffin import RgLru
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.sparse import LongformerAttention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.shared_block import SharedBlock

ENTRIES = json.loads(
    (Path(__file__).resolve().parent.parent / "data" / "configurations_recurrent.json").read_text(
        "utf-8"
    )
)
BY_NAME = {entry["name"]: entry["config"] for entry in ENTRIES}
MIB = 2**20


def load(name: str, **changes: Any) -> Model:
    config = {**BY_NAME[name], **changes}
    return import_config({k: v for k, v in config.items() if v != "absent"}, where=name)


def parts(model: Model, kind: type) -> list[Any]:
    return [part for layer in model.layers for part in layer.parts if isinstance(part, kind)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_counts_are_exact(entry: dict[str, Any]) -> None:
    model = import_config(entry["config"], where=entry["name"])
    assert model.parameters == entry["parameters"], entry["source"]
    assert entry["active_parameters"] in {None, model.active_parameters}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_description_gives_the_same_model_back(name: str) -> None:
    model = load(name)
    again = model_from_description(model_to_description(model), name)
    assert [layer.parts for layer in again.layers] == [layer.parts for layer in model.layers]
    assert [layer.parts for layer in again.mtp] == [layer.parts for layer in model.mtp]
    assert (again.parameters, again.mtp_parameters) == (model.parameters, model.mtp_parameters)


# --- states of fixed size ---


@pytest.mark.parametrize(
    ("name", "mib"),
    [("mamba-2.8b-hf", 11.875), ("recurrentgemma-2b", 0.439453125), ("minimax-m1-80k", 280.0)],
)
def test_states_do_not_grow(name: str, mib: float) -> None:
    assert load(name).state_bytes(half()) / MIB == mib


@pytest.mark.parametrize("name", ["mamba-2.8b-hf", "rwkv-4-14b-pile", "xlstm-default"])
def test_without_attention_a_token_leaves_nothing(name: str) -> None:
    model = load(name)
    assert model.cache_bytes_per_token(half()) == 0
    assert model.cache_bytes(1, half()) == model.cache_bytes(2**20, half()) > 0


def test_kimi_linear_as_released() -> None:
    released = {
        **BY_NAME["kimi-linear-48b-a3b-instruct"],
        "layer_types": "absent",
        "linear_conv_kernel_dim": "absent",
        "linear_head_dim": "absent",
        "linear_num_heads": "absent",
        "linear_attn_config": {
            "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
            "kda_layers": [n for n in range(1, 27) if n % 4],
            "head_dim": 128,
            "num_heads": 32,
            "short_conv_kernel_size": 4,
        },
    }
    model = load("kimi-linear-48b-a3b-instruct", **released)
    assert model.parameters == 49_122_675_072
    assert (len(parts(model, KimiDeltaAttention)), len(parts(model, LatentAttention))) == (20, 7)
    assert model.state_bytes(half()) / MIB == pytest.approx(41.4, abs=0.01)
    for tp in (1, 2, 8):
        assert model.cache_bytes_per_token(half(), layout=Layout(tp=tp)) == 7 * 576 * 2
        assert model.state_bytes(half(), layout=Layout(tp=tp)) * tp == model.state_bytes(half())


def test_the_class_of_minimax_is_a_toy() -> None:
    toy = {
        "model_type": "minimax",
        "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 131_072,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    model = import_config(toy, where="minimax")
    assert model.parameters == 47_373_946_880
    assert (len(parts(model, LightningAttention)), len(parts(model, Attention))) == (16, 16)


def test_minimax_text_01_attends_in_every_eighth_layer() -> None:
    model = load("minimax-m1-80k")
    kinds = [type(layer.parts[1]) for layer in model.layers]
    assert kinds == ([LightningAttention] * 7 + [Attention]) * 10
    assert model.cache_bytes_per_token(half()) == 10 * 2 * 8 * 128 * 2


# --- hybrids ---


def test_recurrent_gemma_halves_its_feed_forward_width() -> None:
    model = load("recurrentgemma-2b")
    assert BY_NAME["recurrentgemma-2b"]["intermediate_size"] == 15_360
    assert {part.intermediate for part in parts(model, Dense)} == {7680}
    assert (len(parts(model, RgLru)), len(parts(model, Attention))) == (18, 8)
    assert {part.window for part in parts(model, Attention)} == {2048}
    default = load("recurrentgemma-2b", num_key_value_heads=10, intermediate_size=7680)
    assert default.parameters == 2_010_263_040


@pytest.mark.parametrize(("name", "uses"), [("zamba-7b-v1", 13), ("zamba2-default", 9)])
def test_shared_blocks_count_once_and_cache_at_each_use(name: str, uses: int) -> None:
    model = load(name)
    blocks = parts(model, SharedBlock)
    assert len(blocks) == uses
    assert [block.holds for block in blocks] == [True] + [False] * (uses - 1)
    attention = blocks[0].attention
    once = 2 * attention.kv_heads * attention.head_dim * 2
    assert model.cache_bytes_per_token(half()) == uses * once
    step = Step.decode(1, 1024)
    read = sum(
        count * operation.weight_bytes for _, operation, count in model.operations(step, half())
    )
    assert read > 2 * model.parameters


def test_two_shared_blocks_take_turns() -> None:
    blocks = parts(load("zamba2-default", num_mem_blocks=2), SharedBlock)
    assert [block.holds for block in blocks] == [True, True] + [False] * 7


def test_falcon_h1_mixes_twice_in_every_layer() -> None:
    model = load("falcon-h1-7b-base")
    for layer in model.layers:
        kinds = [type(part) for part in layer.parts]
        assert {Attention, Mamba2} <= set(kinds)
    assert model.cache_bytes_per_token(half()) > 0
    assert model.state_bytes(half()) > 0


def test_one_layer_of_nemotron_h_is_one_part() -> None:
    model = load("nemotron-h-56b-base-8k")
    pattern = BY_NAME["nemotron-h-56b-base-8k"]["hybrid_override_pattern"]
    assert len(model.layers) == len(pattern) == 118
    counts = {"M": Mamba2, "*": Attention, "-": Dense}
    assert {key: len(parts(model, kind)) for key, kind in counts.items()} == {
        key: pattern.count(key) for key in counts
    }


def test_nemotron_3_ultra_has_experts_on_a_latent() -> None:
    model = load("nvidia-nemotron-3-ultra-550b-a55b-bf16")
    assert model.mtp_parameters == 11_215_609_856
    assert {part.latent for part in parts(model, MixtureOfExperts)} == {2048}


def test_jamba_attends_once_in_eight_layers() -> None:
    model = load("ai21-jamba-1.5-mini")
    assert (len(parts(model, Mamba1)), len(parts(model, Attention))) == (28, 4)
    assert model.cache_bytes_per_token(half()) == 4 * 2 * 8 * 128 * 2
    assert all(part.norm for part in parts(model, Mamba1))


@pytest.mark.parametrize(
    ("name", "linear", "full"),
    [("qwen3-next-80b-a3b-instruct", 36, 12), ("olmo-hybrid-7b", 24, 8)],
)
def test_delta_layers_stand_three_to_one(name: str, linear: int, full: int) -> None:
    model = load(name)
    assert (len(parts(model, GatedDeltaNet)), len(parts(model, Attention))) == (linear, full)


def test_the_state_of_qwen3_5_is_kept_as_its_file_says() -> None:
    text = {
        **BY_NAME["qwen3-next-80b-a3b-instruct"], "model_type": "qwen3_5_moe_text",
        "decoder_sparse_step": "absent", "mlp_only_layers": "absent", "architectures": "absent",
        "norm_topk_prob": "absent", "intermediate_size": "absent",
    }  # fmt: skip
    per_layer = 32 * 128 * 128
    for dtype, size in (("absent", 4), ("float32", 4), ("bfloat16", 2)):
        model = load("qwen3-next-80b-a3b-instruct", **text, mamba_ssm_dtype=dtype)
        columns = 3 * (2 * 16 * 128 + 32 * 128) * 2
        assert model.state_bytes(half()) == 36 * (per_layer * size + columns)


def test_short_convolutions_of_lfm_remember_two_columns() -> None:
    model = load("lfm2-default")
    convolutions = parts(model, ShortConvolution)
    assert model.state_bytes(half()) == len(convolutions) * 2 * 2560 * 2


def test_convolutions_of_inkling_are_kept_in_fp32() -> None:
    model = load("inkling2_text-default")
    windows = [part.window for part in parts(model, Attention)]
    assert windows == ([1024] * 5 + [None]) * 8
    per_layer = 3 * (2 * 8 * 128 + 2 * 4608) * 4
    assert model.state_bytes(half()) == 48 * per_layer
    assert model.state_bytes(half(), layout=Layout(tp=8)) == 48 * 3 * (2 * 128 + 2 * 4608) * 4


def test_zaya_keeps_two_columns_and_half_a_value() -> None:
    model = load("zaya1-8b")
    assert model.state_bytes(half()) == 40 * (2 * (8 + 2) * 128 + 2 * 64) * 2
    assert model.cache_bytes_per_token(half()) == 40 * 2 * 2 * 128 * 2
    assert model.buffers == 40 * 17


def test_longformer_takes_a_width_per_layer() -> None:
    name = "longformer-base-4096"
    model = load(name, attention_window=[32, 64] * 6)
    assert [part.window for part in parts(model, LongformerAttention)] == [32, 64] * 6
    assert model.cache_bytes(4096, half()) == 0
    assert load(name, attention_window=64).parameters == model.parameters


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("longformer-base-4096", {"attention_window": [512] * 11}, "attention_window"),
        ("longformer-base-4096", {"attention_window": 511}, "attention_window"),
        ("nemotron-h-56b-base-8k", {"hybrid_override_pattern": "MX" * 59}, "hybrid_override_pat"),
        ("nemotron-h-56b-base-8k", {"hybrid_override_pattern": "M*-"}, "num_hidden_layers"),
        ("zamba-7b-v1", {"layers_block_type": ["linear_attention"]}, "layers_block_type"),
        ("ai21-jamba-1.5-mini", {"mamba_d_state": 0}, "mamba_d_state"),
        ("qwen3-next-80b-a3b-instruct", {"linear_num_value_heads": 15}, "linear_num_key_heads"),
        ("granite-4.0-h-tiny", {"mamba_n_heads": 7}, "mamba_"),
        ("recurrentgemma-2b", {"block_types": ["recurrent", "other"]}, "block_types"),
        ("minimax-m1-80k", {"attn_type_list": [0, 1]}, "attn_type_list"),
        ("lfm2-default", {"layer_types": ["conv"]}, "layer_types"),
        ("xlstm-default", {"use_bias": True}, "use_bias"),
        ("bamba-default", {"attn_layer_indices": [99]}, "attn_layer_indices"),
        ("zaya1-8b", {"layer_types": ["hybrid_sliding"] * 40}, "sliding_window"),
        ("zaya1-8b", {"num_experts_per_tok": 2}, "num_experts_per_tok"),
        ("inkling2_text-default", {"layer_types": ["hybrid"]}, "layer_types"),
        ("reformer-default", {"attn_layers": ["lsh", "other"]}, "attn_layers"),
        ("reformer-default", {"axial_pos_embds_dim": [64, 64]}, "axial_pos_embds_dim"),
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

ALSO_OURS = {
    "falcon_mamba", "bamba", "lfm2", "lfm2_moe", "qwen3_5", "qwen3_5_text", "qwen3_5_moe",
    "qwen3_5_moe_text", "minimax", "minimax_text_01", "kimi_k3", "nemotron_h_puzzle", "rwkv",
    "rwkv5", "rwkv6", "rwkv7", "gla", "xlstm", "stripedhyena",
}  # fmt: skip


@pytest.fixture(scope="module")
def real_files(shared_data: Path) -> list[dict[str, Any]]:
    folder = shared_data / "hf_configs"
    index = json.loads((folder / "INDEX.json").read_text(encoding="utf-8"))
    ours = ALSO_OURS | {entry["config"]["model_type"] for entry in ENTRIES}
    return [
        {**entry, "path": folder / entry["file"]} for entry in index if entry["model_type"] in ours
    ]


def test_real_files_are_exact(real_files: list[dict[str, Any]]) -> None:
    wrong = []
    for entry in real_files:
        config = read_json(entry["path"])
        if "quantization_config" in config or not isinstance(entry["params_total"], int):
            continue
        model = import_config(config, where=entry["file"], weights_given=True)
        towers = (entry["params_vision"] or 0) + (entry["params_audio"] or 0)
        beside = sum(getattr(tower, "parameters", 0) for tower in getattr(model, "towers", ()))
        if model.parameters not in {entry["params_total"], entry["params_total"] - towers + beside}:
            wrong.append((entry["file"], model.parameters, entry["params_total"]))
    assert wrong == []


def test_real_files_are_read_or_refused_in_one_line(real_files: list[dict[str, Any]]) -> None:
    configs = [read_json(entry["path"]) for entry in real_files]
    for config in configs:
        try:
            import_config(config, where="config.json", weights_given=True)
        except PlannerError as error:
            refused = str(error)
        else:
            refused = ""
        assert "\n" not in refused
