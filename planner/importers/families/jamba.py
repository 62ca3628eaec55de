"""Jamba: Mamba layers with an attention layer in each period, every other feed-forward part sparse.

Defaults of ``JambaConfig`` that are taken: attention in layer 4 of every 8, experts in layer 1 of
every 2, 16 experts of which a token visits 2, 8 KV heads, no positions. Time steps, B and C are
normalised with weights.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.recurrent import read_mamba1
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.part import Part

_KV_HEADS = 8
_CONTEXT_TOKENS = 262_144


@family("jamba", architectures=("JambaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Jamba configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Mamba layers and few attention layers without positions.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = read_heads(config, hidden, kv_heads=_KV_HEADS)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        rotary=False,
        window=config.optional_size("sliding_window"),
    )
    mixer = read_mamba1(config, hidden, norm=True)
    config.ignore("mamba_inner_layernorms", "router_aux_loss_coef", "layers_block_type")
    config.ignore("layer_types", "layers_num_experts", "n_ctx")
    attending = _periodic(config, "attn", layers, 8, 4)
    return assemble(
        config,
        pre_norm_layers(
            [(attention if is_attention else mixer,) for is_attention in attending],
            _feed_forward(config, hidden, layers),
            hidden,
        ),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )


def _periodic(config: Config, word: str, layers: int, period: int, offset: int) -> list[bool]:
    every = config.size(f"{word}_layer_period", default=period, most=MOST_LAYERS)
    first = config.size(f"{word}_layer_offset", default=offset, least=0, most=MOST_LAYERS)
    if first >= every:
        config.refuse(f"{word}_layer_offset", f"below the period of {every:,}")
    return [layer % every == first for layer in range(layers)]


def _feed_forward(config: Config, hidden: int, layers: int) -> list[Part]:
    intermediate = config.size("intermediate_size")
    experts = config.size("num_experts", "num_local_experts", default=16)
    dense = Dense(hidden=hidden, intermediate=intermediate)
    sparse = _periodic(config, "expert", layers, 2, 1)
    top_k = config.size("num_experts_per_tok", default=2)
    if experts == 1:
        return [dense] * layers
    if top_k > experts:
        config.refuse("num_experts_per_tok", f"at most the {experts:,} experts")
    mixture = MixtureOfExperts(
        hidden=hidden, intermediate=intermediate, experts=experts, top_k=top_k
    )
    return [mixture if is_sparse else dense for is_sparse in sparse]
