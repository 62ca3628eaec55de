"""Qwen3-MoE: Qwen3's attention, 128 or more routed experts, none shared.

Defaults of ``Qwen3MoeConfig`` that are taken: a head's width the residual stream's share, no
biases, no window, every layer sparse.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import (
    assemble,
    read_experts,
    read_heads,
    read_hidden,
    read_layers,
    stack,
)
from planner.importers.families.qwen2_moe import read_sparse_layers
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.mixers.attention import Attention


@family(
    "qwen3_moe",
    "qwen3_vl_moe_text",
    "qwen3_omni_moe_text",
    architectures=("Qwen3MoeForCausalLM",),
)
def read(config: Config) -> Architecture:
    """Read a Qwen3-MoE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As Qwen3, with mixtures of experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    layers = read_layers(config)
    config.require("use_sliding_window", False)
    config.require("use_qk_norm", True)
    config.require("shared_expert_intermediate_size", 0, None)
    config.ignore("sliding_window", "max_window_layers")
    bias = config.flag("attention_bias", False)
    config.require("qkv_bias", bias)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        qk_norm="head",
    )
    experts = read_experts(config, hidden, intermediate=config.size("moe_intermediate_size"))
    feed_forward = read_sparse_layers(config, layers, experts)
    return assemble(
        config,
        stack([(attention, part) for part in feed_forward], hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )
