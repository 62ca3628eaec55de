"""Quantised checkpoints in config.json: which tensors, in which format, how many bytes."""

from __future__ import annotations

import copy
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.errors import SpecError, UnsupportedConfigError
from planner.importers import load_model
from planner.importers.config import Config
from planner.importers.huggingface import import_config
from planner.importers.module_patterns import ModulePatterns
from planner.importers.quantization import read_checkpoint
from planner.importers.reading import read_json
from planner.model import Model
from planner.model.description import (
    description_to_yaml,
    model_from_description,
    model_to_description,
)
from planner.model.execution import half
from planner.model.schemes import weight_scheme
from planner.model.tensor import Tensor

# Llama 3.1 8B and Qwen 3 MoE, in small letters of their own files.
LLAMA: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
MOE: dict[str, Any] = {
    "model_type": "qwen3_moe", "hidden_size": 256, "intermediate_size": 512,
    "moe_intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "num_experts": 8, "num_experts_per_tok": 2,
    "vocab_size": 1000, "max_position_embeddings": 4096, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "decoder_sparse_step": 1, "mlp_only_layers": [],
    "norm_topk_prob": True,
}  # fmt: skip


def read(config: dict[str, Any], quantisation: dict[str, Any], **more: Any) -> Model:
    return import_config(
        {**copy.deepcopy(config), "quantization_config": quantisation}, where="config.json", **more
    )


def stored(model: Model) -> int:
    return model.weights_bytes(replace(half(), weights=weight_scheme(model, None)))


def formats(model: Model, layer: int | None) -> dict[str, str]:
    scheme = weight_scheme(model, None).in_layer(layer)
    parts = (
        (model.embedding, *model.final, model.head) if layer is None else model.layers[layer].parts
    )
    return {t.name: scheme.format_of(t).name for part in parts for t in part.tensors()}


def pack(bits: int, group: int, **more: Any) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": group,
               "symmetric": True, **more}  # fmt: skip
    return {
        "quant_method": "compressed-tensors", "format": "pack-quantized",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
    }  # fmt: skip


def floats(bits: int, strategy: str, **more: Any) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": "float", "strategy": strategy, **more}
    group = {
        "targets": ["Linear"], "weights": weights,
        "input_activations": {"num_bits": bits, "type": "float", "dynamic": True},
    }  # fmt: skip
    return {
        "quant_method": "compressed-tensors", "format": "float-quantized",
        "config_groups": {"group_0": group}, "ignore": ["lm_head"],
    }  # fmt: skip


SIZES = [
    ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
     5_732_835_328),
    ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
     5_727_854_592),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False,
      "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}, 5_702_559_424),
    ({"quant_method": "fp8", "activation_scheme": "static"}, 9_081_202_432),
    ({"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3"}, 9_082_904_576),
    (floats(8, "channel"), 9_083_953_152),
    ({"quant_algo": "NVFP4", "exclude_modules": ["lm_head"], "group_size": 16}, 6_027_749_120),
    (floats(4, "tensor_group", group_size=16), 6_027_749_120),
    ({"quant_method": "exl3", "bits": 4.0, "head_bits": 6, "version": "0.0.1"}, 4_940_376_576),
]  # fmt: skip


@pytest.mark.parametrize(("quantisation", "size"), SIZES)
def test_llama_3_1_8b_as_published(quantisation: dict[str, Any], size: int) -> None:
    assert stored(read(LLAMA, quantisation)) == size


def test_packed_integers_keep_scales_shape_and_index() -> None:
    # Every linear layer: scales of 16 bits per group of 32, two int64 for its shape.
    plain = stored(read(LLAMA, pack(4, 32)))
    linear, matrices = 6_979_321_856, 32 * 7
    rest = 2 * (8_030_261_248 - linear)
    assert plain == rest + linear // 2 + 2 * linear // 32 + 16 * matrices
    zeros = stored(read(LLAMA, pack(4, 32, symmetric=False)))
    assert zeros - plain == linear // 32 // 2
    columns = 32 * (6 * 4096 + 14336)
    assert stored(read(LLAMA, pack(4, 32, actorder="group"))) - plain == 4 * columns
    assert stored(read(LLAMA, pack(4, 32, actorder="static"))) == plain


