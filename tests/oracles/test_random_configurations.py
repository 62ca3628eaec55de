"""Parameters and windows of random small configurations against transformers' own classes.

The classes are built on the meta device, which holds shapes and no numbers.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from planner.importers import import_config  # noqa: E402
from planner.model.cache import TokenCache  # noqa: E402

pytestmark = pytest.mark.oracle

DRAWS = 8
WIDE = {"attention_bias": (True, False), "head_dim": (8, 24)}
WINDOW = {"sliding_window": (None, 16)}
MIXTURE = {"num_local_experts": (4, 8), "num_experts_per_tok": (2,)}
SPARSE = {
    "num_experts": (4, 8), "num_experts_per_tok": (2,), "moe_intermediate_size": (24,),
    "decoder_sparse_step": (1, 2), "mlp_only_layers": ([], [0], [1]),
}  # fmt: skip
QWEN = {"use_sliding_window": (True, False), "max_window_layers": (1, 2), "sliding_window": (8,)}
GPT = {"n_inner": (None, 40), "n_positions": (64,)}

# What a family's configurations may say beside the dimensions; what is not needed may be absent.
CHOICES: dict[str, Mapping[str, tuple[Any, ...]]] = {
    "llama": {**WIDE, "mlp_bias": (True, False)},
    "mistral": {**WINDOW, "head_dim": (8, 24)},
    "ministral3": {"head_dim": (8, 24)},
    "mixtral": {**WINDOW, **MIXTURE},
    "qwen2": QWEN,
    "qwen2_moe": {**SPARSE, "shared_expert_intermediate_size": (40,), "qkv_bias": (True, False)},
    "qwen3": {**WIDE, **QWEN},
    "qwen3_moe": {**WIDE, **SPARSE},
    "gemma": WIDE,
    "gemma2": {**WIDE, "sliding_window": (16,)},
    "gemma3_text": {**WIDE, "sliding_window": (16,), "sliding_window_pattern": (2, 3)},
    "gpt_oss": {**MIXTURE, "head_dim": (8, 24), "sliding_window": (8,)},
    "phi": {"qk_layernorm": (True, False)},
    "phi3": WINDOW,
    "phimoe": {**WINDOW, **MIXTURE, "lm_head_bias": (True, False), "attention_bias": (True, False)},
    "gpt2": GPT,
    "gptj": {**GPT, "rotary_dim": (4,)},
    "opt": {
        "word_embed_proj_dim": (32, 64), "do_layer_norm_before": (True, False),
        "enable_bias": (True, False), "layer_norm_elementwise_affine": (True, False),
        "_remove_final_layer_norm": (True, False), "ffn_dim": (96,),
    },
    "falcon": {
        "new_decoder_architecture": (True, False), "num_kv_heads": (2, 8), "bias": (True, False),
        "multi_query": (True, False), "parallel_attn": (True, False), "alibi": (False, True),
        "ffn_hidden_size": (40,), "num_ln_in_parallel_attn": (1, 2),
    },
    "gpt_neox": {"attention_bias": (True, False), "use_parallel_residual": (True, False)},
    "bloom": {},
    "mamba2": {
        "num_heads": (8,), "head_dim": (16,), "state_size": (16,), "n_groups": (1, 2),
        "conv_kernel": (3, 4), "use_bias": (True, False), "use_conv_bias": (True, False),
    },
}  # fmt: skip
NEEDED = {
    "n_positions", "rotary_dim", "ffn_dim", "shared_expert_intermediate_size", *MIXTURE, *SPARSE,
}  # fmt: skip
ALL_NEEDED = {"mamba2"}
OWN_NAMES = {"gpt2": ("n_embd", "n_layer", "n_head"), "gptj": ("n_embd", "n_layer", "n_head")}
UNTIED = {"opt"}


def drawn(family: str, chosen: random.Random) -> dict[str, Any]:
    layers = chosen.choice([2, 3, 7])
    width, depth, heads = OWN_NAMES.get(family, ("hidden_size", "num_hidden_layers", ""))
    config: dict[str, Any] = {width: 64, depth: layers, "vocab_size": 100, "pad_token_id": 0}
    if family == "bloom":
        config = {"hidden_size": 64, "n_layer": layers, "n_head": 8, "vocab_size": 100}
    elif heads:
        config[heads] = 8
    elif family != "mamba2":
        config |= {"num_attention_heads": 8, "max_position_embeddings": 64}
    if family not in {"gpt2", "gptj", "opt", "falcon", "mamba2", "bloom"}:
        config["intermediate_size"] = 48
    if family not in {"gpt2", "gptj", "opt", "falcon", "mamba2", "bloom", "gpt_neox"}:
        config["num_key_value_heads"] = chosen.choice([1, 2, 8])
    for name, values in CHOICES[family].items():
        if name in NEEDED or family in ALL_NEEDED or chosen.random() < 0.6:
            config[name] = chosen.choice(values)
    if family not in UNTIED and chosen.random() < 0.6:
        config["tie_word_embeddings"] = chosen.choice([True, False])
    return config


def reference(family: str, config: dict[str, Any]) -> tuple[int, list[int | None] | None]:
    """Parameters and window of each layer as transformers builds them."""
    built = transformers.AutoConfig.for_model(family, **config)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(built)
    model.tie_weights()
    windows = None
    if family != "mamba2" and hasattr(built, "sliding_window"):
        cache = transformers.DynamicCache(config=built)
        windows = [
            layer.sliding_window if getattr(layer, "is_sliding", False) else None
            for layer in cache.layers
        ]
    return sum(tensor.numel() for tensor in model.parameters()), windows


@pytest.mark.parametrize("seed", range(DRAWS))
@pytest.mark.parametrize("family", CHOICES)
def test_counts_and_windows(family: str, seed: int) -> None:
    config = drawn(family, random.Random(f"{family} {seed}"))
    parameters, windows = reference(family, config)
    model = import_config({"model_type": family, **config}, where=family)
    assert model.parameters == parameters, config
    if windows is not None:
        found = [
            cache.window
            for layer in model.layers
            for part in layer.parts
            for cache in part.caches()
            if isinstance(cache, TokenCache)
        ]
        assert found == windows, config
