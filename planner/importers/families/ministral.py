"""Ministral 8B: Mistral's blocks with windows on some layers.

Defaults of ``MinistralConfig`` that are taken: 8 KV heads, windows of 4,096 tokens on every layer
where the file lists no kinds of layers.
"""

from __future__ import annotations

from planner.importers.blocks import read_window_pattern
from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden, read_layers
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family

_WINDOW_TOKENS = 4096
_KV_HEADS = 8


@family("ministral", architectures=("MinistralForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Ministral 8B configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's blocks, no biases.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    windows = read_window_pattern(config, read_layers(config), period=None, window=_WINDOW_TOKENS)
    return read_dense_decoder(
        config,
        heads=read_heads(config, read_hidden(config), kv_heads=_KV_HEADS),
        windows=windows,
    )
