"""Qwen1.5-MoE and Qwen2-MoE: routed experts beside one shared expert with a gate of its own.

Defaults of ``Qwen2MoeConfig`` that are taken: biases on queries, keys and values, every layer
sparse, no window.
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
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention


@family("qwen2_moe", architectures=("Qwen2MoeForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Qwen2-MoE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As Qwen2, with mixtures of experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    layers = read_layers(config)
    config.require("use_sliding_window", False)
    config.ignore("sliding_window", "max_window_layers")
    if any(read_layer_types(config, layers) or ()):
        config.refuse("layer_types", "full_attention throughout without use_sliding_window")
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=config.flag("qkv_bias", True),
    )
    experts = replace(
        read_experts(config, hidden, intermediate=config.size("moe_intermediate_size")),
        shared_intermediate=config.size("shared_expert_intermediate_size"),
        shared_gate=True,
    )
    feed_forward = read_sparse_layers(config, layers, experts)
    return assemble(
        config,
        stack([(attention, part) for part in feed_forward], hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )


def read_sparse_layers(
    config: Config, layers: int, experts: MixtureOfExperts
) -> list[Dense | MixtureOfExperts]:
    """Return the feed-forward part of each layer of a Qwen mixture of experts.

    Layer ``i`` is sparse if ``mlp_only_layers`` does not list it and ``decoder_sparse_step``
    divides ``i + 1``.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]
    experts : MixtureOfExperts
        What a sparse layer has.

    Returns
    -------
    list of Dense or MixtureOfExperts
        One per layer.

    Raises
    ------
    SpecError
        A figure is unusable.

    Examples
    --------
    >>> experts = MixtureOfExperts(hidden=8, intermediate=8, experts=4, top_k=2)
    >>> config = Config({"decoder_sparse_step": 2, "intermediate_size": 16}, "config.json")
    >>> [part.kind for part in read_sparse_layers(config, 2, experts)]
    ['dense', 'moe']
    """
    step = config.size("decoder_sparse_step", default=1, most=MOST_LAYERS)
    listed = config.entries("mlp_only_layers") or ()
    if any(isinstance(item, bool) or item not in range(layers) for item in listed):
        config.refuse("mlp_only_layers", f"layers from 0 to {layers - 1:,}")
    sparse = [(layer + 1) % step == 0 and layer not in listed for layer in range(layers)]
    if all(sparse):
        config.ignore("intermediate_size")
        return [experts] * layers
    dense = Dense(hidden=experts.hidden, intermediate=config.size("intermediate_size"))
    return [experts if is_sparse else dense for is_sparse in sparse]
