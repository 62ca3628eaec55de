"""Granite with windows: sinks in every layer, and a window where the file lists one.

Defaults of ``GraniteSWAConfig`` and ``GraniteMoeSWAConfig`` that are taken: one layer of four sees
everything, windows of 128 tokens.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_mixture
from planner.importers.grouped import expert_decoder, read_grouped_attention, read_windowed
from planner.importers.registry import Architecture, family
from planner.model.feed_forward import Dense, MixtureOfExperts

_WINDOW_TOKENS = 128
_FULL_EVERY = 4


@family(
    "granite_swa",
    "granitemoe_swa",
    architectures=("GraniteSWAForCausalLM", "GraniteMoeSWAForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a Granite configuration with windows.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Dense layers, or experts in every layer.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(
        "attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier",
        "layer_rope_theta",
    )  # fmt: skip
    attention = replace(read_grouped_attention(config, hidden), sinks=True)
    pattern = [(layer + 1) % _FULL_EVERY != 0 for layer in range(layers)]
    mixers = read_windowed(config, attention, layers, pattern=pattern, window=_WINDOW_TOKENS)
    return expert_decoder(
        config,
        [(mixer,) for mixer in mixers],
        [_feed_forward(config, hidden)] * layers,
        hidden,
    )


def _feed_forward(config: Config, hidden: int) -> Dense | MixtureOfExperts:
    width = config.size("intermediate_size")
    if "num_local_experts" not in config:
        return Dense(hidden=hidden, intermediate=width, bias=config.flag("mlp_bias", False))
    return replace(
        read_mixture(config, hidden, intermediate=width),
        shared_intermediate=config.size("shared_intermediate_size", default=0, least=0),
    )
