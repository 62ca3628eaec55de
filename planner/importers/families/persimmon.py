"""Persimmon: multi-head attention with biases and LayerNorm of each head's queries and keys.

Defaults of ``PersimmonConfig`` that are taken: half of each head rotated, QK-norm, untied
embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.position import rotated_dim
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm

_ROTATED_FRACTION = 0.5


@family("persimmon", architectures=("PersimmonForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Persimmon configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm, biases everywhere, plain feed-forward parts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    return read_dense_decoder(
        config,
        heads=heads,
        gated=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm=Norm(kind="layer_norm", width=hidden),
        qk_norm="layer_norm_head" if config.flag("qk_layernorm", True) else "none",
        rotary_dim=rotated_dim(config, heads.dim, default=_ROTATED_FRACTION),
    )
