"""Bamba: Mamba-2 layers with attention layers at listed places, all feed-forward parts dense.

Defaults of ``BambaConfig`` that are taken: no attention layer at all where the list is null, 8 KV
heads of which half is rotated, and what :func:`planner.importers.recurrent.read_mamba2` names.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_heads, read_hidden, read_layers
from planner.importers.position import rotated_dim, usable_context
from planner.importers.recurrent import read_kinds, read_mamba2
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention

_KV_HEADS = 8
_CONTEXT_TOKENS = 262_144
_ROTATED = 0.5


@family("bamba", architectures=("BambaForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Bamba configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Mamba-2 layers, and attention where the file says so.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    heads = read_heads(config, hidden, kv_heads=_KV_HEADS)
    bias = config.flag("attention_bias", False)
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=bias,
        output_bias=bias,
        rotary_dim=rotated_dim(config, heads.dim, "attn_rotary_emb_fraction", default=_ROTATED),
    )
    config.ignore("attn_rotary_emb", "mamba_dt_rank", "z_loss_coefficient")
    mixer = read_mamba2(config, hidden)
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        bias=config.flag("mlp_bias", False),
    )
    return assemble(
        config,
        pre_norm_layers(
            [(attention if full else mixer,) for full in _attending(config, layers)],
            [feed_forward] * layers,
            hidden,
        ),
        hidden=hidden,
        tied=False,
        usable_context=usable_context(config, default=_CONTEXT_TOKENS),
    )


def _attending(config: Config, layers: int) -> list[bool]:
    listed = config.entries("attn_layer_indices")
    kinds = read_kinds(config, layers)
    if listed is None and kinds is not None:
        return [kind == "full" for kind in kinds]
    places = listed or ()
    if any(isinstance(place, bool) or place not in range(layers) for place in places):
        config.refuse("attn_layer_indices", f"layers from 0 to {layers - 1:,}")
    return [layer in places for layer in range(layers)]
