"""Orion: Llama's blocks with LayerNorm."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("orion", architectures=("OrionForCausalLM",))
def read_orion(config: Config) -> Architecture:
    """Read an Orion configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        LayerNorm with biases in place of RMSNorm.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias,
        norm=Norm(kind="layer_norm", width=read_hidden(config)),
    )
