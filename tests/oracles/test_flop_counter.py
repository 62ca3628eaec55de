"""FLOP of one small real model per family against PyTorch's own counter, in its convention.

The counter knows products and convolutions. It does not halve causal attention, makes logits for
every row unless told otherwise, and sees no norms. Attention must be eager: fused CPU kernels count
nothing. The reference code of Mamba-2 convolves ``conv_kernel - 1`` columns of padding, repeats the
groups for every head, and passes states between chunks as one quadratic product.
"""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from planner.importers import import_config  # noqa: E402
from planner.model import Operation, Step  # noqa: E402
from planner.model.execution import half  # noqa: E402

pytestmark = pytest.mark.oracle

BATCH, TOKENS, CHUNK = 2, 24, 8
SMALL = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 16, "vocab_size": 160, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": EXPERTS,
    "gemma": {},
    "gemma2": {"sliding_window": 8},
    "gemma3_text": {"sliding_window": 8},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8},
    "phi": {},
    "phi3": {},
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 8, "n_positions": 64},
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 64, "num_attention_heads": 8},
    "falcon": {"multi_query": True, "new_decoder_architecture": False},
    "mamba2": {"num_heads": 8, "state_size": 16, "n_groups": 2, "chunk_size": CHUNK, "expand": 2},
}
READ_ONLY = {"falcon": {"head_dim"}}


def counted(family: str) -> tuple[float, Any]:
    known = transformers.AutoConfig.for_model(family)
    names = {**SMALL, **FAMILIES[family]}
    usable = {key for key in names if hasattr(known, key)} - READ_ONLY.get(family, set())
    config = transformers.AutoConfig.for_model(
        family, **{key: value for key, value in names.items() if key in usable}
    )
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    tokens = torch.randint(3, 160, (BATCH, TOKENS))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(tokens, use_cache=False)
    return float(counter.get_total_flops()), (config, model)


def whole_square(operation: Operation) -> float:
    width = operation.shape["query_heads"] * operation.shape["head_dim"]
    return 4.0 * BATCH * TOKENS * TOKENS * width


def padded_convolution(operation: Operation) -> float:
    return operation.flop * (TOKENS + operation.shape["conv_kernel"] - 1) / TOKENS


def reference_scan(operation: Operation) -> float:
    shape, chunks = operation.shape, TOKENS // CHUNK
    inner = shape["heads"] * shape["head_dim"]
    ours = 2 * CHUNK * shape["groups"] * shape["state_dim"] + 2 * inner * shape["state_dim"] / CHUNK
    repeated = 2 * CHUNK * shape["heads"] * shape["state_dim"]
    passing = 2 * BATCH * (chunks + 1) ** 2 * inner * shape["state_dim"]
    return operation.flop + BATCH * TOKENS * (repeated - ours) + passing


CONVENTION: dict[str, Callable[[Operation], float]] = {
    "attention_prefill": whole_square,
    "short_convolution_prefill": padded_convolution,
    "state_space_prefill": reference_scan,
}


def in_counters_convention(config: dict[str, Any], where: str) -> tuple[float, int]:
    model = import_config(config, where=where)
    step = Step(batch=BATCH, new_tokens=TOKENS, cached_tokens=0, phase="prefill", logit_rows=TOKENS)
    total = 0.0
    for _, operation, count in model.operations(step, half()):
        convert = CONVENTION.get(operation.kind)
        total += count * (convert(operation) if convert else operation.flop)
    return total, model.parameters


@pytest.mark.parametrize("family", FAMILIES)
def test_flop_and_parameters_equal_the_real_model(family: str) -> None:
    flop, (config, model) = counted(family)
    ours, parameters = in_counters_convention(config.to_dict(), family)
    unique = {p.data_ptr(): p.numel() for p in model.parameters()}
    assert parameters == sum(unique.values())
    assert ours == flop
