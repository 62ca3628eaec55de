"""Apertus: QK-norm, plain feed-forward blocks with a learned activation."""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import named_layers
from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.projection import Table


@family("apertus", architectures=("ApertusForCausalLM",))
def read_apertus(config: Config) -> Architecture:
    """Read an Apertus configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        QK-norm, plain feed-forward blocks whose activation has two learned values.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    config.ignore("post_norm", "qk_norm")
    read = read_dense_decoder(config, qkv_bias=bias, output_bias=bias, gated=False, qk_norm="head")
    if config.text("hidden_act", "xielu") != "xielu":
        return read
    values = Table(name="mlp.act_fn", shape=(2,), role="bias")
    rows = [(layer.name, (*layer.parts, values)) for layer in read.layers]
    return replace(read, layers=tuple(named_layers(rows)))
