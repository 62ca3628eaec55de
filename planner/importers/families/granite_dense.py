"""Granite 3, dense: Llama's blocks with multipliers."""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family


@family("granite", architectures=("GraniteForCausalLM",))
def read_granite(config: Config) -> Architecture:
    """Read a dense Granite 3 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's, with multipliers of embeddings, residuals, scores and logits.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("embedding_multiplier", "residual_multiplier")
    config.ignore("attention_multiplier", "logits_scaling")
    bias = config.flag("attention_bias", False)
    return read_dense_decoder(
        config, qkv_bias=bias, output_bias=bias, mlp_bias=config.flag("mlp_bias", False)
    )
