"""Small real models with latents and experts: parameters, FLOP and caches against transformers.

PyTorch's counter does not halve causal attention and sees neither norms nor selections: the eager
code of sparse models expands every latent and masks what was not selected. It weighs the heads of
an indexer with one more product, and joins windows and compressed entries along one axis. Its
windows hold one token less, because the newest one is added before the oldest leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from planner.importers import import_config  # noqa: E402
from planner.model import Model, Operation, Step  # noqa: E402
from planner.model.execution import half  # noqa: E402
from planner.model.mixers.indexer import Indexer  # noqa: E402

pytestmark = pytest.mark.oracle

BATCH, TOKENS, MORE = 2, 24, 4
COMMON = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 160, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "moe_intermediate_size": 32, "num_experts_per_tok": 2,
    "sliding_window": 8,
}  # fmt: skip
LATENT = {
    "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 12,
}  # fmt: skip
ROUTED = {"n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1}
GROUPED = {**ROUTED, "n_group": 1, "topk_group": 1}
INDEXED = {"index_n_heads": 4, "index_head_dim": 16, "index_topk": 8}

FAMILIES: dict[str, dict[str, Any]] = {
    "deepseek_v2": {**LATENT, **ROUTED, "q_lora_rank": None},
    "deepseek_v3": {**LATENT, **GROUPED},
    "deepseek_v32": {**LATENT, **GROUPED, **INDEXED},
    "glm_moe_dsa": {**LATENT, **GROUPED, **INDEXED, "indexer_types": ["full", "full", "shared"]},
    "deepseek_v4": {
        "num_key_value_heads": 1, "head_dim": 32, "q_lora_rank": 24, "n_routed_experts": 8,
        "n_shared_experts": 1, "o_groups": 2, "o_lora_rank": 16, "hc_mult": 2, **INDEXED,
        "index_topk": 3, "num_hidden_layers": 3, "partial_rotary_factor": 0.5,
        "layer_types": ["sliding_attention", "compressed_sparse_attention",
                        "heavily_compressed_attention"],
        "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 8},
        "mlp_layer_types": ["hash_moe", "moe", "moe"],
    },
    "glm4_moe": {**GROUPED, "head_dim": 16, "use_qk_norm": True},
    "glm4_moe_lite": {**LATENT, **GROUPED},
    "axk1": {**LATENT, **GROUPED},
    "minicpm3": LATENT,
    "youtu": LATENT,
    "minimax_m2": {"num_local_experts": 8, "head_dim": 16},
    "ernie4_5_moe": {"moe_num_experts": 8, "moe_k": 2},
    "dots1": {**GROUPED, "head_dim": 16},
    "hy_v3": {"num_experts": 8, "head_dim": 16},
    "kolibri1": {"num_experts": 8, "head_dim": 16, "shared_expert_intermediate_size": 32},
    "mellum": {
        "num_experts": 8, "head_dim": 16,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    },
    "solar_open": {**GROUPED, "head_dim": 16},
    "olmoe": {"num_experts": 8},
    "flex_olmo": {"num_experts": 8},
    "granitemoe": {"num_local_experts": 8},
    "granitemoeshared": {"num_local_experts": 8, "shared_intermediate_size": 48},
    "mimo_v2_flash": {**GROUPED, "head_dim": 16, "v_head_dim": 8},
    "longcat_flash": {
        **LATENT, "n_routed_experts": 8, "zero_expert_num": 0, "moe_topk": 2, "num_layers": 2,
        "ffn_hidden_size": 96, "expert_ffn_hidden_size": 32, "head_dim": 8,
    },
    "afmoe": {"num_experts": 8, "head_dim": 16, "num_shared_experts": 1},
    "exaone_moe": {"num_experts": 8, "head_dim": 16},
    "hunyuan_v1_moe": {"num_experts": 8, "moe_topk": 2, "head_dim": 16},
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def small(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A configuration and a real model of it with random weights, attention eager."""
    figures = {**COMMON, **FAMILIES[request.param]}
    known = transformers.AutoConfig.for_model(request.param)
    usable = {name: value for name, value in figures.items() if hasattr(known, name)}
    config = transformers.AutoConfig.for_model(request.param, **usable)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    torch.manual_seed(0)
    return config, transformers.AutoModelForCausalLM.from_config(config).eval()


