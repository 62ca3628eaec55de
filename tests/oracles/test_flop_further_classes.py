"""FLOP and parameters of further classes against the real modules and PyTorch's own counter.

The counter does not know masks: attention counts as a whole rectangle of queries and keys. The
reference code of Llama 4 runs every expert on every token, so that here each token visits all.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from planner.importers import import_config  # noqa: E402
from planner.model import Model, Operation, Step  # noqa: E402
from planner.model.execution import half  # noqa: E402

pytestmark = pytest.mark.oracle

BATCH, TOKENS = 2, 24
SMALL: dict[str, Any] = {
    "hidden_size": 64, "n_embd": 64, "d_model": 64, "intermediate_size": 96,
    "num_hidden_layers": 4, "n_layer": 4, "n_layers": 4, "num_layers": 4,
    "num_attention_heads": 8, "n_head": 8, "n_heads": 8, "num_heads": 8,
    "num_key_value_heads": 4, "head_dim": 16, "vocab_size": 160, "max_position_embeddings": 64,
    "n_positions": 64, "max_seq_len": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SIDES = {
    "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 8,
    "decoder_attention_heads": 8, "encoder_ffn_dim": 96, "decoder_ffn_dim": 80,
}  # fmt: skip
PATTERN = ["sliding_attention", "full_attention"] * 3
LAYERED = {
    "num_hidden_layers": 6, "layer_types": PATTERN, "sliding_window": 8, "num_kv_shared_layers": 2,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 160,
}  # fmt: skip

DECODERS: dict[str, dict[str, Any]] = {
    "apertus": {},
    "arcee": {},
    "aria_text": {"moe_num_experts": 4},
    "biogpt": {},
    "bitnet": {},
    "bloom": {},
    "codegen": {"rotary_dim": 4, "n_ctx": 64},
    "cohere": {"use_qk_norm": True},
    "cohere2": {"sliding_window": 8, "head_dim": 8},
    "cohere2_moe": {"sliding_window": 8, "num_experts": 4},
    "ctrl": {"dff": 96},
    "cwm": {"sliding_window": 8},
    "ernie4_5": {},
    "exaone4": {"sliding_window": 8},
    "gemma3n_text": {
        **LAYERED,
        "laurel_rank": 4,
        "intermediate_size": [96] * 6,
        "activation_sparsity_pattern": [0.0] * 6,
    },
    "gemma4_text": {**LAYERED, "global_head_dim": 32, "use_double_wide_mlp": True},
    "glm": {},
    "glm4": {},
    "gpt_bigcode": {},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 8},
    "gpt_neox": {},
    "gpt_neox_japanese": {},
    "gptj": {"rotary_dim": 4},
    "granite": {},
    "granite_swa": {"sliding_window": 8},
    "granitemoe_swa": {"sliding_window": 8, "num_local_experts": 4},
    "hunyuan_v1_dense": {},
    "hyperclovax": {},
    "jais2": {},
    "laguna": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "num_attention_heads_per_layer": [8, 4, 8, 4],
        "layer_types": ["full_attention", "sliding_attention"] * 2,
        "sliding_window": 8,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 40,
    },
    "llama4_text": {
        "num_local_experts": 4,
        "num_experts_per_tok": 4,
        "intermediate_size_mlp": 80,
        "interleave_moe_layer_step": 2,
        "attention_chunk_size": 8,
    },
    "ministral": {"sliding_window": 8},
    "modernbert-decoder": {"local_attention": 16, "cls_token_id": 1, "sep_token_id": 2},
    "mpt": {},
    "nanochat": {},
    "nemotron": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 8},
    "openai-gpt": {},
    "persimmon": {},
    "seed_oss": {},
    "smollm3": {},
    "stablelm": {"qk_layernorm": True},
    "starcoder2": {"sliding_window": 8},
    "vaultgemma": {"sliding_window": 8},
    "xglm": {"attention_heads": 8, "ffn_dim": 96},
}
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": {},
    "data2vec-text": {},
    "distilbert": {"dim": 64, "hidden_dim": 96},
    "electra": {"embedding_size": 32},
    "eurobert": {},
    "ernie": {},
    "megatron-bert": {},
    "mpnet": {},
    "nomic_bert": {"head_dim": 8},
    "modernbert": {"local_attention": 8, "cls_token_id": 1, "sep_token_id": 2},
    "camembert": {},
    "roberta": {},
    "roberta-prelayernorm": {},
    "xlm-roberta": {},
    "xlm-roberta-xl": {},
}
BOTH: dict[str, dict[str, Any]] = {
    "bart": SIDES,
    "blenderbot": SIDES,
    "blenderbot-small": SIDES,
    "m2m_100": SIDES,
    "marian": {**SIDES, "decoder_vocab_size": 160, "decoder_start_token_id": 1},
    "mbart": SIDES,
    "mvp": SIDES,
    "pegasus": SIDES,
    "plbart": SIDES,
    "umt5": {"d_kv": 8, "d_ff": 96, "num_decoder_layers": 3},
    "mt5": {"d_kv": 8, "d_ff": 96, "num_decoder_layers": 3},
    "t5": {"d_kv": 8, "d_ff": 96, "num_decoder_layers": 3},
    "whisper": {
        **SIDES,
        "max_source_positions": TOKENS,
        "max_target_positions": 64,
        "num_mel_bins": 8,
        "decoder_start_token_id": 1,
    },
}


def configuration(family: str, changes: dict[str, Any]) -> Any:
    known = transformers.AutoConfig.for_model(family).to_dict()
    common = {key: value for key, value in SMALL.items() if key in known}
    config = transformers.AutoConfig.for_model(family, **{**common, **changes})
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    return config


def counted(model: Any, **inputs: Any) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return float(counter.get_total_flops())


def in_counters_convention(operation: Operation) -> float:
    if operation.kind != "attention_prefill":
        return float(operation.flop)
    shape = operation.shape
    widths = shape["head_dim"] + shape.get("value_dim", shape["head_dim"])
    return 2.0 * BATCH * TOKENS * TOKENS * shape["query_heads"] * widths


def ours(model: Model) -> float:
    step = Step(batch=BATCH, new_tokens=TOKENS, cached_tokens=0, phase="prefill", logit_rows=TOKENS)
    operations = model.operations(step, half())
    return sum(in_counters_convention(operation) * count for _, operation, count in operations)


def check(config: Any, auto: Any, **inputs: Any) -> None:
    torch.manual_seed(0)
    theirs = auto.from_config(config).eval()
    model = import_config(json.loads(json.dumps(config.to_dict())), where=config.model_type)
    if any(tower.name == "encoder" for tower in model.towers):
        model = model.reading("encoder", TOKENS)
    unique = {p.data_ptr(): p.numel() for p in theirs.parameters()}
    assert model.parameters == sum(unique.values())
    assert ours(model) == counted(theirs, **inputs)


def tokens() -> Any:
    return torch.randint(3, 160, (BATCH, TOKENS))


@pytest.mark.parametrize("family", DECODERS)
def test_decoders(family: str) -> None:
    config = configuration(family, DECODERS[family])
    check(config, transformers.AutoModelForCausalLM, input_ids=tokens(), use_cache=False)


@pytest.mark.parametrize("family", ENCODERS)
def test_encoders(family: str) -> None:
    config = configuration(family, ENCODERS[family])
    check(config, transformers.AutoModelForMaskedLM, input_ids=tokens())


@pytest.mark.parametrize("family", BOTH)
def test_encoders_with_decoders(family: str) -> None:
    config = configuration(family, BOTH[family])
    inputs = {"decoder_input_ids": tokens(), "use_cache": False}
    if family == "whisper":
        frames = torch.randn(BATCH, config.num_mel_bins, 2 * TOKENS)
        check(config, transformers.AutoModelForSpeechSeq2Seq, input_features=frames, **inputs)
    else:
        check(config, transformers.AutoModelForSeq2SeqLM, input_ids=tokens(), **inputs)
