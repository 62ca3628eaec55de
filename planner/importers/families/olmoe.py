"""OLMoE and FlexOLMo: experts in every layer, one norm over all heads of queries and of keys.

OLMoE has norms before attention and experts, FlexOLMo after them; experts are as wide as
``intermediate_size``.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden, read_layers
from planner.importers.experts import read_mixture
from planner.importers.grouped import Norms, expert_decoder, read_grouped_attention
from planner.importers.registry import Architecture, family


@family("olmoe", architectures=("OlmoeForCausalLM",))
def read(config: Config) -> Architecture:
    """Read an OLMoE configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Norms before attention and experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return _read(config, "before")


@family("flex_olmo", architectures=("FlexOlmoForCausalLM",))
def read_flex(config: Config) -> Architecture:
    """Read a FlexOLMo configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Norms after attention and experts.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return _read(config, "after")


def _read(config: Config, norms: Norms) -> Architecture:
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore("clip_qkv")
    attention = read_grouped_attention(config, hidden, qk_norm="full")
    width = config.size("intermediate_size")
    experts = read_mixture(config, hidden, intermediate=width)
    return expert_decoder(config, [(attention,)] * layers, [experts] * layers, hidden, norms=norms)
