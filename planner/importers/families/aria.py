"""Aria's language model: Llama's attention, experts as wide as ``intermediate_size``, two shared.

Defaults of ``AriaTextConfig`` that are taken: eight experts of which a token visits two.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.experts import read_mixture
from planner.importers.registry import Architecture, family

_SHARED = 2


@family("aria_text", architectures=("AriaTextForCausalLM",))
def read(config: Config) -> Architecture:
    """Read the language model's section of an Aria configuration.

    Parameters
    ----------
    config : Config
        The section.

    Returns
    -------
    Architecture
        Experts in every layer.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    config.require("mlp_bias", False)
    width = config.size("intermediate_size")
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias,
        experts=read_mixture(config, read_hidden(config), intermediate=width, shared=_SHARED),
    )
