"""FLOP of small real recurrent and hybrid models against PyTorch's own counter, in its convention.

The counter knows products and convolutions, nothing that is computed element by element. Besides
whole squares of attention and the padding of convolutions, its convention differs in the scans:

- Mamba-1: of 9 FLOP per element of the state, the reference code makes a product only of the read,
  which is 2.
- Mamba-2: groups are repeated for every head, and states pass between chunks as one square product.
- Gated delta rules: a text is padded to whole chunks of 64; the triangular system is solved by a
  routine that the counter does not know.
- Lightning attention: the decays that pass states from chunk to chunk are not a product.
- RG-LRU and RWKV-4: element by element throughout; the counter sees nothing. Taps that a token
  makes are applied the same way, and so are sums over depth.
- Half-delayed values: the first of them is a projected row of zeros. The convolution by heads sees
  the padding of the one before it.

Its caches keep as many columns of a convolution as the kernel has taps, one more than the next
token sees, and recurrent states in fp32 (lightning attention's as the residual stream), whatever
engines choose. Windows hold one token less, because the newest is added before the oldest leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from planner.importers import import_config  # noqa: E402
from planner.model import Model, Operation, Step  # noqa: E402
from planner.model.execution import half  # noqa: E402

pytestmark = pytest.mark.oracle

BATCH, TOKENS, MORE, CHUNK, DELTA_CHUNK = 2, 24, 3, 8, 64
COMMON = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 160, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip
SCANNED = {
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16, "mamba_chunk_size": CHUNK,
}  # fmt: skip
MAMBA1 = {"mamba_d_state": 8, "mamba_dt_rank": 4}
DELTA = {
    "head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 16, "linear_value_head_dim": 16,
}  # fmt: skip
LATENT = {
    "kv_lora_rank": 32, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16,
    "num_key_value_heads": 4, "layer_types": ["linear_attention", "full_attention"] * 2,
}  # fmt: skip
SHARED = {"num_hidden_layers": 6, "layers_block_type": ["linear_attention", "hybrid"] * 3}
CONVOLVED = {"layer_types": ["conv", "full_attention"] * 2}

FAMILIES: dict[str, dict[str, Any]] = {
    "mamba": {"state_size": 8, "intermediate_size": 128},
    "falcon_mamba": {"state_size": 8, "intermediate_size": 128},
    "mamba2": {
        "num_heads": 8, "head_dim": 16, "state_size": 16, "n_groups": 2, "chunk_size": CHUNK,
        "expand": 2,
    },
    "jamba": {**MAMBA1, "num_experts": 4, "attn_layer_period": 2, "attn_layer_offset": 1},
    "bamba": {**SCANNED, "attn_layer_indices": [1]},
    "falcon_h1": {**SCANNED, "mamba_d_ssm": 128, "head_dim": 16},
    "granitemoehybrid": {
        **SCANNED, "layer_types": ["linear_attention", "full_attention"] * 2,
        "num_local_experts": 4,
    },
    "nemotron_h": {
        "layers_block_type": ["linear_attention", "moe", "full_attention", "mlp"],
        "mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2,
        "chunk_size": CHUNK, "head_dim": 16, "n_routed_experts": 4,
        "moe_shared_expert_intermediate_size": 32,
    },
    "zamba": {**SHARED, **MAMBA1, "attention_hidden_size": 128},
    "zamba2": {**SHARED, "mamba_d_state": 8, "n_mamba_heads": 8, "chunk_size": CHUNK},
    "qwen3_next": {**DELTA, "num_experts": 4, "shared_expert_intermediate_size": 32},
    "qwen3_5_text": DELTA,
    "qwen3_5_moe_text": {**DELTA, "num_experts": 4, "shared_expert_intermediate_size": 32},
    "olmo_hybrid": {"linear_num_key_heads": 4, "linear_num_value_heads": 4},
    "kimi_linear": {
        **LATENT, "linear_head_dim": 16, "linear_num_heads": 4, "num_local_experts": 4,
    },
    "bailing_hybrid": {
        **LATENT, "head_dim": 16, "num_local_experts": 8, "n_group": 1, "topk_group": 1,
    },
    "minimax": {"num_local_experts": 4, "head_dim": 16, "block_size": CHUNK},
    "lfm2": CONVOLVED,
    "lfm2_moe": {**CONVOLVED, "num_experts": 4},
    "lfm3": {
        "head_dim": 16, "sliding_window": 8,
        "layer_types": ["conv", "full_attention", "conv", "sliding_attention"],
    },
    "recurrent_gemma": {"attention_window_size": 8, "num_key_value_heads": 1},
    "rwkv": {},
    "zaya": {
        "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 1, "router_hidden_size": 24,
        "layer_types": ["hybrid", "hybrid_sliding"] * 2, "sliding_window": 8,
    },
    "inkling2_text": {
        "head_dim": 16, "swa_num_attention_heads": 8, "swa_num_key_value_heads": 4,
        "swa_head_dim": 8, "sliding_window_size": 8, "d_rel": 4, "rel_extent": 16,
        "n_layers_per_attn_res_block": 3, "n_routed_experts": 4, "unpadded_vocab_size": 150,
        "layer_types": ["hybrid_sliding", "hybrid", "hybrid_sliding", "hybrid"],
    },
}  # fmt: skip


def whole_square(operation: Operation) -> float:
    width = operation.shape["query_heads"] * operation.shape["head_dim"]
    return 4.0 * BATCH * TOKENS**2 * width


def expanded_square(operation: Operation) -> float:
    shape = operation.shape
    width = shape["qk_nope_head_dim"] + shape["qk_rope_head_dim"] + shape["v_head_dim"]
    return 2.0 * BATCH * TOKENS**2 * shape["query_heads"] * width


def padded_convolution(operation: Operation) -> float:
    shape = operation.shape
    if shape["variant"] in CONVOLUTIONS:
        return CONVOLUTIONS[shape["variant"]](operation)
    return operation.flop * (TOKENS + shape["conv_kernel"] - 1) / TOKENS


def delayed_row_of_zeros(operation: Operation) -> float:
    shape = operation.shape
    return 2.0 * BATCH * shape["hidden"] * shape["heads"] * shape["head_dim"]


def only_the_read(operation: Operation) -> float:
    return operation.flop * 2 / 9


def repeated_groups(operation: Operation) -> float:
    shape, chunks = operation.shape, TOKENS // CHUNK
    inner = shape["heads"] * shape["head_dim"]
    scores = 2 * CHUNK * (shape["heads"] * shape["state_dim"] + inner)
    passing = 2 * BATCH * (chunks + 1) ** 2 * inner * shape["state_dim"]
    return BATCH * TOKENS * (scores + 4 * inner * shape["state_dim"]) + passing


def padded_delta(operation: Operation) -> float:
    shape = operation.shape
    keys, values = shape["state_dim"], shape["head_dim"]
    padded = -(-TOKENS // DELTA_CHUNK) * DELTA_CHUNK
    products = DELTA_CHUNK * (4 * keys + 2 * values) + 6 * keys * values
    return float(BATCH * padded * shape["heads"] * products)


def chunks_apart(operation: Operation) -> float:
    shape = operation.shape
    per_head = 4 * CHUNK * shape["head_dim"] + 4 * shape["head_dim"] * shape["state_dim"]
    return float(BATCH * TOKENS * shape["heads"] * per_head)


def unseen(operation: Operation) -> float:
    return 0.0


CONVOLUTIONS: dict[str, Callable[[Operation], float]] = {
    "grouped": lambda operation: operation.flop,
    "dynamic": unseen,
    "delay": delayed_row_of_zeros,
}
SCANS: dict[str, Callable[[Operation], float]] = {
    "mamba1": only_the_read,
    "mamba2": repeated_groups,
    "gated_delta_net": padded_delta,
    "kda": padded_delta,
    "lightning": chunks_apart,
    "rg_lru": unseen,
    "rwkv4": unseen,
}
KINDS: dict[str, Callable[[Operation], float]] = {
    "attention_prefill": whole_square,
    "mla_prefill": expanded_square,
    "short_convolution_prefill": padded_convolution,
    "elementwise": unseen,
    "state_space_prefill": lambda operation: SCANS[operation.shape["variant"]](operation),
}


def small_config(family: str) -> Any:
    """Configuration of a small model, attention and experts eager."""
    figures = {**COMMON, **FAMILIES[family]}
    known = transformers.AutoConfig.for_model(family)
    usable = {name: value for name, value in figures.items() if hasattr(known, name)}
    config = transformers.AutoConfig.for_model(family, **usable)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    return config


@pytest.mark.parametrize("family", FAMILIES)
def test_flop_and_parameters_equal_the_real_model(family: str) -> None:
    config = small_config(family)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.randint(3, 160, (BATCH, TOKENS)), use_cache=False)
    planned = import_config(config.to_dict(), where=family, weights_given=True)
    step = Step(batch=BATCH, new_tokens=TOKENS, cached_tokens=0, phase="prefill", logit_rows=TOKENS)
    ours: float = 0
    for _, operation, count in planned.operations(step, half()):
        convert = KINDS.get(operation.kind)
        ours += count * (convert(operation) if convert else operation.flop)
    unique = {parameter.data_ptr(): parameter.numel() for parameter in model.parameters()}
    assert planned.parameters == sum(unique.values())
    assert ours == float(counter.get_total_flops())


OWN_STATE_FORMAT = {"minimax": "stream"}
CACHE_NAMES = {
    "mamba": "cache_params", "falcon_mamba": "cache_params", "mamba2": "cache_params",
    "rwkv": "state",
}  # fmt: skip
NO_SPARE_COLUMN = {"recurrent_gemma", "rwkv", "zaya"}


def held_tensors(cache: Any, model: Any) -> Iterator[Any]:
    """What transformers keeps of a text, wherever it keeps it."""
    for layer in getattr(cache, "layers", ()):
        yield from (getattr(layer, name, None) for name in ("keys", "values"))
        yield from getattr(layer, "conv_states", {}).values()
        yield from getattr(layer, "recurrent_states", {}).values()
    yield from getattr(cache, "linear_cache", ())
    yield from cache if isinstance(cache, list) else ()
    for module in model.modules():
        yield from (vars(module).get(name) for name in ("conv1d_state", "recurrent_states"))


def held_bytes(cache: Any, model: Any) -> int:
    held = (held for held in held_tensors(cache, model) if isinstance(held, torch.Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def expected_bytes(model: Model, tokens: int, family: str) -> int:
    """Bytes of our caches, sized as the reference sizes its own."""
    total = 0
    own = OWN_STATE_FORMAT.get(family, "fp32")
    for part in (part for layer in model.layers for part in layer.parts):
        recurrent = hasattr(part, "state_format") and part.kind != "vector_convolution"
        sized = replace(part, state_format=own) if recurrent else part
        for cache in sized.caches():
            window = getattr(cache, "window", None)
            seen = min(tokens, window - 1) if window else tokens
            kept = cache.sequence_bytes(seen, half(), tp=1)
            if cache.kind == "convolution" and family not in NO_SPARE_COLUMN:
                kept = kept * (cache.shape[-1] + 1) // cache.shape[-1]
            total += kept
    return total


@pytest.mark.parametrize("family", FAMILIES)
def test_caches_hold_what_real_ones_hold(family: str) -> None:
    config = small_config(family)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    kept = getattr(model, "_keep_in_fp32_modules_strict", None) or ()
    for place, parameter in model.named_parameters():
        if any(part in place for part in kept):
            parameter.data = parameter.data.float()
    planned = import_config(config.to_dict(), where=family, weights_given=True)
    texts = torch.randint(3, 160, (BATCH, TOKENS + MORE))
    name = CACHE_NAMES.get(family, "past_key_values")
    cache = transformers.DynamicCache(config=config) if family == "recurrent_gemma" else None
    with torch.no_grad():
        for first, last in pairwise((0, *range(TOKENS, TOKENS + MORE + 1))):
            output = model(texts[:, first:last], use_cache=True, **{name: cache})
            cache = getattr(output, name, cache)
            assert held_bytes(cache, model) == BATCH * expected_bytes(planned, last, family)