def test_every_expert_has_scales_of_its_own() -> None:
    size = stored(read(MOE, {"quant_method": "gptq", "bits": 4, "group_size": 128}))
    plain = stored(read(MOE, pack(4, 128)))
    # g_idx: 4 bytes for each input of q, k, v, o and of gate, up and down of 8 experts.
    index = 4 * 4 * (4 * 256 + 8 * (256 + 256 + 128))
    zeros = 4 * (2 * 256 * 256 + 2 * 256 * 128 + 8 * 3 * 256 * 128) // 128 // 2
    shapes = 4 * 16 * (4 + 8 * 3)
    assert size - plain == index + zeros - shapes


EXEMPT = [
    ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.mlp.down_proj"]},
     {"mlp.down_proj.weight"}, [0]),
    ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["model.layers.3.self_attn"]},
     {f"self_attn.{n}_proj.weight" for n in "qkvo"}, [3]),
    ({"quant_method": "compressed-tensors", **{k: v for k, v in floats(8, "channel").items()
      if k != "ignore"}, "ignore": ["re:.*self_attn.(q|k)_proj$", "lm_head"]},
     {"self_attn.q_proj.weight", "self_attn.k_proj.weight"}, list(range(32))),
    ({"quant_algo": "NVFP4", "exclude_modules": ["model.layers.1*", "*.mlp.gate_proj"]},
     {"mlp.gate_proj.weight"}, list(range(32))),
]  # fmt: skip


@pytest.mark.parametrize(("quantisation", "exempt", "layers"), EXEMPT)
def test_modules_that_are_left_alone(
    quantisation: dict[str, Any], exempt: set[str], layers: list[int]
) -> None:
    model = read(LLAMA, quantisation)
    for layer in range(32):
        whole_layer = quantisation.get("exclude_modules") and str(layer).startswith("1")
        for name, fmt in formats(model, layer).items():
            kept = "norm" in name or whole_layer or (name in exempt and layer in layers)
            assert (fmt == "bf16") == bool(kept), (layer, name)
    assert formats(model, None)["lm_head.weight"] == "bf16"


def test_single_layers_in_formats_of_their_own() -> None:
    layers = {
        "model.layers.0.self_attn.q_proj": {"quant_algo": "FP8"},
        **{
            f"model.layers.{i}.mlp.experts.{e}.{n}_proj": {"quant_algo": "NVFP4", "group_size": 16}
            for i in range(3)
            for e in range(8)
            for n in ("gate", "up", "down")
        },
    }
    quantisation = {
        "quant_algo": "MIXED_PRECISION", "quantized_layers": layers, "quant_method": "modelopt",
    }  # fmt: skip
    model = read(MOE, quantisation)
    first, last = formats(model, 0), formats(model, 3)
    assert first["self_attn.q_proj.weight"] == "fp8_tensor"
    assert first["self_attn.k_proj.weight"] == "bf16"
    assert first["mlp.experts.gate_up_proj"] == first["mlp.experts.down_proj"] == "nvfp4"
    assert set(last.values()) == {"bf16"}
    assert model.checkpoint.quantised == "nvfp4"


