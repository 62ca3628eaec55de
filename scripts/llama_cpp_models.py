"""Small GGUF files at the layer shapes of real models: random weights, few layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from llama_cpp_shapes import (
    GEMMA2,
    GEMMA3,
    GPT_OSS,
    GRANITE,
    LLAMA,
    LLAMA_2,
    MAMBA2,
    MIXTRAL,
    QWEN3,
    QWEN3_MOE,
    SMOLLM2,
)

Config = Mapping[str, Any]
Shaped = Iterator[tuple[str, tuple[int, ...]]]
_ROWS = 64
_VECTORS = ("norm", "bias", "ffn_gate_inp", "ssm_conv1d", "ssm_a", "ssm_d", "sinks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model: the configuration that both programs read, and its file's words and tensors."""

    name: str
    architecture: str
    weights: str
    config: Config
    metadata: Callable[[Config], Mapping[str, Any]]
    tensors: Callable[[Config], Shaped]


def write(case: Case, path: Path, seed: int) -> None:
    """Write the file of a case."""
    writer = gguf.GGUFWriter(path, case.architecture, use_temp_file=True)
    writer.add_block_count(case.config["num_hidden_layers"])
    writer.add_tokenizer_model("no_vocab")
    for key, value in {**_common(case.config), **case.metadata(case.config)}.items():
        name = f"{case.architecture}.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
    random = np.random.default_rng(seed)
    for name, shape in case.tensors(case.config):
        kind = "f32" if len(shape) == 1 or any(word in name for word in _VECTORS) else case.weights
        if "_exps.weight" in name and case.architecture == "gpt-oss":
            kind = "mxfp4"
        data, raw = _random(shape, kind, random)
        writer.add_tensor(name, data, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _random(
    shape: tuple[int, ...], kind: str, random: np.random.Generator
) -> tuple[np.ndarray[Any, Any], Any]:
    """Return weights of a type: a tile of random rows, repeated."""
    raw = gguf.GGMLQuantizationType[kind.upper()]
    *outer, columns = shape
    rows = int(np.prod(outer)) if outer else 1
    tile = random.normal(0, 0.02, (min(rows, _ROWS), columns)).astype(np.float32)
    stored = gguf.quants.quantize(tile, raw)
    repeated = np.tile(stored, (-(-rows // len(stored)), 1))[:rows]
    return np.ascontiguousarray(repeated).reshape(*outer, stored.shape[-1]), raw


def _common(config: Config) -> dict[str, Any]:
    return {
        "vocab_size": config["vocab_size"],
        "context_length": config.get("max_position_embeddings", 1_048_576),
        "embedding_length": config["hidden_size"],
        "attention.layer_norm_rms_epsilon": 1e-6,
    }


def _heads(config: Config) -> dict[str, Any]:
    width = config["head_dim"]
    return {
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": width, "attention.value_length": width,
        "rope.dimension_count": width, "rope.freq_base": float(config["rope_theta"]),
        "feed_forward_length": config["intermediate_size"],
    }  # fmt: skip


def _around(config: Config) -> Shaped:
    table = (config["vocab_size"], config["hidden_size"])
    yield "token_embd.weight", table
    yield "output_norm.weight", (config["hidden_size"],)
    if not config["tie_word_embeddings"]:
        yield "output.weight", table


def _attention(config: Config, at: str, *, norms: bool = False, bias: bool = False) -> Shaped:
    hidden, width = config["hidden_size"], config["head_dim"]
    query, pairs = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    yield f"{at}.attn_norm.weight", (hidden,)
    for name, rows, columns in (
        ("q", query, hidden), ("k", pairs, hidden), ("v", pairs, hidden), ("output", hidden, query),
    ):  # fmt: skip
        yield f"{at}.attn_{name}.weight", (rows, columns)
        if bias:
            yield f"{at}.attn_{name}.bias", (rows,)
    if norms:
        yield f"{at}.attn_q_norm.weight", (width,)
        yield f"{at}.attn_k_norm.weight", (width,)


def _dense(config: Config, at: str) -> Shaped:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    yield f"{at}.ffn_norm.weight", (hidden,)
    yield f"{at}.ffn_gate.weight", (inner, hidden)
    yield f"{at}.ffn_up.weight", (inner, hidden)
    yield f"{at}.ffn_down.weight", (hidden, inner)


def _experts(config: Config, at: str, experts: int, inner: int, *, bias: bool = False) -> Shaped:
    hidden = config["hidden_size"]
    yield f"{at}.ffn_gate_inp.weight", (experts, hidden)
    if bias:
        yield f"{at}.ffn_gate_inp.bias", (experts,)
    for name, rows, columns in (
        ("gate", inner, hidden), ("up", inner, hidden), ("down", hidden, inner),
    ):  # fmt: skip
        yield f"{at}.ffn_{name}_exps.weight", (experts, rows, columns)
        if bias:
            yield f"{at}.ffn_{name}_exps.bias", (experts, rows)


def _mamba2(config: Config, at: str, heads: int, width: int, state: int) -> Shaped:
    hidden, groups, inner = config["hidden_size"], 1, heads * width
    convolved = inner + 2 * groups * state
    yield f"{at}.attn_norm.weight", (hidden,)
    yield f"{at}.ssm_in.weight", (inner + convolved + heads, hidden)
    yield f"{at}.ssm_conv1d.weight", (convolved, 4)
    yield f"{at}.ssm_conv1d.bias", (convolved,)
    yield f"{at}.ssm_dt.bias", (heads,)
    yield f"{at}.ssm_a", (heads, 1)
    yield f"{at}.ssm_d", (heads, 1)
    yield f"{at}.ssm_norm.weight", (groups, inner // groups)
    yield f"{at}.ssm_out.weight", (hidden, inner)


def _layers(config: Config) -> Iterator[str]:
    for index in range(config["num_hidden_layers"]):
        yield f"blk.{index}"


def _llama(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _attention(config, at)
        yield from _dense(config, at)


def _gemma3(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _attention(config, at, norms=True)
        yield from _dense(config, at)
        yield f"{at}.post_attention_norm.weight", (config["hidden_size"],)
        yield f"{at}.post_ffw_norm.weight", (config["hidden_size"],)


def _gemma2(config: Config) -> Shaped:
    norms = ("attn_q_norm.weight", "attn_k_norm.weight")
    yield from (entry for entry in _gemma3(config) if not entry[0].endswith(norms))


def _qwen3_moe(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _attention(config, at, norms=True)
        yield f"{at}.ffn_norm.weight", (config["hidden_size"],)
        yield from _experts(config, at, config["num_experts"], config["moe_intermediate_size"])


def _qwen3(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _attention(config, at, norms=True)
        yield from _dense(config, at)


def _mixtral(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _attention(config, at)
        yield f"{at}.ffn_norm.weight", (config["hidden_size"],)
        inner = config["intermediate_size"]
        yield from _experts(config, at, config["num_local_experts"], inner)


def _gpt_oss(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _attention(config, at, bias=True)
        yield f"{at}.attn_sinks.weight", (config["num_attention_heads"],)
        yield f"{at}.post_attention_norm.weight", (config["hidden_size"],)
        inner = config["intermediate_size"]
        yield from _experts(config, at, config["num_local_experts"], inner, bias=True)


def _mamba2_model(config: Config) -> Shaped:
    yield from _around(config)
    for at in _layers(config):
        yield from _mamba2(
            config, at, config["num_heads"], config["head_dim"], config["state_size"]
        )


def _granite_hybrid(config: Config) -> Shaped:
    yield from _around(config)
    hidden, inner = config["hidden_size"], config["shared_intermediate_size"]
    wide = {**config, "head_dim": hidden // config["num_attention_heads"]}
    for at, kind in zip(_layers(config), config["layer_types"], strict=True):
        if kind == "attention":
            yield from _attention(wide, at)
        else:
            sizes = (config["mamba_n_heads"], config["mamba_d_head"], config["mamba_d_state"])
            yield from _mamba2(config, at, *sizes)
        yield f"{at}.ffn_norm.weight", (hidden,)
        experts = config["num_local_experts"]
        yield from _experts(config, at, experts, config["intermediate_size"])
        for name, rows, columns in (
            ("gate", inner, hidden), ("up", inner, hidden), ("down", hidden, inner),
        ):  # fmt: skip
            yield f"{at}.ffn_{name}_shexp.weight", (rows, columns)


def _state_words(heads: int, width: int, state: int) -> dict[str, Any]:
    return {
        "ssm.conv_kernel": 4, "ssm.inner_size": heads * width, "ssm.state_size": state,
        "ssm.time_step_rank": heads, "ssm.group_count": 1,
    }  # fmt: skip


def _granite_words(config: Config) -> dict[str, Any]:
    wide = {
        **config, "head_dim": config["hidden_size"] // config["num_attention_heads"],
        "rope_theta": 1e4,
    }  # fmt: skip
    sizes = (config["mamba_n_heads"], config["mamba_d_head"], config["mamba_d_state"])
    pairs = [
        config["num_key_value_heads"] if kind == "attention" else 0
        for kind in config["layer_types"]
    ]
    return {
        **_heads(wide), **_state_words(*sizes),
        "attention.head_count_kv": pairs,
        "expert_count": config["num_local_experts"],
        "expert_used_count": config["num_experts_per_tok"],
        "expert_shared_feed_forward_length": config["shared_intermediate_size"],
    }  # fmt: skip


CASES = (
    Case(
        name="llama-3.2-1b", architecture="llama", weights="f16", config=LLAMA,
        metadata=_heads, tensors=_llama,
    ),
    Case(
        name="gemma-3-1b", architecture="gemma3", weights="f16", config=GEMMA3,
        metadata=lambda config: {
            **_heads(config), "attention.sliding_window": config["sliding_window"],
        },
        tensors=_gemma3,
    ),
    Case(
        name="qwen3-30b-a3b", architecture="qwen3moe", weights="q8_0", config=QWEN3_MOE,
        metadata=lambda config: {
            **_heads(config), "expert_count": config["num_experts"],
            "expert_used_count": config["num_experts_per_tok"],
            "expert_feed_forward_length": config["moe_intermediate_size"],
        },
        tensors=_qwen3_moe,
    ),
    Case(
        name="gpt-oss-20b", architecture="gpt-oss", weights="q8_0", config=GPT_OSS,
        metadata=lambda config: {
            **_heads(config), "attention.sliding_window": config["sliding_window"],
            "expert_count": config["num_local_experts"],
            "expert_used_count": config["num_experts_per_tok"],
            "expert_feed_forward_length": config["intermediate_size"],
        },
        tensors=_gpt_oss,
    ),
    Case(
        name="mamba2-780m", architecture="mamba2", weights="f16", config=MAMBA2,
        metadata=lambda config: _state_words(
            config["num_heads"], config["head_dim"], config["state_size"]
        ),
        tensors=_mamba2_model,
    ),
    Case(
        name="granite-4.0-h-tiny", architecture="granitehybrid", weights="f16", config=GRANITE,
        metadata=_granite_words, tensors=_granite_hybrid,
    ),
    Case(
        name="llama-2-7b", architecture="llama", weights="f16", config=LLAMA_2,
        metadata=_heads, tensors=_llama,
    ),
    Case(
        name="smollm2-135m", architecture="llama", weights="f16", config=SMOLLM2,
        metadata=_heads, tensors=_llama,
    ),
    Case(
        name="qwen3-14b", architecture="qwen3", weights="q8_0", config=QWEN3,
        metadata=_heads, tensors=_qwen3,
    ),
    Case(
        name="mixtral-8x7b", architecture="llama", weights="q8_0", config=MIXTRAL,
        metadata=lambda config: {
            **_heads(config), "expert_count": config["num_local_experts"],
            "expert_used_count": config["num_experts_per_tok"],
        },
        tensors=_mixtral,
    ),
    Case(
        name="gemma-2-2b", architecture="gemma2", weights="q8_0", config=GEMMA2,
        metadata=lambda config: {
            **_heads(config), "attention.sliding_window": config["sliding_window"],
        },
        tensors=_gemma2,
    ),
)  # fmt: skip
