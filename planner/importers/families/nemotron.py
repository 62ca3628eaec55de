"""Nemotron 3 and 4, Minitron: LayerNorm, squared ReLU, half of each head rotated.

Defaults of ``NemotronConfig`` that are taken: no biases but those of norms, half of each head
rotated, untied embeddings.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.position import rotated_dim
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm

_ROTATED_FRACTION = 0.5


@family("nemotron", architectures=("NemotronForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Nemotron configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Grouped-query attention, plain feed-forward parts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    heads = read_heads(config, hidden)
    bias = config.flag("attention_bias", False)
    return read_dense_decoder(
        config,
        heads=heads,
        gated=False,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=config.flag("mlp_bias", False),
        norm=Norm(kind="layer_norm", width=hidden),
        rotary_dim=rotated_dim(
            config, heads.dim, "rotary_percent", "rope_percent", default=_ROTATED_FRACTION
        ),
    )
