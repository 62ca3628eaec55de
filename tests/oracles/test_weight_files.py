"""Files written by the real libraries: planning from the header takes the tensors' bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planner.errors import SpecError
from planner.hardware import load_hardware
from planner.importers import load_model
from planner.model import Model
from planner.model.execution import half
from planner.model.formats.mixes import MIXES
from planner.model.schemes import weight_scheme
from planner.plan import plan
from planner.scenario import Scenario

pytestmark = pytest.mark.oracle

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")
safetensors_torch = pytest.importorskip("safetensors.torch")
np = pytest.importorskip("numpy")

SMALL = {
    "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1000,
    "max_position_embeddings": 512,
}  # fmt: skip
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {**SMALL, "tie_word_embeddings": False}),
    "llama tied": ("Llama", {**SMALL, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2", SMALL),
    "qwen3": ("Qwen3", SMALL),
    "qwen3_moe": ("Qwen3Moe", {**SMALL, **EXPERTS}),
    "mixtral": ("Mixtral", {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt_oss": (
        "GptOss",
        {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 128},
    ),
    "gemma2": ("Gemma2", SMALL),
    "phi3": ("Phi3", {**SMALL, "pad_token_id": 0}),
    "gpt2": ("GPT2", {"n_embd": 64, "n_layer": 2, "n_head": 2, "vocab_size": 100}),
    "gpt_neox": ("GPTNeoX", {k: v for k, v in SMALL.items() if "key" not in k}),
}


def stored(model: Model) -> int:
    return model.weights_bytes(replace(half(), weights=weight_scheme(model, None)))


def written(kind: str, folder: Path, shard: str = "5GB") -> int:
    name, figures = KINDS[kind]
    config = getattr(transformers, f"{name}Config")(**figures)
    class_name = f"{name}LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
    model = getattr(transformers, class_name)(config).to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    model.save_pretrained(folder, max_shard_size=shard)
    held = 0
    for file in folder.glob("*.safetensors"):
        tensors = safetensors_torch.load_file(file)
        held += sum(t.numel() * t.element_size() for t in tensors.values())
    return held


@pytest.mark.parametrize("kind", KINDS)
def test_safetensors(kind: str, tmp_path: Path) -> None:
    held = written(kind, tmp_path)
    model = load_model(tmp_path / "model.safetensors")
    assert stored(model) == held
    assert model.checkpoint.extra_bytes == 0
    assert not any("weights" in warning for warning in model.warnings)


def test_shards_and_their_index(tmp_path: Path) -> None:
    held = written("llama", tmp_path, shard="300KB")
    shards = sorted(tmp_path.glob("*.safetensors"))
    index = tmp_path / "model.safetensors.index.json"
    assert len(shards) > 2
    assert stored(load_model(shards[1])) == stored(load_model(index)) == held
    shards[-1].unlink()
    for file in (shards[0], index):
        with pytest.raises(SpecError, match="missing"):
            load_model(file)
    for shard in shards[:-1]:
        shard.unlink()
    assert stored(load_model(index)) == held


def test_mixed_types_and_towers_are_measured(tmp_path: Path) -> None:
    written("llama", tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = safetensors_torch.load_file(file)
    name = "model.layers.1.mlp.down_proj.weight"
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    tensors[f"{name}_scale"] = torch.ones(256, 1, dtype=torch.float32)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    tensors["vision_tower.layers.0.fc1.weight"] = torch.zeros(7, 11, dtype=torch.bfloat16)
    safetensors_torch.save_file(tensors, file)
    held = sum(t.numel() * t.element_size() for t in tensors.values())
    model = load_model(file)
    assert stored(model) == held
    assert model.checkpoint.extra_bytes == 7 * 11 * 2
    scheme = weight_scheme(model, None)
    down = next(
        t for part in model.layers[1].parts for t in part.tensors() if "down_proj" in t.name
    )
    assert scheme.in_layer(1).format_of(down).name == "fp8"
    assert scheme.in_layer(1).tensor_bytes(down) == 256 * 512 + 4 * 256
    assert scheme.in_layer(0).format_of(down).name == "bf16"


# --- GGUF ---


def gguf_tensors(moe: bool, tied: bool, bias: bool, norms: bool) -> dict[str, tuple[int, ...]]:
    """Shapes as files of llama.cpp's converter have them, outputs first."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (1000, 256),
        "output_norm.weight": (256,),
    }
    if not tied:
        shapes["output.weight"] = (1000, 256)
    for i in range(3):
        block = f"blk.{i}."
        for name, rows in (("q", 256), ("k", 128), ("v", 128)):
            shapes[f"{block}attn_{name}.weight"] = (rows, 256)
            if bias:
                shapes[f"{block}attn_{name}.bias"] = (rows,)
        shapes[f"{block}attn_output.weight"] = (256, 256)
        shapes[f"{block}attn_norm.weight"] = shapes[f"{block}ffn_norm.weight"] = (256,)
        if norms:
            shapes[f"{block}attn_q_norm.weight"] = shapes[f"{block}attn_k_norm.weight"] = (64,)
        stack, width, end = ((8,), 256, "_exps") if moe else ((), 512, "")
        for name in ("gate", "up"):
            shapes[f"{block}ffn_{name}{end}.weight"] = (*stack, width, 256)
        shapes[f"{block}ffn_down{end}.weight"] = (*stack, 256, width)
        if moe:
            shapes[f"{block}ffn_gate_inp.weight"] = (8, 256)
    return shapes


