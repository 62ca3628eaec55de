"""Mixtral 8x7B and 8x22B.

Defaults of ``MixtralConfig`` that are taken: no window, 8 KV heads, a head's width the residual
stream's share. Experts are as wide as ``intermediate_size`` says.
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

_DEFAULT_KV_HEADS = 8


@family("mixtral", architectures=("MixtralForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Mixtral configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        As Mistral, every feed-forward block a mixture of experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden, kv_heads=_DEFAULT_KV_HEADS)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        window=config.optional_size("sliding_window"),
    )
    experts = read_experts(config, hidden, intermediate=config.size("intermediate_size"))
    return assemble(
        config,
        stack([(attention, experts)] * read_layers(config), hidden),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config),
    )
