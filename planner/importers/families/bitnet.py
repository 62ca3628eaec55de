"""BitNet b1.58: Llama's blocks with a norm more inside each part, for weights of three values.

Defaults of ``BitNetConfig`` that are taken: no biases, untied embeddings, a base of 500,000.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.blocks import named_layers
from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, RotaryDefaults, family
from planner.model.projection import Table

_BASE = 500_000.0


@family("bitnet", architectures=("BitNetForCausalLM", "BitnetForCausalLM"))
def read(config: Config) -> Architecture:
    """Read a BitNet configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's blocks; the inner norms stand as learned values.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    bias = config.flag("attention_bias", False)
    decoder = read_dense_decoder(config, qkv_bias=bias, output_bias=bias)
    inner = (
        Table(name="self_attn.attn_sub_norm", shape=(read_hidden(config),), role="norm"),
        Table(name="mlp.ffn_sub_norm", shape=(config.size("intermediate_size"),), role="norm"),
    )
    rows = [(layer.name, (*layer.parts, *inner)) for layer in decoder.layers]
    return replace(decoder, layers=tuple(named_layers(rows)), rotary=RotaryDefaults(base=_BASE))
