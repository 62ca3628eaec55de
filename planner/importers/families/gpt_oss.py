"""gpt-oss-20b and -120b: mixtures of experts, attention sinks, a window on every second layer.

Defaults of ``GptOssConfig`` that are taken: windows of 128 tokens alternating with full layers,
8 KV heads, heads of 64, biases on all projections. The files name no format beside the experts'
MXFP4: the rest is bf16.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import (
    assemble,
    read_experts,
    read_heads,
    read_hidden,
    read_layer_types,
    read_layers,
    stack,
)
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model.mixers.attention import Attention

_WINDOW_TOKENS = 128
_KV_HEADS = 8
_HEAD_DIM = 64


@family("gpt_oss", architectures=("GptOssForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a gpt-oss configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        RMSNorm, grouped-query attention with sinks and biases, experts with biases.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, kv_heads=_KV_HEADS, head_dim=_HEAD_DIM)
    layers = read_layers(config)
    bias = config.flag("attention_bias", True)
    window = config.size("sliding_window", default=_WINDOW_TOKENS)
    sliding = read_layer_types(config, layers) or [i % 2 == 0 for i in range(layers)]
    config.ignore("initial_context_length", "swiglu_alpha", "swiglu_limit")
    experts = replace(
        read_experts(config, hidden, intermediate=config.size("intermediate_size")),
        bias=True,
        router_bias=True,
    )
    pairs = [
        (
            Attention(
                hidden=hidden,
                query_heads=heads.query,
                kv_heads=heads.kv,
                head_dim=heads.dim,
                window=window if slides else None,
                qkv_bias=bias,
                output_bias=bias,
                sinks=True,
            ),
            experts,
        )
        for slides in sliding
    ]
    return assemble(
        config,
        stack(pairs, hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
        dtype="bf16",
    )
