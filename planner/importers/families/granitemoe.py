"""Granite 3 mixtures of experts, with and without a shared one.

Experts are as wide as ``intermediate_size``, the shared one as ``shared_intermediate_size``.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_mixture
from planner.importers.grouped import expert_decoder, read_grouped_attention
from planner.importers.registry import Architecture, family


@family(
    "granitemoe",
    "granitemoeshared",
    architectures=("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a Granite configuration with experts.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Experts in every layer.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier",
    )  # fmt: skip
    attention = read_grouped_attention(config, hidden)
    width = config.size("intermediate_size")
    experts = replace(
        read_mixture(config, hidden, intermediate=width),
        shared_intermediate=config.size("shared_intermediate_size", default=0, least=0),
    )
    return expert_decoder(config, [(attention,)] * layers, [experts] * layers, hidden)
