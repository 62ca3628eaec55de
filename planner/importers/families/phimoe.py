"""Phi-3.5-MoE and Phi-mini-MoE: LayerNorm around grouped-query attention and 16 experts.

Defaults of ``PhimoeConfig`` that are taken: no biases, no window, untied embeddings.
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
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.mixers.attention import Attention


@family("phimoe", architectures=("PhiMoEForCausalLM", "PhimoeForCausalLM"))
def read(config: Config) -> Architecture:
    """Read a PhiMoE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm, grouped-query attention, every feed-forward block a mixture of experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=config.optional_size("sliding_window"),
        qkv_bias=bias,
        output_bias=bias,
    )
    experts = read_experts(config, hidden, intermediate=config.size("intermediate_size"))
    return assemble(
        config,
        stack([(attention, experts)] * read_layers(config), hidden, "layer_norm"),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
        norm="layer_norm",
        head_bias=config.flag("lm_head_bias", False),
    )
