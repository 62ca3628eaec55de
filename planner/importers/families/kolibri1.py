"""Kolibri 1 and Mellum 2: small experts, windows between layers that see every key.

Defaults of the classes that are taken: Kolibri sees every key in each fifth layer and has norms on
both sides of attention and experts; Mellum lists its kinds of layers and has a window in none
without the list.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_feed_forward, read_mixture, read_sparse
from planner.importers.grouped import expert_decoder, read_grouped_attention, read_windowed
from planner.importers.registry import Architecture, family

_HEAD_DIM = 128
_FULL_EVERY = 5


@family("kolibri1", architectures=("Kolibri1ForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Kolibri 1 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Experts in every layer beside a shared one.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    attention = read_grouped_attention(config, hidden, head_dim=_HEAD_DIM, qk_norm="head")
    pattern = [(layer + 1) % _FULL_EVERY != 0 for layer in range(layers)]
    mixers = read_windowed(config, attention, layers, pattern=pattern)
    experts = replace(
        read_mixture(config, hidden, correction_bias=True),
        shared_intermediate=config.size("shared_expert_intermediate_size", least=0),
    )
    return expert_decoder(
        config, [(part,) for part in mixers], [experts] * layers, hidden, norms="around"
    )


@family("mellum", architectures=("MellumForCausalLM",))
def read_mellum(config: Config) -> Architecture:
    """Read a Mellum 2 configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Experts in every layer that the file does not call dense.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("mtp_layer_types", "mtp_mlp_layer_types")
    attention = read_grouped_attention(config, hidden, head_dim=_HEAD_DIM, qk_norm="head")
    mixers = read_windowed(config, attention, layers)
    experts = read_mixture(config, hidden)
    feed_forward = read_feed_forward(config, experts, read_sparse(config, layers))
    return expert_decoder(config, [(part,) for part in mixers], feed_forward, hidden)
