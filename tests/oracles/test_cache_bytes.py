"""Bytes of caches against what transformers' own cache objects hold after a real forward pass.

One convention differs: transformers drops a token of a window as soon as the next one can no longer
see it, and so holds ``W - 1`` tokens between two steps (also of a chunk). The planner counts the
``W`` that a step reads, the new one included, which is what an engine must have room for.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from planner.importers import import_config  # noqa: E402
from planner.model import Model  # noqa: E402
from planner.model.cache import TokenCache  # noqa: E402
from planner.model.execution import half  # noqa: E402

pytestmark = pytest.mark.oracle

BATCH, TOKENS = 2, 24
SMALL: dict[str, Any] = {
    "hidden_size": 64, "n_embd": 64, "d_model": 64, "intermediate_size": 96,
    "num_hidden_layers": 4, "n_layer": 4, "num_layers": 4, "num_attention_heads": 8, "n_head": 8,
    "num_heads": 8, "num_key_value_heads": 4, "head_dim": 16, "vocab_size": 160,
    "max_position_embeddings": 64, "n_positions": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
SIDES = {
    "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 8,
    "decoder_attention_heads": 8, "encoder_ffn_dim": 96, "decoder_ffn_dim": 80,
}  # fmt: skip
SHARED = {
    "num_hidden_layers": 6, "layer_types": ["sliding_attention", "full_attention"] * 3,
    "sliding_window": 8, "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 160,
}  # fmt: skip

DECODERS: dict[str, dict[str, Any]] = {
    "llama": {},
    "gpt2": {},
    "gpt_bigcode": {},
    "mistral": {"sliding_window": 8},
    "starcoder2": {"sliding_window": 64},
    "gemma3_text": {"sliding_window": 8},
    "cohere2": {"sliding_window": 8, "head_dim": 8},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8},
    "llama4_text": {
        "num_local_experts": 4,
        "intermediate_size_mlp": 80,
        "attention_chunk_size": 8,
    },
    "gemma4_text": {**SHARED, "global_head_dim": 32},
    "gemma3n_text": {
        **SHARED,
        "laurel_rank": 4,
        "intermediate_size": [96] * 6,
        "activation_sparsity_pattern": [0.0] * 6,
    },
}
BOTH: dict[str, dict[str, Any]] = {
    "bart": SIDES,
    "t5": {"d_kv": 8, "d_ff": 96, "num_decoder_layers": 3},
    "whisper": {
        **SIDES,
        "max_source_positions": 12,
        "max_target_positions": 64,
        "num_mel_bins": 8,
        "decoder_start_token_id": 1,
    },
}


def configuration(family: str, changes: dict[str, Any]) -> Any:
    known = transformers.AutoConfig.for_model(family).to_dict()
    common = {key: value for key, value in SMALL.items() if key in known}
    return transformers.AutoConfig.for_model(family, **{**common, **changes})


def between_steps(model: Model) -> int:
    """Bytes of one sequence, windows holding what transformers holds between two steps."""
    execution = half()
    total = 0
    for _, cache, count in model.caches:
        if isinstance(cache, TokenCache) and cache.window:
            cache = replace(cache, window=cache.window - 1)  # noqa: PLW2901
        total += cache.sequence_bytes(TOKENS, execution, tp=1) * count
    return int(total)


def held(cache: Any) -> int:
    """Bytes of all keys and values that a cache object holds."""
    if hasattr(cache, "self_attention_cache"):
        return held(cache.self_attention_cache) + held(cache.cross_attention_cache)
    tensors = [
        tensor
        for layer in cache.layers
        for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None))
        if tensor is not None
    ]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def run(config: Any, build: Any, **inputs: Any) -> tuple[Any, Model]:
    torch.manual_seed(0)
    theirs = build(config).eval().to(torch.bfloat16)
    with torch.no_grad():
        output = theirs(**inputs, use_cache=True)
    content = json.loads(json.dumps(config.to_dict()))
    return output.past_key_values, import_config(content, where=config.model_type)


def tokens(length: int = TOKENS) -> Any:
    return torch.randint(3, 160, (BATCH, length))


@pytest.mark.parametrize("family", DECODERS)
def test_decoders(family: str) -> None:
    config = configuration(family, DECODERS[family])
    cache, model = run(config, transformers.AutoModelForCausalLM.from_config, input_ids=tokens())
    assert held(cache) == BATCH * between_steps(model)


@pytest.mark.parametrize("family", BOTH)
def test_encoders_with_decoders_hold_both_kinds(family: str) -> None:
    config = configuration(family, BOTH[family])
    if family == "whisper":
        sound = torch.randn(BATCH, 8, 24).to(torch.bfloat16)
        auto, inputs = transformers.AutoModelForSpeechSeq2Seq, {"input_features": sound}
    else:
        auto, inputs = transformers.AutoModelForSeq2SeqLM, {"input_ids": tokens(12)}
    cache, model = run(config, auto.from_config, decoder_input_ids=tokens(), **inputs)
    model = model.reading("encoder", 12)
    assert held(cache) == BATCH * between_steps(model)
    assert model.state_bytes(half()) == held(cache.cross_attention_cache) / BATCH


def test_layers_that_attend_to_an_image_hold_that_and_nothing_else() -> None:
    config = configuration("mllama_text_model", {"cross_attention_layers": [1, 3]})
    image = torch.randn(BATCH, 10, 64).to(torch.bfloat16)
    cache, model = run(
        config,
        transformers.MllamaForCausalLM,
        input_ids=tokens(),
        cross_attention_states=image,
        cross_attention_mask=torch.zeros(BATCH, 1, TOKENS, 10).to(torch.bfloat16),
        full_text_row_masked_out_mask=torch.ones(BATCH, 1, TOKENS, 1).to(torch.bfloat16),
    )
    per_token = 2 * 4 * 8 * 2
    assert held(cache) == BATCH * per_token * (2 * TOKENS + 2 * 10)
    text = sum(cache.token_bytes(half(), tp=1) * count for _, cache, count in model.caches)
    assert text == 2 * per_token
    assert model.state_bytes(half()) == 2 * per_token * 6404


def test_encoders_hold_nothing() -> None:
    config = configuration("bert", {})
    content = json.loads(json.dumps(config.to_dict()))
    assert import_config(content, where="bert").cache_bytes(TOKENS, half()) == 0
