"""Dense, multimodal and encoder families: exact counts, and the traps of their files.

Counts are those of the transformers classes on the meta device, but for three that no class counts:
Phi-3-small and Phi-3.5-vision as their publishers print them, PaLM as its paper does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from planner import PlannerError, Scenario, load_hardware, plan
from planner.errors import SpecError, UnsupportedConfigError
from planner.importers import import_config, read_json
from planner.importers.config import Config
from planner.importers.tower_registry import read_tower, tower, tower_types
from planner.model import Model
from planner.model.description import model_from_description, model_to_description
from planner.model.execution import half
from planner.model.mixers.attention import Attention

ENTRIES = json.loads(
    (Path(__file__).resolve().parent.parent / "data" / "dense_configurations.json").read_text(
        "utf-8"
    )
)
BY_NAME = {entry["name"].rpartition("/")[2]: entry["config"] for entry in ENTRIES}


def load(name: str, **changes: Any) -> Model:
    config = {**BY_NAME[name], **changes}
    return import_config({key: v for key, v in config.items() if v != "absent"}, where=name)


def attentions(model: Model) -> list[Attention]:
    """The attention part of each layer that has one, in order."""
    return [p for layer in model.layers for p in layer.parts if isinstance(p, Attention)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_counts_are_exact(entry: dict[str, Any]) -> None:
    model = import_config(entry["config"], where=entry["name"])
    assert model.parameters == entry["parameters"], entry["source"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_descriptions_come_back(entry: dict[str, Any]) -> None:
    model = import_config(entry["config"], where=entry["name"])
    description = model_to_description(model)
    back = model_from_description(json.loads(json.dumps(description)), entry["name"])
    assert model_to_description(back) == description
    assert back.layers == model.layers
    assert back.towers == model.towers


# --- heads ---


def test_one_kv_head_without_a_field_that_says_so() -> None:
    assert {part.kv_heads for part in attentions(load("WizardCoder-15B-V1.0"))} == {1}
    many = load("WizardCoder-15B-V1.0", multi_query=False)
    assert {part.kv_heads for part in attentions(many)} == {48}


def test_groups_of_chatglm() -> None:
    (part,) = set(attentions(load("chatglm2-6b")))
    assert (part.query_heads, part.kv_heads, part.head_dim, part.rotary_dim) == (32, 2, 128, 64)
    (part,) = set(attentions(load("chatglm2-6b", multi_query_attention=False)))
    assert part.kv_heads == 32


@pytest.mark.parametrize(
    ("kind", "grouped", "kv"),
    [
        ("multihead_attention", None, 32),
        ("multiquery_attention", None, 1),
        ("grouped_query_attention", 8, 8),
    ],
)
def test_heads_of_mpt_stand_in_a_section(kind: str, grouped: int | None, kv: int) -> None:
    section = {"attn_type": kind, "alibi": True, "kv_n_heads": grouped}
    (part,) = set(attentions(load("mpt-7b", attn_config=section)))
    assert (part.kv_heads, part.distance_bias, part.rotary) == (kv, "alibi", False)


def test_mpt_without_alibi_has_learned_positions() -> None:
    model = load("mpt-7b", attn_config={"alibi": False})
    assert model.parameters == load("mpt-7b").parameters + 2048 * 4096
    assert model.positions is not None
    assert model.positions.kind == "learned"


def test_each_layer_of_a_searched_architecture_has_its_own_heads_and_width() -> None:
    model = load("Llama-3_3-Nemotron-Super-49B-v1")
    assert len(model.layers) == 80
    assert len(attentions(model)) == 49
    assert sum(count for _, _, count in model.caches) == 49
    assert model.cache_bytes_per_token(half()) == 49 * 2 * 8 * 128 * 2
    assert len({layer.name for layer, _ in model.groups}) == len(model.groups) > 5


def test_a_layer_without_parts_is_none() -> None:
    nothing = {"attention": {"no_op": True}, "ffn": {"no_op": True}}
    linear = {"attention": {"replace_with_linear": True}, "ffn": {"replace_with_linear": True}}
    blocks = [nothing, linear]
    model = load("Llama-3_3-Nemotron-Super-49B-v1", num_hidden_layers=2, block_configs=blocks)
    (layer,) = model.layers
    assert sum(t.elements for p in layer.parts for t in p.tensors()) == 2 * 8192**2 + 2 * 8192
    with pytest.raises(SpecError, match="one entry for each of the 3 layers"):
        load("Llama-3_3-Nemotron-Super-49B-v1", num_hidden_layers=3, block_configs=blocks)
    new = {"attention": {"n_heads_in_group": 8, "new_idea": 1}, "ffn": {"no_op": True}}
    odd = load("Llama-3_3-Nemotron-Super-49B-v1", num_hidden_layers=1, block_configs=[new])
    assert "block_configs[0].attention.new_idea" in odd.warnings[-1]


# --- widths and biases ---


def test_qwen_1_gives_the_width_of_both_gate_halves() -> None:
    with pytest.raises(SpecError, match="an even number"):
        load("Qwen-1_8B-Chat", intermediate_size=11007)
    assert load("Qwen-1_8B-Chat", no_bias=False).parameters > load("Qwen-1_8B-Chat").parameters


def test_orion_has_layer_norm() -> None:
    # 81 norms have biases that a count with RMSNorm lacks.
    assert load("Orion-14B-Chat").parameters == 14_498_288_640 + 81 * 5120


def test_minicpm_ties_where_its_file_is_silent() -> None:
    assert load("MiniCPM-2B-dpo-bf16").parameters == 3_007_736_064
    tied = load("MiniCPM-2B-dpo-bf16", tie_word_embeddings="absent", vocab_size=122_753)
    assert tied.parameters == 2_724_880_896


def test_flan_t5_has_a_head_of_its_own() -> None:
    changes = {
        "d_model": 4096,
        "d_ff": 10240,
        "num_layers": 24,
        "num_decoder_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    }
    untied = load("t5-base", **changes, tie_word_embeddings=False)
    assert untied.parameters == 11_135_332_352
    assert load("t5-base", **changes).parameters == 11_003_736_064


# --- windows, chunks, positions ---


def test_gpt_neo_alternates() -> None:
    model = load("gpt-neo-125m")
    assert [part.window for part in attentions(model)] == [None, 256] * 6
    listed = load("gpt-neo-125m", attention_types="absent", attention_layers=["local"] * 12)
    assert {part.window for part in attentions(listed)} == {256}
    with pytest.raises(SpecError, match="attention_types"):
        load("gpt-neo-125m", attention_types=[["global", 12]])
    with pytest.raises(UnsupportedConfigError, match="'banded'"):
        load("gpt-neo-125m", attention_types=[[["banded"], 12]])


@pytest.mark.parametrize("name", ["c4ai-command-r7b-12-2024", "EXAONE-4.0-32B"])
def test_layers_that_see_everything_have_no_positions(name: str) -> None:
    parts = attentions(load(name))
    assert Counter((part.window is None, part.rotary) for part in parts) == {
        (False, True): 3 * len(parts) // 4,
        (True, False): len(parts) // 4,
    }


@pytest.mark.parametrize(("pattern", "full"), [("LLLG", 16), (2, 32), (4, 16)])
def test_a_pattern_may_be_letters_or_a_period(pattern: object, full: int) -> None:
    model = load("EXAONE-4.0-32B", layer_types="absent", sliding_window_pattern=pattern)
    assert sum(part.window is None for part in attentions(model)) == full
    for wrong in ("", "LX", 0):
        with pytest.raises(SpecError, match="sliding_window_pattern"):
            load("EXAONE-4.0-32B", layer_types="absent", sliding_window_pattern=wrong)


def test_llama_4_chunks_three_layers_of_four() -> None:
    parts = attentions(load("Llama-4-Scout-17B-16E-Instruct"))
    assert Counter(part.chunk for part in parts) == {8192: 36, None: 12}
    assert all(part.rotary is (part.chunk is not None) for part in parts)
    size = load("Llama-4-Scout-17B-16E-Instruct").cache_bytes(10**6, half())
    assert round(size / 1e9, 1) == 50.4


def test_llama_4_takes_its_classs_tower_where_the_file_has_none() -> None:
    model = load("Llama-4-Scout-17B-16E-Instruct")
    assert any("vision_config" in warning for warning in model.warnings)
    assert [t.name for t in model.towers] == ["vision"]


# --- keys and values shared, joined, of another sequence ---


def test_gemma_4_small_keeps_fifteen_layers_of_thirty_five() -> None:
    model = load("gemma-4-E2B-it")
    kept = Counter(
        cache.window for layer in model.layers for p in layer.parts for cache in p.caches()
    )
    assert kept == {512: 12, None: 3}
    assert {(p.head_dim, p.window) for p in attentions(model)} == {(256, 512), (512, None)}
    assert sum(not part.own_kv for part in attentions(model)) == 20
    table = next(t for _, t, _ in model.tensors if t.name.startswith("embed_tokens_per_layer"))
    assert table.elements == 262_144 * 35 * 256
    assert [t.name for t in model.towers] == ["vision", "audio"]


def test_gemma_4_large_makes_keys_and_values_of_one_projection() -> None:
    model = load("gemma-4-12B-it")
    wide = [part for part in attentions(model) if part.window is None]
    assert {(p.kv_heads, p.head_dim, p.value_projection) for p in wide} == {(1, 512, False)}
    (cache,) = wide[0].caches()
    assert cache.token_bytes(half(), tp=1) == (512 + 512) * 2, "both are cached: norms differ"


def test_heads_listed_layer_by_layer() -> None:
    text = {
        **BY_NAME["gemma-4-12B-it"]["text_config"],
        "num_hidden_layers": 6,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    }
    listed = {**text, "per_layer_config": {"05": {"head_dim": 512, "num_key_value_heads": 1}}}
    del listed["global_head_dim"], listed["num_global_key_value_heads"]
    one, other = (load("gemma-4-12B-it", text_config=t) for t in (text, listed))
    assert one.layers == other.layers
    for wrong in ({"7": {}}, {"x": {}}, {"5": {"num_key_value_heads": 3}}):
        with pytest.raises(SpecError, match="per_layer_config"):
            load("gemma-4-12B-it", text_config={**text, "per_layer_config": wrong})


def test_experts_beside_a_dense_part() -> None:
    model = load("gemma-4-26B-A4B")
    assert model.parameters - model.active_parameters == 30 * 120 * 3 * 2816 * 704


def test_llama_vision_attends_to_the_image_instead_of_the_text() -> None:
    model = load("Llama-3.2-90B-Vision-Instruct")
    kinds = Counter(
        cache.kind for layer in model.layers for p in layer.parts for cache in p.caches()
    )
    assert kinds == {"full": 80, "encoder": 20}
    assert model.state_bytes(half()) == 20 * 6404 * 2 * 8 * 128 * 2
    assert any("6,404 tokens" in warning for warning in model.warnings)
    smaller = model.reading("vision", 1601)
    assert smaller.state_bytes(half()) == 20 * 1601 * 2 * 8 * 128 * 2


def test_a_decoder_that_looks_both_ways_keeps_nothing() -> None:
    qwen = {
        "model_type": "qwen2",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "vocab_size": 160,
        "max_position_embeddings": 512,
        "torch_dtype": "bfloat16",
        "is_causal": False,
    }
    model = import_config(qwen, where="gte")
    assert model.cache_bytes(512, half()) == 0
    assert any("both ways" in warning for warning in model.warnings)


def test_layers_for_further_tokens_are_named() -> None:
    assert any("further tokens" in warning for warning in load("MiMo-7B-Base").warnings)


# --- towers ---


def test_figures_that_a_file_leaves_to_its_class_are_named() -> None:
    (warning,) = (
        w for w in load("llava-1.5-7b-hf").warnings if "leaves out" in w and "text_config" in w
    )
    assert "hidden_size" in warning
    assert "max_position_embeddings" not in warning


def test_a_tower_of_another_kind_is_refused() -> None:
    config = Config({"model_type": "eye"}, "config.json", prefix="vision_config.")
    with pytest.raises(UnsupportedConfigError, match=r"vision_config\.model_type.*'eye'"):
        read_tower(config, "clip_vision_model")
    first = tower_types()[0]
    with pytest.raises(ValueError, match=f"two readers for {first}"):
        tower(first)(lambda config: None)  # type: ignore[arg-type, return-value]


def test_an_unknown_field_of_a_tower_is_named() -> None:
    vision = {**BY_NAME["gemma-3-4b-it"]["vision_config"], "second_sight": True}
    assert "vision_config.second_sight" in load("gemma-3-4b-it", vision_config=vision).warnings[-1]


def test_a_text_model_without_towers() -> None:
    for name in ("gemma-3-4b-it", "Qwen2.5-VL-7B-Instruct"):
        model = load(name, vision_config="absent")
        assert model.towers == ()
        assert model.parameters < load(name).parameters


# --- positions ---


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("EXAONE-4.0-32B", "base 1,000,000, Llama-3 scaling by 16 from 8,192"),
        ("MiniCPM-2B-dpo-bf16", "dynamic NTK by 4"),
        ("Devstral-Small-2-24B-Instruct-2512", "YaRN by 48 from 8,192"),
        ("Phi-3.5-vision-instruct", "LongRoPE by 32"),
        ("gemma-4-E2B-it", "proportional: 128 of 512 elements turn"),
        ("gemma-3-4b-it", "every angle divided by 8"),
        ("mpt-7b", "bias that grows with distance"),
        ("gpt-neo-125m", "table of learned positions"),
        ("t5-base", "learned bias by distance"),
        ("whisper-tiny", "table of learned positions"),
        ("Qwen2-VL-2B-Instruct", "base 1,000,000, without scaling"),
    ],
)
def test_what_the_context_rests_on(name: str, said: str) -> None:
    positions = load(name).positions
    assert positions is not None
    assert said in positions.basis()


def test_windows_turn_by_angles_of_their_own() -> None:
    positions = load("gemma-3-4b-it").positions
    assert positions is not None
    assert [(r.base, r.scaling) for r in positions.rotations] == [(1e4, "none"), (1e6, "linear")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "yarn", "factor": 0},
        {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": -1},
        {"type": "linear", "factor": "two"},
        {"type": "su", "long_factor": [1.0, -1.0], "short_factor": [1.0]},
        {"type": "llama3", "factor": 8.0, "low_freq_factor": 0},
    ],
)
def test_a_scaling_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="rope_scaling"):
        load("XVERSE-7B", rope_scaling=wrong)


# --- the whole way to an answer ---


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("bge-large-en-v1.5", 512),
        ("t5-base", 512),
        ("whisper-tiny", 448),
        ("llava-1.5-7b-hf", 4096),
        ("gemma-4-E2B-it", 8192),
        ("Llama-3.2-90B-Vision-Instruct", 2048),
    ],
)
def test_a_plan_of_each_kind(name: str, context: int) -> None:
    model = load(name)
    hardware = load_hardware("h100-sxm", 8 if "90B" in name else 1)
    result = plan(Scenario(model=model, hardware=hardware, context=context, sequences=4))
    data = result.to_dict()
    assert data["model"]["parameters"] == model.parameters
    assert result.fits
    assert result.largest_context.value is not None or model.usable_context is None
    for path in (
        "memory.per_device.cache_bytes",
        "memory.per_device.activations_bytes",
        "model.usable_context_tokens",
    ):
        assert result.explain(path).formula
    if name == "bge-large-en-v1.5":
        assert data["memory"]["architectural"]["cache_bytes"] == 0
    if name in ("whisper-tiny", "Llama-3.2-90B-Vision-Instruct"):
        assert data["memory"]["architectural"]["state_bytes_per_sequence"] > 0


def test_beyond_the_positions_a_plan_says_what_to_expect() -> None:
    hardware = load_hardware("h100-sxm", 1)
    scenario = Scenario(model=load("gpt-neo-125m"), hardware=hardware, context=4096)
    said = " ".join(plan(scenario).to_dict()["warnings"])
    assert "There are no positions beyond 2,048" in said


# --- published files, where the folder lies beside the checkout ---

MODEL_TYPES = {entry["config"]["model_type"] for entry in ENTRIES}
DIFFERENT = {
    "OrionStarAI__Orion-14B-Chat.json": 81 * 5120,  # LayerNorm, counted there as RMSNorm
    "reconstructed/google__flan-t5-xxl.json": 32_128 * 4096,  # a head of its own, counted as tied
}


def test_published_files_are_exact(shared_data: Path) -> None:
    folder = shared_data / "hf_configs"
    index = json.loads((folder / "INDEX.json").read_text(encoding="utf-8"))
    wrong, exact = [], 0
    for entry in index:
        if entry["model_type"] not in MODEL_TYPES or not isinstance(entry["params_total"], int):
            continue
        content = read_json(folder / entry["file"])
        model = import_config(content, where=entry["file"], weights_given=True)
        expected = entry["params_total"] + DIFFERENT.get(entry["file"], 0)
        active = entry["params_active"] or model.active_parameters
        if (model.parameters, model.active_parameters) != (expected, active):
            wrong.append((entry["file"], model.parameters - expected))
        exact += 1
    assert wrong == []
    assert exact >= 90


HOSTILE: tuple[object, ...] = (None, -1, 10**30, 1e308, "x", [], {}, [[[1]]], True)


def broken(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The configuration with one field at a time, also in its sections, turned into nonsense."""
    for field, held in config.items():
        for value in HOSTILE:
            yield {**config, field: value}
        if isinstance(held, dict):
            for section in broken(held):
                yield {**config, field: section}


@pytest.mark.parametrize("name", BY_NAME)
def test_nonsense_in_any_field_is_a_typed_error_or_harmless(name: str) -> None:
    for config in broken(BY_NAME[name]):
        try:
            model = import_config(config, where=name)
        except PlannerError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert model.parameters > 0