def write_gguf(
    file: Path, name: str, types: list[str], *, moe: bool = False, tied: bool = False
) -> int:
    bias, norms = name == "qwen2", name.startswith("qwen3")
    writer = gguf.GGUFWriter(file, name)
    writer.add_context_length(512)
    writer.add_embedding_length(256)
    writer.add_block_count(3)
    writer.add_feed_forward_length(512)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(64)
    writer.add_value_length(64)
    if moe:
        writer.add_expert_count(8)
        writer.add_expert_used_count(2)
        if name != "llama":
            writer.add_expert_feed_forward_length(256)
        else:
            writer.add_feed_forward_length(256)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(1000)])
    writer.add_array("tokenizer.ggml.token_type", [1] * 1000)
    held = 0
    shapes = gguf_tensors(moe, tied, bias, norms) | {"rope_freqs.weight": (32,)}
    for i, (tensor, shape) in enumerate(shapes.items()):
        kind = gguf.GGMLQuantizationType[types[i % len(types)] if len(shape) > 1 else "F32"]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        *outer, columns = shape
        data = np.zeros((*outer, columns // block * size), dtype=np.uint8)
        writer.add_tensor(tensor, data, raw_dtype=kind)
        held += data.nbytes
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held


TYPES = [
    ["F32"], ["F16"], ["BF16"], ["Q4_0"], ["Q4_1", "Q5_0"], ["Q5_1", "Q8_0"], ["Q4_K", "Q6_K"],
    ["Q2_K", "Q3_K", "Q5_K"], ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"],
    ["IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"], ["TQ1_0", "TQ2_0"], ["MXFP4", "Q8_0"],
]  # fmt: skip


@pytest.mark.parametrize("types", TYPES, ids=" ".join)
def test_gguf_types(types: list[str], tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    held = write_gguf(file, "llama", types)
    model = load_model(file)
    assert stored(model) == held
    assert model.checkpoint.extra_bytes == 32 * 4
    assert all(rule.stored_bytes is None for rule in model.checkpoint.rules)


@pytest.mark.parametrize(
    ("name", "moe", "tied"),
    [
        ("llama", False, True), ("llama", True, False), ("qwen2", False, False),
        ("qwen3", False, True), ("qwen3moe", True, False),
    ],
)  # fmt: skip
def test_gguf_architectures(name: str, moe: bool, tied: bool, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    held = write_gguf(file, name, ["Q4_K", "Q6_K", "F16"], moe=moe, tied=tied)
    model = load_model(file)
    shapes = gguf_tensors(moe, tied, name == "qwen2", name.startswith("qwen3"))
    assert model.parameters == sum(int(np.prod(shape)) for shape in shapes.values())
    assert stored(model) == held
    assert model.checkpoint.extra_bytes == 32 * 4
    measured = [rule.tensors for rule in model.checkpoint.rules if rule.stored_bytes is not None]
    assert measured == ([("mlp.experts.gate_up_proj",)] * len(measured) if moe else [])
    scenario = Scenario(model=model, hardware=load_hardware("h100-sxm"))
    assert plan(scenario).to_dict()["memory"]["architectural"]["weights_bytes"] == held


def test_every_type_that_the_library_knows() -> None:
    from planner.model.formats.ggml import GGML_TYPES

    sizes = {
        kind.name.lower(): (int(kind), *gguf.GGML_QUANT_SIZES[kind])
        for kind in gguf.GGMLQuantizationType
        if kind.name != "Q8_1"  # activations only
    }
    ours = {t.name: (t.number, t.block_elements, t.block_bytes) for t in GGML_TYPES.values()}
    assert {name: ours.get(name) for name in sizes} == sizes


def test_every_mix_has_a_file_type_of_that_name() -> None:
    names = {entry.name.removeprefix("MOSTLY_").lower() for entry in gguf.LlamaFileType}
    ours = {name.removeprefix("gguf_") for name in MIXES}
    assert ours - names <= {"q2_k_s", "mxfp4_moe"}