def planned(config: Any) -> Model:
    return import_config(config.to_dict(), where=config.model_type, weights_given=True)


def whole_square(operation: Operation) -> float:
    shape = operation.shape
    width = shape["head_dim"] + shape.get("value_dim", shape["head_dim"])
    return 2.0 * BATCH * TOKENS**2 * shape["query_heads"] * width


def expanded_square(operation: Operation) -> float:
    shape = operation.shape
    width = shape["qk_nope_head_dim"] + shape["qk_rope_head_dim"] + shape["v_head_dim"]
    return 2.0 * BATCH * TOKENS**2 * shape["query_heads"] * width


def scored_square(operation: Operation) -> float:
    shape = operation.shape
    keys = TOKENS // shape["stride"]
    weighing = 1 if shape["stride"] == 1 else 0
    return 2.0 * BATCH * TOKENS * keys * shape["heads"] * (shape["head_dim"] + weighing)


def joined_square(operation: Operation) -> float:
    shape = operation.shape
    entries = TOKENS // shape["stride"] if shape["stride"] else 0
    return 4.0 * BATCH * TOKENS * (TOKENS + entries) * shape["query_heads"] * shape["head_dim"]


CONVENTION: dict[str, Callable[[Operation], float]] = {
    "attention_prefill": whole_square,
    "mla_prefill": expanded_square,
    "index_prefill": scored_square,
    "compressed_attention_prefill": joined_square,
}


def test_parameters_equal_the_real_model(small: tuple[Any, Any]) -> None:
    config, model = small
    unique = {parameter.data_ptr(): parameter.numel() for parameter in model.parameters()}
    assert planned(config).parameters == sum(unique.values())


def test_buffers_are_those_of_the_real_router(small: tuple[Any, Any]) -> None:
    config, model = small
    names = ("e_score_correction_bias", "tid2eid")
    stored = [b for name, b in model.named_buffers() if name.rpartition(".")[2] in names]
    assert planned(config).buffers == sum(buffer.numel() for buffer in stored)


def test_flop_equal_the_real_model(small: tuple[Any, Any]) -> None:
    config, model = small
    tokens = torch.randint(3, 160, (BATCH, TOKENS))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(tokens, use_cache=False)
    step = Step(batch=BATCH, new_tokens=TOKENS, cached_tokens=0, phase="prefill", logit_rows=TOKENS)
    ours = 0.0
    for _, operation, count in planned(config).operations(step, half()):
        convert = CONVENTION.get(operation.kind)
        ours += count * (convert(operation) if convert else operation.flop)
    assert ours == float(counter.get_total_flops())


def held(layer: Any) -> int:
    """Numbers that a cache of transformers holds for all sequences, what it still pools aside.

    Where keys serve as values, a window may hold the same numbers twice: they count once.
    """
    tensors = [layer.keys] + ([] if torch.equal(layer.keys, layer.values) else [layer.values])
    tensors += [getattr(layer, name, None) for name in ("indexer_keys", "idx_keys")]
    tensors += list(getattr(layer, "compressed_kv", {}).values())
    return sum(tensor.numel() for tensor in tensors if tensor is not None)


def expected(model: Model, tokens: int) -> int:
    total = 0
    for layer in model.layers:
        for part in layer.parts:
            whole = replace(part, key_format="bf16") if isinstance(part, Indexer) else part
            for cache in whole.caches():
                if cache.kind == "compressor":
                    continue
                window = getattr(cache, "window", None)
                seen = min(tokens, window - 1) if window else tokens
                total += cache.sequence_bytes(seen, half(), tp=1) // 2
    return total


def test_caches_hold_what_real_ones_hold(small: tuple[Any, Any]) -> None:
    config, model = small
    ours = planned(config)
    tokens = torch.randint(3, 160, (BATCH, TOKENS + MORE))
    with torch.no_grad():
        past = model(tokens[:, :TOKENS], use_cache=True).past_key_values
        assert sum(map(held, past.layers)) == BATCH * expected(ours, TOKENS)
        for i in range(MORE):
            one = tokens[:, TOKENS + i : TOKENS + i + 1]
            past = model(one, past_key_values=past, use_cache=True).past_key_values
    assert sum(map(held, past.layers)) == BATCH * expected(ours, TOKENS + MORE)
