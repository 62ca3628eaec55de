"""Laguna: heads that differ by layer, a gate per head, experts beside a shared one.

A bias corrects the choice of experts; it is a parameter here, not a buffer.

Defaults of ``LagunaConfig`` that are taken: the first layer dense, windows of 512 tokens where the
file lists them, one gate per head.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention, read_windowed
from planner.importers.registry import Architecture, family
from planner.model.mixers.attention import Attention

_WINDOW_TOKENS = 512


@family("laguna", architectures=("LagunaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Laguna configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Attention with norms on queries and keys.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "moe_apply_router_weight_on_input", "moe_routed_scaling_factor",
        "moe_router_logit_softcapping", "swa_rope_parameters", "partial_rotary_factor",
    )  # fmt: skip
    config.require("gating", True, "per-head")
    attention = replace(read_grouped_attention(config, hidden, qk_norm="head"), output_gate="head")
    mixers = read_windowed(config, attention, layers, window=_WINDOW_TOKENS)
    experts = replace(
        read_mixture(config, hidden),
        router_bias=True,
        shared_intermediate=config.size("shared_expert_intermediate_size", default=0, least=0),
    )
    return expert_decoder(
        config,
        [(mixer,) for mixer in _own_heads(config, mixers)],
        read_feed_forward(config, experts, read_sparse(config, layers, dense=1)),
        hidden,
    )


def _own_heads(config: Config, mixers: list[Attention]) -> list[Attention]:
    """Return the attention of each layer with its own number of query heads, where listed."""
    listed = config.entries("num_attention_heads_per_layer")
    if listed is None:
        return mixers
    if len(listed) != len(mixers):
        config.refuse("num_attention_heads_per_layer", f"a number for each of {len(mixers)} layers")
    own = []
    for mixer, heads in zip(mixers, listed, strict=True):
        if not isinstance(heads, int) or heads < 1 or heads % mixer.kv_heads:
            config.refuse("num_attention_heads_per_layer", f"multiples of {mixer.kv_heads:,}")
        own.append(replace(mixer, query_heads=heads))
    return own