def test_gptq_overrides_by_expression() -> None:
    dynamic = {
        r"+:.*\.layers\.1\..*down_proj.*": {"bits": 8, "group_size": 64},
        r"-:.*\.layers\.2\..*": {},
    }
    model = read(LLAMA, {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": dynamic})
    assert formats(model, 1)["mlp.down_proj.weight"] == "gptq_8_g64"
    assert formats(model, 1)["mlp.up_proj.weight"] == "gptq_4_g128"
    assert set(formats(model, 2).values()) == {"bf16"}
    assert formats(model, 12)["mlp.down_proj.weight"] == "gptq_4_g128"


def test_the_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    beside = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(beside))
    assert stored(load_model(tmp_path)) == stored(load_model(tmp_path / "config.json"))
    assert stored(load_model(tmp_path)) == 9_081_202_432
    assert load_model(tmp_path, weights_given=True).checkpoint.quantised is None


def test_mxfp4_finds_nothing_in_a_dense_model() -> None:
    model = read(LLAMA, {"quant_method": "mxfp4"})
    assert model.checkpoint.quantised is None


@pytest.mark.parametrize(("quantisation", "size"), SIZES)
def test_descriptions_keep_the_storage(quantisation: dict[str, Any], size: int) -> None:
    exempt = {"modules_to_not_convert": ["model.layers.0.mlp.down_proj"]}
    known = "config_groups" in quantisation or "quant_algo" in quantisation
    model = read(LLAMA, quantisation if known else {**quantisation, **exempt})
    again = model_from_description(
        yaml.safe_load(description_to_yaml(model_to_description(model))), "x.yaml"
    )
    assert again.checkpoint == model.checkpoint
    assert stored(again) == stored(model) >= size


@pytest.mark.parametrize(
    "entry", ["re:(a+)+$", "re:" + "(a|b)" * 12, "re:" + "a" * 500, "re:[a-z]{3}", r"re:\w+"]
)
def test_expressions_that_could_run_long_are_refused(entry: str) -> None:
    with pytest.raises(UnsupportedConfigError, match="regular expression"):
        ModulePatterns([entry], "config.json: ignore")


def test_foreign_stacks_name_nothing() -> None:
    patterns = ModulePatterns(
        ["vision_model.model.layers.0.self_attn.q_proj", "mtp.layers.0*", "visual.blocks.1.attn"],
        "config.json",
    )
    query = Tensor("self_attn.q_proj.weight", (8, 8), "linear")
    assert not patterns.match(0, query)
    assert not patterns.match(1, query)


def test_quantised_configurations_of_the_data_folder(shared_data: Path) -> None:
    """Every one is read, or refused for something other than its quantisation."""
    folder = shared_data / "hf_configs"
    read_ones, complaints = 0, []
    for path in sorted(folder.glob("*.json")):
        config = json.loads(path.read_bytes())
        beside = folder / "quantization" / path.name
        extra = read_json(beside) if beside.is_file() else None
        if isinstance(config, list) or not (config.get("quantization_config") or extra):
            continue
        try:
            model = import_config(config, where=path.name, quantisation=extra)
        except SpecError as error:
            complaints.append(str(error))
        else:
            assert model.checkpoint.quantised, path.name
            read_ones += 1
    assert [text for text in complaints if "quanti" in text] == []
    assert read_ones >= 10


LATENT = importlib.util.find_spec("planner.model.mixers.latent")


@pytest.mark.skipif(LATENT is None, reason="latent attention is not there yet")
def test_deepseek_v3_within_two_hundred_thousandths(shared_data: Path) -> None:
    """The published repository, tokenizer and headers included, holds 688,586,727,753 bytes."""
    config = read_json(shared_data / "hf_configs" / "deepseek-ai__DeepSeek-V3.json")
    model: Any = import_config(config, where="config.json")
    whole = model.with_mtp()
    checkpoint = read_checkpoint(Config(config, "config.json"), whole, "bf16", weights_given=False)
    # The module for multi-token prediction brings a table and a head of its own.
    own = 2 * 2 * model.embedding.vocabulary * model.hidden
    size = stored(replace(whole, checkpoint=checkpoint)) + own
    assert size == 688_574_839_360
    assert size == pytest.approx(688_586_727_753, rel=2e-5)
