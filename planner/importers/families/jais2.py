"""Jais 2: LayerNorm, biases, plain feed-forward blocks."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("jais2", architectures=("Jais2ForCausalLM",))
def read_jais2(config: Config) -> Architecture:
    """Read a Jais 2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm, biases everywhere, plain feed-forward blocks.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", True)
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=config.flag("mlp_bias", True),
        gated=False,
        norm=Norm(kind="layer_norm", width=read_hidden(config)),
    )
